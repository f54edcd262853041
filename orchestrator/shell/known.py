"""What is known of a script while its commands are gone through: files that it wrote or fetched, names that it gave.

Rule: only what the script's own words say, or what the reader of files gives. A file that it wrote with what is not
known here counts as unknown again.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.shell.command import Command
from orchestrator.shell.downloads import path_of, runs_data
from orchestrator.shell.fetched import Fetched
from orchestrator.shell.prints import printed, received
from orchestrator.shell.project_settings import KEEPERS, settled
from orchestrator.shell.read import LARGEST_SCRIPT
from orchestrator.shell.scope import Scope
from orchestrator.shell.shells import STDIN
from orchestrator.shell.strangers import matters

_FED = "/dev/fd/63"
# Names that a wildcard in command position may hide.
_HIDDEN_NAMES = """
    rm dd chmod chown shred find mkfs mkfs.ext4 mv kill killall shutdown reboot wipefs curl wget bash sh nc cat
    python3 crontab sudo su userdel truncate tee cp
"""
HIDDEN = tuple(_HIDDEN_NAMES.split())
# Stands for whatever descriptor a script has opened for reading.
_DESCRIPTOR = "/dev/fd/opened"
_OPENED = re.compile(r"/(?:dev|proc/self)/fd/\d+$")
_RUNS_VALUE = re.compile(
    r"(?i)command|cmd|pager|editor|visual|shell|rsh|open|close|diff|browser|askpass|ssh|options|opts|hook|exec|wrapper"
    r"|^PS[0-4]$|^(?:BASH_)?ENV$|^(?:CC|CXX|LD|AR|MAKE|FCEDIT|LESS|PYTHONSTARTUP)$|prompt|program|runner"
)
# Files that these look for by themselves, besides those that their words name.
_COMPOSE = "docker docker-compose podman podman-compose nerdctl finch"
_LOOKS_FOR = (
    (_COMPOSE, "compose.yml compose.yaml docker-compose.yml docker-compose.yaml compose.override.yml"),
    (_COMPOSE, "docker-compose.override.yml docker-bake.hcl docker-bake.json docker-bake.override.hcl"),
    ("npm pnpm yarn bun npx", ".npmrc .yarnrc .yarnrc.yml package.json bunfig.toml pnpm-workspace.yaml"),
    ("pip pip3 uv poetry pdm python python3", "pip.conf pyproject.toml setup.cfg uv.toml poetry.toml requirements.txt"),
    ("bundle gem", "Gemfile .bundle/config .gemrc"), ("cargo", ".cargo/config.toml .cargo/config Cargo.toml"),
    ("conda mamba micromamba", "environment.yml environment.yaml .condarc"), ("composer", "composer.json"),
    ("go", "go.mod"),
)  # fmt: skip
# What their files hold is code, and read as such.
_READ_AS_CODE = frozenset(
    ("expect", "tclsh", "wish", "gdb", "lldb", "bc", "ftp", "lftp", "gnuplot", "octave", "R", "ed", "ex", "vi", "vim")
)
_DEFAULTS: dict[str, list[str]] = {}
for _programs, _names in _LOOKS_FOR:
    for _program in _programs.split():
        _DEFAULTS.setdefault(_program, []).extend(_names.split())
_QUOTED = re.compile(r"\"([^\"]+)\"|'([^']+)'")
_MANY_IN_ONE = frozenset(("busybox", "toybox", "systemctl", "coreutils"))
_PROGRAM_PATH = re.compile(r"(?:/usr)?(?:/local)?/s?bin/[\w.+-]+$")


@dataclass(slots=True)
class Found:
    """Every command that a call would run. `plain` is False where a part of it was only skimmed; `problem` as in
    Script; `scripts` are the texts that were read as shell code, `codes` those read as another language's; `wants`
    names the files that hold more of what would run. Shared between callers: never changed."""

    commands: list[Command]
    scripts: list[str]
    plain: bool = True
    problem: str = ""
    wants: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)


Reader = Callable[[str], str | None]
"""Gives the text of a file by the name that a command has for it; None where it is not in reach."""


@dataclass(slots=True)
class Made:
    """What a script has made up to some command: variables (`VALUE` by name), named pipes, files that it let run."""

    variables: dict[str, str] = field(default_factory=dict)
    pipes: set[str] = field(default_factory=set)
    runnable: set[str] = field(default_factory=set)

    def note(self, command: Command) -> None:
        """Take in what a command makes."""
        if command.assigns and not command.words:
            self.variables.update(command.assigns)
        name = command.name
        if name in ("export", "declare", "typeset", "readonly"):
            self.variables.update(
                (key, value) for key, mark, value in (word.partition("=") for word in command.words[1:]) if mark
            )
        elif name in ("mkfifo", "mknod"):
            self.pipes.update(posixpath.normpath(word) for word in command.words[1:] if word[:1] != "-")
        elif name == "chmod" and any("x" in word or word[-1:] in "1357" for word in command.words[1:2]):
            self.runnable.update(posixpath.normpath(word) for word in command.words[2:])


@dataclass(slots=True)
class State:
    """What is known while the commands are gone through in order."""

    found: Found
    scope: Scope
    # Contents of files that the script wrote.
    files: dict[str, str] = field(default_factory=dict)
    fetched: Fetched = field(default_factory=Fetched)
    # What a name stands for that the script has given to a program: by a copy, a link, an alias or `hash -p`.
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reader: Reader | None = None
    # The files that are being read as programs, each within the one before.
    running: list[str] = field(default_factory=list)
    # The scripts that are being read, each within the one before, and how often each has been come upon again.
    reading: dict[Hashable, int] = field(default_factory=dict)
    from_disk: set[str] = field(default_factory=set)
    folder: str = ""
    made: Made = field(default_factory=Made)


def input_of(command: Command, state: State) -> str | None:
    text = received(command)
    if text is None and len(command.upstream) == 1 and command.upstream[0].name == "cat":
        parts = [_own_text(word, state) for word in command.upstream[0].words[1:] if word[:1] != "-"]
        text = "".join(filter(None, parts)) if parts and None not in parts else None
    if text is None:
        for redirect in command.redirects:
            if redirect.op == "<":
                text = file_text(command, redirect.target, state)
    return text


def file_text(command: Command, name: str, state: State) -> str | None:
    """What is in a file, where the script itself wrote it or feeds it."""
    if name in STDIN:
        return received(command)
    if name == _FED and command.fed:
        said = printed(command.fed[-1])
        return None if said is None else said.text
    if _OPENED.match(name):
        name = next((item.target for item in command.redirects if item.op == "<"), name)
    return in_reach(name, state)


def in_reach(name: str, state: State) -> str | None:
    """What a file holds: as the script itself wrote it, else as the reader gives it."""
    if (known := _own_text(name, state)) is not None:
        return known
    for wanted in dict.fromkeys((posixpath.join(state.folder, name), name)):
        state.found.wants.append(wanted)
        if state.reader is not None and (text := state.reader(wanted)) is not None:
            state.from_disk.add(text)
            return text
    return None


def project_file(command: Command, file: str, state: State) -> str | None:
    text = file_text(command, file, state) if file in (*STDIN, _FED) else in_reach(file, state)
    if text is not None and len(text) > LARGEST_SCRIPT:
        state.found.problem = state.found.problem or f"{file} is longer than {LARGEST_SCRIPT // 1024} KiB"
    return text


def program_text(command: Command, state: State) -> str | None:
    """The text of a program that is named by its path, or that the script wrote."""
    program = command.words[0]
    if "/" in program and not command.dynamic:
        return in_reach(program, state)
    return state.files.get(path_of(program))


def renamed(command: Command, state: State) -> Command:
    """The command under the name that its program really has."""
    if command.name in ("chmod", "setcap", "chown") and state.programs:
        meant = tuple(state.programs.get(path_of(word), (word,))[0] for word in command.words[1:])
        return replace(command, words=(command.words[0], *meant))
    stands_for = state.programs.get(path_of(command.words[0])) if state.programs and command.words else None
    if stands_for is None or stands_for[0] == command.words[0]:
        return command
    if stands_for[0].rpartition("/")[2] in _MANY_IN_ONE and matters(command.name):
        # Such a program is what it is called by.
        return command
    moved = len(stands_for) - 1
    return replace(
        command,
        words=(*stands_for, *command.words[1:]),
        expands=tuple(at + moved for at in command.expands if at),
    )


def _note_name(command: Command, state: State) -> None:
    """Remember a name that the command gives to a program."""
    words = command.words
    if command.name == "alias":
        for name, mark, value in (word.partition("=") for word in words[1:]):
            if mark and value.split():
                state.programs[name] = tuple(value.split())
    elif command.name == "hash" and words[1:2] == ("-p",) and len(words) > 3:
        state.programs[words[3]] = (words[2],)
    elif command.name == "cat" and len(words) == 2 and _PROGRAM_PATH.match(words[1]):
        state.programs.update({path_of(item.target): (words[1],) for item in command.redirects if item.writes})
    elif command.name in ("cp", "ln", "mv", "install", "link"):
        operands = [word for word in words[1:] if word[:1] != "-"]
        if len(operands) != 2:
            return
        source, target = operands
        if _PROGRAM_PATH.match(source) or source in HIDDEN:
            name = source.rpartition("/")[2]
            state.programs[path_of(target)] = (source,)
            state.programs[path_of(f"{target}/{name}")] = (source,)


def _with_input(command: Command, state: State) -> Command:
    """The command with what it reads where the script has written that, or has opened it with `exec 3<`."""
    if command.name == "exec" and command.stdin is not None and len(command.words) == 1:
        state.files[_DESCRIPTOR] = command.stdin
    if command.stdin is not None:
        return command
    for redirect in command.redirects:
        if redirect.op == "<" and (text := state.files.get(path_of(redirect.target))) is not None:
            if command.name == "exec" and len(command.words) == 1:
                state.files[_DESCRIPTOR] = text
            return replace(command, stdin=text)
        if redirect.op == "<&" and redirect.target not in "012-" and _DESCRIPTOR in state.files:
            return replace(command, stdin=state.files[_DESCRIPTOR])
    return command


def run_by_environment(command: Command, state: State) -> Iterator[str]:
    """Scripts in the variables that a command is given, where their names say that they are run."""
    for name, value in command.assigns:
        if not value or not _RUNS_VALUE.search(name) or (name == "SHELL" and " " not in value):
            continue
        if name == "PYTHONSTARTUP":
            yield f"python3 {shlex.quote(value)}"
            continue
        if name in ("BASH_ENV", "ENV"):
            if (text := in_reach(value, state)) is not None:
                yield text
            continue
        if name in ("GIT_SEQUENCE_EDITOR", "GIT_EDITOR", "EDITOR", "VISUAL"):
            yield from _told_to_do(value, state)
        inner = [found.group(1) or found.group(2) for found in _QUOTED.finditer(value)]
        for text in (value.lstrip("|! "), *inner, value.rpartition("exec=")[2]):
            first = text.split()[:1]
            if "$(" in text or (first and matters(first[0].rpartition("/")[2])):
                yield text if "$(" not in text else f': "{text}"'


_TODO = re.compile(r"(?m)^\s*(?:exec|x)\s+(\S.*)$")


def _told_to_do(editor: str, state: State) -> Iterator[str]:
    """The scripts in a list of things to do that an "editor" puts in the place of git's: `cp FILE`."""
    for word in editor.split()[1:]:
        yield from _TODO.findall(_own_text(word, state) or "")


