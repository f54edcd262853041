"""One step, from its start to the death of the last process that it started.

Everything happens on the event loop's thread, but the copying of long output (pump). A step that ends within
a moment costs no registration of its pipes anywhere: they are read once, when it is over. No step can leak by
cancellation: starting has no await in it, and ending goes on through any number of cancels.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic

from orchestrator import failpoint
from orchestrator.errors import is_limit
from orchestrator.outcome import Call
from orchestrator.runners.capture import capture
from orchestrator.runners.finished import Beside, Finished, FinishedStatus
from orchestrator.runners.process.exits import exit_watch
from orchestrator.runners.process.family import Family, Member
from orchestrator.runners.process.host import prepare_process
from orchestrator.runners.process.inside import Inside
from orchestrator.runners.process.marks import VARIABLE
from orchestrator.runners.process.pump import Pump
from orchestrator.runners.process.spawn import THREADS, Launchers, Start, explain
from orchestrator.runners.process.step import RunningStep
from orchestrator.runners.process.stream import CHUNK, Stream

ADOPT_AFTER = 0.02
TEND_EVERY = 1.0
PATIENCE = 5.0  # seconds that a process may take to die of SIGKILL, which a sandbox does when its mounts are gone


class ProcessRunner:
    """Runs calls. `mark` names the home in the environment of all that is started; `grace_ms` lies between
    SIGTERM and SIGKILL when a step is stopped; `hangs` is told, in words, while a start takes long. Use it from one
    event loop, in one thread."""

    def __init__(self, mark: str, *, grace_ms: int = 2000, hangs: Callable[[str], None] | None = None) -> None:
        self._mark = mark
        self._tell_hang = hangs
        self._grace = grace_ms / 1000
        self._count = 0
        self._starting = 0
        self._closing = False
        self._steps: set[RunningStep] = set()
        self._young: deque[RunningStep] = deque()
        self._young_timer: asyncio.TimerHandle | None = None
        self._tend_timer: asyncio.TimerHandle | None = None
        self._buffer = memoryview(bytearray(CHUNK))

    async def start(self) -> None:
        """Make this process the keeper of its orphans and start the pump. Raises OSError if refused."""
        prepare_process()
        self._loop = asyncio.get_running_loop()
        self._family = Family(self._mark)
        threads = THREADS if self._family.sees_only_orphans else 0
        self._launchers = Launchers(self._loop, threads, self._hangs, self._bury_late)
        self._exits = exit_watch(self._loop)
        self._pump = Pump()

    async def close(self) -> None:
        """Kill every step that runs; their `run` calls return `cancelled`. Ends when all is dead."""
        self._closing = True
        for step in self._steps:
            self._stop(step, "cancelled")
            self._kill(step)
        self._launchers.give_up_all()
        while self._steps or self._starting:
            await self._rest(0.001)
        until = monotonic() + PATIENCE
        while not (self._launchers.are_idle and self._family.look()) and monotonic() < until:
            await self._rest(0.001)
        for timer in (self._young_timer, self._tend_timer):
            if timer is not None:
                timer.cancel()
        await asyncio.to_thread(self._pump.stop)
        self._exits.close()
        self._family.close()
        self._launchers.close()

    async def run(
        self,
        call: Call,
        *,
        out_path: str,
        err_path: str,
        mark: str,
        timeout_ms: float | None = None,
        cancelled: asyncio.Event | None = None,
        beside: Beside | None = None,
    ) -> Finished:
        """Run a call to its end. `mark` names the run in the environment mark; `timeout_ms` takes the place
        of the call's own; setting `cancelled` stops the step as a timeout would.

        The files appear with the first byte printed; a file that is there already is replaced. When the task
        that awaits this is cancelled, the tree is killed at once, and then CancelledError goes on. Raises OSError
        where the machine is at a limit (`errors.is_limit`, or no more sandboxes): the program was not started.
        """
        del beside  # a program starts what it needs by itself
        if cancelled is not None and cancelled.is_set():
            return Finished("cancelled", -signal.SIGTERM, error="the step was cancelled before it began")
        seconds = (call.timeout_ms if timeout_ms is None else timeout_ms) / 1000
        step = await self._launch(call, out_path, err_path, mark, cancelled, seconds)
        if isinstance(step, Finished):
            return step
        step.deadline = step.started + seconds
        if step.deadline < step.started + 2 * ADOPT_AFTER:
            self._set_timer(step, step.deadline - step.started, self._time_out)
        if self._closing:  # since before it was known to run: `close` has not seen it
            self._stop(step, "cancelled")
        if step.interrupted or self._closing:
            self._kill(step)
        try:
            await step.exit
        except asyncio.CancelledError:
            await self._kill_and_wait(step)
        step.bury()
        if step.inside is not None:
            await self._end_inside(step, step.inside)
        leftovers = self._family.leader_died(step.member)
        if leftovers or step.adopted:
            await self._end(step, leftovers)
        else:
            step.out.drain(self._buffer)
            step.err.drain(self._buffer)
            step.out.close()
            step.err.close()
        self._steps.remove(step)
        step.remove_forbidden()
        if step.interrupted:
            raise asyncio.CancelledError
        if (error := step.not_started()) is not None:
            raise error
        return step.finished()

    async def _launch(
        self, call: Call, out_path: str, err_path: str, mark: str, cancelled: asyncio.Event | None, seconds: float
    ) -> RunningStep | Finished:
        """Start and register. A cancel in the middle waits for the start and is remembered: nothing can leak."""
        if self._closing:
            raise RuntimeError("this ProcessRunner is closed")
        self._count += 1
        full_mark = f"{self._mark}:{mark}:{self._count}"
        started = monotonic()
        self._starting += 1
        self._family.expect(full_mark)
        try:
            start, out_fd, err_fd, status_fd, interrupted = await self._spawn(
                call, full_mark, cancelled, started + seconds
            )
        except TimeoutError as error:
            stopped = self._closing or (cancelled is not None and cancelled.is_set())
            status: FinishedStatus = "cancelled" if stopped else "timed_out"
            return Finished(status, -signal.SIGKILL, duration_ms=(monotonic() - started) * 1000, error=str(error))
        except (OSError, ValueError) as error:
            if is_limit(error):
                raise
            code, sentence = explain(error, call.argv, call.cwd)
            return Finished("failed", code, duration_ms=(monotonic() - started) * 1000, error=sentence)
        finally:
            self._starting -= 1
            self._family.expect_no_more(full_mark)
        failpoint.reach("step.spawned")
        out = Stream(out_fd, capture(call, out_path))
        err = Stream(err_fd, capture(call, err_path))
        member = Member(start.pid, full_mark, (out_fd, err_fd))
        inside = Inside(status_fd) if status_fd >= 0 else None
        step = RunningStep(call, member, inside, out, err, started, self._loop.create_future(), cancelled)
        step.interrupted = interrupted
        self._family.add(member)
        if start.known is not None:
            start.known.set()
        self._steps.add(step)
        self._watch(step)
        self._young.append(step)
        if self._young_timer is None:
            self._young_timer = self._loop.call_later(ADOPT_AFTER, self._adopt_old)
        return step

    async def _spawn(
        self, call: Call, mark: str, cancelled: asyncio.Event | None, deadline: float
    ) -> tuple[Start, int, int, int, bool]:
        """The start that went well, our ends of its output pipes and of its status pipe (-1 where it has none), and
        whether the waiting was cancelled meanwhile."""
        if not call.argv[0].startswith("/"):
            raise FileNotFoundError(2, "not an absolute path", call.argv[0])
        wall = call.confinement
        pipes = _pipes(3 if wall is not None and wall.status_fd >= 0 else 2)
        ours = [read for read, _ in pipes]
        theirs = [write for _, write in pipes]
        argv = (*wall.argv, *call.argv) if wall is not None else call.argv
        env = {**call.env, VARIABLE: mark}
        status = theirs[2] if len(theirs) > 2 else -1
        restrict = wall.restrict if wall is not None else None
        over = self._loop.create_future()
        start = Start(argv, env, call.cwd, theirs[0], theirs[1], status, over, restrict, deadline, cancelled)
        self._launchers.start(start, wall.within if wall is not None else None)
        interrupted = False
        while not start.done:
            try:
                await start.over
            except asyncio.CancelledError:
                interrupted = True
                start.over = self._loop.create_future()
        if start.error is not None:
            _close(ours)
            raise start.error
        return start, ours[0], ours[1], ours[2] if len(ours) > 2 else -1, interrupted

    def _watch(self, step: RunningStep) -> None:
        try:
            self._exits.watch(step.member.pid, step.exited)
        except OSError as error:
            step.error = f"the program was killed at its start, because its end could not be watched: {error.strerror}"
            step.stopped = "failed"
            step.kill()
            step.exited(os.wait4(step.member.pid, 0)[1:])

    def _hangs(self, sentence: str) -> None:
        if self._tell_hang is not None:
            self._tell_hang(sentence)

    def _bury_late(self, pid: int) -> None:
        """A program that came when nobody waited for it any more: nobody shall have started it."""

        def bury(_: object) -> None:
            with suppress(ChildProcessError):  # the family was quicker
                os.waitpid(pid, os.WNOHANG)

        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        try:
            self._exits.watch(pid, bury)
        except OSError:  # no descriptor, no thread: it is dead in a moment, and reaped with the next one
            self._loop.call_later(PATIENCE, bury, None)

    def _time_out(self, step: RunningStep) -> None:
        self._stop(step, "timed_out")

    def _stop(self, step: RunningStep, status: FinishedStatus) -> None:
        """Ask the group to end, and see to it after the grace."""
        if step.dead or step.stopped:
            return
        step.stopped = status
        # A process that was stopped by SIGSTOP can't follow SIGTERM until it is continued.
        step.signal(signal.SIGTERM, signal.SIGCONT)
        self._set_timer(step, self._grace, self._kill)

    def _kill(self, step: RunningStep) -> None:
        step.kill()
        self._set_timer(step, PATIENCE, self._give_up)

    def _give_up(self, step: RunningStep) -> None:
        """SIGKILL was refused (another user's program) or the kernel holds it: the task must end anyway."""
        step.error = f"the program (process {step.member.pid}) could not be killed, and may still be running"
        step.exited((signal.SIGKILL, None))

    def _set_timer(self, step: RunningStep, delay: float, what: Callable[[RunningStep], None]) -> None:
        if step.timer is not None:
            step.timer.cancel()
        step.timer = None if step.dead else self._loop.call_later(delay, what, step)

    async def _kill_and_wait(self, step: RunningStep) -> None:
        step.interrupted = True
        if not step.dead:
            step.exit = self._loop.create_future()
            self._kill(step)
            await _outlast(step, step.exit)

    async def _end_inside(self, step: RunningStep, inside: Inside) -> None:
        """The builder is dead, so the kernel is killing all that was inside: wait until the last of it is gone."""
        holder = inside.holder
        inside.close()
        if not holder:
            return
        gone, inside.usage = self._family.reap_holder(holder)
        until = monotonic() + PATIENCE
        while not gone and monotonic() < until:
            await _outlast(step, self._end_of(holder, until))
            gone, inside.usage = self._family.reap_holder(holder)
        if not gone:
            step.error = f"what is left of the step's sandbox (process {holder}) could not be killed"

    def _end_of(self, pid: int, until: float) -> asyncio.Future[None]:
        """Done when that process has ended, or at `until`."""
        ended = self._loop.create_future()
        try:
            self._exits.watch(pid, lambda _: _settle(ended))
        except OSError:  # too many open files, or it is gone this moment
            until = monotonic() + 0.001
        self._loop.call_at(self._loop.time() + until - monotonic(), _settle, ended)
        return ended

    async def _end(self, step: RunningStep, leftovers: bool) -> None:
        """The longer way out: there are leftovers, or the pump has the pipes."""
        if leftovers:
            await self._clear(step)
        if step.canceller is not None:
            step.canceller.cancel()
        copied = self._loop.create_future()
        self._pump.finish((step.out, step.err), partial(self._loop.call_soon_threadsafe, _settle, copied))
        await _outlast(step, copied)

    async def _clear(self, step: RunningStep) -> None:
        until = monotonic() + PATIENCE
        pause = 0.0005
        while not self._family.look(step.member) and monotonic() < until:
            await _outlast(step, self._rest(pause))
            pause = min(pause * 2, 0.02)
        if survivors := self._family.forget(step.member):
            numbers = ", ".join(map(str, survivors))
            step.error = f"the step left processes behind that could not be killed: {numbers}"
        self._tend_soon()

    def _rest(self, seconds: float) -> asyncio.Future[None]:
        """The death of an orphan is announced to nobody by name, so what is waited for is time."""
        rested = self._loop.create_future()
        self._loop.call_later(seconds, _settle, rested)
        return rested

    def _adopt_old(self) -> None:
        """Steps that live longer than a moment get what the others are spared: the pump, a timer, an ear for
        their cancellation."""
        self._young_timer = None
        now = monotonic()
        while self._young:
            step = self._young[0]
            wait = step.started + ADOPT_AFTER - now
            if not step.dead and wait > 0.001:
                self._young_timer = self._loop.call_later(wait, self._adopt_old)
                return
            self._young.popleft()
            if not step.dead:
                self._adopt(step)

    def _adopt(self, step: RunningStep) -> None:
        step.adopted = True
        self._pump.adopt((step.out, step.err))
        if step.timer is None:
            self._set_timer(step, max(step.deadline - monotonic(), 0.0), self._time_out)
        if step.cancelled is not None:
            step.canceller = self._loop.create_task(self._stop_when_set(step, step.cancelled))
        self._tend_soon()

    async def _stop_when_set(self, step: RunningStep, event: asyncio.Event) -> None:
        await event.wait()
        self._stop(step, "cancelled")

    def _tend_soon(self) -> None:
        if self._tend_timer is None:
            self._tend_timer = self._loop.call_later(TEND_EVERY, self._tend)

    def _tend(self) -> None:
        """Long steps may lose children to us all the time: reap the dead, and finish what was not settled."""
        self._tend_timer = None
        self._family.look()
        if self._steps or not self._family.is_settled():
            self._tend_soon()


def _pipes(count: int) -> list[tuple[int, int]]:
    """Pairs of a reading end that does not block and a writing end. Only our ends: a flag on the child's would make
    its writes fail when the pipe is full."""
    made: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            made.append(os.pipe())
            os.set_blocking(made[-1][0], False)
    except OSError:
        _close([end for pair in made for end in pair])
        raise
    return made


def _close(descriptors: list[int]) -> None:
    for one in descriptors:
        os.close(one)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _outlast(step: RunningStep, future: asyncio.Future[None]) -> None:
    """Wait for it through any cancel, and remember that there was one."""
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError:
            step.interrupted = True
