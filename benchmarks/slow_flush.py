"""Throughput where a flush takes 5 ms, as on ordinary disks: grouping of syncs decides there.

The disk is not made slow; each fsync and fdatasync of the daemon sleeps first. The floor is what a daemon would
reach that syncs each task by itself: the syncs of one task that runs alone are counted, and each is taken to cost
the 5 ms. That floor is an estimate and is labelled so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Line
from benchmarks.house import House, drop, house, tasks
from benchmarks.plan import Scale
from benchmarks.slow_flush_daemon import COUNTER, FLUSH_SECONDS

NAME = "slow-flush"
CONCURRENCY = 8


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """One task alone, to count its syncs; then a batch, to see how they are shared."""
    with house(folder) as home:
        counter = home.root / "syncs"
        program = (sys.executable, str(Path(__file__).with_name("slow_flush_daemon.py")))
        batch = tasks("task", scale.slow_tasks, "echo ok", "Printed ok")
        pairs = home.stage(batch)
        with home.daemon(max_tasks=CONCURRENCY, program=program, **{COUNTER: str(counter)}):
            _alone(home, "warm", 1)
            before = _syncs(counter)
            _alone(home, "alone", 2)
            alone = _syncs(counter) - before
            before = _syncs(counter)
            started = drop(pairs)
            ended = home.wait(2 + len(batch))
            grouped = (_syncs(counter) - before) / len(batch)
        home.verify(list(batch))
    one_by_one = 1 / (alone * FLUSH_SECONDS)
    yield Figure(
        NAME,
        f"a flush of {FLUSH_SECONDS * 1000:.0f} ms, {CONCURRENCY} at once",
        len(batch) / (ended - started),
        "tasks/s",
        one_by_one,
        "sync by sync",
        "≥ 20",
        f"{alone} syncs for a task alone, {grouped:.2f} each in the batch",
        floor_estimated=True,
    )


def _alone(home: House, name: str, count: int) -> None:
    drop(home.stage(tasks(name, 1, "echo ok", "Printed ok")))
    home.wait(count)


def _syncs(counter: Path) -> int:
    return counter.stat().st_size
