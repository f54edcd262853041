"""A step that runs, and what is said of it when it is over."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from time import monotonic

from orchestrator.outcome import Call
from orchestrator.runners.finished import Finished, FinishedStatus
from orchestrator.runners.process.exits import Reaped
from orchestrator.runners.process.family import Member
from orchestrator.runners.process.inside import Inside, explain_failure, shortage_of
from orchestrator.runners.process.stream import Stream
from orchestrator.runners.real_folder import open_real_folder

_RSS_UNIT = 1024 if sys.platform == "darwin" else 1  # ru_maxrss counts bytes there, KiB elsewhere


class RunningStep:
    """A step between its start and its end: what the runner has to remember of it."""

    __slots__ = (
        "adopted", "call", "cancelled", "canceller", "dead", "deadline", "ended", "err", "error", "exit", "inside",
        "interrupted", "member", "out", "reaped", "started", "stopped", "timer",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        member: Member,
        inside: Inside | None,
        out: Stream,
        err: Stream,
        started: float,
        over: asyncio.Future[None],
        cancelled: asyncio.Event | None,
    ) -> None:
        self.call = call
        self.member = member
        self.inside = inside
        self.out = out
        self.err = err
        self.started = started
        self.ended = 0.0
        self.deadline = 0.0
        self.exit = over
        self.cancelled = cancelled
        self.canceller: asyncio.Task[None] | None = None
        self.interrupted = False
        self.timer: asyncio.TimerHandle | None = None
        self.stopped: FinishedStatus | None = None
        self.adopted = False
        self.dead = False
        self.reaped: Reaped | None = None
        self.error: str | None = None

    def exited(self, reaped: Reaped | None) -> None:
        """The leader is dead; it waits for `bury`, unless it was reaped already."""
        if self.dead:
            return  # the runner had given it up
        self.dead = True
        self.ended = monotonic()
        self.reaped = reaped
        if self.timer is not None:
            self.timer.cancel()
        if not self.exit.done():
            self.exit.set_result(None)

    def signal(self, *numbers: int) -> None:
        """Signal the step's process group, as long as its number is surely its own.

        In a sandbox that is the group inside: its builder must live on to tell how the program ended.
        """
        if self.dead:
            return
        for number in numbers:
            if self.inside is None or not self.inside.signal(number):
                kill_group(self.member.pid, number)

    def kill(self) -> None:
        if self.dead:
            return
        if self.inside is not None:
            self.inside.kill()
        kill_group(self.member.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Kill what is left of the group, then reap the leader: until then its number is surely its own."""
        kill_group(self.member.pid, signal.SIGKILL)
        if self.reaped is None:
            _, status, usage = os.wait4(self.member.pid, 0)
            self.reaped = (status, usage)

    def remove_forbidden(self) -> None:
        """Undo what the step must not leave, now that nothing of it is alive; to have tried is a failure."""
        wall = self.call.confinement
        for path in wall.absent if wall is not None else ():
            if not os.path.lexists(path):
                continue
            self.stopped = self.stopped or "failed"
            self.error = f"it made {path}, which would have had programs run outside of the sandbox: that was removed"
            try:
                _remove(path)
            except OSError as error:
                self.error = (
                    f"it made {path}, which has programs run outside of the sandbox; remove it: {error.strerror}"
                )

    def not_started(self) -> OSError | None:
        """Why its sandbox could not be built at present; None if its program was started, or never could be."""
        if self.inside is None or self.stopped or self.inside.code() is not None:
            return None
        return shortage_of(self.err.capture.tail_text())

    def finished(self) -> Finished:
        assert self.reaped is not None, "a step is finished only after it was buried"  # noqa: S101
        status, usage = self.reaped
        code = os.waitstatus_to_exitcode(status)
        out, err = self.out.capture, self.err.capture
        if self.inside is not None:
            code = self._code_inside(code)
        within = self.inside.usage if self.inside is not None else None
        peak = within or usage
        return Finished(
            status=self.stopped or ("ok" if code == 0 else "failed"),
            code=code,
            stdout_tail=out.tail_text(),
            stderr_tail=err.tail_text(),
            stdout_bytes=out.total,
            stderr_bytes=err.total,
            truncated=out.cut > 0 or err.cut > 0,
            duration_ms=(self.ended - self.started) * 1000,
            cpu_ms=sum((used.ru_utime + used.ru_stime) * 1000 for used in (usage, within) if used),
            max_rss_kb=peak.ru_maxrss // _RSS_UNIT if peak else 0,
            peak_is_own=within is not None,
            killed=self.member.killed,
            lost_bytes=out.lost + err.lost,
            error=self.error or out.error or err.error,
        )

    def _code_inside(self, builders: int) -> int:
        """The program's own code. If it never ran, `error` says why; a stop may have come before it could."""
        assert self.inside is not None  # noqa: S101
        code = self.inside.code()
        if code is not None:
            return code
        if builders >= 0 and self.stopped is None:
            code, self.error = explain_failure(self.call, self.err.capture.tail_text())
            return code
        return builders


def _remove(path: str) -> None:
    folder = open_real_folder(os.path.dirname(path))  # else a link that the step left may lead out of its reach
    name = os.path.basename(path)
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        os.rename(name, f"{name}.removed", src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def kill_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # nothing is left of it, which is what was wanted
    except PermissionError:
        return  # every member runs as another user (sudo): seen and said when it does not die
