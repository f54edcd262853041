"""The write-ahead journal: what must survive a crash, made durable for many tasks by one sync.

A record per fact, one JSON line each, in `state/journal/<number>.ndjson`:

- `start`   a step of a run is about to be started (synced before the program is spawned);
- `end`     a step ended, with its result;
- `result`  the run ended, with its whole outcome (synced before the spec leaves running/);
- `closed`  the spec stands in done/ or failed/ and the folders are synced: the run may be forgotten.

A sync per run, in the run's own folder, would cost every task a flush of its own; here tasks that move at the
same time share one (`group`).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator import failpoint
from orchestrator.spool import files

SEGMENT_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Unfinished:
    """What the journal knows about a run that was not closed."""

    id: str
    run: int
    name: str = ""
    sha256: str = ""
    started_at: str = ""
    last_start: dict[str, Any] | None = None
    ended: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    state: str = ""


class Journal:
    """Appends records to the current segment. All methods but `read_unfinished` run in the committing thread."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd = -1
        self._size = 0
        self._number = 0
        self._dirty = False
        self._broken = False

    def open(self) -> None:
        """Begin a new segment after those that are there."""
        self._number = max(_segments(self._folder), default=0) + 1
        self._begin()

    def append(self, *records: dict[str, Any]) -> None:
        """Add records. Raises OSError (a full disk) after taking back what was written in part."""
        data = b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
        if self._broken:
            self._repair()
        try:
            files.write_all(self._fd, data)
        except OSError:
            self._broken = True
            self._repair()
            raise
        self._size += len(data)
        self._dirty = True

    def sync(self) -> None:
        """Make all that was appended durable."""
        if self._dirty:
            os.fdatasync(self._fd)
            self._dirty = False
            failpoint.reach("journal.synced")

    @property
    def full(self) -> bool:
        return self._size >= SEGMENT_BYTES

    def rotate(self) -> None:
        """Begin the next segment; the last one is kept until `drop_before` is told that it may go."""
        self.sync()
        os.close(self._fd)
        self._number += 1
        self._begin()

    @property
    def number(self) -> int:
        return self._number

    def drop_before(self, number: int) -> None:
        """Remove the segments below `number`: every run in them is closed, or copied into a later one."""
        for old in _segments(self._folder):
            if old < number:
                os.unlink(_segment_path(self._folder, old))
        files.sync_folder(self._folder)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _begin(self) -> None:
        path = _segment_path(self._folder, self._number)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        files.sync_folder(self._folder)

    def _repair(self) -> None:
        # A record cut short by a full disk must not swallow the next one.
        os.ftruncate(self._fd, self._size)
        self._broken = False


def read_unfinished(folder: str) -> tuple[list[Unfinished], int]:
    """All runs that no `closed` record ends, oldest first, and the number of torn lines (0 or 1 after a crash)."""
    runs: dict[tuple[str, int], Unfinished] = {}
    torn = 0
    for number in _segments(folder):
        with open(_segment_path(folder, number), "rb") as segment:
            for line in segment:
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError:
                    torn += 1
                    continue
                _apply(runs, record)
    return list(runs.values()), torn


def _apply(runs: dict[tuple[str, int], Unfinished], record: dict[str, Any]) -> None:
    key = (record["id"], record["run"])
    kind = record["r"]
    if kind == "closed":
        runs.pop(key, None)
        return
    run = runs.setdefault(key, Unfinished(*key))
    if kind == "start":
        run.name = record.get("name", run.name)
        run.sha256 = record.get("sha256", run.sha256)
        run.started_at = run.started_at or record.get("ts", "")
        run.last_start = record
    elif kind == "end":
        run.ended.append(record["result"])
        run.last_start = None
    elif kind == "result":
        run.name, run.state, run.result = record["name"], record["state"], record["result"]


def _segments(folder: str) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(name[:-7]) for name in os.listdir(folder) if name.endswith(".ndjson") and name[:-7].isdigit())
    return []


def _segment_path(folder: str, number: int) -> str:
    return f"{folder}/{number:010d}.ndjson"
