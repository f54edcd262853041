"""What the demo shows while it runs: a live table on a terminal, else a line for each task that ends."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cli.demo.specs import Piece
from orchestrator.cli.display import colourful, duration, paint, say
from orchestrator.home import Home

_RICH = {"ok": "green", "running": "cyan", "waiting": "dim", "blocked": "yellow", "cancelled": "magenta"}


@dataclass(slots=True)
class Row:
    """One task of the demo; `result` is None until it has ended."""

    piece: Piece
    running: bool = False
    result: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        if self.result is not None:
            return str(self.result["status"])
        return "running" if self.running else "waiting"

    @property
    def awaits_approval(self) -> bool:
        return self.piece.approve and self.status == "blocked"

    @property
    def as_expected(self) -> bool:
        return self.result is not None and self.status == self.piece.expected


@dataclass(slots=True)
class Board:
    """All rows, and the reading of their state from the queue's folders."""

    home: Home
    rows: list[Row] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return all(row.result is not None for row in self.rows)

    def look(self) -> list[Row]:
        """Read the folders; returns the rows that have ended since the last look."""
        new = []
        for row in self.rows:
            if row.result is None:
                row.running = os.path.lexists(f"{self.home.running}/{row.piece.name}.json")
                row.result = self._result(row.piece.name)
                if row.result is not None:
                    new.append(row)
        return new

    def _result(self, name: str) -> dict[str, Any] | None:
        for folder in (self.home.done, self.home.failed):
            if os.path.lexists(f"{folder}/{name}.json"):
                with open(f"{folder}/{name}.result.json", "rb") as handle:
                    result: dict[str, Any] = json.load(handle)
                return result
        return None


def line(row: Row) -> str:
    """One ended task, for any output."""
    result = row.result or {}
    reason = f"  ({result['reason']})" if result.get("reason") else ""
    mark = "" if row.as_expected else f"   ← expected {row.piece.expected}"
    if row.awaits_approval:
        mark = f"   → orchestrator approve {row.piece.name}"
    took = duration(result.get("duration_ms"))
    return f"{paint(row.status, f'{row.status:<10}')} {row.piece.name:<17} {took:>8}  {row.piece.title}{reason}{mark}"


@contextmanager
def shown(board: Board, *, quiet: bool) -> Iterator[Callable[[Sequence[Row]], None]]:
    """Yields a function that takes the rows that have just ended and brings the display up to date."""
    if quiet:
        yield _say_nothing
        return
    if not colourful():
        yield _say_each
        return
    from rich.live import Live

    with Live(_table(board.rows), refresh_per_second=10) as live:
        yield lambda _: live.update(_table(board.rows))


def _say_nothing(ended: Sequence[Row]) -> None:
    del ended


def _say_each(ended: Sequence[Row]) -> None:
    for row in ended:
        say(line(row))
    sys.stdout.flush()


def _table(rows: Sequence[Row]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    widths = (max(len(row.piece.name) for row in rows), len("timed_out"), len("999 ms"))
    for heading, width in zip(("task", "state", "took"), widths, strict=True):
        table.add_column(heading, no_wrap=True, min_width=width, justify="right" if heading == "took" else "left")
    table.add_column("what", no_wrap=True)
    # A row that is too long for the terminal would cost a narrow column its place, not the last one. Where the
    # last row ends at the edge, the terminal's own `^C` would push the table a line down.
    room = max(10, shutil.get_terminal_size().columns - sum(width + 2 for width in widths) - len("^C "))
    for row in rows:
        took = duration(row.result.get("duration_ms")) if row.result else ""
        reason = f" ({row.result['reason']})" if row.result and row.result.get("reason") else ""
        status = Text(row.status, style=_RICH.get(row.status, "red"))
        what = Text(row.piece.title + reason)
        what.truncate(room, overflow="ellipsis")
        table.add_row(row.piece.name, status, took, what)
    return table
