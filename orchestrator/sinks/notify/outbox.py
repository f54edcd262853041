"""The outbox: what is to be sent lies in `state/notify/`, one file a message, from before the first attempt until it
has arrived or is given up.

Rule: a message's id says of what it is (this end of this run, to this receiver), so that it is put here once however
often it is told, and stays the same however often it is sent. What has arrived is kept in `told`, ids only, as long as
a daemon that starts might tell it again.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from orchestrator import failpoint
from orchestrator.event import TaskFinished
from orchestrator.sinks.notify.message import Message
from orchestrator.spool import files

KEPT_TOLD = 5_000
_TOLD = "told"
_STATE = "receivers.json"
_FILE = re.compile(r"(msg_[0-9a-f]{24})\.json")


@dataclass(slots=True)
class Entry:
    """One message on its way to one receiver. Times are seconds since the epoch. `members` are the ids of the messages
    that it stands for; `on_disk` is False where the disk did not take it."""

    id: str
    receiver: str
    message: Message
    created_at: float
    attempts: int = 0
    not_before: float = 0.0
    error: str = ""
    members: tuple[str, ...] = ()
    on_disk: bool = False

    def as_bytes(self) -> bytes:
        parts = asdict(self)
        del parts["on_disk"]
        return orjson.dumps(parts, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def id_of(*parts: object) -> str:
    """The id of a message of which these are the facts that make it this one."""
    facts = "\0".join(map(str, parts)).encode("utf-8", "replace")
    return f"msg_{hashlib.sha256(facts).hexdigest()[:24]}"


def id_of_end(event: TaskFinished, receiver: str, home: str) -> str:
    """The same for each time that this end is told."""
    outcome = event.outcome
    return id_of(home, receiver, outcome.id, outcome.name, outcome.run, outcome.finished_at)


def new_id() -> str:
    """For what is told once only."""
    return f"msg_{os.urandom(12).hex()}"


class Outbox:
    """The folder, from any thread. Raises OSError only where it says so: a message matters more than its file."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, None] = {}
        self._told: list[str] = []

    def open(self) -> list[Entry]:
        """Make the folder; what waits in it, the oldest first."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        self._told = _read_lines(f"{self._folder}/{_TOLD}")[-KEPT_TOLD:]
        found = read(self._folder)
        self._clean({entry.id for entry in found})
        inside = {member for entry in found for member in entry.members} | set(self._told)
        for entry in found:
            if entry.id in inside:  # a crash came between what stands for it and its own removal
                self._remove(entry)
        entries = [entry for entry in found if entry.id not in inside]
        self._known = dict.fromkeys([*inside, *(entry.id for entry in entries)])
        return entries

    def knows(self, id: str) -> bool:
        """Whether this message was put here before, whatever became of it."""
        return id in self._known

    def put(self, entries: Iterable[Entry]) -> OSError | None:
        """Make them durable; what kept the disk from taking them, if anything did."""
        trouble = None
        entries = list(entries)
        for entry in entries:
            self._known[entry.id] = None
            try:
                with self._lock:
                    files.replace_file(self._path(entry), entry.as_bytes())
                files.sync_file(self._path(entry))
                entry.on_disk = True
            except OSError as error:
                trouble = error
        try:
            files.sync_folder(self._folder)
        except OSError as error:
            trouble = error
        failpoint.reach("notify.kept")
        return trouble

    def bundle(self, entry: Entry, members: Iterable[Entry]) -> None:
        """Put one that stands for others, and take these away."""
        self.put([entry])
        failpoint.reach("notify.bundled")
        if entry.on_disk:
            for member in members:
                self._remove(member)

    def update(self, entry: Entry) -> None:
        """Write how far it has come; not synced, as an attempt that is not counted is only made once more."""
        with suppress(OSError), self._lock:
            files.replace_file(self._path(entry), entry.as_bytes())
            entry.on_disk = True

    def done(self, entry: Entry) -> None:
        """It has arrived, or is given up: never again."""
        with self._lock:
            self._note_told([entry.id, *entry.members])
        failpoint.reach("notify.told")
        self._remove(entry)

    def publish(self, facts: dict[str, Any]) -> None:
        """Write how the receivers are, for those who look."""
        with suppress(OSError), self._lock:
            files.replace_file(f"{self._folder}/{_STATE}", orjson.dumps(facts))

    def _clean(self, readable: set[str]) -> None:
        """Remove what a crash cut short before it was durable."""
        for name in os.listdir(self._folder):
            found = _FILE.fullmatch(name)
            if (found and found[1] not in readable) or name.endswith(".tmp"):
                with suppress(OSError):
                    os.unlink(f"{self._folder}/{name}")
        if self._told:
            files.replace_file(f"{self._folder}/{_TOLD}", _lines(self._told))

    def _path(self, entry: Entry) -> str:
        return f"{self._folder}/{entry.id}.json"

    def _remove(self, entry: Entry) -> None:
        with suppress(OSError):
            os.unlink(self._path(entry))

    def _note_told(self, ids: list[str]) -> None:
        path = f"{self._folder}/{_TOLD}"
        self._told += ids
        with suppress(OSError):
            if len(self._told) > 2 * KEPT_TOLD:
                for id in self._told[:-KEPT_TOLD]:
                    self._known.pop(id, None)
                self._told = self._told[-KEPT_TOLD:]
                files.replace_file(path, _lines(self._told))
                files.sync_file(path)
                return
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                files.write_all(fd, _lines(ids))
                files.sync_data(fd)
            finally:
                os.close(fd)


def read(folder: str) -> list[Entry]:
    """What waits in an outbox, the oldest first; also for those who only look."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = (_entry(f"{folder}/{name}") for name in names if _FILE.fullmatch(name))
    return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.created_at)


def published(folder: str) -> dict[str, dict[str, Any]]:
    """How the receivers are, as the daemon last said; by label."""
    try:
        with open(f"{folder}/{_STATE}", "rb") as handle:
            facts = orjson.loads(handle.read())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _entry(path: str) -> Entry | None:
    """None for what is gone, or was cut short by a power cut before it was durable."""
    try:
        with open(path, "rb") as handle:
            parts = orjson.loads(handle.read())
        message = Message(**parts.pop("message"))
        return Entry(**parts | {"members": tuple(parts["members"])}, message=message, on_disk=True)
    except (OSError, orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return None


def _lines(ids: Iterable[str]) -> bytes:
    return b"".join(f"{id}\n".encode() for id in ids)


def _read_lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return [line for line in handle.read().splitlines() if line]
    except FileNotFoundError:
        return []


def now() -> float:
    """Seconds since the epoch: what waits outlasts a restart of the machine."""
    return time.time()
