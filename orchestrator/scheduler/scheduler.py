"""Slots and runs. A slot is a running process tree: it is free as soon as the tree is gone, not when all is written."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.bus import Bus
from orchestrator.event import Notice, TaskStarted, utc_now
from orchestrator.execution import outcomes
from orchestrator.execution.answered import answered
from orchestrator.execution.prepare import Prepared, Tools, prepare
from orchestrator.execution.run import Execution, Stop, StopReason
from orchestrator.journal.ledger import Changed, Ledger, Run
from orchestrator.outcome import Outcome
from orchestrator.runners.finished import Runner
from orchestrator.scheduler.arrivals import Arrivals
from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.scheduler.ends import SHORTAGES, Ended, Ends
from orchestrator.scheduler.inbox import Bad, Good, Later, Seen, examine
from orchestrator.scheduler.leftover import Leftover
from orchestrator.spool import names
from orchestrator.spool.queue import Spool

PAUSE_S = 1.0
SAY_AGAIN_S = 60.0
UNCONCLUDED = 256  # so many may wait for the disk before no more are started


@dataclass(slots=True, eq=False)
class Active:
    """A task taken out of the backlog and not yet concluded; `leftover` where a dead daemon had begun it."""

    waiting: Waiting
    leftover: Leftover | None = None
    stop: Stop = field(default_factory=Stop)


class Scheduler:
    """Takes tasks from inbox to done/ or failed/. Lives in the event loop; one per daemon."""

    def __init__(
        self,
        tools: Tools,
        spool: Spool,
        ledger: Ledger,
        runners: Mapping[str, Runner],
        bus: Bus,
        *,
        patience_s: float | None = None,
    ) -> None:
        self.tools = tools
        self._spool = spool
        self._ledger = ledger
        self._runners = runners
        self._bus = bus
        self._backlog = Backlog(tools.settings.daemon.ageing / 1000)
        self._used = 0
        self._active: dict[str, Active] = {}
        self._left: deque[Active] = deque()
        self._refusing: set[str] = set()
        self._put_off: dict[str, set[str]] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._open = True
        self._pause: asyncio.TimerHandle | None = None
        self._short_since: float | None = None
        self._progress = asyncio.Event()
        self.arrivals = Arrivals(
            spool,
            lambda: self.tools,
            known=self._backlog.names,
            accept=self._accept,
            refuse=self._refuse_file,
            forget=self._backlog.remove,
            cancel=self._cancel_by_request,
            give_up=lambda name: self._notice("warning", f"{name} is still being written: it stays in inbox"),
            again=self.hint,
            patience_s=patience_s,
        )
        self.ends = Ends(ledger, bus, self._hold_back, self._has_room)

    # ── from outside ───────────────────────────────────────────────────────────────────────────

    def hint(self, changed: set[str] | None) -> None:
        """The watcher's word: look at these names, or (None) list the folder."""
        self._do(self.scan() if changed is None else self._look(changed))

    async def scan(self) -> None:
        """List inbox and take up what is there."""
        await self.arrivals.scan()
        self.fill()

    def take_up(self, left: Iterable[Leftover]) -> None:
        """Bring what a dead daemon left to its end, before anything else."""
        for leftover in left:
            self._backlog.occupy(leftover.waiting)
            if (outcome := leftover.left.outcome) is not None:
                self._do(self._end_left(leftover.waiting, (leftover.run, outcome, leftover.left.task)))
            else:
                self._left.append(Active(leftover.waiting, leftover))
                self._active[leftover.waiting.name] = self._left[-1]
        self.fill()

    async def drained(self) -> None:
        """Return when nothing runs, nothing can start, and nothing is still being written."""
        while self._jobs or self._left or len(self._backlog) or self.arrivals.unsettled:
            self._progress.clear()
            await self._progress.wait()

    async def quiet(self) -> None:
        """Return when all that was taken up is concluded."""
        while self._jobs:
            await asyncio.wait(self._jobs)

    def close_door(self) -> None:
        """Start nothing more; what waits stays in inbox."""
        self._open = False
        self.arrivals.close()

    def abandon(self) -> None:
        """Stop trying to write ends down: what is not concluded stays in running/ for the next daemon."""
        for job in self._jobs:
            job.cancel()

    def stop_all(self, reason: StopReason) -> None:
        """End every running task now, and wait for no disk: what can't be written down the next daemon recovers."""
        self.ends.hurried = True
        for active in self._active.values():
            active.stop.set(reason)

    @property
    def running(self) -> int:
        return self._used

    @property
    def waiting(self) -> int:
        return len(self._backlog)

    # ── what arrives ───────────────────────────────────────────────────────────────────────────

    async def _look(self, changed: set[str]) -> None:
        await self.arrivals.look(changed)
        self.fill()

    def _accept(self, good: Good) -> None:
        waiting, prepared = good.waiting, good.ready.prepared
        self._backlog.add(waiting, good.ready)
        ending = outcomes.refusal_of(prepared)
        if ending is not None and self._backlog.take(waiting):
            self._do(self._end_unrun(waiting, good.ready, ending))
        self._progress.set()

    def _refuse_file(self, name: str, outcome: Outcome) -> None:
        self._backlog.remove(name)
        stem = names.stem_of(name)
        if self._backlog.is_busy(stem):  # moved now, its place would be taken by the earlier file when that ends
            self._put_off.setdefault(stem, set()).add(name)
            return
        if name not in self._refusing:
            self._refusing.add(name)
            self._do(self._refuse(name, outcome))

    def _cancel_by_request(self, name: str) -> None:
        target = name[: -len(names.CANCEL_SUFFIX)]
        if not self.cancel(target):
            if self.arrivals.is_undecided(target):
                return  # the request stays in inbox and is looked at again
            self._notice("warning", f"asked to cancel {target}, which neither waits nor runs")
        self._spool.remove_request(name)

    def cancel(self, target: str) -> bool:
        """Cancel what waits or runs under an id or a name; False if there is none."""
        found = False
        for waiting in list(self._backlog.find(target)):
            found = waiting.cancelled = True  # one that waits for a running namesake ends at its turn
            ready = self._ready(waiting)
            if ready is not None and self._backlog.take(waiting):
                self._do(self._end_unrun(waiting, ready, outcomes.stopped("cancelled")))
        for active in self._active.values():
            if target in (active.waiting.id, active.waiting.stem, active.waiting.name):
                active.stop.set("cancelled")
                found = True
        return found

    # ── what runs ──────────────────────────────────────────────────────────────────────────────

    def fill(self) -> None:
        """Give every free slot to the next task."""
        while self._open and self._pause is None and self._used < self.tools.settings.daemon.max_tasks:
            if len(self._jobs) >= self._used + UNCONCLUDED:
                return
            active = self._next()
            if active is None:
                return
            self._used += 1
            self._active[active.waiting.name] = active  # from now on a cancel must find it here
            self._do(self._run(active))

    def _next(self) -> Active | None:
        if self._left:
            return self._left.popleft()
        waiting = self._backlog.pop()
        return None if waiting is None else Active(waiting)

    async def _run(self, active: Active) -> None:
        waiting = active.waiting
        try:
            try:
                ended = await (self._resume(active, active.leftover) if active.leftover else self._in_slot(active))
            finally:
                del self._active[waiting.name]
                self._used -= 1
                self.fill()
            if ended is not None:
                await self.ends.conclude(*ended)
        finally:
            self._free(waiting)

    async def _end_left(self, waiting: Waiting, ended: Ended) -> None:
        try:
            await self.ends.conclude(*ended)
        finally:
            self._free(waiting)

    def _free(self, waiting: Waiting) -> None:
        """What waited for its id or its name may go on."""
        self._backlog.free(waiting)
        if self._open and (put_off := self._put_off.pop(waiting.stem, None)):
            self._do(self._look(put_off))
        self.fill()

    async def _in_slot(self, active: Active) -> Ended | None:
        waiting = active.waiting
        ready = self._ready(waiting)
        if ready is None:
            return None
        if ready.prepared.answer is not None:  # it may have expired, or a script may have changed, since it came
            ready = await asyncio.to_thread(self._prepare_anew, waiting, ready)
        prepared = ready.prepared
        ending = outcomes.stopped("cancelled") if waiting.cancelled else outcomes.refusal_of(prepared)
        run = await self._begin(waiting, ready, starts=ending is None)
        if run is None:
            return None
        if ending is not None:
            return run, outcomes.not_run(prepared, run, ending, waiting.sha256), prepared.task
        self._bus.emit(
            TaskStarted(
                id=waiting.id,
                name=run.name,
                run=run.number,
                title=prepared.task.title,
                priority=waiting.priority,
                waited_ms=round(max(0.0, time.time() - waiting.arrived) * 1000, 3),
            )
        )
        return await self._execute(active, prepared, run)

    async def _resume(self, active: Active, leftover: Leftover) -> Ended | None:
        """Take a run up where a dead daemon left it, if the gate still lets it."""
        judged = await asyncio.to_thread(leftover.judged_again, self.tools)
        if isinstance(judged, Outcome):
            return leftover.run, judged, leftover.left.task
        details: dict[str, object] = {"id": leftover.run.id, "run": leftover.run.number}
        self._notice("info", leftover.told(), details)
        return await self._execute(active, judged, leftover.run, leftover.left.told.started_at)

    async def _execute(self, active: Active, prepared: Prepared, run: Run, began_at: str = "") -> Ended | None:
        execution = Execution(
            prepared,
            run,
            self._runners,
            self._ledger,
            self._bus,
            active.waiting.sha256,
            self._hold_back,
            lambda: self.tools,
            active.stop,
            began_at or utc_now(),
            on_record=active.leftover is None,
        )
        outcome = await execution.go()
        return None if outcome is None else (run, outcome, prepared.task)

    def _ready(self, waiting: Waiting) -> Ready | None:
        """What it takes to run it: as prepared when it came, or read again; None if the file is no longer that task."""
        ready = self._backlog.take_ready(waiting)
        if ready is None:
            try:
                seen: Seen = examine(self._spool.home.inbox, waiting.name, self.tools)
            except OSError as error:
                self._hold_back(error)
                seen = Later(PAUSE_S)
            if not isinstance(seen, Good) or seen.waiting.id != waiting.id:
                if isinstance(seen, Bad):
                    self._refuse_file(waiting.name, seen.outcome)
                else:
                    self._do(self._look({waiting.name}))
                return None
            waiting.signature, waiting.sha256 = seen.waiting.signature, seen.waiting.sha256
            return seen.ready
        if ready.prepared.tools is not self.tools:  # the configuration was read again since
            return self._prepare_anew(waiting, ready)
        return ready

    def _prepare_anew(self, waiting: Waiting, ready: Ready) -> Ready:
        return Ready(answered(prepare(ready.prepared.task, self.tools), waiting.name), ready.spec)

    async def _begin(self, waiting: Waiting, ready: Ready, *, starts: bool) -> Run | None:
        try:
            return await self._ledger.begin(
                waiting.name,
                waiting.signature,
                waiting.id,
                ready.spec,
                waiting.sha256,
                starts=starts,
                answer=ready.prepared.answer,
                past=ready.prepared.past,
                sandbox=self.tools.wall.level,
            )
        except FileNotFoundError:
            return None  # a person took it out of inbox before its turn
        except Changed:
            self._do(self._look({waiting.name}))
        except FileExistsError:
            self._notice("warning", f"running/ holds another {waiting.name}, which this daemon does not run")
            if (outcome := self._ledger.clear_running(waiting.name)) is not None:
                self.ends.tell(outcome)
            self._do(self._look({waiting.name}))
        except OSError as error:
            if error.errno in SHORTAGES:
                self._hold_back(error)
                self._do(self._look({waiting.name}))
            else:  # it stays in inbox, and is tried again when that is listed
                self._notice("error", f"{waiting.name} can't be taken from inbox: {error.strerror or error}")
        return None

    async def _end_unrun(self, waiting: Waiting, ready: Ready, ending: outcomes.Ending) -> None:
        """Conclude a task that must not start: blocked, denied, cancelled while it waited."""
        try:
            run = await self._begin(waiting, ready, starts=False)
            if run is not None:
                prepared = ready.prepared
                await self.ends.conclude(run, outcomes.not_run(prepared, run, ending, waiting.sha256), prepared.task)
        finally:
            self._free(waiting)

    async def _refuse(self, name: str, outcome: Outcome) -> None:
        try:
            await self.ends.refuse(name, outcome)
        finally:
            self._refusing.discard(name)

    # ── when the machine is short of something ─────────────────────────────────────────────────

    def _hold_back(self, error: OSError) -> None:
        """Start nothing for a moment: the disk is full, or descriptors are short. Said once, and again each minute."""
        loop = asyncio.get_running_loop()
        if self._short_since is None or loop.time() - self._short_since > SAY_AGAIN_S:
            self._short_since = loop.time()
            self._notice("error", f"claiming pauses: {error.strerror or error}", {"errno": error.errno})
        if self._pause is None:
            self._pause = loop.call_later(PAUSE_S, self._go_on)

    def _has_room(self) -> None:
        """Something was written: whatever was short is there again."""
        if self._short_since is not None:
            self._short_since = None
            self._notice("info", "claiming goes on")

    def _go_on(self) -> None:
        self._pause = None
        self.fill()
        self._progress.set()

    def _notice(self, level: str, message: str, details: dict[str, object] | None = None) -> None:
        self._bus.emit(Notice(level=level, message=message, details=details or {}))  # type: ignore[arg-type]

    def _do(self, work: Coroutine[None, None, None]) -> None:
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._done)

    def _done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._progress.set()
        if not job.cancelled() and (error := job.exception()) is not None:
            # A mistake of ours must be seen, and must not stop the daemon (promise 6).
            self._notice("error", f"internal error: {error!r}")
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a scheduler job failed", "exception": error, "task": job}
            )
