"""What the runs of a task left in `state/runs/<id>/<n>/`: results, and the output of each step."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator import verdicts
from orchestrator.event import CodeVerdict
from orchestrator.home import Home
from orchestrator.insights.entries import Entry, find, is_plain, read_json
from orchestrator.insights.holds import Outlook
from orchestrator.journal import runs
from orchestrator.spool import names

Channel = Literal["out", "err"]


@dataclass(frozen=True, slots=True)
class OutputFile:
    """What one attempt at a step printed on one stream; `size` is in bytes."""

    step: int
    skill: str
    stream: Channel
    path: str
    size: int
    attempt: int = 1


def task_id_of(home: Home, wanted: str, entry: Entry | None) -> str | None:
    """The task id behind an id, file name or name in the queue; None if no task of that name is known."""
    if entry is not None and entry.id is not None and is_plain(entry.id):
        return entry.id
    return wanted if is_plain(wanted) and os.path.isdir(f"{home.runs}/{wanted}") else None


def run_numbers(home: Home, task_id: str) -> list[int]:
    """The numbers of a task's runs, oldest first."""
    return sorted(runs.numbers(f"{home.runs}/{task_id}"))


def show(home: Home, wanted: str, run: int | None = None) -> dict[str, Any] | None:
    """Everything about a task and one of its runs, the latest unless given; None if there is no such task or run.

    Keys: `id name state status entry holds runs run folder result verdict spec outputs`. `result` is None while the run
    lasts; `verdict` is what a reviewer said of the file that it made.
    """
    entry = find(home, wanted)
    task_id = task_id_of(home, wanted, entry)
    numbers = run_numbers(home, task_id) if task_id else []
    if (entry is None and not numbers) or (run is not None and run not in numbers):
        return None
    number = run if run is not None else max(numbers, default=None)
    folder = f"{home.runs}/{task_id}/{number}" if number else None
    result = read_json(f"{folder}/{runs.RESULT}") if folder else _result_beside(home, entry)
    return {
        "id": task_id,
        "name": entry.name if entry else (result or {}).get("name"),
        "state": entry.state if entry else None,
        "status": entry.status if entry and run is None else _status(entry, number, numbers, result),
        "entry": entry,
        "holds": Outlook(home).holds(entry.name) if entry and entry.state == "inbox" else (),
        "runs": [_summary(home, entry, task_id, each, numbers) for each in numbers] if task_id else [],
        "run": number,
        "folder": folder,
        "result": result,
        "verdict": _verdict(home, result, task_id, number),
        "spec": read_json(f"{folder}/{runs.SPEC}") if folder else None,
        "outputs": output_files(home, task_id, number) if task_id and number else [],
    }


def _verdict(home: Home, result: dict[str, Any] | None, task_id: str | None, number: int | None) -> CodeVerdict | None:
    if result is None or task_id is None or number is None:
        return None
    if not any(step.get("report") for step in result.get("results") or ()):
        return None  # only of what a model has written there is one
    return verdicts.latest(home, str(result.get("finished_at", ""))[:10])[0].get((task_id, number))


def output_files(
    home: Home, task_id: str, run: int, step: int | None = None, stream: Channel | None = None
) -> list[OutputFile]:
    """The output files of a run in the order of its steps and attempts, stdout first; what printed nothing has none."""
    folder = f"{home.runs}/{task_id}/{run}"
    try:
        present = os.listdir(folder) if is_plain(task_id) else []
    except FileNotFoundError:
        return []
    found = []
    for name in present:
        match = runs.OUTPUT.fullmatch(name)
        if match is None or (step is not None and int(match["step"]) != step) or stream not in (None, match["stream"]):
            continue
        path = f"{folder}/{name}"
        try:
            size = os.stat(path).st_size
        except FileNotFoundError:
            continue
        channel: Channel = "out" if match["stream"] == "out" else "err"
        attempt = int(match["attempt"] or 1)
        found.append(OutputFile(int(match["step"]), match["skill"], channel, path, size, attempt))
    return sorted(found, key=lambda file: (file.step, file.attempt, file.stream != "out"))


def _summary(home: Home, entry: Entry | None, task_id: str, number: int, numbers: list[int]) -> dict[str, Any]:
    result = read_json(f"{home.runs}/{task_id}/{number}/{runs.RESULT}")
    keys = ("reason", "started_at", "finished_at", "duration_ms")
    facts = {key: (result or {}).get(key) for key in keys}
    return {"run": number, "status": _status(entry, number, numbers, result), **facts}


def _status(entry: Entry | None, number: int | None, numbers: list[int], result: dict[str, Any] | None) -> str | None:
    """A run without a result lasts if it is the latest of a running task; else a crash left it `unfinished`."""
    if result is not None:
        return result.get("status")
    lasts = entry is not None and entry.state == "running" and number == max(numbers, default=None)
    return "running" if lasts else "unfinished"


def _result_beside(home: Home, entry: Entry | None) -> dict[str, Any] | None:
    """The result of a file that never became a run: one that could not be read as a spec."""
    if entry is None or entry.state not in ("done", "failed"):
        return None
    return read_json(f"{home.queue}/{entry.state}/{names.result_name(entry.stem)}")
