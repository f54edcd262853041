"""Tasks that end without having started: blocked, denied, skipped, cancelled while they waited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from orchestrator.execution import outcomes
from orchestrator.execution.outcomes import Ending
from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.scheduler.claims import Claims
from orchestrator.scheduler.ends import Ends

AT_ONCE = 256


class Unrun:
    """`do` runs a job in the background; `free` is told when a task is over."""

    def __init__(
        self,
        backlog: Backlog,
        claims: Claims,
        ends: Ends,
        do: Callable[[Coroutine[None, None, None]], None],
        free: Callable[[Waiting], None],
    ) -> None:
        self._backlog = backlog
        self._claims = claims
        self._ends = ends
        self._do = do
        self._free = free
        self._room = asyncio.Semaphore(AT_ONCE)  # thousands may end for one reason, and each file is read again

    def end(self, waiting: Waiting, ending: Ending) -> None:
        """End it now; one whose id or name is busy, at its turn."""
        waiting.ending = ending
        if self._backlog.take(waiting):
            self._do(self._conclude(waiting, None, ending))
        else:
            self._backlog.release(waiting)

    def refuse(self, waiting: Waiting, ready: Ready) -> None:
        """End it if the gate, or a person, does not let it run. What may yet change until a task that is held back
        starts is left open."""
        ending = outcomes.refusal_of(ready.prepared)
        if ending is None or (waiting.holds and not ready.prepared.is_settled):
            return
        if self._backlog.take(waiting):
            self._do(self._conclude(waiting, ready, ending))

    async def _conclude(self, waiting: Waiting, ready: Ready | None, ending: Ending) -> None:
        try:
            async with self._room:
                ready = ready or self._claims.ready(waiting)
                run = await self._claims.begin(waiting, ready, starts=False) if ready else None
                if ready is not None and run is not None:
                    prepared = ready.prepared
                    outcome = outcomes.not_run(prepared, run, ending, waiting.sha256)
                    await self._ends.conclude(run, outcome, outcomes.masked(prepared, prepared.task))
        finally:
            self._free(waiting)
