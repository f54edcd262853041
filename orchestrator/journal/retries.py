"""With what the next run of a task is to begin: `state/retries/<id>.<inode>.json`, until it has begun so.

Either a person wished it (`retry --from`), or the task is attempted again by itself after a failure, and waits for
that in inbox. Rule: it is about the very file that was put back; another one of the same name and id begins at its
beginning. A wish that can no longer be met ends the task: it never becomes a run of all steps, which nobody asked for.
It stands here and not in inbox because a task may write there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import orjson

from orchestrator import failpoint
from orchestrator.event import to_second, utc_now
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.journal.past import CannotGoOn, Past, taken_over
from orchestrator.outcome import Again, Outcome
from orchestrator.spec import Task, moment_of
from orchestrator.spool import files, names
from orchestrator.spool.reading import Signature, signature_of


@dataclass(frozen=True, slots=True)
class Wish:
    """Go on with task `id` at `step` (from 0), and take over what `run` did before. `signature` tells the file.

    Where nobody asked for it, `tried` counts the attempts that failed, out of `of` that there may be, `why` says how
    the last of them ended, and `due` is when the next one is, in seconds since the epoch.
    """

    id: str
    run: int
    step: int
    signature: Signature
    at: str
    tried: int = 0
    of: int = 0
    due: float = 0.0
    why: str = ""


def wish(task_id: str, past: Past, file: os.stat_result) -> Wish:
    """The wish to begin with this past, which a run of the task that lies in this file has left."""
    return Wish(task_id, past.source or 0, past.step, signature_of(file), utc_now())


def next_attempt(task_id: str, outcome: Outcome, again: Again, file: os.stat_result) -> Wish:
    """What follows by itself from how a run ended."""
    return Wish(
        task_id, outcome.run, again.step, signature_of(file), utc_now(),
        again.attempt - 1, again.of, moment_of(again.at), outcome.reason or outcome.status,
    )  # fmt: skip


def attempt_at(number: int, of: int, due: float) -> str:
    """`attempt 2 of 4 at 2026-01-31T12:00:00Z`."""
    return f"attempt {number} of {of} at {to_second(utc_now(due))}"


def now(pending: Wish, step: int) -> Wish:
    """The same at this step, and without a wait."""
    return replace(pending, due=0.0, step=step, at=utc_now())


def ask(home: Home, wanted: Wish) -> None:
    """Put a wish down, durably, in the place of an earlier one about the same file. Raises OSError."""
    path = _path(home, wanted.id, wanted.signature[0])
    temporary = f"{home.retries}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    files.write_new(temporary, orjson.dumps(wanted, option=orjson.OPT_APPEND_NEWLINE), sync=True)
    os.rename(temporary, path)
    files.sync_folder(home.retries)
    failpoint.reach("retry.asked")


def withdraw(home: Home, task_id: str, inode: int) -> None:
    """The wish about this file, if there is one, is met, or no longer a wish."""
    path = _path(home, task_id, inode)
    if os.path.lexists(path):  # in a sandbox `retry` may not write here, and has nothing to withdraw
        os.unlink(path)


def find(home: Home, task_id: str, signature: Signature) -> Wish | None:
    """The wish about the task in this file, if there is one."""
    path = _path(home, task_id, signature[0])
    if not os.access(path, os.F_OK):  # as for nearly every task; an exception would cost six times as much
        return None
    try:
        with open(path, "rb") as file:
            value = orjson.loads(file.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    found = Wish(**value | {"signature": tuple(value["signature"])})
    return found if found.signature == signature else None


def tidy(home: Home) -> None:
    """At start: remove what is about files that are gone, and what a crash left half written."""
    wishes = os.listdir(home.retries)
    if not wishes:
        return
    inodes: set[str] = set()
    for folder in (home.inbox, home.running, home.failed):
        with os.scandir(folder) as entries:
            inodes |= {str(entry.inode()) for entry in entries}
    for name in wishes:
        if names.is_temporary(name) or name.removesuffix(".json").rpartition(".")[2] not in inodes:
            os.unlink(f"{home.retries}/{name}")


def past_of(home: Home, task: Task, sha256: str, run: int, step: int, tried: int = 0) -> Past:
    """What a new run that goes on at `step` takes over from an earlier one. `sha256` is that of the spec's file now.

    Raises CannotGoOn.
    """
    follows = run if tried else 0
    if step == 0:
        return Past(tried=tried, follows=follows)
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
    return replace(taken_over(task, result, step), tried=tried, follows=follows)


def _path(home: Home, task_id: str, inode: int) -> str:
    return f"{home.retries}/{task_id}.{inode}.json"
