"""Takes commands out of what wraps them: `sudo`, `env`, `timeout`, `xargs`, `find -exec`, `bash -c`, `eval`, …

Rule: a wrapper is kept as a command of its own and what it starts is added behind it, so that a rule about
`sudo` and a rule about `rm` both see what concerns them. A script that only names an interpreter with `-c` is
replaced by its contents: the quoted script is code there, not data.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.shell.command import Command
from orchestrator.shell.plain import parse

MAX_DEPTH = 5
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash"))
_SHELL_VALUES = frozenset(("+o", "+O", "--rcfile", "--init-file"))

# Program: (options that take the next word as their value, operands that stand before the command).
WRAPPERS: dict[str, tuple[frozenset[str], int]] = {
    name: (frozenset(options.split()), operands)
    for name, options, operands in (
        ("sudo", "-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir", 0),
        ("doas", "-u -C", 0),
        ("env", "-u -C -S --unset --chdir --split-string", 0),
        ("nohup", "", 0),
        ("setsid", "", 0),
        ("time", "-f -o --format --output", 0),
        ("nice", "-n --adjustment", 0),
        ("ionice", "-c -n -p --class --classdata", 0),
        ("timeout", "-k -s --kill-after --signal", 1),
        ("stdbuf", "-i -o -e --input --output --error", 0),
        ("command", "", 0),
        ("builtin", "", 0),
        ("exec", "-a", 0),
        ("busybox", "", 0),
        ("xargs", "-I -i -n -P -d -L -s -a -E --replace --max-args --max-procs --delimiter --max-lines --arg-file", 0),
    )
}
_SCRIPT_OPTIONS = {"su": ("-c", "--command"), "env": ("-S", "--split-string")}
_FIND_ACTIONS = frozenset(("-exec", "-execdir", "-ok", "-okdir"))


@dataclass(slots=True)
class Found:
    """Every command that a call would run. `plain` and `problem` as in Script; `scripts` are the texts that
    were read as shell code."""

    commands: list[Command]
    scripts: list[str]
    plain: bool = True
    problem: str = ""


def find_commands(argv: tuple[str, ...]) -> Found:
    """Every command that would run if `argv` were executed, wrappers and inner scripts included."""
    found = Found([], [])
    _expand(Command(argv, ""), 0, found)
    return found


def _expand(command: Command, depth: int, found: Found) -> None:
    if depth > MAX_DEPTH:
        found.problem = found.problem or f"commands are nested more than {MAX_DEPTH} deep"
        return
    name = command.name
    if name in SHELLS:
        script = _shell_script(command)
        if script is None:
            found.commands.append(command)
            return
        if command.redirects or command.assigns:
            found.commands.append(replace(command, words=(command.words[0], "-c"), expands=()))
        _read(script, command, depth, found)
        return
    found.commands.append(command)
    if name in _UNWRAP:
        for inner in _UNWRAP[name](command):
            if isinstance(inner, str):
                _read(inner, command, depth, found)
            else:
                _expand(inner, depth + 1, found)


def _read(script: str, command: Command, depth: int, found: Found) -> None:
    parsed = parse(script)
    found.scripts.append(script)
    found.plain = found.plain and parsed.plain
    found.problem = found.problem or parsed.problem
    via = (*command.via, command.name) if depth else command.via
    for inner in parsed.commands:
        _expand(replace(inner, via=via) if via else inner, depth + 1, found)


def _shell_script(command: Command) -> str | None:
    """The code that a shell is handed: after `-c`, or on its standard input where it names no file."""
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
        return words[at] if at < len(words) else None
    if at >= len(words) or from_stdin or words[at] == "-":
        return command.stdin
    return None


def _tail(command: Command, at: int) -> Command | None:
    """The command that begins at word `at` of this one."""
    if at >= len(command.words):
        return None
    return replace(
        command,
        words=command.words[at:],
        expands=tuple(index - at for index in command.expands if index >= at),
        via=(*command.via, command.name),
    )


def _wrapped(command: Command) -> Iterator[Command | str]:
    name, words = command.name, command.words
    values, operands = WRAPPERS[name]
    scripts = _SCRIPT_OPTIONS.get(name, ())
    at = 1
    while at < len(words):
        word = words[at]
        if name == "command" and word in ("-v", "-V"):
            return
        if word in scripts and at + 1 < len(words):
            yield " ".join((words[at + 1], *map(shlex.quote, words[at + 2 :])))
            return
        if word == "--":
            at += 1
        elif word in values:
            at += 2
            continue
        elif word[:1] == "-" or ("=" in word and name in ("env", "sudo", "doas")):
            at += 1
            continue
        break
    assigns = tuple((key, value) for key, mark, value in (word.partition("=") for word in words[1:at]) if mark)
    if inner := _tail(command, at + operands):
        yield replace(inner, assigns=command.assigns + assigns)


def _su(command: Command) -> Iterator[Command | str]:
    for option, value in zip(command.words, command.words[1:], strict=False):
        if option in _SCRIPT_OPTIONS["su"]:
            yield value


def _eval(command: Command) -> Iterator[Command | str]:
    if not all(index in command.expands for index in range(1, len(command.words))):
        yield " ".join(command.words[1:])


def _trap(command: Command) -> Iterator[Command | str]:
    if len(command.words) > 2 and command.words[1] not in ("-", "-p", "-l"):
        yield command.words[1]


def _find(command: Command) -> Iterator[Command | str]:
    words = command.words
    for at, word in enumerate(words):
        if word in _FIND_ACTIONS:
            end = next((i for i in range(at, len(words)) if words[i] in (";", "+")), len(words))
            if inner := _tail(replace(command, words=words[:end]), at + 1):
                yield inner


_UNWRAP = {"su": _su, "eval": _eval, "trap": _trap, "find": _find, **dict.fromkeys(WRAPPERS, _wrapped)}
