"""From the rename into inbox until the step's program runs, against the kernel's own news of a rename and a bare
spawn of the same program.

The step is bash printing its own clock (`$EPOCHREALTIME`, bash 5), so that the time is taken by the program
itself: it holds the daemon's reaction, its durable promises, the spawn and the start of bash.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, Line, Skipped, percentile
from benchmarks.house import House, drop, house, tasks
from benchmarks.plan import Scale

NAME = "latency"
SCRIPT = "echo $EPOCHREALTIME"


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """One drop at a time with random pauses; the three kinds take turns, so that noise hits all alike."""
    if not _clock_of(subprocess.run(["bash", "-c", SCRIPT], capture_output=True, text=True, check=True).stdout):
        yield Skipped(NAME, "drop to spawn", "needs bash 5, which knows $EPOCHREALTIME")
        return
    with house(folder) as home, home.daemon(max_tasks=2), _reader(home.root / "raw") as reader:
        dropped, direct, raw = _take_turns(home, reader, scale)
    median, tail = [[percentile(times, part) for times in (dropped, direct)] for part in (0.5, 0.99)]
    yield Figure(NAME, "drop to spawn, p50", median[0], "ms", median[1], "direct spawn", "≤ 3 ms (2 later); ≤ 1.7 ×")
    yield Figure(NAME, "of it not the spawn itself", median[0] - median[1], "ms", note="difference of the two p50")
    yield Figure(NAME, "drop to spawn, p99", tail[0], "ms", tail[1], "direct spawn")
    yield from _against_kernel(dropped, raw)


def _against_kernel(dropped: list[float], raw: list[float]) -> Iterator[Line]:
    for part in (0.5, 0.99):
        name = f"drop to spawn, p{part * 100:.0f}"
        if raw:
            yield Figure(NAME, name, percentile(dropped, part), "ms", percentile(raw, part), "raw inotify")
        else:
            yield Skipped(NAME, f"{name}, against raw inotify", "this system has no inotify")


def _take_turns(home: House, reader: Reader | None, scale: Scale) -> tuple[list[float], list[float], list[float]]:
    batch = tasks("drop", scale.drops + 1, SCRIPT)
    dropped, direct, raw = [], [], []
    for number, (name, pair) in enumerate(zip(batch, home.stage(batch), strict=True)):
        time.sleep(random.uniform(0.001, scale.pause))
        before = time.time()
        drop([pair])
        home.wait(number + 1)
        dropped.append(_from_result(home, name) - before)
        time.sleep(random.uniform(0.001, scale.pause))
        direct.append(_spawn())
        if reader is not None:
            raw.append(reader.latency(number))
    # The first drop finds a cold daemon, and tells about imports rather than about reacting.
    return tuple([1000 * value for value in values[1:]] for values in (dropped, direct, raw))  # type: ignore[return-value]


def _from_result(home: House, name: str) -> float:
    results = home.result(name)["results"]
    assert isinstance(results, list)
    return _clock_of(results[0]["stdout"])


def _clock_of(text: str) -> float:
    """Seconds since the epoch; bash writes the fraction with the locale's own sign. 0 if bash knew no clock."""
    return float(text.strip().replace(",", ".") or 0)


def _spawn() -> float:
    before = time.time()
    ended = subprocess.run(["bash", "-c", SCRIPT], stdout=subprocess.PIPE, text=True, check=True)
    return _clock_of(ended.stdout) - before


class Reader:
    """A process of its own that reads inotify events and prints when it got each."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.process = process

    def latency(self, number: int) -> float:
        """Seconds from just before a rename until the other process has read the event."""
        source, target = self.folder / f".{number}", self.folder / f"{number}"
        source.touch()
        before = time.time()
        os.rename(source, target)
        assert self.process.stdout is not None
        return float(self.process.stdout.readline()) - before


@contextmanager
def _reader(folder: Path) -> Iterator[Reader | None]:
    if not sys.platform.startswith("linux"):
        yield None
        return
    folder.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("inotify_reader.py")), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield Reader(folder, process)
        finally:
            process.kill()
