"""What a recurring task must keep to beyond its types: a cron expression, a zone, and room for a stamp in its id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.intake.problem import Finding, Path, quote
from orchestrator.schedule import cron
from orchestrator.schedule.firing import LONGEST_ID


def of_schedule(task: dict[str, Any]) -> Iterator[Finding]:
    """Everything that is wrong with a task because it has a `schedule`."""
    schedule = task["schedule"]
    if isinstance(schedule, str):
        yield from _of_cron(schedule, None, ("schedule",))
    elif isinstance(schedule, dict):
        yield from _of_mapping(schedule)
    if isinstance(name := task.get("id"), str) and len(name) > LONGEST_ID:
        yield Finding(("id",), f"has {len(name)} characters; with `schedule` at most {LONGEST_ID}: a stamp follows it")
    if task.get("idempotency_key") is not None:
        message = "goes with no `schedule`: the second firing would have the key of the first, and never run"
        yield Finding(("idempotency_key",), message, at_key=True)


def _of_mapping(schedule: dict[str, Any]) -> Iterator[Finding]:
    zone, expression = schedule.get("timezone"), schedule.get("cron")
    if isinstance(zone, str):
        try:
            cron.zone_of(zone)
        except cron.Unclear as error:
            yield _finding(error, zone, ("schedule", "timezone"))
            zone = "UTC"  # the expression may be wrong too
    if isinstance(expression, str):
        yield from _of_cron(expression, zone if isinstance(zone, str) else None, ("schedule", "cron"))


def _of_cron(expression: str, zone: str | None, path: Path) -> Iterator[Finding]:
    try:
        cron.recurrence(expression, zone)
    except cron.Unclear as error:
        yield _finding(error, expression, path)


def _finding(error: cron.Unclear, text: str, path: Path) -> Finding:
    return Finding(path, f"{quote(text)} {error}", error.said, error.known)
