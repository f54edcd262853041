"""Takes commands out of what wraps them: `sudo`, `env`, `xargs`, `find -exec`, `bash -c`, `eval`, `… | sh`, …

Rule: a wrapper is kept as a command of its own and what it starts is added behind it, so that a rule about
`sudo` and a rule about `rm` both see what concerns them. A script that only names an interpreter with `-c` is
replaced by its contents: the quoted script is code there, not data. Files that the script writes and then runs
are opened too.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise

from orchestrator.shell.code_folds import UNKNOWN
from orchestrator.shell.command import Command
from orchestrator.shell.downloads import FETCHERS, downloaded, path_of, runs_clone, runs_download
from orchestrator.shell.finds import named_by
from orchestrator.shell.foreign import INTERPRETERS, Made, foreign_commands, shell_on_a_pipe
from orchestrator.shell.loose_code import loose_commands, named_in, remote_shell, with_names, with_variables
from orchestrator.shell.other_code import other_commands
from orchestrator.shell.pieces import Field
from orchestrator.shell.prints import printed, received
from orchestrator.shell.projects import project_scripts
from orchestrator.shell.python_code import python_commands
from orchestrator.shell.read import LARGEST_SCRIPT, read
from orchestrator.shell.scope import Scope
from orchestrator.shell.strangers import matters, started_by_stranger
from orchestrator.shell.wrappers import UNWRAP

MAX_DEPTH = 5
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "rbash"))
# Each of these opens something at every level; together they need more levels than there are real uses of.
_MAX_STEPS = 3 * MAX_DEPTH
_MAX_COMMANDS = 5_000
_REMEMBERED = 512
_MAX_REMEMBERED_CHARACTERS = 16_384
_SHELL_VALUES = frozenset(("+o", "+O", "--rcfile", "--init-file"))
_INTERPRETER = re.compile(r"#!\s*(?:/\S*/)?(?:env\s+(?:-S\s+)?)?([\w.+-]+)")
PROJECT_PROGRAMS = frozenset(("make", "gmake", "npm", "yarn", "pnpm", "bun", "git"))
_STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))
_FED = "/dev/fd/63"
_CODE_OPTIONS: dict[str, tuple[str, ...]] = {
    "node": ("-e", "--eval", "-p", "--print", "-pe"), "perl": ("-e", "-E", "-ne", "-pe", "-le", "-lne", "-we"),
    "ruby": ("-e", "-ne", "-pe"), "php": ("-r", "-B", "-R"), "lua": ("-e",), "luajit": ("-e",), "osascript": ("-e",),
    "Rscript": ("-e",), "R": ("-e",), "julia": ("-e", "-E"), "expect": ("-c",), "tclsh": (), "wish": (),
    "emacs": ("--eval", "-eval", "-e", "--execute"), "groovy": ("-e",), "jrunscript": ("-e",), "elixir": ("-e",),
    "octave": ("--eval",), "octave-cli": ("--eval",), "crystal": ("eval",), "irb": (), "jjs": (), "scala": ("-e",),
}  # fmt: skip
_CODE_OPTIONS |= {"nodejs": _CODE_OPTIONS["node"], "bun": _CODE_OPTIONS["node"], "deno": ("eval", "-e")}
# Code that is all one variable or substitution: a run would tell what it is.
_MADE_UP = re.compile(r"\$(?:[A-Za-z_@*\d]\w*|\{[^}]*\}|\(.*\))\s*$|`.*`\s*$", re.DOTALL)
_CLUSTER = re.compile(r"-[a-zA-Z0-9]{2,6}")
# Opened in a way of their own, and then read as any other program.
_ALSO_FOREIGN = frozenset(("go", "sed", "gsed"))
_READ_WELL = frozenset(("node", "nodejs", "bun", "deno", "perl", "ruby", "php", "lua", "luajit"))
_LOOSE = frozenset(("osascript", "Rscript"))
_AWK_VARIABLE = re.compile(r"([A-Za-z_]\w*)=([^={}]*)")
_AWK = frozenset(("awk", "gawk", "mawk", "nawk"))
# Names that a wildcard in command position may hide.
_HIDDEN_NAMES = """
    rm dd chmod chown shred find mkfs mkfs.ext4 mv kill killall shutdown reboot wipefs curl wget bash sh nc cat
    python3 crontab sudo su userdel truncate tee cp
