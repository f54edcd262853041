"""Takes commands out of what wraps them: `sudo`, `env`, `xargs`, `find -exec`, `bash -c`, `eval`, `… | sh`, …

Rule: a wrapper is kept as a command of its own and what it starts is added behind it, so that a rule about
`sudo` and a rule about `rm` both see what concerns them. A script that only names an interpreter with `-c` is
replaced by its contents: the quoted script is code there, not data. Files that the script writes and then runs
are opened too.
"""

from __future__ import annotations

import posixpath
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise

from orchestrator.shell.builders import BUILDERS, looks_for
from orchestrator.shell.command import Command
from orchestrator.shell.curl_config import configured
from orchestrator.shell.downloads import path_of
from orchestrator.shell.environment_facts import shims
from orchestrator.shell.foreign import INTERPRETERS, foreign_commands, shell_on_a_pipe
from orchestrator.shell.given import given
from orchestrator.shell.interpreters import by_first_line, interpreted, is_interpreter, is_read_well
from orchestrator.shell.known import (
    HIDDEN,
    Found,
    Reader,
    State,
    file_text,
    input_of,
    note_files,
    program_text,
    project_file,
    renamed,
    run_by_environment,
)
from orchestrator.shell.persisted import persisted
from orchestrator.shell.pieces import Field
from orchestrator.shell.projects import project_scripts
from orchestrator.shell.read import read
from orchestrator.shell.scope import Scope
from orchestrator.shell.shells import SHELLS, STDIN, is_only_parsed
from orchestrator.shell.strangers import started_by_stranger
from orchestrator.shell.wrappers import UNWRAP

MAX_DEPTH = 5
# Each of these opens something at every level; together they need more levels than there are real uses of.
_MAX_STEPS = 3 * MAX_DEPTH
_MAX_COMMANDS = 5_000
_REMEMBERED = 512
_MAX_REMEMBERED_CHARACTERS = 16_384
# How a script names itself.
_ITSELF = frozenset(("$0", "${0}", "$BASH_SOURCE", "${BASH_SOURCE}", "${BASH_SOURCE[0]}"))
# What a shell has of the script that it was given as an option.
_OWN_TEXT = "BASH_EXECUTION_STRING"
_START_FILES = ("--rcfile", "--init-file")
_SHELL_VALUES = frozenset(("+o", "+O", "--rcfile", "--init-file"))
PROJECT_PROGRAMS = frozenset(("make", "gmake", "npm", "yarn", "pnpm", "bun", "git"))
# Opened in a way of their own, and then read as any other program.
_ALSO_FOREIGN_TEXT = """
    sed gsed fish csh tcsh nu xonsh pwsh powershell salt salt-call knife pm2 heroku fly
"""
_ALSO_FOREIGN = INTERPRETERS | BUILDERS.union(_ALSO_FOREIGN_TEXT.split())
# The environment of a step is followed but for what stands for places, which are known by their names.
_PLACES = frozenset(("HOME", "PWD", "TMPDIR", "PATH", "OLDPWD", "USER", "LANG", "SHELL"))


@dataclass(frozen=True, slots=True)
class _Code:
    """A script for a shell: with the arguments and the `$0` that it gets, where these are known. `keep`: the shell
    stays in the list, because what was piped to it concerns rules. `path`: the file that it stands in."""

    text: str
    arguments: tuple[Field, ...] | None = None
    keep: bool = False
    zero: Field | None = None
    path: str = ""


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
    state = State(Found([], []), Scope({key: (Field(value),) for key, value in env}), reader=reader)
    command = Command(argv, "")
    # Nothing has been fetched, written or renamed before it: a shell with a script is that script, and most calls are.
    is_script = len(argv) == 3 and argv[1] == "-c" and command.name in SHELLS
    if not (is_script and _opened_shell(command, 0, 0, state)):
        _expand(command, 0, 0, state)
    return state.found


