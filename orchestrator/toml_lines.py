"""On which line of a TOML file a key stands, for messages about its value.

Rule: the standard library's reader, which tells no lines, decides what a text means; a key stands in the stretch of
lines that makes it appear.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line, from 1, on which the key or the table at this place begins; None where the text holds none, or is no
    TOML."""
    lines = text.split("\n")
    low, high = 0, len(lines)  # the first `low` lines do not hold it, nor do any fewer; the first `high` do
    if _whole(lines, high) < high or not _holds(lines, high, place):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        whole = _whole(lines, middle)
        if _holds(lines, whole, place):
            high = whole
        else:
            low = middle
    return _whole(lines, high - 1) + 1


def line_near(text: str, place: Sequence[str | int]) -> int | None:
    """The line of the key at this place, or else of the deepest table around it that the text holds."""
    return next((line for depth in range(len(place), 0, -1) if (line := line_of(text, place[:depth]))), None)


def _whole(lines: Sequence[str], most: int) -> int:
    """How many of the first lines, at most so many, make a document: the last value may be cut off in its middle."""
    while most:
        try:
            tomllib.loads("\n".join(lines[:most]))
        except tomllib.TOMLDecodeError:
            most -= 1
        else:
            break
    return most


def _holds(lines: Sequence[str], count: int, place: Sequence[str | int]) -> bool:
    found: object = tomllib.loads("\n".join(lines[:count]))
    for key in place:
        try:
            found = found[key]  # type: ignore[index]  # what has no keys says so
        except (KeyError, IndexError, TypeError):
            return False
    return True
