"""The filters of expressions. Each takes what it is given to a value of bounded size; none sees more than that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Undefined

from orchestrator.templates.expression import LONGEST_TEXT, ExpressionError, text_of

QUOTE = "sh"


def quote(value: Any) -> str:
    """One word of a POSIX shell that is exactly this value, whatever stands beside it. Always in quotes: bare, a value
    could be a keyword, a home folder, or the number of a descriptor."""
    return "'" + text_of(_given(value)).replace("'", "'\"'\"'") + "'"


def _given(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # says what is not defined
    return value


def _text(value: Any) -> str:
    return text_of(_given(value))


def _bounded(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(f"the value would be longer than {LONGEST_TEXT:,} characters")
    return text


def _items(value: Any) -> list[Any]:
    if not isinstance(_given(value), list | tuple | str):
        raise ExpressionError(f"{value!r:.60} is no list and no text")
    return list(value)


def _default(value: Any, other: Any = "", boolean: bool = False) -> Any:
    """The value, or another where it is not defined; with `true`, also where it is empty, zero, false or null."""
    return other if isinstance(value, Undefined) or (boolean and not value) else value


def _replace(value: Any, old: str, new: str) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    if len(text) + text.count(old) * len(new) > LONGEST_TEXT:
        raise ExpressionError(f"the value would be longer than {LONGEST_TEXT:,} characters")
    return text.replace(old, new)


def _join(value: Any, separator: str = "") -> str:
    texts, separator = [_text(item) for item in _items(value)], _text(separator)
    if sum(map(len, texts)) + len(texts) * len(separator) > LONGEST_TEXT:
        raise ExpressionError(f"the value would be longer than {LONGEST_TEXT:,} characters")
    return separator.join(texts)


def _split(value: Any, separator: str | None = None) -> list[str]:
    return _text(value).split(separator)


def _length(value: Any) -> int:
    return len(_given(value))


def _first(value: Any) -> Any:
    return _end(value, 0)


def _last(value: Any) -> Any:
    return _end(value, -1)


def _end(value: Any, at: int) -> Any:
    items = _items(value)
    if not items:
        raise ExpressionError("it is empty, and has no first or last item")
    return items[at]


def _int(value: Any) -> int:
    """Raises ExpressionError: a number that is none must not become 0 silently."""
    return int(_number(value, int))


def _float(value: Any) -> float:
    return float(_number(value, float))


def _number(value: Any, kind: type[int] | type[float]) -> int | float:
    try:
        if isinstance(_given(value), int | float):
            return kind(value)
        return kind(_bounded(_text(value).strip()))
    except (ValueError, OverflowError) as error:
        raise ExpressionError(f"{value!r:.60} is no number") from error


def _round(value: Any, digits: int = 0) -> int | float:
    number = _number(value, float)
    return round(number, min(max(int(digits), 0), 12)) if digits else round(number)


def _json(value: Any) -> str:
    try:
        return _bounded(json.dumps(_given(value), ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ExpressionError(f"it has no JSON: {error}") from error


def _from_json(value: Any) -> Any:
    try:
        return json.loads(_text(value))
    except (ValueError, RecursionError) as error:
        raise ExpressionError(f"it is no JSON: {error}") from error


def _keys(value: Any) -> list[str]:
    if not isinstance(_given(value), Mapping):
        raise ExpressionError(f"{value!r:.60} is no mapping")
    return [str(key) for key in value]


FILTERS = {
    QUOTE: quote,
    "option": _text,
    "default": _default,
    "lower": lambda value: _text(value).lower(),
    "upper": lambda value: _text(value).upper(),
    "trim": lambda value: _text(value).strip(),
    "replace": _replace,
    "join": _join,
    "split": _split,
    "length": _length,
    "first": _first,
    "last": _last,
    "keys": _keys,
    "int": _int,
    "float": _float,
    "round": _round,
    "string": _text,
    "json": _json,
    "fromjson": _from_json,
}
