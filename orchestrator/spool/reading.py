"""Read a dropped file once, without trusting it: what it is, whether it is still being written, its bytes.

A symlink, FIFO, device or folder is never opened for its content; nothing here blocks on a FIFO without writer.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from dataclasses import dataclass

from orchestrator.errors import is_shortage

LARGEST_READ = 256 * 1024 + 1  # intake's largest limit and one more byte, so that intake can say "too large"

Signature = tuple[int, int, int]
"""Inode, size and mtime in ns: a file with the same signature has not been touched since."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The file is no longer there: renamed, claimed or removed by someone."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not a regular file, or not readable: no spec, whatever it holds."""

    why: str


@dataclass(frozen=True, slots=True)
class Writing:
    """A writer still has it open."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes, and when they were last touched: `arrived_ns` is the inode's change time (wall clock)."""

    data: bytes
    signature: Signature
    arrived_ns: int
    quiet_s: float


Look = Gone | Refused | Writing | Content

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def kind_of(mode: int) -> str | None:
    """The kind of thing that is no regular file, in words; None for a regular file."""
    return next((words for test, words in _KINDS if test(mode)), None)


def look(path: str) -> Look:
    """Open without following links or waiting, and read. Never raises for what a person may have put there.

    Raises OSError where the fault is the machine's (`errors.is_shortage`): the file may be good, look again later."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        return Gone()
    except BlockingIOError:  # someone (a file server, say) holds a lease on it, which is being asked back now
        return Writing()
    except OSError as error:
        return _refusal(path, error)
    try:
        status = os.fstat(fd)
        kind = kind_of(status.st_mode)
        if kind is not None:
            return Refused(f"it is {kind}, not a file")
        if _has_writer(fd):
            return Writing()
        data = _read(fd)
        after = os.fstat(fd)
    except OSError as error:
        if is_shortage(error):
            raise
        return Refused(f"it cannot be read: {error.strerror}")
    finally:
        os.close(fd)
    signature = signature_of(after)
    if signature != signature_of(status):
        return Writing()
    # A clock that was set back gives a negative age: such a file counts as just touched.
    quiet = max(0.0, time.time() - max(after.st_mtime, 0.0))
    return Content(data, signature, after.st_ctime_ns, quiet)


def signature_of(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _refusal(path: str, error: OSError) -> Look:
    if is_shortage(error):
        raise error
    try:
        kind = kind_of(os.lstat(path).st_mode)
    except FileNotFoundError:
        return Gone()
    return Refused(f"it is {kind}, not a file" if kind else f"it cannot be read: {error.strerror}")


def _read(fd: int) -> bytes:
    chunks = []
    left = LARGEST_READ
    while left > 0 and (chunk := os.read(fd, left)):
        chunks.append(chunk)
        left -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


if sys.platform == "linux":
    import fcntl

    def _has_writer(fd: int) -> bool:
        """Ask the kernel for a read lease, which it refuses while anyone has the file open for writing.

        Works for the file's owner on local file systems; where it can't be asked, the answer is no, and the
        settle rule decides. The caller's process must not die of SIGIO, which a writer that comes in the
        instant between the two calls would cause: the daemon installs a handler.
        """
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

else:

    def _has_writer(fd: int) -> bool:  # noqa: ARG001 - no such question elsewhere; the settle rule decides
        return False
