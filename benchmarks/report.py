"""The table for people and the JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Line, shown


def table(lines: Sequence[Line]) -> Table:
    """One row a line; figures that were calculated rather than measured say so."""
    grid = Table(title="Each figure beside its floor, both from this run")
    for heading in ("what", "measured", "floor", "ratio", "aim", "note"):
        grid.add_column(heading, justify="right" if heading in {"measured", "floor", "ratio"} else "left")
    bench = ""
    for line in lines:
        if line.bench != bench:
            grid.add_section()
            bench = line.bench
        grid.add_row(*_cells(line))
    return grid


def _cells(line: Line) -> tuple[str, ...]:
    if not isinstance(line, Figure):
        return f"{line.bench}: {line.name}", "–", "", "", "", line.why
    floor = f"{shown(line.floor)} {line.floor_name}" if line.floor is not None else ""
    if line.floor_estimated:
        floor += " (estimated)"
    ratio = shown(line.ratio) if line.ratio is not None else ""
    return f"{line.bench}: {line.name}", f"{shown(line.value)} {line.unit}", floor, ratio, line.aim, line.note


def document(lines: Sequence[Line], *, scale: str, started: datetime, failures: dict[str, str]) -> dict[str, object]:
    """What is written as JSON: the lines, and where and when they were measured."""
    return {
        "started_at": started.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "scale": scale,
        "machine": machine(),
        "lines": [line.as_dict() for line in lines],
        "failures": failures,
    }


def machine() -> dict[str, object]:
    """What a reader needs to judge the figures; no names of hosts or people."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "commit": _commit(),
    }


def _commit() -> str | None:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    return answer.stdout.strip() or None


def write(folder: Path, content: dict[str, object], started: datetime) -> Path:
    """Write `<UTC>.json` and, with the same content, `latest.json`. Returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path = folder / f"{started:%Y%m%dT%H%M%SZ}.json"
    for target in (path, folder / "latest.json"):
        target.write_text(text)
    return path


def show(lines: Sequence[Line], failures: dict[str, str]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=170)
    console.print(table(lines))
    for name, why in failures.items():
        console.print(f"{name} could not be measured: {why}", style="red", markup=False)
