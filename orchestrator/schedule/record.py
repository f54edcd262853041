"""What is known of a schedule: `state/schedules/<stem>.json`, written by the daemon alone, durable before it is acted
upon.

Rule: a moment is first noted as due (`waiting`), then its task is put into inbox, then it is noted as fired. So after a
crash at any point it is known what is still to be fired; and the name that a moment's task always has tells whether
it was put there already.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

import orjson

from orchestrator.home import Home
from orchestrator.spool import files, names


@dataclass(frozen=True, slots=True)
class Record:
    """Of the schedule in the file `name`, whose bytes have the digest `sha256`: a file that differs was not taken yet.

    `when` is the cron expression, zone and beginning that it goes by. All moments up to `seen` are dealt with, but for
    those `waiting` to be fired; in seconds since the epoch. `last` is the id of the latest firing, which was due at
    `last_due`. `fired`, `missed` and `skipped` count; `why` says why the last that was skipped was."""

    id: str
    name: str
    sha256: str
    when: tuple[str, str, float]
    seen: float
    waiting: tuple[int, ...] = ()
    last: str = ""
    last_due: int = 0
    fired: int = 0
    missed: int = 0
    skipped: int = 0
    skipped_due: int = 0
    why: str = ""


def read(home: Home, stem: str) -> Record | None:
    """What is known of the schedule of this name; None if nothing is, or nothing that can be read."""
    try:
        with open(_path(home, stem), "rb") as file:
            value = orjson.loads(file.read())
        cron, zone, begins = value["when"]
        return Record(**value | {"waiting": tuple(map(int, value["waiting"])), "when": (cron, zone, float(begins))})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write(home: Home, record: Record) -> None:
    """Put it down, durably, in the place of what was known before. Raises OSError."""
    temporary = f"{home.schedules}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    files.write_new(temporary, orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE), sync=True)
    os.rename(temporary, _path(home, names.stem_of(record.name)))
    files.sync_folder(home.schedules)


def stems(home: Home) -> set[str]:
    """The names of all schedules of which something is known."""
    return {name.removesuffix(".json") for name in os.listdir(home.schedules) if not names.is_temporary(name)}


def forget(home: Home, stem: str) -> None:
    """The schedule of this name is no more."""
    with suppress(FileNotFoundError):
        os.unlink(_path(home, stem))


def _path(home: Home, stem: str) -> str:
    return f"{home.schedules}/{stem}.json"