# Besides redirections, these write what may be known: what they receive, or a copy.
WRITERS = frozenset(("tee", "sponge", "dd", "install", "cp", "mv", "ln", "link"))


def note_files(command: Command, state: State) -> Command:
    """Remember what a command writes and fetches; mark it where it runs what was fetched."""
    if runs_data(command) or (state.fetched and state.fetched.runs(command, state.folder)):
        command = replace(command, downloaded=True)
    command = _with_input(command, state)
    if (state.files or command.fed) and (named := tuple(_named(command, state))):
        command = replace(command, named=named)
    _note_name(command, state)
    if command.name in KEEPERS:
        state.files.update(settled(command, lambda name: in_reach(name, state)))
    if command.redirects or command.name in WRITERS:
        for target, append, source in written(command):
            _note_written(source, target, append, state)
        _note_copied(command, state)
    state.fetched.note(command, state.folder)
    return command


def written(command: Command) -> Iterator[tuple[str, bool, Command]]:
    """The files that a command writes as far as their text may be known: each, whether it appends, and whose output it
    gets."""
    name, words = command.name, command.words
    for redirect in command.redirects:
        if redirect.writes:
            yield redirect.target, redirect.op == ">>", replace(command, redirects=())
    copies = replace(command, words=("cat",), expands=(), redirects=())
    if name in ("tee", "sponge"):
        yield from ((word, "-a" in words, copies) for word in words[1:] if word[:1] != "-")
    elif name == "dd":
        yield from ((word[3:], False, copies) for word in words if word.startswith("of="))
    elif name in ("install", "cp") and len(words) > 2 and words[-2] in STDIN:
        yield words[-1], False, copies


