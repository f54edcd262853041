"""Which of our children are what a step left behind, and their end.

Linux gives this process every orphan of a step (it is their subreaper), however they left their group. So
after a step's leader is dead, all that is left of it is a child of ours, or hangs below one, and becomes ours
when that one dies. Nothing is looked for unless the kernel's list of our children names a stranger.

A stranger is a child that no step started and that has a session of its own. Programs that other rooms start
with `subprocess` stay in our session, which an orphan of a step can never enter; those are left alone.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.runners.process.marks import is_under, read_mark

# The kernel hands the list out by pages: with less than nearly a page of it, it was all.
_SURELY_WHOLE = 4000


@dataclass(slots=True, eq=False)
class Member:
    """A step as the family sees it. `pid` is its leader, process group and session at once."""

    pid: int
    mark: str
    pipes: tuple[int, ...] = ()
    killed: int = 0


class Family:
    """The children of this process. Used by the loop's thread alone."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._session = os.getsid(0)
        self._running: dict[bytes, Member] = {}
        self._expected: set[str] = set()
        self._ending: dict[int, Member] = {}
        self._doomed: dict[int, Member | None] = {}
        self._unclear: dict[int, frozenset[int]] = {}
        self._used: dict[int, resource.struct_rusage] = {}
        try:
            # Orphans are given to the main thread. One descriptor serves every reading of its list.
            self._list = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._list = -1

    def close(self) -> None:
        if self._list >= 0:
            os.close(self._list)

    @property
    def sees_only_orphans(self) -> bool:
        """Whether a program that another thread starts is told from an orphan before it is known: the kernel lists
        children by thread, a scan of the host does not. Outside Linux no orphan ever comes to us."""
        return self._list >= 0 or sys.platform != "linux"

    def expect(self, mark: str) -> None:
        """A step of this mark is being started: what it may lose to us before it is known is no leftover."""
        self._expected.add(mark)

    def expect_no_more(self, mark: str) -> None:
        self._expected.discard(mark)

    def add(self, member: Member) -> None:
        self._running[b"%d" % member.pid] = member

    def leader_died(self, member: Member) -> bool:
        """For a leader that was reaped. True if there may be leftovers: then `look` until it says True."""
        del self._running[b"%d" % member.pid]
        if not self._has_strangers():
            return False
        self._ending[member.pid] = member
        return True

    def reap_holder(self, pid: int) -> tuple[bool, resource.struct_rusage | None]:
        """For the holder of a sandbox whose builder is dead: whether it is dead too, and what all inside used, if that
        is not counted for the builder already."""
        if pid in self._used:
            return True, self._used.pop(pid)
        try:
            reaped, _, usage = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            return True, None
        return reaped == pid, usage if reaped == pid else None

    def forget(self, member: Member) -> list[int]:
        """The step is over, as far as we could bring it; what of it is still alive."""
        self._ending.pop(member.pid, None)
        return [pid for pid, owner in self._doomed.items() if owner is member]

    def is_settled(self) -> bool:
        """True if nothing is left that a later look would have to kill."""
        return not self._doomed and not self._unclear

    def look(self, ending: Member | None = None) -> bool:
        """Reap strangers that are dead, kill those whose step is over. True when `ending` needs no more.

        One that is seen for the first time and can't be told apart is worth a second look: while a process is
        replaced by exec its environment reads empty.
        """
        settled = True
        seen = set()
        for pid, session in self._strangers():
            seen.add(pid)
            if self._reap(pid, session):
                settled = False  # its children, if it had any, are ours only now
                continue
            known = pid in self._unclear
            if pid in self._doomed or self._is_leftover(pid, session):
                if self._kill(pid, session) and self._doomed[pid] in (ending, None):
                    settled = False
            elif pid in self._unclear and not known:
                settled = False
        for pid in self._unclear.keys() - seen:
            del self._unclear[pid]
        return settled

    def _has_strangers(self) -> bool:
        if self._list < 0:
            return any(True for _ in self._strangers())
        running = self._running
        for pid in self._children():  # noqa: SIM110  # any() would cost a generator for every step
            if pid not in running and _session_of(int(pid)) != self._session:
                return True
        return False

    def _strangers(self) -> Iterator[tuple[int, int]]:
        for text in self._children():
            if text not in self._running:
                pid = int(text)
                session = _session_of(pid)
                if session != self._session:
                    yield pid, session

    def _children(self) -> list[bytes]:
        if self._list < 0:
            # Elsewhere no orphan comes to us, and there is no /proc.
            return list(_children_by_scan()) if sys.platform == "linux" else []
        listed = os.pread(self._list, 65536, 0)
        while len(listed) >= _SURELY_WHOLE and (more := os.pread(self._list, 65536, len(listed))):
            listed += more
        return listed.split()

    def _reap(self, pid: int, session: int) -> bool:
        try:
            reaped, status, usage = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            return True
        if reaped == 0:
            return False
        if pid == session and self._running:
            self._used[pid] = usage  # it may be the holder of a step that does not know of its own end yet
        else:
            self._used.clear()
        owner = self._doomed.pop(pid, None)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            owner = owner or self._owner(pid, session)
            if owner is not None:
                owner.killed += 1
        return True

    def _kill(self, pid: int, session: int) -> bool:
        """False if it may not be killed. Its number is safe to use: it is our child, and only we reap it."""
        if pid not in self._doomed:
            self._doomed[pid] = self._owner(pid, session)
        try:
            os.kill(pid, signal.SIGKILL)
        except PermissionError:
            return False  # another user's (sudo): `forget` reports it
        return True

    def _owner(self, pid: int, session: int) -> Member | None:
        """Whose `killed` it counts for: exact, unless several steps end at once."""
        if session in self._ending:
            return self._ending[session]
        if len(self._ending) == 1:
            return next(iter(self._ending.values()))
        mark = read_mark(pid)
        for member in self._ending.values():
            if member.mark == mark:
                return member
        return None

    def _is_leftover(self, pid: int, session: int) -> bool:
        mark = read_mark(pid)
        if is_under(mark, self._mark):
            return mark not in self._expected and all(member.mark != mark for member in self._running.values())
        if session in self._ending:
            return True
        if b"%d" % session in self._running:
            return False
        if any(_holds_pipe_of(pid, member) for member in self._ending.values()):
            return True
        # It emptied its environment and its session is new: one of the steps that ran when it was first seen.
        suspects = self._unclear.setdefault(pid, frozenset(member.pid for member in self._running.values()))
        return not self._expected and not any(b"%d" % suspect in self._running for suspect in suspects)


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def _holds_pipe_of(pid: int, member: Member) -> bool:
    with suppress(OSError):
        pipes = {os.fstat(fd).st_ino for fd in member.pipes}
        return any(Path(f"/proc/{pid}/fd/{fd}").stat().st_ino in pipes for fd in (1, 2))
    return False


def _children_by_scan() -> Iterator[bytes]:
    """For kernels without the list of children: each process of the host is asked for its parent."""
    ours = b"%d" % os.getpid()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            if (folder / "stat").read_bytes().rpartition(b")")[2].split()[1] == ours:
                yield folder.name.encode()
