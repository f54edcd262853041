"""Slots and runs. A slot is a running process tree: it is free as soon as the tree is gone, not when all is written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

from orchestrator.bus import Bus
from orchestrator.errors import is_limit
from orchestrator.event import Notice
from orchestrator.execution import outcomes
from orchestrator.execution.attempts import StopReason
from orchestrator.execution.prepare import Tools
from orchestrator.insights.needs import latest_end, stand_of_end
from orchestrator.journal.ledger import Ledger
from orchestrator.outcome import Outcome
from orchestrator.pools import suspicions
from orchestrator.runners.finished import Runner
from orchestrator.scheduler.arrivals import Arrivals
from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.scheduler.claims import Claims
from orchestrator.scheduler.ends import Ended, Ends
from orchestrator.scheduler.holds import Alarm
from orchestrator.scheduler.inbox import Good
from orchestrator.scheduler.keeper import Keeper, Kept
from orchestrator.scheduler.leftover import Leftover
from orchestrator.scheduler.needs import Needs
from orchestrator.scheduler.pausing import Pausing
from orchestrator.scheduler.shortage import Shortage
from orchestrator.scheduler.turns import Active, Turns
from orchestrator.scheduler.unpacking import Unpacking
from orchestrator.scheduler.unrun import Unrun
from orchestrator.spool import names
from orchestrator.spool.queue import Spool
from orchestrator.troubles import Troubles

UNCONCLUDED = 256  # so many may wait for the disk before no more are started


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
        troubles: Troubles | None = None,
        patience_s: float | None = None,
    ) -> None:
        self.tools = tools
        self._spool = spool
        self._bus = bus
        self._backlog = Backlog(tools.settings.daemon.ageing / 1000, tools.sizes())
        self._used = 0
        self._active: dict[str, Active] = {}
        self._left: deque[Active] = deque()
        self._moving: set[str] = set()
        self._put_off: dict[str, set[str]] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._open = True
        self._troubles = Troubles(bus) if troubles is None else troubles
        self._shortage = Shortage(self._troubles, self._go_on, self._room_again)
        self.ends = Ends(ledger, bus, self._shortage, self._troubles)
        self._claims = Claims(
            spool, ledger, self._backlog, self.ends, self._shortage, bus,
            lambda: self.tools, self.hint, self._refuse_file,
        )  # fmt: skip
        self._alarm = Alarm(self._due)
        self._unrun = Unrun(self._backlog, self._claims, self.ends, self._do, self._free)
        self.pausing = Pausing(spool, self._backlog, bus, self._troubles, self._do, self._go_on)
        self._unpacking = Unpacking(spool, ledger, bus, self._shortage, self._do, self.hint)
        self._progress = asyncio.Event()
        self.arrivals = Arrivals(
            spool,
            lambda: self.tools,
            known=self._backlog.names,
            accept=self._accept,
            refuse=self._refuse_file,
            unpack=lambda several: self._move_away(several.name, lambda: self._unpacking.unpack(several)),
            forget=self._forget,
            pause=self.pausing.ask,
            cancel=self._cancel_by_request,
            retry=self._retry_by_request,
            give_up=lambda name: self._notice("warning", f"{name} is still being written: it stays in inbox"),
            again=self.hint,
            unread=self._unread,
            between=self.fill,
            patience_s=patience_s,
        )
        self._needs = Needs(
            self._backlog,
            lambda task_id: stand_of_end(latest_end(spool.home, task_id)),
            undecided=self.arrivals.is_undecided,
            look=lambda name: self.hint({name}),
            end=self._unrun.end,
            timeout_s=lambda: self.tools.settings.daemon.needs_timeout / 1000,
        )
        self.keeper = Keeper(
            spool, bus, self._troubles, self._do, self.hint, lambda: self.tools.settings.daemon.rescan / 1000
        )
        self._turns = Turns(
            self._claims, ledger, runners, bus, self._shortage, self.pausing, self.keeper, lambda: self.tools
        )
        self.most: int | None = None
        """What this host can bear at once, where that is known; else what the configuration says."""

    # ── from outside ───────────────────────────────────────────────────────────────────────────

    def hint(self, changed: set[str] | None) -> None:
        """The watcher's word: look at these names, or (None) list the folder."""
        self._do(self.scan() if changed is None else self._look(changed))

    async def scan(self) -> None:
        """List inbox and take up what is there."""
        try:
            await self.arrivals.scan()
        except OSError as error:
            sentence = f"inbox can't be listed: {error.strerror or error}"
            self._troubles.meet(
                "inbox", sentence, "inbox can be listed again", lasts_s=self.tools.settings.daemon.rescan / 400
            )
        else:
            self._needs.settle(listed=True)
        self._unpacking.look()
        self.fill()

    def take_up(self, left: Iterable[Leftover]) -> None:
        """Bring what a dead daemon left to its end, before anything else."""
        for leftover in left:
            self._backlog.occupy(leftover.waiting)
            if (outcome := leftover.left.outcome) is not None:
                self._do(self._end_left(leftover.waiting, (leftover.run, outcome, leftover.left.task)))
            else:
                self._backlog.hold_slots(leftover.waiting)
                self._left.append(Active(leftover.waiting, leftover))
                self._active[leftover.waiting.name] = self._left[-1]
        self.fill()

    async def drained(self) -> None:
        """Return when nothing runs, nothing can start, and nothing is still being written. What waits for a time, or
        for what is not in the queue, stays there."""
        while self._jobs or self._left or self.arrivals.unsettled or self._startable():
            self._progress.clear()
            await self._progress.wait()

    async def quiet(self) -> None:
        """Return when all that was taken up is concluded."""
        while self._jobs:
            await asyncio.wait(self._jobs)

    def use(self, tools: Tools) -> None:
        """From now on prepare tasks with these; what runs keeps those that it has."""
        self.tools = tools
        self._backlog.use(tools.settings.daemon.ageing / 1000, tools.sizes())

    def close_door(self) -> None:
        """Start nothing more; what waits stays in inbox, and what waits between two attempts in running/."""
        self._open = False
        self.keeper.close()
        self._alarm.close()
        self._needs.close()
        self.pausing.close()
        self.arrivals.close()
        for active in self._active.values():
            active.stop.rest.set()

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

    def kept_back(self) -> list[Waiting]:
        """What waits for a time, for others, or for a person, and so not for room."""
        return list(self._backlog if self.pausing.everything else self._backlog.kept_back())

    def is_busy(self, task_id: str) -> bool:
        """Whether a task of this id waits or is not concluded."""
        return self._backlog.waits(task_id) or self._backlog.runs(task_id)

    def busy_ids(self) -> set[str]:
        """The ids of all tasks that are not over."""
        return self._backlog.ids()

    # ── what arrives ───────────────────────────────────────────────────────────────────────────

    async def _look(self, changed: set[str]) -> None:
        await self.arrivals.look(changed)
        self._needs.settle()
        self.fill()

    def _accept(self, good: Good) -> None:
        waiting, prepared = good.waiting, good.ready.prepared
        if prepared.spec.schedule is not None:
            self._accept_recurring(waiting, good.ready)
            return
        for suspicion in suspicions(waiting.resources, self.tools.settings.pools) if waiting.resources else ():
            self._notice("warning", f"{waiting.name}: {suspicion}")
        self._alarm.keep(waiting, prepared)
        self.pausing.keep(waiting)
        self._needs.keep(waiting, prepared.task)
        if (earlier := self._backlog.add(waiting, good.ready)) is not None:
            self._needs.drop(earlier)
        self._needs.changed(waiting.id)
        self._unrun.refuse(waiting, good.ready)
        self._progress.set()

    def _accept_recurring(self, waiting: Waiting, ready: Ready) -> None:
        """Its firings run, it never does itself: kept for them, or ended where they could not."""
        if (earlier := self._backlog.add(waiting, ready)) is not None:
            self._needs.drop(earlier)
        if outcomes.refusal_of(ready.prepared) is None:
            self._backlog.remove(waiting.name)
            self._do(self.keeper.take(waiting, ready.prepared.spec))
        else:
            self._unrun.refuse(waiting, ready)
        self._progress.set()

    def _forget(self, name: str) -> None:
        if (waiting := self._backlog.remove(name)) is not None:
            self._needs.over(waiting)

    def _due(self, waiting: Waiting) -> None:
        """The moment has come that it waited for."""
        self._backlog.release(waiting, "not_before", "retry")
        self.fill()

    def _refuse_file(self, name: str, outcome: Outcome) -> None:
        self._move_away(name, lambda: self.ends.refuse(name, outcome))

    def _move_away(self, name: str, move: Callable[[], Awaitable[None]]) -> None:
        """It is no task by itself, and leaves inbox without a run."""
        self._forget(name)
        stem = names.stem_of(name)
        if self._backlog.is_busy(stem):  # moved now, its place would be taken by the earlier file when that ends
            self._put_off.setdefault(stem, set()).add(name)
            return
        if name not in self._moving:
            self._moving.add(name)
            self._do(self._moved(name, move))

    def _cancel_by_request(self, name: str) -> None:
        target = name[: -len(names.CANCEL_SUFFIX)]
        if not self.cancel(target):
            if (kept := self.keeper.find(target)) is not None:
                self._do(self._take_out(kept, name))
                return
            if self.arrivals.is_undecided(target) or self.keeper.is_there(target):
                return  # the request stays in inbox and is looked at again
            self._notice("warning", f"asked to cancel {target}, which neither waits nor runs")
        self._spool.remove_request(name)

    def _retry_by_request(self, name: str) -> None:
        """What is pending of a task was changed in state/retries: have it judged anew."""
        for waiting in self._backlog.find(name[: -len(names.RETRY_SUFFIX)]):
            self.hint({waiting.name})
        self._spool.remove_request(name)

    async def _take_out(self, kept: Kept, request: str) -> None:
        await self.keeper.take_out(kept, self.ends)
        self._spool.remove_request(request)

    def cancel(self, target: str) -> bool:
        """Cancel what waits or runs under an id or a name; False if there is none."""
        found = False
        for waiting in list(self._backlog.find(target)):
            found = True
            self._unrun.end(waiting, outcomes.stopped("cancelled"))
        for active in self._active.values():
            if target in (active.waiting.id, active.waiting.stem, active.waiting.name):
                active.stop.set("cancelled")
                found = True
        return found

    # ── what runs ──────────────────────────────────────────────────────────────────────────────

    def fill(self) -> None:
        """Give every free slot to the next task."""
        while self._open and not self._shortage.pauses and self._used < self._slots():
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
        waiting = None if self.pausing.everything else self._backlog.pop()
        return None if waiting is None else Active(waiting)

    def _startable(self) -> bool:
        return self._backlog.startable > 0 and not self.pausing.everything

    def _slots(self) -> int:
        wanted = self.tools.settings.daemon.max_tasks
        return wanted if self.most is None else min(wanted, self.most)

    async def _run(self, active: Active) -> None:
        waiting = active.waiting
        try:
            try:
                ended = await self._turns.take(active)
            finally:
                del self._active[waiting.name]
                self._used -= 1
                self._backlog.give_back(waiting)
                self.fill()
            if ended is not None:
                await self._conclude(ended)
        finally:
            if not active.stays:
                self._free(waiting)

    async def _conclude(self, ended: Ended) -> None:
        """Write its end down; where it is to be attempted again it waits in inbox before its id is free."""
        run = ended[0]
        if await self.ends.conclude(*ended):
            await self._look({run.name})

    async def _end_left(self, waiting: Waiting, ended: Ended) -> None:
        try:
            await self._conclude(ended)
        finally:
            self._free(waiting)

    def _free(self, waiting: Waiting) -> None:
        """What waited for its id or its name may go on."""
        self._backlog.free(waiting)
        self._needs.over(waiting)
        if self._open and (put_off := self._put_off.pop(waiting.stem, None)):
            self._do(self._look(put_off))
        if self._open:
            self.keeper.over()
        self.fill()

    async def _moved(self, name: str, move: Callable[[], Awaitable[None]]) -> None:
        try:
            await move()
        finally:
            self._moving.discard(name)
            self._needs.changed(names.stem_of(name))

    # ── when the machine is short of something ─────────────────────────────────────────────────

    def _room_again(self) -> None:
        if self._open:  # else what is in running/ is left there for the next daemon
            self._claims.fetch_strays()

    def _go_on(self) -> None:
        self.fill()
        self._progress.set()

    def _unread(self, name: str, error: OSError) -> None:
        """A file in inbox can't be read or judged at present. One bad place on the disk does not stop the others."""
        if is_limit(error):
            self._shortage.met(error)
            return
        sentence = f"{name} can't be read at present, and stays in inbox: {error.strerror or error}"
        self._troubles.meet(f"reading {name}", sentence, f"{name} is read, or gone")

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
