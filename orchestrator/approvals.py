"""A person's answers to what the gate holds back: `state/approvals/`, a file for each answer that is not used yet.

Rule: an answer is about one spec as it means and one set of script files as they read, and it is good for one run. It
is used by a rename into the folder of that run, made durable before the run's first step starts; so it can't be used
twice, whatever crashes. That of a recurring spec is never used: for each firing the daemon makes one from it, good for
that run alone. The command line writes answers here, and not into inbox, because a task may write there and
must not be able to approve itself. The daemon takes them away.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Literal

import orjson

from orchestrator import clock, failpoint
from orchestrator.event import to_second, utc_now
from orchestrator.home import Home
from orchestrator.outcome import Decision
from orchestrator.person import person
from orchestrator.spec import Task
from orchestrator.spool import files, names
from orchestrator.spool.alone import alone_in

USED = "approval.json"
"""The answer's name in the folder of the run that used it."""

_LARGEST = 1024 * 1024
_BOOT = re.compile(r"(?:\S+ \d+\.\d+)?")


class Withdrawn(Exception):
    """The answer is no longer there, or another one has taken its place."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said about one task. `name` is the file's name in the queue, `spec` the digest of what it means,
    `files` path and SHA-256 of each script that the gate read. Times are UTC in ISO 8601; the run must have begun
    before `until`. `boot` is the same moment on a clock that can't be set, after the name of the machine's run in which
    it counts; empty where the system has none. `text` is the note of an approval, the why of a rejection. `of` is the
    id of the recurring task whose approval it was made from."""

    verdict: Literal["approved", "rejected"]
    id: str
    name: str
    spec: str
    files: tuple[tuple[str, str], ...]
    by: str
    via: str
    at: str
    until: str
    text: str = ""
    boot: str = ""
    of: str = ""

    def told(self) -> dict[str, str | None]:
        """What results and telemetry say of it: `approved_by`, `approved_at`, `approved_via` and `note`, or
        `rejected_by`, `rejected_at`, `rejected_via` and `why`."""
        facts = {f"{self.verdict}_{key}": getattr(self, key) for key in ("by", "at", "via")}
        return facts | {"note" if self.verdict == "approved" else "why": self.text or None}

    @property
    def called(self) -> str:
        """`the approval by anna@host of 2026-01-31T12:00:00Z`."""
        noun = "approval" if self.verdict == "approved" else "rejection"
        return f"the {noun} by {self.by} of {to_second(self.at)}"

    def why_over(self, now: str | None = None) -> str | None:
        """Why its time is up; None if it is not. Setting the clock back does not make it longer."""
        if self.until <= (now or utc_now()):
            return f"it expired at {to_second(self.until)}"
        boot, _, until = self.boot.partition(" ")
        if boot and boot == clock.boot_id() and clock.boot_seconds() >= float(until):
            return f"it expired: the clock was set back since it was given to last until {to_second(self.until)}"
        return None

    def why_void(self, spec: str, files: Sequence[tuple[str, str]], now: str | None = None) -> str | None:
        """Why it does not hold for a spec of this digest whose scripts read so; None if it does."""
        return self.why_over(now) or self.why_changed(spec, files) or self._why_gone(files)

    def _why_gone(self, files: Sequence[tuple[str, str]]) -> str | None:
        gone = sorted({path for path, _ in self.files} - {path for path, _ in files})
        return f"{gone[0]} is not there any more" if gone else None

    def why_changed(self, spec: str, files: Sequence[tuple[str, str]]) -> str | None:
        """Why it is about something else, as a run that has begun in time may still find; None if it is not."""
        if self.spec != spec:
            return "the spec was changed since"
        known = dict(self.files)
        for path, digest in files:
            if known.get(path) != digest:
                return f"{path} was changed since" if path in known else f"it did not cover {path}"
        return None


def digest(task: Task) -> str:
    """SHA-256 of what a spec means: how it is written down makes no difference, a value that differs does."""
    plain = task.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def compose(
    verdict: Literal["approved", "rejected"], task: Task, name: str, decision: Decision, *, seconds: float, text: str
) -> Answer:
    """The answer that the person at this command line gives now, good for so many seconds."""
    now, boot = time.time(), clock.boot_id()
    by, via = person()
    return Answer(
        verdict, task.id, names.readable(name), digest(task), decision.files,
        by, via, utc_now(now), utc_now(now + seconds), text,
        f"{boot} {clock.boot_seconds() + seconds:.3f}" if boot else "",
    )  # fmt: skip


def locked(home: Home) -> AbstractContextManager[None]:
    """Hold off other command lines that put specs back: of two at once the second finds what the first has done."""
    return alone_in(home.approvals)


def give(home: Home, given: Answer) -> None:
    """Put an answer down, durably; an earlier one about the same spec gives way. Raises OSError."""
    path = _path(home, given.id, given.spec)
    temporary = f"{home.approvals}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    data = orjson.dumps(given, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    files.write_new(temporary, data, sync=True)
    os.rename(temporary, path)
    files.sync_folder(home.approvals)
    failpoint.reach("approval.given")


