"""Learning that a child has ended, without reaping it where the system allows.

A step's process group may only be killed while its leader is not reaped: until then nobody else can get
its number. On Linux a pidfd per child sits in one epoll, which is one reader of the event loop. Elsewhere a
thread per child waits, and has to reap to do so.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from orchestrator.errors import is_shortage

# The wait status, and what the child used, if that is known.
Reaped = tuple[int, resource.struct_rusage | None]
_Ended = Callable[[Reaped | None], None]
_Wait = Callable[[int, _Ended], None]


class ExitWatch(Protocol):
    """Calls back once, on the loop, when a child has ended; with its status if that took reaping it."""

    def watch(self, pid: int, ended: _Ended) -> None: ...

    def close(self) -> None: ...


def exit_watch(loop: asyncio.AbstractEventLoop) -> ExitWatch:
    """The best watch of this host."""
    if sys.platform == "linux" and _pidfd_works():
        return PidfdWatch(loop)
    return ThreadWatch(loop)


def _pidfd_works() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # before Linux 5.3, or forbidden by a container's filter
        return False
    return True


class PidfdWatch:
    """An epoll of pidfds: cheaper than a reader of the loop per child, and many exits cost one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._ended: dict[int, _Ended] = {}
        loop.add_reader(self._epoll.fileno(), self._look)

    def watch(self, pid: int, ended: _Ended) -> None:
        """Raises OSError if neither a descriptor and a watch nor a thread is left; the child is then not watched."""
        try:
            self._ended[self._register(pid)] = ended
        except OSError as error:
            if not is_shortage(error):
                raise
            _start_thread(self._wait_in_thread, pid, ended)

    def _register(self, pid: int) -> int:
        fd = os.pidfd_open(pid)
        try:
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)  # ENOSPC: the user's limit of watches
        except OSError:
            os.close(fd)
            raise
        return fd

    def _wait_in_thread(self, pid: int, ended: _Ended) -> None:
        """What needs no descriptor, and does not reap either."""
        with suppress(ChildProcessError):  # the holder of a sandbox, which is ours only when its builder is dead
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self._loop.call_soon_threadsafe(ended, None)

    def _look(self) -> None:
        for fd, _ in self._epoll.poll(0):
            ended = self._ended.pop(fd)
            # Closing ends the registration; one-shot, because a child that is just being started may hold a
            # copy of the descriptor for a moment, and the number may be given out again before that.
            os.close(fd)
            ended(None)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        for fd in self._ended:
            os.close(fd)


class ThreadWatch:
    """A thread per child, in `wait4`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def watch(self, pid: int, ended: _Ended) -> None:
        _start_thread(self._wait_in_thread, pid, ended)

    def _wait_in_thread(self, pid: int, ended: _Ended) -> None:
        _, status, usage = os.wait4(pid, 0)
        self._loop.call_soon_threadsafe(ended, (status, usage))

    def close(self) -> None:
        """The threads end with their children."""


def _start_thread(wait: _Wait, pid: int, ended: _Ended) -> None:
    try:
        threading.Thread(target=wait, args=(pid, ended), name=f"wait-{pid}", daemon=True).start()
    except RuntimeError as error:  # the system has no thread left to give
        raise OSError(errno.EAGAIN, str(error)) from error
