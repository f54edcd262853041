"""One daemon per home: an flock on `state/daemon.lock`, and `state/daemon.json`, which says who holds it.

This is the daemon's side; `home.daemon_runs` and `home.daemon_pid` ask.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any

from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_pid
from orchestrator.spool import files

BUSY = 75  # EX_TEMPFAIL, sysexits.h
_TRIES = 20
_PAUSE_S = 0.02
_NOTE_BYTES = 4096


class DaemonLock:
    """Held for the life of the daemon. The lock dies with the process, however it dies."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fd = -1
        self._note = -1
        self._facts: dict[str, Any] = {"pid": os.getpid()}

    def take(self) -> None:
        """Raises FatalError (exit 75) if another daemon holds it."""
        fd = os.open(self._home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _locked(fd):
            os.close(fd)
            pid = daemon_pid(self._home)
            raise FatalError(
                f"a daemon runs for {self._home.root} already (pid {pid or 'unknown'}): "
                f"use it, or stop it first (`kill {pid or 'PID'}`)",
                exit_code=BUSY,
            )
        self._fd = fd

    def held(self) -> bool:
        """Whether the lock file is still the one that we hold: replaced, it would let a second daemon in."""
        try:
            there = os.stat(self._home.lock)
        except FileNotFoundError:
            return False
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def announce(self, **facts: Any) -> None:
        """Tell the faces about this daemon, beside what they were told before. Raises OSError.

        In place after the first time: what is to be told may be that the disk is full, or no descriptor left."""
        self._facts |= facts
        data = json.dumps(self._facts, ensure_ascii=False).encode("utf-8", "replace").ljust(_NOTE_BYTES)
        if self._note < 0:
            files.replace_file(self._home.daemon, data)
            self._note = os.open(self._home.daemon, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        else:
            os.pwrite(self._note, data, 0)

    def release(self) -> None:
        if self.held():  # else the note is the other daemon's
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._home.daemon)
        if self._note >= 0:
            os.close(self._note)
        os.close(self._fd)


def _locked(fd: int) -> bool:
    """Take the lock. Whoever asks whether a daemon runs holds it shared for an instant, so one refusal says nothing."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False
