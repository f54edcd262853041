"""How long the command line takes to answer, against Python starting to do nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, Line, Skipped
from benchmarks.house import house, tasks
from benchmarks.plan import Scale

NAME = "startup"


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """The three commands take turns. The first turn only warms the caches and is left out."""
    console = Path(sys.executable).with_name("orchestrator")
    if not console.exists():
        yield Skipped(NAME, "orchestrator", f"no console script beside {sys.executable}: install the project")
        return
    bare: list[float] = []
    helped: list[float] = []
    submitted: list[float] = []
    with house(folder) as home:
        for source, _ in home.stage(tasks("submit", scale.starts + 1, "echo ok")):
            bare.append(_time([sys.executable, "-c", "pass"]))
            helped.append(_time([str(console), "--help"]))
            submitted.append(_time([str(console), "--home", str(home.root), "submit", str(source)]))
    floor = median(bare[1:])
    yield Figure(NAME, "orchestrator --help", median(helped[1:]), "ms", floor, "python -c pass", "≤ 2.5")
    yield Figure(NAME, "orchestrator submit FILE", median(submitted[1:]), "ms", floor, "python -c pass", "≤ 2")


def _time(command: Sequence[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return (time.monotonic() - started) * 1000
