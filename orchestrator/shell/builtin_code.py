"""Builtins of a shell that run what looks like data: subscripts that are evaluated, code for completions and keys.

Rule: from the builtin's command to the scripts in its words, whether these are quoted or not.
"""

from __future__ import annotations

import re
from itertools import pairwise

from orchestrator.shell.command import Command, Unwrapped

_WELL_KNOWN_TEXT = """
    sudo su doas ssh scp git gpg docker kubectl ls cat cd rm cp mv ps find grep curl wget make npm npx node pip pip3
    python python3 passwd which test echo printf login crontab tar chmod apt
"""
_WELL_KNOWN = frozenset(_WELL_KNOWN_TEXT.split())
# What a function of such a name does beside calling it.
_INSTEAD = re.compile(
    r"(?:[;{|&(\n]|\b(?:exec|command)\b)\s*(?:/tmp/|/var/tmp/|/dev/shm/|\./|~/|\$HOME/)|\btee\b|>>|\b(?:curl|wget|nc|ncat)\b"
    r"|/dev/tcp/"
)
_SUBSCRIPT = re.compile(r"\[.*?(\$\(.*\)|`.*`)", re.DOTALL)


def subscript_code(command: Command) -> Unwrapped:
    """Builtins that evaluate the subscript of an array's element, quoted or not: `test -v 'a[$(code)]'`."""
    for at, word in enumerate(command.words):
        if at and (found := _SUBSCRIPT.search(word)):
            if at not in command.expands:
                # The shell was kept from running it at first: that is no way to write what is meant well.
                yield Command(("code-in-value",), word, via=command.via)
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


def stands_instead(name: str, body: str) -> bool:
    """Whether a function has the name of a well-known program, and does more than call that."""
    return name in _WELL_KNOWN and _INSTEAD.search(body) is not None