def _note_copied(command: Command, state: State) -> None:
    """A copy or a link holds what its original does."""
    if not state.files or command.name not in ("cp", "mv", "install", "ln", "link") or len(command.words) < 3:
        return
    *sources, target = (word for word in command.words[1:] if word[:1] != "-")
    for source in sources:
        if (text := _own_text(source, state)) is not None:
            base = posixpath.basename(source)
            for name in (target, f"{target}/{base}"):
                state.files[path_of(name)] = text


def _own_text(name: str, state: State) -> str | None:
    """What a file holds that the script itself wrote."""
    known = state.files.get(path_of(name))
    return known if known is not None else state.files.get(path_of(posixpath.join(state.folder, name)))


def _named(command: Command, state: State) -> Iterator[str]:
    """The texts that the script has written to files which a command's words name, or which it looks for by itself."""
    if command.name in _READ_AS_CODE:
        return
    names = [word for item in (command, *command.upstream) for word in item.words[1:]]
    names += [part for name in names for part in (name.partition("=")[2], name.rpartition(" ")[2], name[2:])]
    names += [name[7:] for name in names if name.startswith("file://")]
    if _FED in command.words and command.fed and (said := printed(command.fed[-1])) is not None:
        yield said.text
    for name in dict.fromkeys(filter(None, (*names, *_DEFAULTS.get(command.name, ())))):
        for path in dict.fromkeys((path_of(name), path_of(posixpath.join(state.folder, name)))):
            if (text := state.files.get(path)) is not None:
                yield text


def _note_written(command: Command, target: str, append: bool, state: State) -> None:
    said = printed(command)
    for path in {path_of(target), path_of(posixpath.join(state.folder, target))}:
        if said is not None:
            state.files[path] = (state.files.get(path, "") if append else "") + said.text
        else:
            state.files.pop(path, None)
