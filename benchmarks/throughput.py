"""Tasks per second, against `xargs -P` that starts the same programs and keeps nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, Line, around, spread
from benchmarks.house import drop, house, tasks
from benchmarks.plan import Scale

NAME = "throughput"
CONCURRENCY = (2, 8, 32)
AIMS = {2: "≥ 0.5 (0.65 later)", 8: "≥ 0.5 (0.8 later)", 32: "≥ 0.5 (0.8 later)"}


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Drop a batch on an idle daemon; count from the first rename until the last spec stands in done/."""
    for concurrency in CONCURRENCY:
        rates, floors = [], []
        for _ in range(scale.rounds):
            before = xargs_rate(scale.tasks, concurrency, folder)
            rates.append(daemon_rate(scale.tasks, concurrency, folder))
            floors.append(around(before, xargs_rate(scale.tasks, concurrency, folder)))
        yield _figure(concurrency, rates, floors)


def _figure(concurrency: int, rates: list[float], floors: list[float]) -> Figure:
    """The round whose ratio is the median one, so that value and floor belong to one moment."""
    ratios = [rate / floor for rate, floor in zip(rates, floors, strict=True)]
    middle = min(range(len(ratios)), key=lambda index: abs(ratios[index] - median(ratios)))
    return Figure(
        NAME,
        f"bash -c 'echo ok', {concurrency} at once",
        rates[middle],
        "tasks/s",
        floors[middle],
        f"xargs -P {concurrency}",
        AIMS[concurrency],
        f"ratios {spread(ratios)} in {len(ratios)} rounds",
    )


def daemon_rate(count: int, concurrency: int, folder: Path) -> float:
    """Tasks per second of a warm, idle daemon; every result is verified."""
    with house(folder) as home:
        warm = tasks("warm", 2 * concurrency, "echo ok", "Printed ok")
        batch = tasks("task", count, "echo ok", "Printed ok")
        pairs = home.stage(batch)
        with home.daemon(max_tasks=concurrency):
            drop(home.stage(warm))
            home.wait(len(warm))
            started = drop(pairs)
            ended = home.wait(len(warm) + count)
        home.verify(list(batch))
    return count / (ended - started)


def xargs_rate(count: int, concurrency: int, folder: Path) -> float:
    """Processes per second of `xargs -P`, the output of all of them in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "xargs.out"
    numbers = "".join(f"{number}\n" for number in range(count)).encode()
    command = ["xargs", "-P", str(concurrency), "-I{}", "bash", "-c", "echo ok"]
    with output.open("wb") as target:
        started = time.monotonic()
        subprocess.run(command, input=numbers, stdout=target, check=True)
        ended = time.monotonic()
    assert output.stat().st_size == 3 * count
    output.unlink()
    return count / (ended - started)
