"""What a schedule is as a task, and what each of its firings is: an ordinary task whose name tells its moment."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable

from orchestrator.home import Home
from orchestrator.schedule.cron import Recurrence, recurrence
from orchestrator.spec import Schedule, Task, moment_of
from orchestrator.spool import names

STAMP = re.compile(r"-\d{8}T\d{6}Z$")
LONGEST_ID = 128 - len("-20260131T120000Z")
_NOT_OF_A_FIRING = {"schedule", "not_before"}


def stamped(name: str, due: int) -> str:
    """The name, or the id, of the firing that is due at this moment (seconds since the epoch)."""
    return f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(due))}"


def unstamped(name: str) -> str:
    """The name, or the id, without the stamp of a firing; what has none is left as it is."""
    return STAMP.sub("", name)


def open_firings(files: Iterable[str]) -> dict[str, str]:
    """By the name of its schedule, a firing among these files of inbox/ and running/."""
    stems = map(names.stem_of, files)
    return {unstamped(stem): stem for stem in stems if unstamped(stem) != stem}


def was_placed(home: Home, name: str, task_id: str) -> bool:
    """Whether there is such a firing already: it waits, runs, or has run."""
    states = (home.inbox, home.running, home.done, home.failed)
    return os.path.isdir(f"{home.runs}/{task_id}") or any(os.path.lexists(f"{state}/{name}") for state in states)


def schedule_of(task: Task) -> Schedule:
    """The schedule of a recurring task, also where it is a bare cron expression. Raises ValueError for another task."""
    if task.schedule is None:
        raise ValueError(f"{task.id} has no schedule")
    return Schedule(cron=task.schedule) if isinstance(task.schedule, str) else task.schedule


def recurrence_of(task: Task) -> Recurrence:
    """When it is due. Raises `cron.Unclear`."""
    wanted = schedule_of(task)
    begins = 0.0 if task.not_before is None else moment_of(task.not_before)
    return recurrence(wanted.cron, wanted.timezone, begins)


def firing(task: Task, due: int) -> tuple[Task, bytes]:
    """The task of one firing, and its file: as the recurring one, but for its id, and without when to recur."""
    made = task.model_copy(update={"id": stamped(task.id, due), "schedule": None, "not_before": None})
    return made, made.model_dump_json(by_alias=True, exclude_unset=True, exclude=_NOT_OF_A_FIRING).encode() + b"\n"
