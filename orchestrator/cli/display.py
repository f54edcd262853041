"""How verbs speak: results on stdout, chatter on stderr, colour only on a terminal.

Text that tasks and files contain is shown with its control characters made visible: nothing that a task prints
into a title or a reason may steer the reader's terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from orchestrator.sinks import wording
from orchestrator.sinks.wording import printable

__all__ = [
    "age", "colourful", "complain", "duration", "no_such_task", "note", "paint", "printable", "say", "say_json",
    "say_json_line", "table",
]  # fmt: skip

_LAST_LEAST = 30
_FIRST_LEAST = 12
"""Columns of a terminal below which the last and the first column of a table are not narrowed for another."""

_STYLES = {
    "ok": "32", "allow": "32", "done": "32", "running": "36", "inbox": "0", "scheduled": "35",
    "blocked": "33", "needs_approval": "33", "warn": "33", "skipped": "33",
    "failed": "31", "timed_out": "31", "denied": "31", "deny": "31", "invalid": "31", "fail": "31",
    "cancelled": "35", "interrupted": "35", "over_budget": "31",
}  # fmt: skip


def colourful(stream: Any = None) -> bool:
    """Whether colour may be used: a terminal, and neither NO_COLOR nor a dumb one."""
    stream = sys.stdout if stream is None else stream
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(word: str, padded: str | None = None, *, stream: Any = None) -> str:
    """A status word in its colour; `padded` is the text to show where it is not the bare word."""
    text = word if padded is None else padded
    style = _STYLES.get(word)
    return f"\x1b[{style}m{text}\x1b[0m" if style and colourful(stream) else text


def say(text: str = "") -> None:
    """One line of a result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """One line of chatter."""
    sys.stderr.write(f"{text}\n")


def complain(text: str) -> None:
    """A reason why the command did not do what was asked."""
    sys.stdout.flush()
    sys.stderr.write(f"orchestrator: {text}\n")


def say_json(value: Any) -> None:
    """A result for machines: one JSON document, indented."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, option=options).decode())


def say_json_line(value: Any) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode())


def no_such_task(*names: str) -> None:
    complain(f"no such task: {', '.join(map(printable, names))}; `orchestrator list` shows what there is")


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    status_column: int | None = None,
    spare: Sequence[int] = (),
) -> None:
    """Aligned columns, whole where stdout is no terminal.

    On a terminal each row is one line: where the last column would have little room, the `spare` ones are left
    out in their order, then the first is cut; what is still too long is cut at the edge.
    """
    cells = [[printable(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    shown = list(range(len(headers)))
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        shown, widths = _fitted(widths, spare, room)
    for number, row in enumerate(cells):
        padded = [_cut(row[i], widths[i]).ljust(widths[i]) for i in shown]
        if number and status_column in shown:
            at = shown.index(status_column)
            padded[at] = paint(row[status_column], padded[at])
        say("  ".join(padded).rstrip())


def _fitted(widths: Sequence[int], spare: Sequence[int], room: int) -> tuple[list[int], list[int]]:
    """The columns to show, and the widths of all."""
    shown, fitted = list(range(len(widths))), list(widths)
    last = shown[-1]

    def left() -> int:
        return room - sum(fitted[i] + 2 for i in shown[:-1])

    for column in spare:
        if left() < min(_LAST_LEAST, widths[last]):
            shown.remove(column)
    fitted[0] = max(_FIRST_LEAST, fitted[0] + min(0, left() - min(_LAST_LEAST // 2, widths[last])))
    fitted[last] = max(1, min(widths[last], left()))
    return shown, fitted


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def duration(ms: float | None) -> str:
    """Milliseconds for people; `-` for None."""
    return "-" if ms is None else wording.duration(ms)


def age(seconds: float) -> str:
    """A length of time in its one or two largest units: `12 s`, `5m 10s`, `4d 1h`."""
    if seconds < 48 * 3_600:
        return wording.duration(max(0, int(seconds)) * 1_000) if seconds >= 60 else f"{max(0, int(seconds))} s"
    hours = int(seconds) // 3_600
    return f"{hours // 24}d {hours % 24}h"
