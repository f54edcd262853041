"""The end of everything that a dead daemon left: every process of this user that carries a home's mark.

For the successor, before it touches the queue. Processes are killed through pidfds, so that a number that was
given to another process in between is never hit.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

from orchestrator.runners.process.marks import VARIABLE, is_under, read_mark

_CLEAN_LOOKS = 2
_PAUSE = 0.005


def sweep(mark: str, *, patience: float = 5.0) -> int:
    """Kill all that carries `mark` or a mark below it; the number of processes killed.

    Looks again until two looks in a row find nothing, because a process reads as unmarked for a moment while
    it is replaced by exec. Blocks for milliseconds, at most `patience` seconds; raises TimeoutError with the
    pids that are still there then.
    """
    kill = _kill_by_pidfd if hasattr(os, "pidfd_open") else _kill_by_psutil
    give_up = time.monotonic() + patience
    killed: set[int] = set()
    clean = 0
    while clean < _CLEAN_LOOKS:
        found = {pid for pid in _marked(mark) if kill(pid, mark)}
        killed |= found
        clean = 0 if found else clean + 1
        if time.monotonic() > give_up:
            raise TimeoutError(f"these processes of an earlier daemon can't be ended: {sorted(found)}")
        time.sleep(_PAUSE)
    return len(killed)


def _marked(mark: str) -> Iterator[int]:
    pids = _pids_by_proc() if sys.platform == "linux" else _pids_by_psutil()
    return (pid for pid in pids if pid != os.getpid() and is_under(_mark_of(pid), mark))


def _mark_of(pid: int) -> str | None:
    return read_mark(pid) if sys.platform == "linux" else _mark_by_psutil(pid)


def _pids_by_proc() -> Iterator[int]:
    user = os.getuid()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and _is_owned_by(entry, user):
                yield int(entry.name)


def _is_owned_by(entry: os.DirEntry[str], user: int) -> bool:
    try:
        return entry.stat().st_uid == user
    except FileNotFoundError:
        return False


def _kill_by_pidfd(pid: int, mark: str) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_under(read_mark(pid), mark):
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(fd)
    return True


def _pids_by_psutil() -> Iterator[int]:
    import psutil

    yield from psutil.pids()


def _mark_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        return psutil.Process(pid).environ().get(VARIABLE)
    except (psutil.Error, OSError):
        return None


def _kill_by_psutil(pid: int, mark: str) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        if not is_under(process.environ().get(VARIABLE), mark):
            return False
        process.kill()  # it compares the start time first
    except (psutil.Error, OSError):
        return False
    return True
