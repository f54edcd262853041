"""Builtins that set variables or arguments from what they read, print or are given: `read`, `mapfile`, `printf -v`.

Rule: what they are known to get, becomes the value; what only a run would tell, makes the variable unknown.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from orchestrator.shell.command import Command
from orchestrator.shell.finds import named_by
from orchestrator.shell.pieces import Field, expanded, joined_array
from orchestrator.shell.prints import printed, received
from orchestrator.shell.scope import MAX_VALUES, Scope

SETTERS = frozenset(("read", "mapfile", "readarray", "printf", "set", "shift", "unset", "eval"))
_VALUES = {
    "read": frozenset(("-d", "-i", "-n", "-N", "-p", "-t", "-u")),
    "mapfile": frozenset(("-d", "-n", "-O", "-s", "-u", "-C", "-c")),
}
# An `eval` that only sets a variable: `eval "d=~$USER"`.
_ASSIGNS = re.compile(r"\s*(?:export\s+|local\s+)?([A-Za-z_]\w*)=([\w~$/.{}-]*)\s*;?\s*")
Piped = tuple[tuple[Command, ...], str | None]
"""What is redirected into the loop or group that a builtin stands in: substitutions, and text where it is known."""


def set_by(command: Command, fields: list[Field], scope: Scope, piped: Piped) -> None:
    """Change the scope as the builtin would."""
    words = command.words
    match command.name:
        case "printf":
            if words[1:2] == ("-v",) and len(words) > 3:
                said = printed(replace(command, words=("printf", *words[3:])))
                scope.set(words[2], said or Field(f"${words[2]}", True))
        case "set":
            if "--" in words:
                scope.arguments = tuple(fields[words.index("--") + 1 :])
        case "eval":
            if found := _ASSIGNS.fullmatch(" ".join(words[1:])):
                scope.set(found.group(1), Field(found.group(2), found.group(2)[:1] in ("~", "$")))
        case "unset":
            for name in words[1:]:
                scope.set(name, Field(""))
        case "shift":
            count = words[1] if len(words) > 1 else "1"
            known = scope.arguments is not None and count.isdigit() and scope.certain
            scope.arguments = scope.arguments[int(count) :] if known and scope.arguments else scope.arguments
        case "read":
            _read(command, scope, piped)
        case _:
            _mapped(command, scope, piped)


def _names(command: Command) -> list[str]:
    values = _VALUES["read" if command.name == "read" else "mapfile"]
    return [word for before, word in pairwise(command.words) if word.isidentifier() and before not in values]


def _mapped(command: Command, scope: Scope, piped: Piped) -> None:
    names, lines = _names(command), _lines(command, piped, _delimiter(command))
    text = joined_array([item.text for item in lines]) or f"${names[-1:]}"
    scope.set(names[-1] if names else "MAPFILE", Field(text, not lines or any(item.expands for item in lines)))


def _read(command: Command, scope: Scope, piped: Piped) -> None:
    names, lines = _names(command), _lines(command, piped, _delimiter(command))
    separators = next((value for name, value in command.assigns if name == "IFS"), None)
    if any(word[:1] == "-" and "a" in word[1:] for word in command.words[1:]):
        parts = _split(lines[0].text, separators, 0) if lines else []
        if names:
            scope.set(
                names[-1],
                Field(
                    joined_array(parts) or f"${names[-1]}", not parts or any(expanded(part).expands for part in parts)
                ),
            )
    elif len(names) == 1 and lines:
        scope.variables[names[0]] = tuple(lines[:MAX_VALUES])
    else:
        parts = _split(lines[0].text, separators, len(names)) if lines and len(names) > 1 else []
        for at, name in enumerate(names):
            known = expanded(parts[at]) if at < len(parts) else Field(f"${name}", True)
            scope.variables[name] = (known,)


def _split(text: str, separators: str | None, count: int) -> list[str]:
    """The words of a line, the last of `count` with all the rest; as many as there are for 0."""
    if separators is None:
        return text.split(maxsplit=count - 1) if count else text.split()
    return re.split(f"[{re.escape(separators)}]", text, maxsplit=max(count - 1, 0)) if separators else [text]


def _delimiter(command: Command) -> str:
    """What ends a line for the builtin: `-d` says it, together or apart."""
    for option, value in command.followed:
        if option[:1] == "-" and option[1:2] != "-" and "d" in option:
            return option[option.index("d") + 1 :] or value or "\0"
    return "\n"


def _lines(command: Command, piped: Piped, delimiter: str) -> list[Field]:
    """The lines that `read` or `mapfile` may get."""
    fed, text = piped
    sources = command.upstream or command.fed or fed
    known = received(command) if command.stdin is not None or command.upstream else text
    if known is None and sources and (said := printed(sources[-1])) is not None:
        known = said.text
    if known is not None:
        marks = r"[\n\0]" if delimiter in "\n\0" else f"[{re.escape(delimiter[0])}\n]"
        return [expanded(line) for line in re.split(marks, known) if line]
    return [Field(word, expands) for word, expands in (named_by(sources) if sources else ())]
