"""Builtins that set variables from what they read or print: `read`, `mapfile`, `printf -v`.

Rule: a variable gets what the script itself says; where a run would tell, it stays a name.
"""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.shell.command import Command
from orchestrator.shell.finds import named_by
from orchestrator.shell.pieces import Field, joined_array
from orchestrator.shell.prints import printed, received
from orchestrator.shell.scope import MAX_VALUES, Scope

SETTERS = frozenset(("read", "mapfile", "readarray", "printf"))
Piped = tuple[tuple[Command, ...], str | None]
"""What is redirected into a loop or group: commands in a substitution, and text."""


def set_by(command: Command, scope: Scope, piped: Piped) -> None:
    """Change the scope as one of SETTERS does; `piped` is what goes into the loop or group that it stands in."""
    words = command.words
    if command.name == "printf":
        if words[1:2] == ("-v",) and len(words) > 3:
            said = printed(replace(command, words=("printf", *words[3:])))
            scope.set(words[2], said or Field(f"${words[2]}", True))
        return
    names = [word for word in words[1:] if word.isidentifier()]
    lines = _lines(command, piped)
    if command.name != "read":
        text = joined_array([item.text for item in lines]) or f"${names[-1:]}"
        scope.set(names[-1] if names else "MAPFILE", Field(text, not lines or any(i.expands for i in lines)))
    elif len(names) == 1 and lines:
        scope.variables[names[0]] = tuple(lines[:MAX_VALUES])
    else:
        parts = lines[0].text.split(maxsplit=max(len(names) - 1, 0)) if lines and len(names) > 1 else []
        for at, name in enumerate(names):
            known = Field(parts[at], lines[0].expands) if at < len(parts) else Field(f"${name}", True)
            scope.variables[name] = (known,)


def _lines(command: Command, piped: Piped) -> list[Field]:
    """The lines that `read` or `mapfile` may get."""
    fed, text = piped
    sources = command.upstream or command.fed or fed
    known = received(command) if command.stdin is not None or command.upstream else text
    if known is None and sources and (said := printed(sources[-1])) is not None:
        known = said.text
    if known is not None:
        return [Field(line) for line in re.split(r"[\n\0]", known) if line]
    return [Field(word, expands) for word, expands in (named_by(sources) if sources else ())]
