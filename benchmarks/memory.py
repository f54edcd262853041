"""Resident memory of the daemon: idle, and while many specs wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.figures import Figure, Line
from benchmarks.house import BenchmarkError, House, drop, house, specs_in, task, tasks
from benchmarks.plan import Scale

NAME = "memory"
MIB = 1024 * 1024


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """A long step holds the only slot, so that all others wait."""
    with house(folder) as home, home.daemon(max_tasks=1):
        idle = settled_rss(home)
        yield Figure(NAME, "idle daemon", idle / MIB, "MiB")
        drop(home.stage({"long.json": task("long", "sleep 3600")}))
        batch = tasks("waiting", scale.waiting, "echo ok", "Printed ok")
        drop(home.stage(batch))
        loaded = settled_rss(home)
        # A few are claimed ahead and stand in running/; all others must still be where they were dropped.
        waiting = len(specs_in(home.inbox)) + len(specs_in(home.queue / "running")) - 1
        if waiting != scale.waiting:
            raise BenchmarkError(f"{waiting} of {scale.waiting} specs wait")
    yield Figure(NAME, f"{scale.waiting:,} specs waiting", loaded / MIB, "MiB", idle / MIB, "idle")


def settled_rss(home: House) -> int:
    """Bytes resident once the daemon has been at rest for a second: then it has seen all there is."""
    process = psutil.Process(home.pid)
    busy = _cpu(process)
    while True:
        time.sleep(1)
        now = _cpu(process)
        if now - busy < 0.02:
            return int(process.memory_info().rss)
        busy = now


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
