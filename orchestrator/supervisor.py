"""What the service manager is told: systemd's notification protocol, one datagram a message.

Its rule: telling costs the work nothing. No message waits, and one that is lost is said again by the next beat.
The beat is a timer of the event loop and nothing else sends it: a loop that is blocked falls silent, which is how
the manager notices.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager

BEAT_S = 5.0
BEATS_OF_GRACE = 6
"""While it starts and while it stops, each beat asks for so many beats more of the manager's patience."""


class Supervisor:
    """The manager that started this process, if one did; without one nothing is sent. Used from the loop's thread."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Take the protocol's variables out of the environment: they are not meant for what this process starts."""
        self._address = environ.pop("NOTIFY_SOCKET", "")
        watchdog, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        self._watched = watchdog.isdigit() and int(watchdog) > 0 and pid in ("", str(os.getpid()))
        self._beat_s = min(BEAT_S, int(watchdog) / 3e6) if self._watched else BEAT_S
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        self._told: Callable[[], str] = lambda: "starting"
        self.trouble = ""
        """What is wrong just now; it stands in the status line too."""
        self._patience = True
        self._timer: asyncio.TimerHandle | None = None

    def attend(self) -> None:
        """Begin to beat, on the running loop. Until `ready` each beat asks for time to start."""
        if self._socket is not None:
            self._beat(asyncio.get_running_loop())

    def ready(self, told: Callable[[], str]) -> str:
        """Say that the work has begun; `told` is asked at each beat for the line that `systemctl status` shows.

        Returns why that could not be said, or "": a manager that never hears it ends us as one that did not start.
        """
        self._told, self._patience = told, False
        return self._send("READY=1", self._status())

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the configuration is being read again, and when that is over, however it ended."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reading the configuration")
        try:
            yield
        finally:
            self._send("READY=1", self._status())

    def stopping(self) -> None:
        """Say that the end has begun. From now on each beat asks for time to come to it."""
        self._patience = True
        self._send("STOPPING=1", self._grace(), self._status())

    def close(self) -> None:
        """Fall silent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        lines = ["WATCHDOG=1"] if self._watched else []
        if self._patience:
            lines.append(self._grace())
        self._send(*lines, self._status())
        self._timer = loop.call_later(self._beat_s, self._beat, loop)

    def _grace(self) -> str:
        return f"EXTEND_TIMEOUT_USEC={round(self._beat_s * BEATS_OF_GRACE * 1e6)}"

    def _status(self) -> str:
        return f"STATUS={self._told()}{f'; {self.trouble}' if self.trouble else ''}".replace("\n", " ")

    def _send(self, *lines: str) -> str:
        """Returns why it could not be sent, or ""."""
        if self._socket is None:
            return ""
        if self._address[0] not in "/@":
            return f"NOTIFY_SOCKET={self._address} is no path and no abstract socket"
        # An abstract socket's name begins with a zero byte, which no variable can hold.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            self._socket.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            return f"{self._address}: {error.strerror or error}"
        return ""