"""
# Stands for whatever descriptor a script has opened for reading.
_DESCRIPTOR = "/dev/fd/opened"
_RUNS_VALUE = re.compile(
    r"(?i)command|cmd|pager|editor|visual|shell|rsh|open|close|diff|browser|askpass|ssh|options|opts|hook|exec|wrapper"
    r"|^PS[0-4]$|^(?:BASH_)?ENV$|^(?:CC|CXX|LD|AR|MAKE|FCEDIT|LESS|PYTHONSTARTUP)$|prompt|program|runner"
)
_QUOTED = re.compile(r"\"([^\"]+)\"|'([^']+)'")
_PROGRAM_PATH = re.compile(r"(?:/usr)?(?:/local)?/s?bin/[\w.+-]+$")
_HIDDEN = tuple(_HIDDEN_NAMES.split())
ELF = "\x7fELF"
"""How machine code begins: the kernel runs it by itself, and only a shell that is handed it takes it for a script."""
# The environment of a step is followed but for what stands for places, which are known by their names.
_PLACES = frozenset(("HOME", "PWD", "TMPDIR", "PATH", "OLDPWD", "USER", "LANG", "SHELL"))


@dataclass(slots=True)
class Found:
    """Every command that a call would run. `plain` is False where a part of it was only skimmed; `problem` as in
    Script; `scripts` are the texts that were read as shell code; `wants` names the files that hold more of what would
    run. Shared between callers: never changed."""

    commands: list[Command]
    scripts: list[str]
    plain: bool = True
    problem: str = ""
    wants: list[str] = field(default_factory=list)


Reader = Callable[[str], str | None]
"""Gives the text of a file by the name that a command has for it; None where it is not in reach."""


@dataclass(slots=True)
class _State:
    """What is known while the commands are gone through in order."""

    found: Found
    scope: Scope
    # Contents of files that the script wrote, and names of those that it downloaded.
    files: dict[str, str] = field(default_factory=dict)
    downloads: set[str] = field(default_factory=set)
    clones: set[str] = field(default_factory=set)
    # What a name stands for that the script has given to a program: by a copy, a link, an alias or `hash -p`.
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reader: Reader | None = None
    # The files that are being read as programs, each within the one before.
    running: list[str] = field(default_factory=list)
    from_disk: set[str] = field(default_factory=set)
    folder: str = ""
    made: Made = field(default_factory=Made)


def find_commands(argv: tuple[str, ...], env: Mapping[str, str] | None = None, reader: Reader | None = None) -> Found:
    """Every command that would run if `argv` were executed, wrappers and inner scripts included. `env` are the
    variables that it is given; with a `reader`, so are the script files that it names."""
    given = tuple(sorted((key, value) for key, value in (env or {}).items() if key not in _PLACES))
    if sum(map(len, argv)) > _MAX_REMEMBERED_CHARACTERS:
        found = _find.__wrapped__(argv, given)
    else:
        found = _find(argv, given)
    if reader is None or all(reader(name) is None for name in found.wants):
        return found
    return _find_anew(argv, given, reader)


@lru_cache(maxsize=_REMEMBERED)
def _find(argv: tuple[str, ...], env: tuple[tuple[str, str], ...]) -> Found:
    return _find_anew(argv, env, None)


def _find_anew(argv: tuple[str, ...], env: tuple[tuple[str, str], ...], reader: Reader | None) -> Found:
    scope = Scope({key: (Field(value),) for key, value in env})
    state = _State(Found([], []), scope, reader=reader)
    _expand(Command(argv, ""), 0, 0, state)
    return state.found


def _expand(command: Command, depth: int, steps: int, state: _State) -> None:
    """Add a command and what it starts. `depth` counts scripts within scripts, `steps` every wrapper too."""
    found = state.found
    if depth > MAX_DEPTH or steps > _MAX_STEPS or len(found.commands) > _MAX_COMMANDS:
        deep = len(found.commands) <= _MAX_COMMANDS
        found.problem = found.problem or (
            f"commands are nested more than {MAX_DEPTH} deep" if deep else f"it runs more than {_MAX_COMMANDS} commands"
        )
        return
    command = _renamed(_note_files(command, state), state)
    state.made.note(command)
    if command.assigns and command.words:
        for text in _run_by_environment(command, state):
            _read(text, replace(command, assigns=()), depth, steps, state)
    found.commands += shell_on_a_pipe(command, state.made)
    name = command.name
    if name in SHELLS and (script := _shell_script(command, state)) is not None:
        if command.redirects or command.assigns or script.keep:
            found.commands.append(replace(command, words=(command.words[0], "-c"), expands=()))
        _read(script.text, command, depth, steps, state, script.arguments, script.zero)
        return
    found.commands.append(command)
    if command.dynamic:
        for hidden in _hidden_names(command.words[0]):
            _expand(
                replace(command, words=(hidden, *command.words[1:]), expands=command.expands[1:]),
                depth,
                steps + 1,
                state,
            )
    if name in PROJECT_PROGRAMS:
        for text in project_scripts(command, lambda file: _project_file(command, file, state)):
            _read(text, command, depth, steps, state)
    if name in UNWRAP:
        for inner in UNWRAP[name](command):
            _follow(inner, command, depth, steps, state)
    elif name in (".", "source"):
        sourced = _file_text(command, command.words[1], state) if len(command.words) > 1 else None
        if sourced is not None:
            _read(sourced, command, depth, steps, state)
    elif _is_interpreter(name):
        for inner in _interpreted(command, state):
            _follow(inner, command, depth, steps, state)
    elif len(command.words) > 1 and (started := list(started_by_stranger(command))):
        for inner in started:
            _follow(inner, command, depth, steps, state)
    elif command.words and path_of(command.words[0]) in state.running:
        found.commands.append(Command(("while",), command.text, forks=True))
    elif command.words and (program := _program_text(command, state)) is not None:
        state.running.append(path_of(command.words[0]))
        for inner in _by_first_line(program, command):
            _follow(inner, command, depth, steps, state, _arguments(command, 1))
        state.running.pop()
    if (name not in UNWRAP or name in INTERPRETERS or name in _ALSO_FOREIGN) and not _is_read_well(name):
        for inner in foreign_commands(command, state.made, state.files, state.folder):
            _follow(inner, command, depth, steps, state)
    if name == "cd" and len(command.words) == 2 and not command.expands:
        state.folder = posixpath.join(state.folder, command.words[1])


def _is_interpreter(name: str) -> bool:
    return name in _CODE_OPTIONS or name in _AWK or name.startswith(("python", "pypy"))


def _is_read_well(name: str) -> bool:
    return name in _READ_WELL or name in _AWK or name.startswith(("python", "pypy"))


def _follow(
    inner: Command | str,
    command: Command,
    depth: int,
    steps: int,
    state: _State,
    arguments: tuple[Field, ...] | None = None,
) -> None:
    if isinstance(inner, str):
        _read(inner, command, depth, steps, state, arguments)
    else:
        _expand(inner, depth + (inner.name in SHELLS), steps + 1, state)


def _read(
    script: str,
    command: Command,
    depth: int,
    steps: int,
    state: _State,
    arguments: tuple[Field, ...] | None = None,
    zero: Field | None = None,
) -> None:
    if depth >= MAX_DEPTH + 1:
        state.found.problem = state.found.problem or f"commands are nested more than {MAX_DEPTH} deep"
        return
    found, outer = state.found, state.scope
    state.scope = outer.inner()
    state.scope.arguments = arguments
    if zero is not None and "$0" in script:
        state.scope.variables["0"] = (zero,)
    state.scope.variables.update({name: (Field(value),) for name, value in command.assigns})
    parsed = read(script, state.scope)
    if "$0" in script and zero is None:
        parsed = replace(parsed, commands=tuple(map(_forking, parsed.commands)))
    found.scripts.append(script)
    found.plain = found.plain and parsed.plain
    found.problem = found.problem or parsed.problem
    via = (*command.via, command.name) if depth or steps else command.via
    for inner in parsed.commands:
        _expand(replace(inner, via=via) if via else inner, depth + 1, steps + 1, state)
    state.scope = outer


def _forking(command: Command) -> Command:
    """A script that starts itself in the background does so again, and again."""
    again = "$0" in command.words[:2] and command.then in ("&", "|")
    return replace(command, words=("while",), expands=(), forks=True) if again else command


@dataclass(frozen=True, slots=True)
class _ShellCode:
    """What a shell is handed. `keep`: the shell stays in the list, because what was piped to it concerns rules."""

    text: str
    arguments: tuple[Field, ...] | None = None
    keep: bool = False
    zero: Field | None = None


def _shell_script(command: Command, state: _State) -> _ShellCode | None:
    """The code that a shell is handed: after `-c`, on its standard input, or in a file that is known."""
    words = command.words
    at, from_option, from_stdin = 1, False, False
    while at < len(words) and words[at][:1] in ("-", "+") and len(words[at]) > 1:
        word = words[at]
        at += 1
        if word == "--":
            break
        if word in _SHELL_VALUES:
            at += 1
        elif word[0] == "-" and word[1] != "-":
            from_option |= "c" in word
            # `-euo pipefail`: an `o` in a cluster takes the next word, as `-o` alone does.
            at += "o" in word or "O" in word
            from_stdin |= "s" in word
    if from_option:
        if at >= len(words):
            # xargs gives it the script, line by line.
            return _ShellCode("$INPUT") if "xargs" in command.via else None
        zero = Field(words[at + 1], at + 1 in command.expands) if at + 1 < len(words) else None
        return _ShellCode(words[at], _arguments(command, at + 2), zero=zero)
    if at >= len(words) or from_stdin or words[at] in _STDIN:
        text = _input(command, state)
        return None if text is None else _ShellCode(text, keep=command.stdin is None)
    text = _file_text(command, words[at], state)
    return None if text is None else _ShellCode(text, _arguments(command, at + 1), keep=True)


def _arguments(command: Command, at: int) -> tuple[Field, ...]:
    """The words of a command from `at` on, as a script gets them for `$1`, …"""
    return tuple(Field(word, index in command.expands) for index, word in enumerate(command.words) if index >= at)


def _input(command: Command, state: _State) -> str | None:
    text = received(command)
    if text is None:
        for redirect in command.redirects:
            if redirect.op == "<":
                text = _file_text(command, redirect.target, state)
    return text


def _file_text(command: Command, name: str, state: _State) -> str | None:
    """What is in a file, where the script itself wrote it or feeds it."""
    if name in _STDIN:
        return received(command)
    if name == _FED and command.fed:
        said = printed(command.fed[-1])
        return None if said is None else said.text
    return _in_reach(name, state)


def _in_reach(name: str, state: _State) -> str | None:
    """What a file holds: as the script itself wrote it, else as the reader gives it."""
    known = state.files.get(path_of(name))
    if known is not None:
        return known
    for wanted in dict.fromkeys((posixpath.join(state.folder, name), name)):
        state.found.wants.append(wanted)
        if state.reader is not None and (text := state.reader(wanted)) is not None:
            state.from_disk.add(text)
            return text
    return None


def _project_file(command: Command, file: str, state: _State) -> str | None:
    text = received(command) if file == "-" else _in_reach(file, state)
    if text is not None and len(text) > LARGEST_SCRIPT:
        state.found.problem = state.found.problem or f"{file} is longer than {LARGEST_SCRIPT // 1024} KiB"
    return text


def _program_text(command: Command, state: _State) -> str | None:
    """The text of a program that is named by its path, or that the script wrote."""
    program = command.words[0]
    if "/" in program and not command.dynamic:
        return _in_reach(program, state)
    return state.files.get(path_of(program))


def _by_first_line(text: str, command: Command) -> list[Command | str]:
    """What a script file amounts to, by the interpreter that its `#!` line names."""
    via = (*command.via, command.name)
    if text.startswith(ELF):
        return []
    interpreter = _INTERPRETER.match(text)
    name = interpreter.group(1) if interpreter else "sh"
    if name.startswith(("python", "pypy")):
        return _definite(python_commands(text, via))
    if name in _CODE_OPTIONS:
        return list(other_commands(text, name, via))
    return [text] if name in SHELLS else []


def _definite(commands: list[Command | str]) -> list[Command | str]:
    """Of a program in a file, what it surely does: that it computes something is no news there."""
    return [
        item
        for item in commands
        if isinstance(item, str) or not (item.name.startswith("python-") or "$unknown" in item.words)
    ]


def _renamed(command: Command, state: _State) -> Command:
    """The command under the name that its program really has."""
    if command.name in ("chmod", "setcap", "chown") and state.programs:
        meant = tuple(state.programs.get(path_of(word), (word,))[0] for word in command.words[1:])
        return replace(command, words=(command.words[0], *meant))
    stands_for = state.programs.get(path_of(command.words[0])) if state.programs and command.words else None
    if stands_for is None or stands_for[0] == command.words[0]:
        return command
    moved = len(stands_for) - 1
    return replace(
        command,
        words=(*stands_for, *command.words[1:]),
        expands=tuple(at + moved for at in command.expands if at),
    )


def _note_name(command: Command, state: _State) -> None:
    """Remember a name that the command gives to a program."""
    words = command.words
    if command.name == "alias":
        for name, mark, value in (word.partition("=") for word in words[1:]):
            if mark and value.split():
                state.programs[name] = tuple(value.split())
    elif command.name == "hash" and words[1:2] == ("-p",) and len(words) > 3:
        state.programs[words[3]] = (words[2],)
    elif command.name in ("cp", "ln", "mv", "install", "link"):
        operands = [word for word in words[1:] if word[:1] != "-"]
        if len(operands) != 2:
            return
        source, target = operands
        if _PROGRAM_PATH.match(source) or source in _HIDDEN:
            name = source.rpartition("/")[2]
            state.programs[path_of(target)] = (source,)
            state.programs[path_of(f"{target}/{name}")] = (source,)


def _with_input(command: Command, state: _State) -> Command:
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


def _run_by_environment(command: Command, state: _State) -> Iterator[str]:
    """Scripts in the variables that a command is given, where their names say that they are run."""
    for name, value in command.assigns:
        if not value or not _RUNS_VALUE.search(name):
            continue
        if name in ("BASH_ENV", "ENV", "PYTHONSTARTUP"):
            if (text := _in_reach(value, state)) is not None:
                yield text
            continue
        inner = [found.group(1) or found.group(2) for found in _QUOTED.finditer(value)]
        for text in (value.lstrip("|! "), *inner, value.rpartition("exec=")[2]):
            first = text.split()[:1]
            if "$(" in text or (first and matters(first[0].rpartition("/")[2])):
                yield text if "$(" not in text else f': "{text}"'


def _note_files(command: Command, state: _State) -> Command:
    """Remember what a command writes and fetches; mark it where it runs what was fetched."""
    if (state.downloads and runs_download(command, state.downloads)) or (
        state.clones and runs_clone(command, state.clones)
    ):
        command = replace(command, downloaded=True)
    command = _with_input(command, state)
    _note_name(command, state)
    name, words = command.name, command.words
    fetches = name in FETCHERS
    for redirect in command.redirects:
        if redirect.writes:
            _note_written(replace(command, redirects=()), redirect.target, redirect.op == ">>", state)
            if fetches or any(source.name in FETCHERS for source in command.upstream):
                state.downloads.add(path_of(redirect.target))
    if name == "tee" and len(words) > 1:
        _note_written(replace(command, words=("cat",), redirects=()), words[-1], "-a" in words, state)
    if name == "git" and "clone" in words[1:3]:
        operands = [word for word in words[words.index("clone") + 1 :] if word[:1] != "-"]
        state.clones.update(path_of(word) for word in operands[-1:] if "://" not in word and "@" not in word)
    if fetches:
        state.downloads.update(downloaded(command))
    elif (
        name in ("cp", "mv", "install", "ln")
        and len(words) > 2
        and path_of(words[-2]) in {*state.files, *state.downloads}
    ):
        source, target = path_of(words[-2]), path_of(words[-1])
        if source in state.files:
            state.files[target] = state.files[source]
        if source in state.downloads:
            state.downloads.add(target)
    return command


def _note_written(command: Command, target: str, append: bool, state: _State) -> None:
    said, path = printed(command), path_of(target)
    if said is not None:
        state.files[path] = (state.files.get(path, "") if append else "") + said.text
    else:
        state.files.pop(path, None)


def _hidden_names(word: str) -> list[str]:
    """The programs that a wildcard in a command's place may mean."""
    pattern = word.rpartition("/")[2]
    if "$" in word or not any(char in pattern for char in "*?[") or not pattern.strip("*"):
        return []
    return [name for name in _HIDDEN if fnmatchcase(name, pattern)]


