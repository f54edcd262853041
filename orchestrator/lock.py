"""One daemon per home: an flock on `state/daemon.lock`, and the note beside it that says who holds it.

Standard library only. Whether a daemon runs is asked of the lock, never of the pid: pids are reused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import Any

from orchestrator.errors import FatalError
from orchestrator.home import Home
from orchestrator.spool import files

BUSY = 75  # EX_TEMPFAIL, sysexits.h


def note_path(home: Home) -> str:
    """Where the daemon says that it is ready: pid, ready, started_at."""
    return f"{home.state}/daemon.json"


class DaemonLock:
    """Held for the life of the daemon. The lock dies with the process, however it dies."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fd = -1

    def take(self) -> None:
        """Raises FatalError (exit 75) if another daemon holds it."""
        fd = os.open(self._home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            pid = running_daemon(self._home)
            raise FatalError(
                f"a daemon runs for {self._home.root} already (pid {pid or 'unknown'}): "
                f"use it, or stop it first (`kill {pid or 'PID'}`)",
                exit_code=BUSY,
            ) from error
        self._fd = fd

    def held(self) -> bool:
        """Whether the lock file is still the one that we hold: replaced, it would let a second daemon in."""
        try:
            there = os.stat(self._home.lock)
        except FileNotFoundError:
            return False
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def announce(self, note: dict[str, Any]) -> None:
        """Tell the faces about this daemon."""
        files.replace_file(note_path(self._home), json.dumps({"pid": os.getpid(), **note}).encode())

    def release(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(note_path(self._home))
        os.close(self._fd)


def running_daemon(home: Home) -> int | None:
    """The pid of the daemon that serves this home, 0 if it has not told its pid yet, None if there is none."""
    try:
        fd = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(read_note(home).get("pid", 0))
    finally:
        os.close(fd)
    return None


def read_note(home: Home) -> dict[str, Any]:
    """What the daemon announced; empty if it has not yet."""
    try:
        with open(note_path(home), "rb") as handle:
            note = json.loads(handle.read())
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
