"""JSON as strict as the format itself: the standard parser without what it forgives.

Standard library only, for the paths that must start fast. It only says yes or no; where and why is found by
`json_document`, which runs when this says no.
"""

from __future__ import annotations

import json

from orchestrator.intake.limits import MAX_DEPTH, MAX_INT, MIN_INT

TYPE_CHECKING = False  # type checkers take it as true; typing costs milliseconds at start
if TYPE_CHECKING:
    from typing import Any


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 20 or not MIN_INT <= (number := int(digits)) <= MAX_INT:
        raise ValueError("more than 64 bits")
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large for a number")
    return number


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_finite, parse_constant=_refuse
)


def loads(text: str) -> Any:
    """The value of one JSON document. Raises ValueError or RecursionError, without saying where."""
    return _DECODER.decode(text)


def deeper_than_allowed(value: Any) -> bool:
    """Whether lists and mappings nest more than MAX_DEPTH deep. Level by level: nothing can overflow."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        containers = [
            child
            for container in containers
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not containers:
            return False
    return True
