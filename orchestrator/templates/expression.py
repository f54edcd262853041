"""One expression: what it mentions, known before it is worked out, and what it comes to.

Rule: what is wrong with it whatever the values are is found by `compiled`, so that a spec can be refused when it comes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST = 1_000
LONGEST_TEXT = 128 * 1024 - 1
"""In bytes: no more goes into one argument of a program on Linux."""
FUNCTIONS = frozenset(("success", "failure", "always"))
ROOTS = ("vars", "env", "task", "steps", "needs")
_REMEMBERED = 4_096


class ExpressionError(Exception):
    """What is wrong with an expression, or with its value, as a sentence for people."""


class Names(dict[str, Any]):
    """Values by name; `path` is how an expression comes to them. A value that is `Later` is asked for when needed."""

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.path = path


@dataclass(frozen=True, slots=True)
class Later:
    """A value that costs something to get."""

    get: Callable[[], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """`paths` are the names that it mentions, as far as they are fixed: `("steps", "build", "stdout")`; `functions`
    what it calls. `quoted`: its value goes through `| sh`; `option`: through `| option`."""

    source: str
    paths: frozenset[tuple[str, ...]]
    functions: frozenset[str]
    quoted: bool
    option: bool
    run: Callable[[Mapping[str, Any]], Any]

    @property
    def shown(self) -> str:
        """As people wrote it, on one line and not too long."""
        text = " ".join(self.source.split())
        return f"${{{{ {text if len(text) <= 60 else text[:60] + '…'} }}}}"

    def mentions(self, root: str) -> bool:
        return any(path[0] == root for path in self.paths)

    def value(self, names: Mapping[str, Any]) -> Any:
        """What it comes to: plain data. Raises ExpressionError."""
        return self.run(names)


@lru_cache(maxsize=_REMEMBERED)
def compiled(source: str) -> Expression:
    """The expression in this text. Raises ExpressionError."""
    if not source:
        raise ExpressionError("`${{ }}` is empty")
    if len(source) > LONGEST:
        raise ExpressionError(f"an expression has at most {LONGEST:,} characters, and this one has {len(source):,}")
    from orchestrator.templates.sandbox import compile_expression

    return compile_expression(source)


def text_of(value: Any) -> str:
    """A value as it is put into a text. Raises ExpressionError for what has no one way to be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        raise ExpressionError("its value is null: give it one, or write `| default('…', true)`")
    if not isinstance(value, str):
        kind = "a mapping" if isinstance(value, Mapping) else "a list"
        raise ExpressionError(f"its value is {kind}: write `| json`, or for a list `| join(' ')`")
    if "\0" in value:
        raise ExpressionError("its value contains a NUL character, which no program can receive")
    if len(value) > LONGEST_TEXT or len(value.encode(errors="surrogateescape")) > LONGEST_TEXT:
        raise ExpressionError(f"its value is longer than {LONGEST_TEXT:,} bytes, which no program can receive")
    return value


def truth_of(value: Any) -> bool:
    """What an `if` comes to. Raises ExpressionError for what is neither true nor false."""
    if isinstance(value, bool):
        return value
    shown = "null" if value is None else f"{value!r:.60}"
    raise ExpressionError(f"must be true or false, and is {shown}: compare it, as in `… == 'yes'`")


def meant(name: str, known: Collection[str]) -> str:
    """` (did you mean …?)`, or what there is; for the end of a message."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f" (did you mean `{near[0]}`?)"
    few = ", ".join(f"`{one}`" for one in list(known)[:12])
    return f"; there {'is' if len(known) == 1 else 'are'} {few}" if known else ""
