"""The log in a file of its own, for where no journal takes it: launchd, a container, an init of one's own.

Rule: a file is only appended to, and gives way by a rename when it is full, so that `tail -F` and log shippers miss
nothing: `daemon.log` becomes `daemon.log.1`, that one `.2`, and the last is gone. Someone else may move it away too.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from orchestrator.spool.files import write_all


class LogFile:
    """What structlog and `logging` need of a stream. Any thread may write; what is written at once stays together.

    `max_bytes` bounds one file, unless one line is longer; `keep` is the number of earlier ones.
    """

    encoding = "utf-8"

    def __init__(self, path: str, *, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd = -1
        self._writing = threading.Lock()

    def write(self, text: str) -> int:
        """Raises OSError where the disk refuses it."""
        data = text.encode("utf-8", "replace")
        with self._writing:
            if not self._in_place():
                self._open()
            size = os.fstat(self._fd).st_size
            if size and size + len(data) > self._max_bytes:
                self._rotate()
                self._open()
            write_all(self._fd, data)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """There is none to be had for longer than a moment. Raises OSError, as a stream without one does."""
        raise OSError("a log file that gives way has no descriptor of its own")

    def _in_place(self) -> bool:
        """Whether the open file still stands under its name."""
        try:
            return self._fd >= 0 and os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        self._close()
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            earlier = self._path if number == 1 else f"{self._path}.{number - 1}"
            with suppress(FileNotFoundError):
                os.rename(earlier, f"{self._path}.{number}")
        if not self._keep:
            os.unlink(self._path)