def _interpreted(command: Command, state: _State) -> list[Command | str]:
    """What an interpreter's program amounts to, where it is given on the command line or its input."""
    code, via = _code(command, state), (*command.via, command.name)
    if code is None or len(code) > LARGEST_SCRIPT:  # bundles; and only what code in a file surely does would count
        return []
    if _MADE_UP.match(code) and any(command.words[at] == code for at in command.expands):
        return [Command((code,), code, (0,), via=via)]
    on_disk = code in state.from_disk
    variables = {**state.made.variables, **dict(command.assigns)}
    code = with_variables(code, variables) if variables else code
    if command.name in _LOOSE:
        return list(loose_commands(code, command.name, via))
    if command.name.startswith(("python", "pypy")):
        commands = python_commands(code, via)
        return _definite(commands) if on_disk else [*commands, *remote_shell(code, via)]
    listed = named_by(command.upstream) if command.upstream else []
    commands = other_commands(code, command.name, via, listed[0][0] if listed else UNKNOWN)
    # A program in a file names much that it does not touch.
    return commands if on_disk else [*commands, *named_in(code, via)]


def _code(command: Command, state: _State) -> str | None:
    words = command.words
    if command.name in _AWK:
        found = filter(None, map(_AWK_VARIABLE.fullmatch, words[1:]))
        names = {item.group(1): item.group(2) for item in found}
        return with_names(" ".join(word for word in words[1:] if not _AWK_VARIABLE.fullmatch(word)), names)
    if command.name.startswith(("python", "pypy")):
        for at, word in enumerate(words[1:], 1):
            if word[:1] == "-" and word[:2] != "--" and "c" in word[1:]:
                attached = word[word.index("c") + 1 :]
                return attached or (words[at + 1] if at + 1 < len(words) else None)
            if word == "-m":
                given = words[at + 2 :] if words[at + 1 : at + 2] == ("timeit",) else ()
                return "\n".join(item for item in given if not re.fullmatch(r"-\w*|\d+", item)) or None
            if word[:1] != "-":
                break
    else:
        options = _CODE_OPTIONS[command.name]
        short = {option for option in options if len(option) == 2}
        codes = [
            value
            for option, value in pairwise(words[1:])
            if option in options or (_CLUSTER.fullmatch(option) and f"-{option[-1]}" in short)
        ]
        codes += [word.partition("=")[2] for word in words[1:] if word.startswith("--eval=")]
        codes += [word[2:] for word in words[1:] if word[:2] in short and re.search(r"\W", word[2:])]
        if codes:
            return "\n".join(codes)
    operands = [word for word in words[1:] if word[:1] != "-" or word == "-"]
    if not operands or operands[0] in _STDIN:
        return None if "-m" in words else _input(command, state)
    return _file_text(command, operands[0], state)
