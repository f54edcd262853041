"""A step's tree inside a sandbox, as the program that built the sandbox tells of it.

What we start is only the builder. The tree inside hangs below another process, the *holder*: the first of a pid
namespace of its own. When the builder dies the kernel kills the holder, and with it all that is inside; then the
holder becomes our child, and what it used is what the step used.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal

from orchestrator.errors import LIMITS
from orchestrator.outcome import Call
from orchestrator.runners.process.spawn import explain

_HOLDER = re.compile(rb'"child-pid": *(\d+)')
_EXIT_CODE = re.compile(rb'"exit-code": *(\d+)')
_BY_SIGNAL = 128
# By these no program dies: 128 and one of them can only be its own exit code.
_HARMLESS = {
    signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG,
    signal.SIGWINCH,
}  # fmt: skip
# What the builder says when the machine has no namespace, mount, process or room left to give.
_SHORT = {os.strerror(number): number for number in (*LIMITS, errno.ENOSPC, errno.EDQUOT)}
_ERRNOS = {os.strerror(number): number for number in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.E2BIG)}


class Inside:
    """Reads what the builder tells on its status pipe, of which `fd` is our end. Used by the loop's thread alone."""

    __slots__ = ("_fd", "_told", "usage")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._told = b""
        self.usage: resource.struct_rusage | None = None

    @property
    def holder(self) -> int:
        """The process that holds the tree; 0 while it is not known."""
        self._read()
        found = _HOLDER.search(self._told)
        return int(found[1]) if found else 0

    def code(self) -> int | None:
        """How the program ended, negative for a signal; None if it was not started, or was killed with the builder.

        The builder says 128+n for a signal n, as a shell does, so a program that exits with such a number by itself
        reads as killed.
        """
        self._read()
        found = _EXIT_CODE.search(self._told)
        if found is None:
            return None
        code = int(found[1])
        number = code - _BY_SIGNAL
        return -number if number in signal.valid_signals() - _HARMLESS else code

    def signal(self, number: int) -> bool:
        """Signal the program's process group. False if there is none yet."""
        holder = self.holder
        if not holder:
            return False
        try:
            # The holder leads that group, and is deaf to what does not kill for certain: it is the namespace's init.
            os.killpg(holder, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        if holder := self.holder:
            try:
                os.kill(holder, signal.SIGKILL)
            except ProcessLookupError:
                return

    def close(self) -> None:
        self._read()
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _read(self) -> None:
        if self._fd < 0:
            return
        try:
            while more := os.read(self._fd, 4096):
                self._told += more
        except BlockingIOError:
            return  # that is all so far


def shortage_of(said: str) -> OSError | None:
    """What the machine was short of when a sandbox was to be built; None if it was something else that went wrong."""
    head, _, reason = _last_line(said).rpartition(": ")
    if not head.startswith("bwrap: ") or reason not in _SHORT:
        return None
    return OSError(_SHORT[reason], reason, head.removeprefix("bwrap: "))


def _last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2]


def explain_failure(call: Call, said: str) -> tuple[int, str]:
    """The exit code and a sentence for a step whose program was never started. `said` is what the builder printed."""
    last = _last_line(said)
    head, _, reason = last.rpartition(": ")
    if head.startswith("bwrap: execvp ") and reason in _ERRNOS:
        return explain(OSError(_ERRNOS[reason], reason, call.argv[0]), call.argv, call.cwd)
    return 126, f"the sandbox could not be set up, so {call.argv[0]} was not started: {last or 'no reason was given'}"
