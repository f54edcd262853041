"""How a task of a backlog stands, by what the queue and its latest run say: nothing is kept about it anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.home import Home
from orchestrator.insights.entries import find
from orchestrator.insights.runs import show
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


def standing(home: Home, task: Task) -> Standing:
    """How this task stands. A run of its id that was made from another spec does not count."""
    entry = find(home, task.id)
    if entry is not None and entry.state in ("inbox", "scheduled", "running"):
        return Standing("running" if entry.state == "running" else "queued", entry.reason, entry.run)
    found = show(home, task.id)
    result = found["result"] if found else None
    if found is None or result is None:
        return Standing("open")
    run = result.get("run")
    if run and _ran(f"{home.runs}/{task.id}/{run}", home) != task:
        return Standing("open", f"it was changed since run {run}, which ended {result['status']}", run)
    return Standing(state_of(result), result.get("reason"), run, result)


def state_of(result: dict[str, Any]) -> State:
    """What a result comes to."""
    if result["status"] == "ok":
        return "done"
    if result["status"] == "blocked":
        return "blocked"
    return _OF_REASON.get((result.get("reason") or "").partition(":")[0], "failed")


def of_stranger(home: Home, task_id: str) -> State | None:
    """How a task stands that is needed and is not in the backlog; None for one that nobody knows."""
    found = show(home, task_id)
    if found is None:
        return None
    if found["state"] in ("inbox", "running"):
        return "running" if found["state"] == "running" else "queued"
    return state_of(found["result"]) if found["result"] else None


def _ran(folder: str, home: Home) -> Task | None:
    """The task of a run; None where its spec can't be read any more."""
    try:
        with open(f"{folder}/{runs.SPEC}", "rb") as file:
            return load_task(file.read(), runs.SPEC, templates=home.templates)
    except (OSError, SpecError):
        return None
