"""The write-ahead journal: what must survive a crash, made durable for many tasks by one sync.

A record per fact, one JSON line each, in `state/journal/<number>.ndjson`:

- `start`   a step of a run is about to be started (synced before the program is spawned); a run's first one also says
            what the run is, and which results it took over from an earlier one;
- `wait`    an attempt at a step failed, with its result, and another one is to follow at a time;
- `end`     a step ended, with its result;
- `result`  the run ended, with its whole outcome (synced before the spec leaves running/), and where the spec goes:
            done/, failed/, or inbox/ for another attempt;
- `closed`  the spec stands there and the folders are synced: the run may be forgotten.

A sync per run, in the run's own folder, would cost every task a flush of its own; here tasks that move at the
same time share one (`group`).
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
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
    segment: int = 0
    source: int | None = None
    tried: int = 0
    sandbox: str = "none"
    policy: dict[str, Any] = field(default_factory=dict)
    last_start: dict[str, Any] | None = None
    last_wait: dict[str, Any] | None = None
    ended: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    state: str = ""


class Journal:
    """Gathers records, and writes and syncs them together. `sync` is for one other thread; all else for the event
    loop's. What was appended and never synced is gone with the process: nobody was told that it is durable."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd = -1
        self._written = 0
        self._torn = False
        self._records: deque[bytes] = deque()
        self.number = 0
        """The segment that is being written; it grows when one is full."""

    def open(self) -> None:
        """Begin a new segment after those that are there."""
        self.number = max(_segments(self._folder), default=0)
        self._begin()

    def append(self, *records: dict[str, Any]) -> None:
        """Add records to what the next sync makes durable."""
        self._records.append(b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records))

    def sync(self) -> None:
        """Make all that was appended before the call durable. Raises OSError; then it is still to be done."""
        batch = [self._records.popleft() for _ in range(len(self._records))]
        if not batch:
            return
        data = b"".join(batch)
        try:
            self._mend()
            if self._written >= SEGMENT_BYTES:
                self._begin()
            self._torn = True
            files.write_all(self._fd, data)
            failpoint.reach("journal.written")
            files.sync_data(self._fd)
        except OSError:
            self._records.extendleft(reversed(batch))
            with contextlib.suppress(OSError):  # a disk that takes nothing at all: mended before the next write
                self._mend()
            raise
        self._torn = False
        self._written += len(data)
        failpoint.reach("journal.synced")

    def _mend(self) -> None:
        """A record cut short by a full disk must not swallow the next one."""
        if self._torn:
            os.ftruncate(self._fd, self._written)
            self._torn = False

    def drop_before(self, number: int) -> None:
        """Remove the segments below `number`: every run in them is closed."""
        for old in _segments(self._folder):
            if old < number:
                os.unlink(_segment_path(self._folder, old))
                failpoint.reach("segment.dropped")

    def close(self) -> None:
        """Nothing may be left to sync."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _begin(self) -> None:
        self.number += 1  # also where the rest fails: the next try must not find its own name taken
        path = _segment_path(self._folder, self.number)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            files.sync_folder(self._folder)
        except OSError:
            os.close(fd)
            raise
        failpoint.reach("segment.begun")
        self.close()
        self._fd, self._written = fd, 0


def read_unfinished(folder: str) -> tuple[list[Unfinished], int]:
    """All runs that no `closed` record ends, oldest first, and the number of torn lines (0 or 1 after a crash)."""
    runs: dict[tuple[str, int], Unfinished] = {}
    torn = 0
    for number, record in records(folder):
        if record is None:
            torn += 1
        else:
            _apply(runs, record, number)
    return list(runs.values()), torn


def records(folder: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Every record that is there with its segment's number, in the order of writing; None for a torn line."""
    for number in _segments(folder):
        with open(_segment_path(folder, number), "rb") as segment:
            for line in segment:
                try:
                    yield number, orjson.loads(line)
                except orjson.JSONDecodeError:
                    yield number, None


def _apply(runs: dict[tuple[str, int], Unfinished], record: dict[str, Any], segment: int) -> None:
    key = (record["id"], record["run"])
    kind = record["r"]
    if kind == "closed":
        runs.pop(key, None)
        return
    run = runs.setdefault(key, Unfinished(*key, segment=segment))
    if kind == "start":
        if "name" in record:  # the first of this run
            for name in ("name", "sha256", "policy", "sandbox", "source", "tried"):
                setattr(run, name, record.get(name, getattr(run, name)))
            run.started_at = record.get("ts", "")
            run.ended += record.get("past", ())
        run.last_start = record
    elif kind == "wait":
        run.last_wait, run.last_start = record, None
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