def _expand(command: Command, depth: int, steps: int, state: State) -> None:
    """Add a command and what it starts. `depth` counts scripts within scripts, `steps` every wrapper too."""
    found = state.found
    if problem := _beyond_limits(depth, steps, found):
        found.problem = found.problem or problem
        return
    if more := given(command):
        command = replace(command, assigns=(*command.assigns, *more))
    command = renamed(note_files(command, state), state)
    state.made.note(command)
    if command.assigns and command.words:
        for text in run_by_environment(command, state):
            _read(_Code(text), replace(command, assigns=()), depth, steps, state)
    found.commands += shell_on_a_pipe(command, state.made)
    if is_only_parsed(command):
        found.commands.append(command)
        return
    if command.name in SHELLS and _opened_shell(command, depth, steps, state):
        return
    found.commands.append(command)
    for inner in _started(command, state):
        if isinstance(inner, Command):
            _expand(inner, depth + (inner.name in SHELLS), steps + 1, state)
        else:
            _read(inner if isinstance(inner, _Code) else _Code(inner), command, depth, steps, state)
    if command.name == "cd" and len(command.words) == 2 and not command.expands:
        state.folder = posixpath.join(state.folder, command.words[1])


def _beyond_limits(depth: int, steps: int, found: Found) -> str:
    if len(found.commands) > _MAX_COMMANDS:
        return f"it runs more than {_MAX_COMMANDS} commands"
    return f"commands are nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH or steps > _MAX_STEPS else ""


def _opened_shell(command: Command, depth: int, steps: int, state: State) -> bool:
    """Read what a shell is handed; whether its code is known, and so stands for the shell."""
    commands = state.found.commands
    if any(word.startswith(_START_FILES) for word in command.words):
        commands.append(command)
    for text in _start_files(command, state):
        _read(_Code(text), command, depth, steps, state)
    script = _shell_script(command, state)
    if script is None:
        return False
    if command.redirects or command.assigns or script.keep:
        commands.append(replace(command, words=(command.words[0], "-c"), expands=()))
    if script.path in state.running and command.then in ("&", "|"):
        # It starts itself beside itself, and so does that, and so on.
        commands.append(Command(("while",), command.text, forks=True))
        return True
    running, state.running = state.running, [*state.running, *filter(None, (script.path,))]
    _read(script, command, depth, steps, state)
    state.running = running
    return True


def _started(command: Command, state: State) -> Iterator[Command | str | _Code]:
    """What a program starts, one after the other: each is gone through before the next is asked for."""
    name = command.name
    if command.dynamic:
        for hidden in _hidden_names(command.words[0]):
            yield replace(command, words=(hidden, *command.words[1:]), expands=command.expands[1:])
    yield from persisted(command)
    if command.assigns:
        yield from shims(command, state.files)
    if name in PROJECT_PROGRAMS:
        yield from project_scripts(command, lambda file: project_file(command, file, state))
    yield from _started_by_kind(command, state)
    own = name in UNWRAP and name not in _ALSO_FOREIGN and not any(looks_for(command, file) for file in state.files)
    if not own and not is_read_well(name):
        yield from foreign_commands(command, state.made, state.files, state.folder)


def _started_by_kind(command: Command, state: State) -> Iterator[Command | str | _Code]:
    """What a program starts by the first of these that it is: a wrapper, `source`, an interpreter, a program that
    nobody knows but whose arguments name another, a file that the script wrote."""
    name = command.name
    if name in UNWRAP:
        yield from UNWRAP[name](command)
    elif name in (".", "source"):
        sourced = file_text(command, command.words[1], state) if len(command.words) > 1 else None
        if sourced is not None:
            yield sourced
    elif is_interpreter(name):
        yield from interpreted(command, state)
    elif name in ("curl", "wget"):
        yield from configured(command, lambda file: file_text(command, file, state))
    elif len(command.words) > 1 and (started := list(started_by_stranger(command))):
        yield from started
    elif command.words:
        yield from _started_by_file(command, state)


