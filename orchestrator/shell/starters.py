"""Programs that start what they name in a form of their own: npx, socat, terminals, pagers.

Rule: one function for each, from the program's command to the commands and scripts that it starts.
"""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.shell.code_acts import deletes
from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.options import behind, in_option

_NPX_VALUES = frozenset(
    ("-p", "--package", "-c", "--call", "-w", "--workspace", "--from", "--with", "--spec", "--python")
)


def npx(command: Command) -> Unwrapped:
    """It fetches a package where it has to, and runs the program of that name."""
    yield from in_option("-c", "--call")(command)
    begin = 2 if command.words[1:2] in (("run",), ("dlx",), ("x",)) else 1
    inner = command.tail(command.operands(_NPX_VALUES, begin))
    if inner and not {"-c", "--call"} & set(command.words):
        name = re.sub(r"(?<=.)@[^/]*$", "", inner.words[0]).rpartition("/")[2]
        yield replace(inner, words=(name, *inner.words[1:]))


def addresses(command: Command) -> Unwrapped:
    """socat's `EXEC:` and `SYSTEM:`."""
    for word in command.words[1:]:
        if found := re.match(r"(?i)(?:exec|system):([^,]+)", word):
            yield found.group(1)


def terminal(command: Command) -> Unwrapped:
    """`xterm -e 'a script'`, `xterm -e program argument`."""
    words = command.words
    at = next((i + 1 for i, word in enumerate(words) if i and word in ("-e", "-x", "--")), 0)
    if at and at == len(words) - 1:
        yield words[at]
    elif at and (inner := command.tail(at)):
        yield inner


def pager(command: Command) -> Unwrapped:
    """`less +'!command'`."""
    yield from (word[2:] for word in command.words[1:] if word[:2] == "+!")


def tmpfiles(text: str) -> Unwrapped:
    """What the lines of a tmpfiles.d file amount to: `Z` changes modes and owners, `R` and `D` delete."""
    for line in text.splitlines():
        kind, path, *rest = (*line.split(), "", "")
        if kind[:1] in ("z", "Z", "m") and rest:
            tree = ("-R",) if kind[:1] == "Z" else ()
            yield Command(("chmod", *tree, rest[0].strip("~:"), path), line)
            yield Command(("chown", *tree, ":".join(rest[1:3]), path), line)
        elif kind[:1] in ("r", "R", "D"):
            yield deletes(path, line)
        elif kind[:1] in ("f", "w", "F", "C") or kind[:2] == "L+":
            yield Command(("tee", path), line)


def npm_exec(command: Command) -> Unwrapped:
    if command.words[1:2] in (("exec",), ("x",)):
        yield from in_option("-c", "--call")(command)
        yield from behind("--")(command)
