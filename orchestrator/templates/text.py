"""A text as what stands in it: plain parts, and expressions between `${{` and `}}`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from orchestrator.templates.expression import Expression, ExpressionError, compiled, text_of

MARK = "${{"
"""A literal one is written as `${{ '${{' }}`."""
_REMEMBERED = 1_024


def parts_of(text: str) -> tuple[str | Expression, ...]:
    """The parts of a text, in order; empty plain parts are left out. Raises ExpressionError."""
    return _parts(text) if MARK in text else (text,)


def expressions_in(text: str) -> Iterator[Expression]:
    """Raises ExpressionError."""
    return (part for part in parts_of(text) if isinstance(part, Expression))


def condition(text: str) -> Expression:
    """What an `if` holds: one expression, with `${{ }}` around it or without. Raises ExpressionError."""
    if MARK not in text:
        return compiled(text.strip())
    parts = [part for part in parts_of(text) if isinstance(part, Expression) or part.strip()]
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0]
    raise ExpressionError("`if` is one expression: text around `${{ … }}` would always be true")


def filled(text: str, fill: Callable[[Expression], Any]) -> Any:
    """The text with each expression replaced by what `fill` says of it. Where it is all one expression, that value
    itself, whatever its type. Raises ExpressionError."""
    parts = parts_of(text)
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return _filled(parts[0], fill)
    return "".join(part if isinstance(part, str) else text_of(_filled(part, fill)) for part in parts)


def _filled(expression: Expression, fill: Callable[[Expression], Any]) -> Any:
    try:
        return fill(expression)
    except ExpressionError as error:
        raise ExpressionError(f"{expression.shown}: {error}") from error


@lru_cache(maxsize=_REMEMBERED)
def _parts(text: str) -> tuple[str | Expression, ...]:
    found: list[str | Expression] = []
    at = 0
    while (begin := text.find(MARK, at)) >= 0:
        end = _end(text, begin + len(MARK))
        found += [text[at:begin]] if begin > at else []
        found.append(compiled(text[begin + len(MARK) : end].strip()))
        at = end + 2
    return (*found, text[at:]) if at < len(text) else tuple(found)


def _end(text: str, at: int) -> int:
    """Where the `}}` stands that closes an expression: not in a string of it, nor at the end of a mapping in it."""
    begin, depth, quote = at, 0, ""
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            if not depth and text.startswith("}}", at):
                return at
            depth -= 1
        at += 1
    why = f"a text in it that begins with {quote} is not closed" if quote else "`}}` is missing"
    raise ExpressionError(f"`{MARK}{text[begin : begin + 40]}` has no end: {why}")
