"""What a program with nouns and verbs (`aws ec2 terminate-instances`, `gcloud compute instances delete`) is told to do.

Rule: the first word that names an action decides, wherever it stands among the operands: after `list` or `get` a
`delete` is the name of something. A command that only rehearses (`--dry-run`, `--help`) does nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Words that end the search: actions that destroy nothing, and nouns for what is only on this machine.
_SETTLED_WORDS = """
    add alias aliases auth cache can-i completion component components config configurations configure context
    contexts create describe diff edit explain extension extensions get help history import-image info init inspect
    install lint list login logout ls open plan plugin plugins preview read set show tail update validate view wait
    watch
"""
_SETTLED = frozenset(_SETTLED_WORDS.split())
_SETTLED_PARTS = frozenset(("list", "get", "describe", "show"))
_WORD = re.compile(r"[a-z][a-z0-9:_-]*")
_PARTS = re.compile(r"[-:_]")
_REHEARSALS = frozenset(
    ("--dry-run", "--dryrun", "--dry_run", "--dryRun", "--help", "-help", "--what-if", "--whatif", "--noop")
)
_NOT_REHEARSED = frozenset(("--no-dry-run", "--dry-run=false", "--dry-run=none", "--dryrun=false", "--dry-run=0"))


class Verbs:
    """The wanted actions, ready to be looked for. `delete` is also found in `delete-stack` and `apps:delete`,
    `put-bucket*` in all that begins so; `config set` is two words in a row."""

    __slots__ = ("_beginnings", "_phrases", "_words")

    def __init__(self, wanted: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._phrases: dict[str, list[tuple[str, ...]]] = {}
        beginnings = []
        for entry in wanted:
            words = tuple(entry.split())
            if len(words) > 1:
                self._phrases.setdefault(words[0], []).append(words)
            elif entry.endswith("*"):
                beginnings.append(entry[:-1])
            else:
                self._words.add(entry)
        self._beginnings = tuple(beginnings)

    def decide(self, operands: tuple[str, ...]) -> bool:
        """Whether the first action among the operands is a wanted one."""
        path = tuple(map(str.lower, operands))
        for at, word in enumerate(path):
            phrases: Mapping[str, list[tuple[str, ...]]] = self._phrases
            if any(path[at : at + len(phrase)] == phrase for phrase in phrases.get(word, ())):
                return True
            if not _WORD.fullmatch(word):
                continue
            parts = _PARTS.split(word)
            if word in _SETTLED or parts[0] in _SETTLED_PARTS:
                return word in self._words
            if word in self._words or parts[0] in self._words or parts[-1] in self._words:
                return True
            if self._beginnings and word.startswith(self._beginnings):
                return True
        return False


def rehearses(name: str, flags: tuple[str, ...], operands: tuple[str, ...]) -> bool:
    """Whether a command only shows what it would do, or how it is used."""
    if operands[:1] == ("help",) or (name == "aws" and operands[-1:] == ("help",)):
        return True
    given = {flag if flag in _NOT_REHEARSED else flag.partition("=")[0] for flag in flags}
    return not _REHEARSALS.isdisjoint(given) and _NOT_REHEARSED.isdisjoint(given)
