"""What files would cost as context: tokens of each, whole and as an outline, and what to do about the large ones.

Rule: it says what a code task would do, by the same code: the same files are refused, and the same outlines made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from orchestrator.coding.languages.outline import outline
from orchestrator.coding.reading import MAX_BYTES, Unshown, refuse_secret, text_of

MOST_FILES = 5_000
LARGE = 1_000
"""Tokens from which a file is worth an advice: an eighth of the context that small models are usually given."""
_MANY_LINES = 300
_SKIPPED = frozenset(("node_modules", "__pycache__", "venv", "dist", "build", "target", "vendor", "coverage"))
_GENERATED = ("*.lock", "*-lock.json", "*-lock.yaml", "*.min.js", "*.min.css", "*.map", "*.svg", "*.snap", "go.sum")
_DATA = ("*.json", "*.csv", "*.tsv", "*.xml", "*.yaml", "*.yml", "*.sql", "*.txt", "*.log", "*.jsonl", "*.ndjson")


@dataclass(frozen=True, slots=True)
class Source:
    """A file as a model could be shown it: its `text`, and its `outline` where there is one; else `problem`, a part of
    a sentence that goes on from its name."""

    path: str
    text: str = ""
    outline: str | None = None
    problem: str = ""

    @property
    def lines(self) -> int:
        return self.text.count("\n") + (not self.text.endswith("\n") and self.text != "")


@dataclass(frozen=True, slots=True)
class Cost:
    """`tokens` whole, `outline` as an outline; `share` of the whole of all files, from 0 to 1. A `problem` is why it
    can't be shown; `advice` is empty where all is well."""

    path: str
    tokens: int = 0
    share: float = 0.0
    lines: int = 0
    outline: int | None = None
    problem: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """Of files, the largest first, and those that can't be shown last. `smallest` is what all of them cost with each
    outline that there is."""

    files: list[Cost] = field(default_factory=list)
    total: int = 0
    smallest: int = 0


def files_of(paths: Iterable[str]) -> Iterator[str]:
    """The files that paths name: themselves, and in folders all but hidden ones, links, and what tools make.

    Raises OSError for a folder that can't be read."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, below, names in os.walk(path, onerror=_raise):
            below[:] = sorted(name for name in below if not name.startswith(".") and name not in _SKIPPED)
            for name in sorted(names):
                file = os.path.normpath(f"{folder}/{name}")
                if not name.startswith(".") and not os.path.islink(file):
                    yield file


def source_of(path: str) -> Source:
    """Read a file as a code task would. Raises OSError."""
    if not os.path.isfile(path):
        return Source(path, problem="is not a plain file")
    try:
        for name in (path, os.path.realpath(path)):
            refuse_secret(os.path.relpath(name))
        with open(path, "rb") as handle:
            text = text_of(handle.read(MAX_BYTES + 1))
    except Unshown as error:
        return Source(path, problem=str(error))
    return Source(path, text, outline(path, text))


def cost_of(source: Source, tokens: int, short: int | None) -> Cost:
    """What a file costs whose text has so many `tokens`, and its outline `short` ones."""
    if source.problem:
        return Cost(source.path, problem=source.problem, advice=f"it {source.problem}")
    lines = source.lines
    return Cost(source.path, tokens, 0.0, lines, short, advice=_advice(source.path, tokens, lines, short))


def audit(costs: Iterable[Cost]) -> Audit:
    """All of them together."""
    files = sorted(costs, key=lambda cost: (bool(cost.problem), -cost.tokens, cost.path))
    total = sum(cost.tokens for cost in files)
    smallest = sum(cost.tokens if cost.outline is None else cost.outline for cost in files)
    return Audit([replace(cost, share=round(cost.tokens / (total or 1), 4)) for cost in files], total, smallest)


def _advice(path: str, tokens: int, lines: int, short: int | None) -> str:
    name = os.path.basename(path).casefold()
    if tokens < LARGE:
        return ""
    if _is(name, _GENERATED):
        return "leave it out: a tool made it"
    if _is(name, _DATA):
        return "leave it out, or name a file with a few lines of it"
    if short is not None and short * 2 <= tokens:
        return f"an outline saves {tokens - short:,} tokens; it is taken by itself where room is short"
    return "split it" if lines > _MANY_LINES else "name it only where it is needed"


def _is(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _raise(error: OSError) -> None:
    raise error
