"""Other spoolers on this machine, doing the same work their own way, against the same floor.

They are measured as they are used: by their own command line, one call a task. None of them syncs, gates or
checks; that is told in docs/benchmarks.md beside the figures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figures import Figure, Line, Skipped, around
from benchmarks.plan import Scale
from benchmarks.throughput import xargs_rate

NAME = "peers"
CONCURRENCY = 8


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Each peer that is installed; the others are named as not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, program, at_once, measure in PEERS:
        found = next((path for path in map(shutil.which, program) if path), None)
        if found is None:
            yield Skipped(NAME, name, "not installed")
            continue
        before = xargs_rate(scale.peer_tasks, at_once, folder)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            rate = measure(found, scale.peer_tasks, at_once, Path(own))
        floor = around(before, xargs_rate(scale.peer_tasks, at_once, folder))
        yield Figure(NAME, f"{name}, {at_once} at once", rate, "tasks/s", floor, f"xargs -P {at_once}")


def task_spooler(program: str, count: int, at_once: int, folder: Path) -> float:
    """Tasks per second of task-spooler with a server of its own."""
    env = {**os.environ, "TS_SOCKET": str(folder / "s"), "TMPDIR": str(folder), "TS_MAXFINISHED": str(2 * count)}

    def ts(*args: str) -> str:
        return subprocess.run([program, *args], env=env, check=True, capture_output=True, text=True).stdout

    ts("-S", str(at_once))
    try:
        started = time.monotonic()
        jobs = [ts("bash", "-c", "echo ok").strip() for _ in range(count)]
        # Jobs start in order: when the last few have ended, all have.
        for job in jobs[-at_once:]:
            ts("-w", job)
        ended = time.monotonic()
        outputs = [path.read_bytes() for path in folder.glob("ts-out.*")]
    finally:
        ts("-K")
    assert outputs == [b"ok\n"] * count, f"{len(outputs)} outputs"
    return count / (ended - started)


def nq(program: str, count: int, _at_once: int, folder: Path) -> float:
    """Tasks per second of nq, which runs one at a time by design."""
    env = {**os.environ, "NQDIR": str(folder)}
    started = time.monotonic()
    for _ in range(count):
        subprocess.run([program, "bash", "-c", "echo ok"], env=env, check=True, capture_output=True)
    subprocess.run([program, "-w"], env=env, check=True, capture_output=True)
    ended = time.monotonic()
    outputs = [path.read_text() for path in folder.glob(",*")]
    assert sum("\nok\n" in text for text in outputs) == count, f"{len(outputs)} outputs"
    return count / (ended - started)


Measure = Callable[[str, int, int, Path], float]
PEERS: tuple[tuple[str, tuple[str, ...], int, Measure], ...] = (
    ("task-spooler", ("tsp", "ts"), CONCURRENCY, task_spooler),
    ("nq", ("nq",), 1, nq),
)
