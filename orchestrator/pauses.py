"""What is paused: everything, or the tasks with a label. `state/paused.json` says it, and stays over restarts.

The daemon alone writes that file. Whoever wants something paused leaves a request in inbox (`all.pause`,
`team=data.resume`), which the daemon fulfils before it starts anything else; faces read both, so that a request counts
for them as soon as it lies there.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, unquote

import orjson

from orchestrator import failpoint
from orchestrator.event import to_second, utc_now
from orchestrator.home import Home
from orchestrator.spool import files, names

ALL = "all"
Verb = Literal["pause", "resume"]

_SUFFIX: dict[Verb, str] = {"pause": names.PAUSE_SUFFIX, "resume": names.RESUME_SUFFIX}
_UNQUOTED = " !$&'()*+,:;=@[]^{|}"
_LONGEST_NAME = 255
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Pause:
    """`what` is `all` or `KEY=VALUE`; the times are UTC, `until` None where only a person ends it."""

    what: str
    since: str
    until: str | None = None

    def covers(self, labels: Mapping[str, str]) -> bool:
        key, found, value = self.what.partition("=")
        return not found or labels.get(key) == value

    def left_s(self, now: float) -> float | None:
        """Seconds until it is over, at least 0; `now` is in seconds since the epoch."""
        return None if self.until is None else max(0.0, datetime.fromisoformat(self.until).timestamp() - now)

    def sentence(self) -> str:
        """`everything is paused (since 2026-01-31T12:00:00Z)`."""
        what = "everything is" if self.what == ALL else f"tasks with {names.readable(self.what)} are"
        until = f", until {to_second(self.until)}" if self.until else ""
        return f"{what} paused (since {to_second(self.since)}{until})"


@dataclass(frozen=True, slots=True)
class Request:
    """A request in inbox. `came` (seconds since the epoch) gives the order of several, and with `inode` tells it from a
    later one of its name."""

    name: str
    what: str
    verb: Verb
    until: str | None
    came: float
    inode: int


Pauses = Mapping[str, Pause]
"""By what is paused."""


# ── what stands ────────────────────────────────────────────────────────────────────────────────────


def read(home: Home) -> dict[str, Pause]:
    """What the daemon has written. Raises ValueError where that is not readable as such, OSError."""
    try:
        with open(home.paused, "rb") as file:
            found = orjson.loads(file.read())["pauses"]
        paused = [Pause(**item) for item in found]
        for pause in paused:
            pause.left_s(0.0)
    except FileNotFoundError:
        return {}
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{home.paused} is not as the daemon writes it") from error
    return {pause.what: pause for pause in paused}


def write(home: Home, paused: Iterable[Pause]) -> None:
    """Make it durable. Raises OSError."""
    if lines := [asdict(pause) for pause in paused]:
        data = orjson.dumps({"pauses": lines}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        files.replace_file(home.paused, data, sync=True)
    else:
        with suppress(FileNotFoundError):
            os.unlink(home.paused)
    files.sync_folder(home.state)
    failpoint.reach("pause.written")


def standing(home: Home, now: float | None = None) -> dict[str, Pause]:
    """What is paused at present, with what is asked for: for faces. A file that is not readable pauses everything, as
    it does for the daemon."""
    now = time.time() if now is None else now
    try:
        paused: Pauses = read(home)
    except ValueError:
        paused = {ALL: Pause(ALL, utc_now(os.stat(home.paused).st_mtime))}
    with suppress(FileNotFoundError):  # no queue yet
        for request in in_order(home, os.listdir(home.inbox)):
            paused = after(paused, request)
    return {what: pause for what, pause in paused.items() if pause.left_s(now) != 0}


def after(paused: Pauses, request: Request) -> dict[str, Pause]:
    """What is paused when a request is fulfilled: doing it twice makes no difference."""
    others = {what: pause for what, pause in paused.items() if what != request.what}
    if request.verb == "resume":
        return others
    earlier = paused.get(request.what, Pause(request.what, utc_now(request.came)))
    return others | {request.what: replace(earlier, until=request.until)}


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


def ask(home: Home, what: str, verb: Verb, until: str | None = None) -> None:
    """Leave a request, durably; it takes the place of an earlier one about the same. Raises ValueError for a label that
    is too long for a file's name, OSError."""
    name = request_name(what, verb)
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise ValueError(f"the label {what} is too long to be paused by its name")
    data = orjson.dumps({"until": until}) if until else b""
    files.replace_file(f"{home.inbox}/{name}", data, sync=True)
    with suppress(FileNotFoundError):
        os.unlink(f"{home.inbox}/{request_name(what, 'resume' if verb == 'pause' else 'pause')}")
    files.sync_folder(home.inbox)
    failpoint.reach("pause.asked")


def is_asked(home: Home, what: str, verb: Verb) -> bool:
    """Whether such a request lies in inbox."""
    return os.path.lexists(f"{home.inbox}/{request_name(what, verb)}")


def request_name(what: str, verb: Verb) -> str:
    """The file's name for a request: what can't stand in a name is written as in a URL."""
    key, found, value = what.partition("=")
    name = f"{quote(key, _UNQUOTED)}{found}{quote(value, _UNQUOTED)}"
    return f"{'%2E' + name[1:] if name[0] == '.' else name}{_SUFFIX[verb]}"


def in_order(home: Home, found: Collection[str]) -> list[Request]:
    """The requests among these names of inbox, in the order in which they came. What means nothing is left out."""
    requests = (_read(home, name) for name in found if name.endswith((names.PAUSE_SUFFIX, names.RESUME_SUFFIX)))
    return sorted((request for request in requests if request is not None), key=lambda request: request.came)


def still_there(home: Home, request: Request) -> bool:
    """Whether it is this request that lies in inbox, and not a later one of its name."""
    return _read(home, request.name) == request


def _read(home: Home, name: str) -> Request | None:
    verb: Verb = "pause" if name.endswith(names.PAUSE_SUFFIX) else "resume"
    what = unquote(name[: -len(_SUFFIX[verb])])
    if names.is_temporary(name) or (what != ALL and "=" not in what):
        return None
    try:
        fd = os.open(f"{home.inbox}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        data = os.read(fd, _LARGEST) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(fd)
    return Request(name, what, verb, _until(data), status.st_ctime, status.st_ino)


def _until(data: bytes) -> str | None:
    """The end that a request names; one that is not understood is none, so that what was to pause does."""
    try:
        found: Any = orjson.loads(data)["until"]
        datetime.fromisoformat(found)
    except (TypeError, KeyError, ValueError):
        return None
    return str(found)