def _started_by_file(command: Command, state: State) -> Iterator[Command | _Code]:
    path = path_of(command.words[0])
    if path in state.running:
        state.found.commands.append(Command(("while",), command.text, forks=True))
    elif (program := program_text(command, state)) is not None:
        state.running.append(path)
        for inner in by_first_line(program, command, program in state.from_disk):
            yield inner if isinstance(inner, Command) else _Code(inner, _arguments(command, 1))
        state.running.pop()


def _read(code: _Code, command: Command, depth: int, steps: int, state: State) -> None:
    """Add what a script within a command would run."""
    if depth >= MAX_DEPTH + 1:
        state.found.problem = state.found.problem or f"commands are nested more than {MAX_DEPTH} deep"
        return
    found, outer, script = state.found, state.scope, code.text
    key = (script, code.arguments, code.zero)
    if key in state.reading:
        _starts_itself(command, key, state)
        return
    state.reading[key] = 0
    state.scope = outer.inner()
    state.scope.arguments = code.arguments
    if code.zero is not None and "$0" in script:
        state.scope.variables["0"] = (code.zero,)
    state.scope.variables.update({name: (Field(value),) for name, value in command.assigns})
    if _OWN_TEXT in script:
        state.scope.variables[_OWN_TEXT] = (Field(script),)
    parsed = read(script, state.scope)
    if code.zero is None and any(name in script for name in _ITSELF):
        parsed = replace(parsed, commands=tuple(map(_forking, parsed.commands)))
    found.scripts.append(script)
    found.plain = found.plain and parsed.plain
    found.problem = found.problem or parsed.problem
    via = (*command.via, command.name) if depth or steps else command.via
    for inner in parsed.commands:
        _expand(replace(inner, via=via) if via else inner, depth + 1, steps + 1, state)
    state.scope = outer
    del state.reading[key]


def _starts_itself(command: Command, key: Hashable, state: State) -> None:
    """A script that is come upon within itself: it has no end, and where that is so twice, or beside itself, it
    doubles with every turn."""
    state.reading[key] += 1
    if state.reading[key] > 1 or command.upstream or command.then in ("&", "|", "|&"):
        state.found.commands.append(Command(("while",), command.text, forks=True))
    else:
        state.found.problem = state.found.problem or "it starts itself, again and again"


def _forking(command: Command) -> Command:
    """A script that starts itself in the background does so again, and again."""
    again = not _ITSELF.isdisjoint(command.words[:2]) and command.then in ("&", "|")
    return replace(command, words=("while",), expands=(), forks=True) if again else command


def _shell_script(command: Command, state: State) -> _Code | None:
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
            return _Code("$INPUT") if "xargs" in command.via else None
        zero = Field(words[at + 1], at + 1 in command.expands) if at + 1 < len(words) else None
        return _Code(words[at], _arguments(command, at + 2), zero=zero)
    if at >= len(words) or from_stdin or words[at] in STDIN:
        text = input_of(command, state)
        return None if text is None else _Code(text, keep=command.stdin is None)
    text = file_text(command, words[at], state)
    return None if text is None else _Code(text, _arguments(command, at + 1), keep=True, path=path_of(words[at]))


def _start_files(command: Command, state: State) -> Iterator[str]:
    """The code of the files that an interactive shell is told to begin with."""
    for option, value in pairwise(command.words):
        name, mark, attached = option.partition("=")
        if name in _START_FILES and (text := file_text(command, attached if mark else value, state)) is not None:
            yield text


def _arguments(command: Command, at: int) -> tuple[Field, ...]:
    """The words of a command from `at` on, as a script gets them for `$1`, …"""
    return tuple(Field(word, index in command.expands) for index, word in enumerate(command.words) if index >= at)


def _hidden_names(word: str) -> list[str]:
    """The programs that a wildcard in a command's place may mean."""
    pattern = word.rpartition("/")[2]
    if "$" in word or not any(char in pattern for char in "*?[") or not pattern.strip("*"):
        return []
    return [name for name in HIDDEN if fnmatchcase(name, pattern)]
