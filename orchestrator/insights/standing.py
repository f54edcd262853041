"""How a task of a backlog stands, by what the queue and its latest run say: nothing is kept about it anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.home import Home
from orchestrator.insights.entries import Entry, latest_run, queue_entries, read_json
from orchestrator.intake.load import SpecError, load_task
from orchestrator.journal import runs
from orchestrator.spec import Task

State = Literal["open", "queued", "running", "done", "escalated", "unavailable", "blocked", "failed"]
_ASSIGNABLE: tuple[State, ...] = ("open", "unavailable")
_OF_REASON: dict[str, State] = {"escalated": "escalated", "model_unavailable": "unavailable"}


@dataclass(frozen=True, slots=True)
class Standing:
    """`open` was never queued, or was changed since; `unavailable` met no model server, and may be tried again; what is
    `escalated` is for somebody else. `result` is that of its latest run, where that is over."""

    state: State
    reason: str | None = None
    run: int | None = None
    result: dict[str, Any] | None = None

    @property
    def is_assignable(self) -> bool:
        return self.state in _ASSIGNABLE

    @property
    def is_over(self) -> bool:
        """It will not be done by waiting."""
        return self.state in ("escalated", "blocked", "failed")


def open_entries(home: Home) -> dict[str, Entry]:
    """What waits or runs, by id."""
    return {
        entry.id or entry.stem: entry for entry in queue_entries(home, ("inbox", "scheduled", "running"), limit=None)
    }


def standing(home: Home, task: Task, entries: Mapping[str, Entry]) -> Standing:
    """How this task stands; `entries` are those that are open. A run of its id that was made from another spec does not
    count."""
    if (entry := entries.get(task.id)) is not None:
        return Standing("running" if entry.state == "running" else "queued", entry.reason, entry.run)
    run, result = _latest(home, task.id)
    if run is None:
        return Standing("open")
    if result is None:
        return Standing("running", run=run)  # on its way from one folder to the next
    if _ran(f"{home.runs}/{task.id}/{run}", home) != task:
        return Standing("open", f"it was changed since run {run}, which ended {result['status']}", run)
    return Standing(state_of(result), result.get("reason"), run, result)


def _latest(home: Home, task_id: str) -> tuple[int | None, dict[str, Any] | None]:
    run = latest_run(home, task_id)
    return run, None if run is None else read_json(f"{home.runs}/{task_id}/{run}/{runs.RESULT}")


def state_of(result: dict[str, Any]) -> State:
    """What a result comes to."""
    if result["status"] == "ok":
        return "done"
    if result["status"] == "blocked":
        return "blocked"
    return _OF_REASON.get((result.get("reason") or "").partition(":")[0], "failed")


def of_stranger(home: Home, task_id: str, entries: Mapping[str, Entry]) -> State | None:
    """How a task stands that is needed and is not in the backlog; None for one that nobody knows."""
    if (entry := entries.get(task_id)) is not None:
        return "running" if entry.state == "running" else "queued"
    _, result = _latest(home, task_id)
    return state_of(result) if result else None


def _ran(folder: str, home: Home) -> Task | None:
    """The task of a run; None where its spec can't be read any more."""
    try:
        with open(f"{folder}/{runs.SPEC}", "rb") as file:
            return load_task(file.read(), runs.SPEC, templates=home.templates)
    except (OSError, SpecError):
        return None
