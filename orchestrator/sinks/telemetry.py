"""Telemetry: every event is one NDJSON line in `state/telemetry/YYYY-MM-DD.ndjson`.

The rule of this room: lines are only ever appended. A file is never truncated or rewritten, so that `tail -F`
and log shippers may read along; a new UTC day or 64 MiB begin a new file. A crash or a full disk can tear one
line; it is closed with a newline before the next is written, and readers skip it. docs/telemetry.md names the
keys.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from orchestrator.event import CodeFinished, Event, StepStarted, TaskFinished
from orchestrator.spool.files import write_all

SEGMENT_BYTES = 64 * 1024 * 1024
ARGS_BYTES = 2_048
ANSWERED = (
    "approved_by", "approved_at", "approved_via", "note", "rejected_by", "rejected_at", "rejected_via", "why",
)  # fmt: skip
FILE_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.([1-9]\d*))?\.ndjson")


def utc_day() -> str:
    """Today in UTC, as `2026-01-31`."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def file_name(day: str, segment: int) -> str:
    return f"{day}.ndjson" if segment == 1 else f"{day}.{segment}.ndjson"


def telemetry_files(folder: str) -> list[tuple[str, int]]:
    """Every (day, segment) that has a file, oldest first; empty where there is no folder yet."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = [match for name in names if (match := FILE_NAME.fullmatch(name))]
    return sorted((match[1], int(match[2] or 1)) for match in found)


class TelemetrySink:
    """Appends batches to the day's file, each with one write. `today` tells the UTC day."""

    name = "telemetry"

    def __init__(self, folder: str, *, segment_bytes: int = SEGMENT_BYTES, today: Callable[[], str] = utc_day) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._today = today
        self._fd = -1
        self._path = ""
        self._day = ""
        self._segment = 1
        self._size = 0

    def write(self, batch: Sequence[Event]) -> None:
        """Raises OSError where the disk takes only a part; the torn line is closed before the next batch."""
        data = b"".join(map(line_of, batch))
        self._be_open(len(data))
        try:
            write_all(self._fd, data)
        except OSError:
            self.close()  # the next batch opens anew, and mends
            raise
        self._size += len(data)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _be_open(self, coming: int) -> None:
        day = self._today()
        if self._fd >= 0 and (day != self._day or not self._in_place()):
            self.close()
        if self._fd < 0:
            self._open(day, max((n for found, n in telemetry_files(self._folder) if found == day), default=1))
        if self._size and self._size + coming > self._segment_bytes:
            self.close()
            self._open(day, self._segment + 1)

    def _in_place(self) -> bool:
        """Whether the open file still stands under its name: someone may have moved or removed it."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _open(self, day: str, segment: int) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        path = f"{self._folder}/{file_name(day, segment)}"
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, 0o600)
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                write_all(fd, b"\n")
                size += 1
        except OSError:
            os.close(fd)
            raise
        self._fd, self._path, self._day, self._segment, self._size = fd, path, day, segment, size


def line_of(event: Event) -> bytes:
    """The event's line, newline included."""
    body: Any = event
    if isinstance(event, TaskFinished):
        body = finished_line(event)
    elif isinstance(event, CodeFinished):
        body = event.report | {
            "event": event.event,
            "id": event.id,
            "run": event.run,
            "step": event.step,
            "ts": event.ts,
        }
    elif isinstance(event, StepStarted) and sum(map(len, event.args)) > ARGS_BYTES:
        body = dataclasses.replace(event, args=capped(event.args))
    try:
        return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A file name that is not UTF-8, or a number past 64 bits: the rest of it is worth having.
        plain = body if isinstance(body, dict) else dataclasses.asdict(body)
        return json.dumps(plain, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def finished_line(event: TaskFinished) -> dict[str, Any]:
    """The line of a finished task: the original system's keys first, then ours.

    `pass` and `fail` are 1 or 0 for this one run; `warn` counts its warnings.
    """
    outcome = event.outcome
    return {
        "ts": event.ts,
        "event": event.event,
        "task": "local_exec",
        "pass": int(outcome.ok),
        "warn": outcome.warnings,
        "fail": int(not outcome.ok),
        "duration_ms": outcome.duration_ms,
        "meta": {
            "id": outcome.id,
            "title": outcome.title,
            "steps_count": sum(result.run is None for result in outcome.results),
            "acceptance_passed": outcome.acceptance_passed,
            "sandbox": outcome.sandbox,
        },
        "id": outcome.id,
        "name": outcome.name,
        "run": outcome.run,
        "status": outcome.status,
        "reason": outcome.reason,
        "priority": outcome.priority,
        "risk": outcome.risk,
        "score": outcome.policy.get("score"),
        **{key: outcome.policy[key] for key in ANSWERED if outcome.policy.get(key)},
        "labels": outcome.labels,
    }


def capped(args: Iterable[str], limit: int = ARGS_BYTES) -> tuple[str, ...]:
    """The arguments, in all at most `limit` characters; what is cut ends in `…`."""
    kept: list[str] = []
    for arg in args:
        kept.append(arg if len(arg) <= limit else arg[:limit] + "…")
        limit -= len(arg)
        if limit <= 0:
            break
    return tuple(kept)
