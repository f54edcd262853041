"""What is on record about each worktree: `state/worktrees/<id>/<n>.json`, beside the worktree `<n>` itself.

Rule: the record is durable before anything is made, and is removed after everything else is. So whatever a crash
leaves is known, and no folder and no branch is ever touched that no record names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

from orchestrator.home import Home
from orchestrator.spool import files
from orchestrator.spool.alone import alone_in

State = Literal["making", "setup", "open", "kept", "removing"]
"""`making`: nothing of the task has run in it. `setup`: its setup runs. `open`: its run works in it. `kept`: that run
is over. `removing`: found to hold nothing that would be lost, and about to be gone."""
_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Record:
    """One worktree. `runs` are those that worked in it; `common` is the repository's folder of objects and refs, `base`
    the commit it began with, `tip` the last one it is known to have had. `copied` are the copied files that git would
    show: name, size, mtime in ns. `why` says why it was kept; `wanted` that the task's `keep` is a reason, `goes_on`
    that the next run of the task may take it up; `set_up` that its setup has ended well. `makings` counts how often it
    was begun, `lost` says what would be lost with it."""

    id: str
    number: int
    runs: tuple[int, ...]
    repo: str
    common: str
    branch: str
    base: str
    state: State
    since: str
    keep: str = "on_failure"
    tip: str = ""
    copied: tuple[tuple[str, int, int], ...] = ()
    why: str = ""
    lost: str = ""
    wanted: bool = False
    goes_on: bool = False
    set_up: bool = False
    makings: int = 1

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.id}/{self.number}"

    def path(self, home: Home) -> str:
        """Never read from the file: nobody who could write that shall say what is removed."""
        return f"{home.worktrees}/{self.id}/{self.number}"


def write(home: Home, record: Record) -> None:
    """Put it on record, durably. Blocks on the disk. Raises OSError."""
    folder = f"{home.worktrees}/{record.id}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = f"{folder}/{record.number}{_ENDING}"
    files.replace_file(path, json.dumps(asdict(record), indent=1).encode())
    for each in (folder, home.worktrees, home.state):
        files.sync_folder(each)
    files.sync_file(path)


def remove(home: Home, record: Record) -> None:
    """Forget it: the last thing that happens to a worktree."""
    folder = f"{home.worktrees}/{record.id}"
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{record.number}{_ENDING}")
    with suppress(OSError):  # it holds other worktrees of this task
        os.rmdir(folder)


def read(home: Home, task_id: str, number: int) -> Record | None:
    """None if there is none, or one that can't be understood: that is left for a person."""
    try:
        with open(f"{home.worktrees}/{task_id}/{number}{_ENDING}", "rb") as handle:
            return _record(json.load(handle), task_id, number)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _record(value: dict[str, Any], task_id: str, number: int) -> Record:
    parts = {**value, "id": task_id, "number": number, "runs": tuple(value["runs"])}
    return Record(**{**parts, "copied": tuple((str(name), int(a), int(b)) for name, a, b in value["copied"])})


def of_task(home: Home, task_id: str) -> list[Record]:
    """Those of one task, the latest first."""
    try:
        names = os.listdir(f"{home.worktrees}/{task_id}")
    except (FileNotFoundError, NotADirectoryError):
        return []
    stems = (name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING))
    numbers = sorted((int(stem) for stem in stems if stem.isdigit()), reverse=True)
    return [record for number in numbers if (record := read(home, task_id, number)) is not None]


def everything(home: Home) -> Iterator[Record]:
    """All of them, by task."""
    with suppress(FileNotFoundError):
        for task_id in sorted(os.listdir(home.worktrees)):
            if task_id[0] != ".":
                yield from of_task(home, task_id)


def of_run(home: Home, task_id: str, run: int) -> Record | None:
    """The worktree that a run worked in."""
    return next((record for record in of_task(home, task_id) if run in record.runs), None)


def to_go_on(home: Home, task_id: str) -> Record | None:
    """The worktree that the next run of a task takes up."""
    return next((record for record in of_task(home, task_id) if record.goes_on and record.state != "removing"), None)


@contextmanager
def guarded(home: Home) -> Iterator[None]:
    """Alone with the records, among all processes: for the moment in which one changes hands. Blocks."""
    os.makedirs(home.worktrees, mode=0o700, exist_ok=True)
    with alone_in(home.worktrees):
        yield
