"""A person's wish to go on with an ended task at one of its steps: `state/retries/<id>.json`, until a run has begun so.

Rule: it is about the very file that `retry` put back; another one of the same name and id begins at its beginning. A
wish that can no longer be met ends the task: it never becomes a run of all steps, which nobody asked for. It stands
here and not in inbox because a task may write there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import orjson

from orchestrator import failpoint
from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.journal.past import CannotGoOn, Past, taken_over
from orchestrator.spec import Task
from orchestrator.spool import files
from orchestrator.spool.reading import Signature


@dataclass(frozen=True, slots=True)
class Wish:
    """Go on with task `id` at `step` (from 0), and take over what `run` did before. `signature` tells the file."""

    id: str
    run: int
    step: int
    signature: Signature
    at: str


def wish(task_id: str, past: Past, file: os.stat_result) -> Wish:
    """The wish to begin with this past, which a run of the task that lies in this file has left."""
    return Wish(task_id, past.source or 0, past.step, (file.st_ino, file.st_size, file.st_mtime_ns), utc_now())


def ask(home: Home, wanted: Wish) -> None:
    """Put a wish down, durably, in the place of an earlier one about the same task. Raises OSError."""
    path = _path(home, wanted.id)
    temporary = f"{home.retries}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    files.write_new(temporary, orjson.dumps(wanted, option=orjson.OPT_APPEND_NEWLINE), sync=True)
    os.rename(temporary, path)
    files.sync_folder(home.retries)
    failpoint.reach("retry.asked")


def withdraw(home: Home, task_id: str) -> None:
    """The wish, if there is one, is met, or no longer a wish."""
    path = _path(home, task_id)
    if os.path.lexists(path):  # in a sandbox `retry` may not write here, and has nothing to withdraw
        os.unlink(path)


def find(home: Home, task_id: str, signature: Signature) -> Wish | None:
    """The wish about the task in this file, if there is one."""
    try:
        with open(_path(home, task_id), "rb") as file:
            value = orjson.loads(file.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    found = Wish(**value | {"signature": tuple(value["signature"])})
    return found if found.signature == signature else None


def past_of(home: Home, task: Task, sha256: str, run: int, step: int) -> Past:
    """What a new run that goes on at `step` takes over from an earlier one. `sha256` is that of the spec's file now.

    Raises CannotGoOn.
    """
    result = runs.read_result(f"{home.runs}/{task.id}/{run}/{runs.RESULT}")
    if result is None:
        raise CannotGoOn(f"run {run} of {task.id} is gone from state/runs: only a run from the beginning is left")
    if result.get("sha256") != sha256:
        raise CannotGoOn(f"the spec of {task.id} was changed since run {run}: only a run from the beginning is left")
    if task.made_from is not None:
        earlier = runs.read_result(f"{home.runs}/{task.id}/{run}/{runs.SPEC}") or {}
        if (earlier.get("made_from") or {}).get("sha256") != task.made_from.sha256:
            changed = f"the template `{task.made_from.template}` was changed since run {run} of {task.id}"
            raise CannotGoOn(f"{changed}: only a run from the beginning is left")
    return taken_over(task, result, step)


def _path(home: Home, task_id: str) -> str:
    return f"{home.retries}/{task_id}.json"
