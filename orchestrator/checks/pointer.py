"""JSON pointers (RFC 6901), and equality as JSON means it."""

from __future__ import annotations

import re
from typing import Any

_INDEX = re.compile(r"0|[1-9][0-9]*")
_BAD_ESCAPE = re.compile(r"~(?![01])")


def resolve(document: Any, pointer: str) -> Any:
    """The value that the pointer leads to; `""` is the whole document.

    Raises ValueError for what is not a pointer, LookupError (with the part that is missing) where it leads
    nowhere.
    """
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON pointer: those begin with a slash, as in /results/0/status")
    if _BAD_ESCAPE.search(pointer):
        raise ValueError(f"{pointer!r} is not a JSON pointer: `~` is written ~0, and `/` within a name ~1")
    value = document
    for token in pointer.split("/")[1:]:
        value = _child(value, token.replace("~1", "/").replace("~0", "~"))
    return value


def _child(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        if key in value:
            return value[key]
        raise LookupError(f"there is no {key!r}")
    if isinstance(value, list):
        if _INDEX.fullmatch(key) and len(key) < 10 and int(key) < len(value):
            return value[int(key)]
        raise LookupError(f"there is no element {key!r} in a list of {len(value)}")
    raise LookupError(f"{key!r} is asked of a value that is neither an object nor a list")


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: numbers by value, and unlike Python's, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
