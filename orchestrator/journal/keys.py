"""Which run took which `idempotency_key`: `state/keys/<digest of the key>.json`.

Rule: a key is taken before the first step starts, and it counts as long as the run that took it goes on, waits for its
next attempt, or has ended ok. What else became of it leaves the key to the next; so does retention, with the run.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import orjson

from orchestrator import failpoint
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.spool import files, names


class Taken(Exception):
    """The key is another one's. The text says whose."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that took a key; `name` is that of its file."""

    key: str
    id: str
    run: int
    name: str


def why_taken(home: Home, key: str, task_id: str, follows: int) -> str | None:
    """Why a task may not run under this key, naming the one that took it; None if it may. `follows` is the run of
    which this one is the next attempt, 0 for none. Reads files."""
    holder = _read(_path(home, key))
    if holder is None or (holder.id, holder.run) == (task_id, follows):
        return None
    result = runs.read_result(f"{home.runs}/{holder.id}/{holder.run}/{runs.RESULT}")
    # Runs of one id never overlap: one of this very task, without a result, has come to nothing.
    if result is None:
        goes = holder.id != task_id and os.path.lexists(f"{home.running}/{holder.name}")
        return f"{_called(holder)}, which still runs" if goes else None
    if result.get("again"):
        waits = any(name.startswith(f"{holder.id}.") for name in os.listdir(home.retries))
        return f"{_called(holder)}, which waits for its next attempt" if waits else None
    return f"{_called(holder)}, which ended ok" if result.get("status") == "ok" else None


def take(home: Home, taken: Holder, follows: int) -> str:
    """Take a key for a run, not yet durably; returns the file to sync. Raises Taken, or OSError."""
    if why := why_taken(home, taken.key, taken.id, follows):
        raise Taken(why)
    path = _path(home, taken.key)
    files.replace_file(path, orjson.dumps(taken, option=orjson.OPT_APPEND_NEWLINE))
    return path


def keep(home: Home, path: str) -> None:
    """Make it durable that a key is taken. Blocks for the disk."""
    files.sync_file(path)
    files.sync_folder(home.keys)
    failpoint.reach("key.taken")


def tidy(home: Home) -> None:
    """At start: remove the keys of runs that retention has taken away."""
    for name in os.listdir(home.keys):
        path = f"{home.keys}/{name}"
        holder = None if names.is_temporary(name) else _read(path)
        if holder is None or not os.path.isdir(f"{home.runs}/{holder.id}/{holder.run}"):
            os.unlink(path)


def _called(holder: Holder) -> str:
    return f"its idempotency_key was taken by run {holder.run} of {holder.id}"


def _path(home: Home, key: str) -> str:
    return f"{home.keys}/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def _read(path: str) -> Holder | None:
    try:
        with open(path, "rb") as file:
            return Holder(**orjson.loads(file.read()))
    except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
        return None
