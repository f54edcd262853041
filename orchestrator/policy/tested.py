"""Whether a script has made sure, before it uses a variable, that there is something in it.

Rule: only what can't be passed with an empty one counts: a test in the same chain of `&&`, one that leaves the script
where the variable is empty, or `: "${X:?}"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from orchestrator.policy.scene import Seen

_NAMES = re.compile(r"\$\{?([A-Za-z_]\w*)")
_ALONE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})/?")
_STOPS = re.compile(r"\$\{([A-Za-z_]\w*):?\?")
_FILLED = frozenset(("-n", "-d", "-e", "-f", "-s", "-r", "-w", "-x"))
_LEAVES = frozenset(("exit", "return"))
_SAYS_SO = 3  # so many commands may tell that it leaves, and why


def is_tested(seen: Seen, word: str) -> bool:
    """Whether none of the variables in a word can be empty where this command comes to run."""
    names = set(_NAMES.findall(word))
    return bool(names) and names <= set(_made_sure(seen.earlier))


def _made_sure(earlier: Sequence[Seen]) -> Iterator[str]:
    for at, before in enumerate(earlier):
        command = before.command
        if before.name == ":":
            yield from (name for word in command.words[1:] for name in _STOPS.findall(word))
        elif before.name in ("[", "test") and command.then == "&&":
            chained = all(item.command.then == "&&" for item in earlier[at:])
            leaves = any(item.name in _LEAVES for item in earlier[at + 1 : at + 1 + _SAYS_SO])
            for option, value in pairwise(command.words):
                found = _ALONE.fullmatch(value)
                if found and ((option in _FILLED and chained) or (option == "-z" and leaves)):
                    yield found[1] or found[2]
