"""Builtins of a shell that run what looks like data: subscripts that are evaluated, code for completions and keys.

Rule: from the builtin's command to the scripts in its words, whether these are quoted or not.
"""

from __future__ import annotations

import re
from itertools import pairwise

from orchestrator.shell.command import Command, Unwrapped

_SUBSCRIPT = re.compile(r"\[.*?(\$\(.*\)|`.*`)", re.DOTALL)


def subscript_code(command: Command) -> Unwrapped:
    """Builtins that evaluate the subscript of an array's element, quoted or not: `test -v 'a[$(code)]'`."""
    for word in command.words[1:]:
        if found := _SUBSCRIPT.search(word):
            yield f": {found.group(1)}"


def completion_code(command: Command) -> Unwrapped:
    """`compgen -C`, `compgen -W`, `complete -C`, `mapfile -C`, `bind -x`: code that the shell runs by itself."""
    yield from subscript_code(command)
    for option, value in pairwise(command.words):
        if option == "-C" or (option == "-F" and command.name == "compgen"):
            yield value
        elif option == "-W":
            yield f': "{value}"'
        elif option == "-x" and command.name == "bind":
            yield value.partition(":")[2].strip(" \"'")
