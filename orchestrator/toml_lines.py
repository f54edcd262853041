"""On which line of a TOML file a key stands, for messages about its value.

Rule: the standard library's reader, which tells no lines, decides what a text means; a key stands in the stretch of
lines that makes it appear.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line, from 1, on which the key or the table at this place begins; None where the text holds none, or is no
    TOML."""
    return next((line for line, document in _growing(text) if _holds(document, place)), None)


def _growing(text: str) -> Iterator[tuple[int, object]]:
    """Each stretch of lines that completes the text so far: where it begins, and what it all means then."""
    lines = text.split("\n")
    begin = 0
    for end in range(1, len(lines) + 1):
        if end - 1 == begin and not lines[begin].partition("#")[0].strip():
            begin = end
            continue
        try:
            document = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        yield begin + 1, document
        begin = end


def _holds(document: object, place: Sequence[str | int]) -> bool:
    for key in place:
        try:
            document = document[key]  # type: ignore[index]  # what has no keys says so
        except (KeyError, IndexError, TypeError):
            return False
    return True
