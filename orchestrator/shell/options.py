"""Where in a command's options, or behind a word of its own, a script or another command begins.

Rule: two shapes that many programs share, made for each by the names of its options or words.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.shell.command import Command, Unwrapped

_CLUSTER = re.compile(r"-[a-zA-Z]{2,5}")


def behind(*marks: str) -> Callable[[Command], Unwrapped]:
    """Programs whose own words stand before the command, which one of these begins."""

    def unwrap(command: Command) -> Unwrapped:
        words = command.words
        at = next((i + 1 for i, word in enumerate(words) if i and word in marks), 0)
        at = command.operands(frozenset(("-p", "--python", "--with", "-n", "--name")), at) if at else 0
        if at == len(words) - 1 and " " in words[at]:
            yield words[at]
        elif at and (inner := command.tail(at)):
            yield inner

    return unwrap


def in_option(*options: str) -> Callable[[Command], Unwrapped]:
    """Programs that take a script as an option's value."""

    def unwrap(command: Command) -> Unwrapped:
        for name, value in command.followed:
            if value and (name in options or (_CLUSTER.fullmatch(name) and f"-{name[-1]}" in options)):
                yield value
            for long in options:
                if long[:2] == "--" and name.startswith(f"{long}="):
                    yield name.partition("=")[2]

    return unwrap
