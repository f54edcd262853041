"""How tasks stand that other tasks need, as the disk tells it: the queue first, then the latest end."""

from __future__ import annotations

from typing import Any

from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.plan.ends import WAITING, Stand


def latest_end(home: Home, task_id: str) -> dict[str, Any] | None:
    """The result of the latest run of a task that has ended, else what done/ or failed/ show under its name; None if
    neither knows it. The id must be one (`spec.ID_PATTERN`). Reads files."""
    shown = [result for _, result in runs.shown(home, task_id)]
    refused = next((result for result in shown if result.get("id") is None), None)
    if refused is not None:
        return refused  # a file of this name that was no task: it came after every run that the folders showed before
    parent = f"{home.runs}/{task_id}"
    for number in sorted(runs.numbers(parent), reverse=True):
        if (result := runs.read_result(f"{parent}/{number}/{runs.RESULT}")) is not None:
            return result
    return next((result for result in shown if result.get("id") == task_id), None)


def stand_of_end(result: dict[str, Any] | None) -> Stand | None:
    """How a task stands that ended so."""
    if result is not None and result.get("again"):
        return WAITING
    return None if result is None else Stand(str(result.get("status")), result.get("reason") or "")
