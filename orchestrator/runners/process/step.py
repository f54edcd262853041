"""A step that runs, and what is said of it when it is over."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from time import monotonic

from orchestrator.runners.finished import Finished, FinishedStatus
from orchestrator.runners.process.exits import Reaped
from orchestrator.runners.process.family import Member
from orchestrator.runners.process.stream import Stream

_RSS_UNIT = 1024 if sys.platform == "darwin" else 1  # ru_maxrss counts bytes there, KiB elsewhere


class RunningStep:
    """A step between its start and its end: what the runner has to remember of it."""

    __slots__ = (
        "adopted", "cancelled", "canceller", "dead", "deadline", "ended", "err", "error", "exit", "interrupted",
        "member", "out", "reaped", "started", "stopped", "timer",
    )  # fmt: skip

    def __init__(
        self,
        member: Member,
        out: Stream,
        err: Stream,
        started: float,
        over: asyncio.Future[None],
        cancelled: asyncio.Event | None,
    ) -> None:
        self.member = member
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
        """Signal the step's process group, as long as its number is surely its own."""
        if self.dead:
            return
        for number in numbers:
            kill_group(self.member.pid, number)

    def bury(self) -> None:
        """Kill what is left of the group, then reap the leader: until then its number is surely its own."""
        kill_group(self.member.pid, signal.SIGKILL)
        if self.reaped is None:
            _, status, usage = os.wait4(self.member.pid, 0)
            self.reaped = (status, usage)

    def finished(self) -> Finished:
        assert self.reaped is not None, "a step is finished only after it was buried"  # noqa: S101
        status, usage = self.reaped
        code = os.waitstatus_to_exitcode(status)
        out, err = self.out.capture, self.err.capture
        return Finished(
            status=self.stopped or ("ok" if code == 0 else "failed"),
            code=code,
            stdout_tail=out.tail_text(),
            stderr_tail=err.tail_text(),
            stdout_bytes=out.total,
            stderr_bytes=err.total,
            truncated=out.cut > 0 or err.cut > 0,
            duration_ms=(self.ended - self.started) * 1000,
            cpu_ms=(usage.ru_utime + usage.ru_stime) * 1000 if usage else 0.0,
            max_rss_kb=usage.ru_maxrss // _RSS_UNIT if usage else 0,
            killed=self.member.killed,
            lost_bytes=out.lost + err.lost,
            error=self.error or out.error or err.error,
        )


def kill_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # nothing is left of it, which is what was wanted
    except PermissionError:
        return  # every member runs as another user (sudo): seen and said when it does not die
