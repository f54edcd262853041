"""JSON as strict as the format itself: the standard parser without what it forgives.

Standard library only, for the paths that must start fast. It only says yes or no; where and why is found by
`json_document`, which runs when this says no.
"""

from __future__ import annotations

from orchestrator.intake.limits import MAX_DEPTH, MAX_INT, MIN_INT

TYPE_CHECKING = False  # type checkers take it as true; typing costs milliseconds at start
if TYPE_CHECKING:
    from collections.abc import Callable
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


class _Strictness:
    """What the standard library's scanner asks of its decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_members)
    parse_int = staticmethod(_integer)
    parse_float = staticmethod(_finite)
    parse_constant = staticmethod(_refuse)


try:
    # The json package compiles regular expressions around this scanner when it is imported: a third of the
    # whole time that `submit` takes.
    from _json import make_scanner

    _scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Strictness)  # type: ignore[arg-type]
except ImportError:  # a Python without the C scanner
    from json import JSONDecoder

    _decoder = JSONDecoder(object_pairs_hook=_members, parse_int=_integer, parse_float=_finite, parse_constant=_refuse)
    _scan = _decoder.raw_decode

_WHITESPACE = " \t\n\r"


def loads(text: str) -> Any:
    """The value of one JSON document. Raises ValueError or RecursionError, without saying where."""
    start = len(text) - len(text.lstrip(_WHITESPACE))
    try:
        value, end = _scan(text, start)
    except StopIteration:
        raise ValueError("no JSON value") from None
    except SystemError as error:
        # Python 3.11's scanner takes its error class from json.decoder, and gives none where nobody imported that.
        raise ValueError("not JSON") from error
    if text[end:].strip(_WHITESPACE):
        raise ValueError("more than one JSON value")
    return value


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
