"""The recurring tasks: when each is due next, what became of its last firing, and why it may not fire."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from orchestrator import approvals
from orchestrator.event import to_second, utc_now
from orchestrator.home import Home
from orchestrator.insights.entries import State, find_in, queue_entries
from orchestrator.intake.load import SpecError, load_task
from orchestrator.schedule import record
from orchestrator.schedule.cron import Recurrence, zone_info
from orchestrator.schedule.firing import recurrence_of, schedule_of, stamped
from orchestrator.schedule.record import Record
from orchestrator.spec import Task
from orchestrator.spool import names
from orchestrator.spool.reading import LARGEST_READ, kind_of

_STATES: tuple[State, ...] = ("running", "inbox", "failed", "done")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A recurring task. `next` is its next moment in UTC; `last` the id of its latest firing, now `last_status`.
    `waiting` firings are due and not begun. `fired`, `skipped` and `missed` count moments; `why` says why the latest
    of them was skipped, or why none is fired. `approved_until` is set where a person approved all firings."""

    name: str
    stem: str
    id: str | None
    title: str | None
    state: Literal["active", "paused", "new", "unreadable"]
    cron: str = ""
    timezone: str = ""
    overlap: str = ""
    catch_up: str = ""
    next: str | None = None
    last: str | None = None
    last_status: str | None = None
    waiting: int = 0
    fired: int = 0
    skipped: int = 0
    missed: int = 0
    why: str = ""
    approved_until: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in UTC, and as a clock in the schedule's zone shows it; `in_s` seconds from now."""

    utc: str
    local: str
    shown: str
    in_s: float


def schedules(home: Home, now: float) -> list[Scheduled]:
    """All recurring tasks, by name."""
    entries = queue_entries(home, ("scheduled",), limit=None)
    return [schedule(home, entry.name, now) for entry in sorted(entries, key=lambda entry: entry.name)]


def schedule(home: Home, name: str, now: float) -> Scheduled:
    """The recurring task in this file of queue/scheduled."""
    stem = names.stem_of(name)
    try:
        data, task, recurrence = read(home, name)
    except (SpecError, OSError, ValueError) as error:
        return Scheduled(name, stem, None, None, "unreadable", why=str(error))
    known, wanted = record.read(home, stem), schedule_of(task)
    taken = known is not None and known.sha256 == hashlib.sha256(data).hexdigest()
    paused = os.path.exists(f"{home.scheduled}/{stem}{names.PAUSED_SUFFIX}")
    following = next(recurrence.after(now), None)
    return Scheduled(
        name, stem, task.id, task.title, "paused" if paused else "active" if taken else "new",
        recurrence.cron, recurrence.zone, wanted.overlap, wanted.catch_up,
        next=None if paused or following is None else _utc(following),
        approved_until=_approved_until(home, task),
        **(_history(home, stem, known) if known is not None else {"why": "a daemon has not taken it yet"}),
    )  # fmt: skip


def in_short(home: Home, name: str, now: float) -> tuple[str, str]:
    """`scheduled` or `paused`, and when the task in this file is due next; or why that can't be said."""
    status = "paused" if os.path.exists(f"{home.scheduled}/{names.stem_of(name)}{names.PAUSED_SUFFIX}") else "scheduled"
    try:
        following = upcoming(home, name, now, 1)
    except (SpecError, OSError, ValueError) as error:
        return status, str(error)
    if status == "paused":
        return status, f"`orchestrator schedule resume {names.stem_of(name)}` fires it again"
    return status, f"next at {following[0].shown}" if following else "never again"


def upcoming(home: Home, name: str, now: float, count: int) -> list[Moment]:
    """The next moments of the recurring task in this file, paused or not. Raises SpecError, OSError."""
    _, _, recurrence = read(home, name)
    return [moment(recurrence, at, now) for at in islice(recurrence.after(now), count)]


def moment(recurrence: Recurrence, at: float, now: float) -> Moment:
    local = datetime.fromtimestamp(at, zone_info(recurrence.zone))
    return Moment(_utc(at), local.isoformat(), f"{local:%a %Y-%m-%d %H:%M} {local.tzname()}", at - now)


def read(home: Home, name: str) -> tuple[bytes, Task, Recurrence]:
    """The bytes, the task and its moments. Raises SpecError, OSError, ValueError for what is no recurring task."""
    fd = os.open(f"{home.scheduled}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if kind := kind_of(os.fstat(fd).st_mode):
            raise ValueError(f"it is {kind}, not a file")
        data = file.read(LARGEST_READ)
    task = load_task(data, name, templates=home.templates)
    return data, task, recurrence_of(task)


def _history(home: Home, stem: str, known: Record) -> dict[str, Any]:
    last = stamped(stem, known.last_due) if known.last else ""
    found = (find_in(home, last, state) for state in _STATES) if last else ()
    entry = next((entry for entry in found if entry), None)
    status = entry.status if entry else "gone" if last else None
    why = ""
    if status == "blocked":
        why = f"{last} waits for approval"
    elif known.skipped_due > known.last_due:
        why = f"{_utc(known.skipped_due)} was skipped: {known.why}"
    return {
        "last": last or None, "last_status": status, "waiting": len(known.waiting), "fired": known.fired,
        "skipped": known.skipped, "missed": known.missed, "why": why,
    }  # fmt: skip


def _approved_until(home: Home, task: Task) -> str | None:
    found = approvals.find(home, task.id, "", approvals.digest(task))
    return found.until if found is not None and found.verdict == "approved" and not found.why_over() else None


def _utc(moment: float) -> str:
    return to_second(utc_now(moment))
