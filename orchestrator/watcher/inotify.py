"""inotify(7) on one folder, read by the event loop."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct

from orchestrator.watcher import Hint

_IN_CLOSE_WRITE = 0x0008
_IN_MOVED_TO = 0x0080
_IN_CREATE = 0x0100
_IN_DELETE_SELF = 0x0400
_IN_MOVE_SELF = 0x0800
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x0100_0000

# Arrivals alone. IN_CREATE is for hard links, which come without being written; IN_MOVED_FROM is left out on
# purpose: every claim would cause one.
_MASK = _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
_LOST = _IN_IGNORED | _IN_DELETE_SELF | _IN_MOVE_SELF
_BLIND = _IN_Q_OVERFLOW | _LOST
_HEADER = struct.Struct("iIII")
_READ = 256 * 1024


class InotifyWatcher:
    """See `orchestrator.watcher`. Raises OSError where the kernel has no watch left to give."""

    def __init__(self, folder: str, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._folder = folder
        self._loop = loop
        self._hint = hint
        self._fd = -1
        self._inode: tuple[int, int] | None = None
        self._lost = False

    def start(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if fd < 0:
            raise _error("inotify_init1", self._folder)
        if libc.inotify_add_watch(fd, os.fsencode(self._folder), _MASK) < 0:
            error = _error("inotify_add_watch", self._folder)
            os.close(fd)
            raise error
        # If it is replaced at this very moment, the kernel tells so of the watch (`_lost`).
        self._inode = _inode_of(self._folder)
        self._fd, self._lost = fd, False
        self._loop.add_reader(fd, self._readable)

    def renew(self) -> bool:
        before = self._inode
        if self._fd >= 0 and not self._lost and _inode_of(self._folder) == before:
            return False
        self.close()
        self.start()
        return before not in (None, self._inode)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        names: set[str] = set()
        blind = False
        at = 0
        while at < len(data):
            _, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            if mask & _BLIND:
                blind = True
                self._lost = self._lost or bool(mask & _LOST)
            if length:
                names.add(os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length
        self._hint(None if blind else names)


def _inode_of(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _error(call: str, folder: str) -> OSError:
    """The kernel's words for these two mislead: no disk is full, and hardly ever are too many files open."""
    code = ctypes.get_errno()
    short = {errno.ENOSPC: "fs.inotify.max_user_watches", errno.EMFILE: "fs.inotify.max_user_instances"}.get(code)
    why = f"this user has no more of {short}" if short else os.strerror(code)
    return OSError(code, f"{call}: {why}", folder)
