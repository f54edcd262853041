"""The one way to the end of a task: written down, whatever the disk says to it, and then told.

A run that ended just now, one that a dead daemon left, a file that was no task: all of them end here.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

from orchestrator.bus import Bus
from orchestrator.errors import is_shortage
from orchestrator.event import CodeFinished, Notice, TaskFinished, TaskRetrying
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.outcome import Outcome
from orchestrator.scheduler.shortage import Shortage
from orchestrator.spec import Task
from orchestrator.troubles import Troubles

RETRY_S = 1.0
Ended = tuple[Run, Outcome, Task | None]
"""A run, how it ended, and its task where its spec can be read."""


class Ends:
    """Writes ends down; what keeps it from that is met by `shortage` or `troubles`."""

    def __init__(self, ledger: Ledger, bus: Bus, shortage: Shortage, troubles: Troubles) -> None:
        self._ledger = ledger
        self._bus = bus
        self._shortage = shortage
        self._troubles = troubles
        self.hurried = False
        """Wait for no disk: what can't be written now the next daemon sees to."""
        self.not_ok = 0

    async def conclude(self, run: Run, outcome: Outcome, task: Task | None) -> bool:
        """Write a run's end down; a full disk delays it and never loses it. Whether its task is attempted again."""
        while True:
            try:
                outcome = await self._write(run, outcome)
                break
            except OSError as error:
                if is_shortage(error):
                    self._shortage.met(error)
                else:
                    sentence = f"the end of {run.name} can't be written: {error.strerror or error}"
                    self._troubles.meet(f"end of {run.name}", sentence, f"the end of {run.name} is written")
                if self.hurried:
                    return False
                await asyncio.sleep(RETRY_S)
        self.tell(outcome, task)
        return outcome.again is not None

    async def _write(self, run: Run, outcome: Outcome) -> Outcome:
        """Where the spec goes: back to inbox for another attempt, or to its end. What is to be told of it."""
        if outcome.again is not None:
            if await self._ledger.put_off(run, outcome, outcome.again):
                return outcome
            why = f"{outcome.reason}; not attempted again: its file was replaced or taken away meanwhile"
            outcome = replace(outcome, again=None, reason=why)
        await self._ledger.conclude(run, outcome)
        return outcome

    async def refuse(self, name: str, outcome: Outcome, source: Literal["inbox", "scheduled"] = "inbox") -> None:
        """Move what is no task, or recurs no more, to failed/, with the reason beside it."""
        try:
            await self._ledger.refuse(name, outcome, source)
        except FileNotFoundError:
            return  # gone before it could be moved: nothing to refuse
        except OSError as error:
            if is_shortage(error):
                self._shortage.met(error)
            else:
                message = f"{name} can't be moved to failed/: {error.strerror or error}"
                self._bus.emit(Notice(level="error", message=message))
        else:
            self.tell(outcome)

    def tell(self, outcome: Outcome, task: Task | None = None, *, only: str = "") -> None:
        """An end stands where it belongs: tell the sinks, or `only` the one of that name. What its steps report goes
        before: where a crash lets the one be told again, so is the other."""
        for result in outcome.results:
            if outcome.id and result.run is None and (report := result.code_report) is not None:
                finished = CodeFinished(id=outcome.id, run=outcome.run, step=result.step, report=report)
                self._bus.emit(finished, only)
        if (again := outcome.again) is not None:
            self._bus.emit(
                TaskRetrying(
                    id=outcome.id,
                    name=outcome.name,
                    run=outcome.run,
                    status=outcome.status,
                    reason=outcome.reason,
                    attempt=again.attempt,
                    of=again.of,
                    at=again.at,
                    wait_ms=again.wait_ms,
                    duration_ms=outcome.duration_ms,
                ),
                only,
            )
            return
        self.not_ok += not outcome.went_well
        self._bus.emit(
            TaskFinished(outcome=outcome, memory=task.memory if task else None, notify=task.notify if task else None),
            only,
        )