def allow_firing(home: Home, recurring: Task, firing: Task, name: str) -> None:
    """Where a person approved a recurring task as it is now: put down the approval of this one firing of it, whose file
    is called `name`, for the same scripts and until the same time. Raises OSError."""
    standing = _read(_path(home, recurring.id, digest(recurring)))
    if standing is None or standing.verdict != "approved" or standing.why_over():
        return
    via = f"{standing.via}, for every firing of {recurring.id}"
    give(home, replace(standing, id=firing.id, name=name, spec=digest(firing), via=via, of=recurring.id))


def revoke(home: Home, recurring_id: str) -> None:
    """Take back what was made from the approval of a recurring task and not used yet. Raises OSError."""
    for given in everything(home):
        if given.of == recurring_id:
            take_back(home, given)


def take_back(home: Home, given: Answer) -> None:
    """Remove an answer that could not be acted upon, unless it was used or replaced meanwhile."""
    path = _path(home, given.id, given.spec)
    if _read(path) == given:
        with suppress(FileNotFoundError):  # used at this very moment
            os.unlink(path)
        files.sync_folder(home.approvals)


def everything(home: Home) -> Iterator[Answer]:
    """Every answer that is not used, in no order. What is no answer is left out."""
    for path in _paths(home):
        if (found := _read(path)) is not None:
            yield found


def unreadable(home: Home) -> list[str]:
    """The files in state/approvals that are no answers, or not from someone who may give them."""
    return [path for path in _paths(home) if _read(path) is None and os.path.lexists(path)]


def find(home: Home, task_id: str, name: str, spec: str) -> Answer | None:
    """The answer about this spec; else one about an earlier version of it, under the same name."""
    if (found := _read(_path(home, task_id, spec))) is not None:
        return found
    earlier = [other for other in everything(home) if (other.id, other.name) == (task_id, names.readable(name))]
    return max(earlier, key=lambda other: other.at, default=None)


def use(home: Home, used: Answer, folder: str) -> None:
    """Move an answer into the folder of the run that meets it, durably. Blocks for the disk.

    Raises Withdrawn where it is gone or another one stands in its place, which then stays; OSError.
    """
    path, place = _path(home, used.id, used.spec), f"{folder}/{USED}"
    try:
        os.rename(path, place)
    except FileNotFoundError as error:
        raise Withdrawn(used.called) from error
    if _read(place) != used:
        give_back(home, used, folder)
        raise Withdrawn(used.called)
    failpoint.reach("approval.moved")
    files.sync_folder(folder)
    files.sync_folder(home.approvals)
    failpoint.reach("approval.used")


def give_back(home: Home, used: Answer, folder: str) -> None:
    """The run is known to have started nothing: its answer, if it had come to it, counts again. Raises OSError."""
    try:
        files.rename_no_replace(f"{folder}/{USED}", _path(home, used.id, used.spec))
    except (FileNotFoundError, FileExistsError):
        return  # not used, or answered anew meanwhile
    failpoint.reach("approval.returned")


def used_by(folder: str) -> Answer | None:
    """The answer that the run in this folder met."""
    return _read(f"{folder}/{USED}")


def remove_expired(home: Home) -> list[Answer]:
    """Remove what has expired and no spec in the queue can meet any more; returns what was removed."""
    removed = []
    for given in everything(home):
        if not given.why_over() or any(
            os.path.lexists(f"{folder}/{given.name}") for folder in (home.inbox, home.failed, home.scheduled)
        ):
            continue
        take_back(home, given)
        removed.append(given)
    return removed


def _path(home: Home, task_id: str, spec: str) -> str:
    return f"{home.approvals}/{_name(task_id, spec)}"


def _name(task_id: str, spec: str) -> str:
    return f"{task_id}.{spec}.json"


def _paths(home: Home) -> list[str]:
    try:
        found = os.listdir(home.approvals)
    except FileNotFoundError:
        return []
    return sorted(f"{home.approvals}/{name}" for name in found if not names.is_temporary(name))


def _read(path: str) -> Answer | None:
    """None for what is gone, is no answer, or could have been written by someone else than this user or root."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
            return None
        value = orjson.loads(os.read(fd, _LARGEST))
        found = Answer(**value | {"files": tuple((str(file), str(digest)) for file, digest in value["files"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    finally:
        os.close(fd)
    texts = (getattr(found, key) for key in Answer.__slots__ if key != "files")
    sound = found.verdict in ("approved", "rejected") and all(isinstance(text, str) for text in texts)
    sound = sound and _BOOT.fullmatch(found.boot) is not None
    # Under another name it could be found and never be used: a copy, say.
    return found if sound and os.path.basename(path) in (USED, _name(found.id, found.spec)) else None
