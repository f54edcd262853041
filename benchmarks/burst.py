"""A flood of files at once: none is lost, none runs twice, and memory stays in its bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.figures import Figure, Line
from benchmarks.house import BenchmarkError, drop, house, specs_in, tasks
from benchmarks.memory import MIB, settled_rss
from benchmarks.plan import Scale

NAME = "burst"
CONCURRENCY = 8


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Drop as fast as rename goes. Raises BenchmarkError if one is missing or ran twice."""
    with house(folder) as home:
        batch = tasks("burst", scale.burst, ":")
        pairs = home.stage(batch)
        with home.daemon(max_tasks=CONCURRENCY):
            idle = settled_rss(home)
            process = psutil.Process(home.pid)
            peak = idle

            def watch() -> None:
                nonlocal peak
                peak = max(peak, process.memory_info().rss)

            started = drop(pairs)
            dropped = time.monotonic()
            ended = home.wait(len(batch), watch)
            watch()
        home.verify(list(batch))
        left = specs_in(home.inbox) + specs_in(home.queue / "running") + specs_in(home.failed)
        if left:
            raise BenchmarkError(f"{len(left)} files are left outside of done/, {min(left)} among them")
    name = f"{scale.burst:,} files"
    yield Figure(
        NAME, f"{name}, verified done once", float(len(batch)), "files", float(len(batch)), "dropped", "1, always"
    )
    yield Figure(NAME, f"{name}, peak memory", peak / MIB, "MiB", idle / MIB, "idle", "< 1.6")
    yield Figure(
        NAME,
        f"{name}, drained",
        len(batch) / (ended - started),
        "tasks/s",
        note=f"dropped in {dropped - started:.2f} s",
    )
