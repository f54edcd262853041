"""A task that has a slot: from its claim, or from where a dead daemon left it, to the end of its run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.bus import Bus
from orchestrator.event import Notice, TaskStarted, utc_now
from orchestrator.execution import outcomes
from orchestrator.execution.attempts import Stop
from orchestrator.execution.prepare import Prepared, Tools
from orchestrator.execution.run import Execution
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.outcome import Outcome
from orchestrator.runners.finished import Runner
from orchestrator.scheduler.backlog import Waiting
from orchestrator.scheduler.claims import Claims
from orchestrator.scheduler.ends import Ended
from orchestrator.scheduler.keeper import Keeper
from orchestrator.scheduler.leftover import Leftover
from orchestrator.scheduler.pausing import Pausing
from orchestrator.scheduler.shortage import Shortage

RETRY_S = 1.0


@dataclass(slots=True, eq=False)
class Active:
    """A task taken out of the backlog and not yet concluded; `leftover` where a dead daemon had begun it."""

    waiting: Waiting
    leftover: Leftover | None = None
    stop: Stop = field(default_factory=Stop)
    stays: bool = False
    """In running/, for the next daemon to go on with."""


class Turns:
    """Sees one task through its turn; the caller has the slot and gives it back."""

    def __init__(
        self,
        claims: Claims,
        ledger: Ledger,
        runners: Mapping[str, Runner],
        bus: Bus,
        shortage: Shortage,
        pausing: Pausing,
        keeper: Keeper,
        tools: Callable[[], Tools],
    ) -> None:
        self._claims = claims
        self._ledger = ledger
        self._runners = runners
        self._bus = bus
        self._shortage = shortage
        self._pausing = pausing
        self._keeper = keeper
        self._tools = tools

    async def take(self, active: Active) -> Ended | None:
        """Run it. None where nothing of it is to be written down: it waits again, or stays in running/."""
        return await (self._resume(active, active.leftover) if active.leftover else self._begin(active))

    async def _begin(self, active: Active) -> Ended | None:
        waiting = active.waiting
        ready = self._claims.ready(waiting)
        if ready is None or (ready := await self._claims.weighed_again(waiting, ready)) is None:
            return None
        prepared = ready.prepared
        ending = waiting.ending or outcomes.refusal_of(prepared)
        if ending is None and prepared.spec.schedule is not None:  # it could not be ended at once, and now need not be
            await self._keeper.take(waiting, prepared.spec)
            return None
        if ending is None and self._pausing.stops(waiting):  # since its turn came
            self._pausing.put_back(waiting, ready)
            return None
        run = await self._claims.begin(waiting, ready, starts=ending is None)
        if run is None:
            return None
        if ending is not None:
            return (
                run,
                outcomes.not_run(prepared, run, ending, waiting.sha256),
                outcomes.masked(prepared, prepared.task),
            )
        self._bus.emit(
            TaskStarted(
                id=waiting.id,
                name=run.name,
                run=run.number,
                title=outcomes.masked(prepared, prepared.task.title),
                priority=waiting.priority,
                waited_ms=round((time.monotonic() - waiting.arrived) * 1000, 3),
                attempt=prepared.past.tried + 1,
            )
        )
        return await self._execute(active, prepared, run)

    async def _resume(self, active: Active, leftover: Leftover) -> Ended | None:
        """Take a run up where a dead daemon left it, if the gate still lets it."""
        while active.stop.reason != "interrupted":
            try:
                judged = await asyncio.to_thread(leftover.judged_again, self._tools())
                break
            except OSError as error:
                self._shortage.met(error)
                await asyncio.sleep(RETRY_S)
        else:
            active.stays = True
            return None
        if isinstance(judged, Outcome):
            return leftover.run, judged, leftover.left.task
        details: dict[str, object] = {"id": leftover.run.id, "run": leftover.run.number}
        self._bus.emit(Notice(level="info", message=leftover.told(), details=details))
        return await self._execute(active, judged, leftover.run, leftover.left.told.started_at)

    async def _execute(self, active: Active, prepared: Prepared, run: Run, began_at: str = "") -> Ended | None:
        execution = Execution(
            prepared,
            run,
            self._runners,
            self._ledger,
            self._bus,
            active.waiting.sha256,
            self._shortage.met,
            self._tools,
            active.stop,
            began_at or utc_now(),
            on_record=active.leftover is None,
        )
        outcome = await execution.go()
        active.stays = outcome is None
        return None if outcome is None else (run, outcome, outcomes.masked(prepared, prepared.task))
