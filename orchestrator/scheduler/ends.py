"""The one way to the end of a task: written down, whatever the disk says to it, and then told.

A run that ended just now, one that a dead daemon left, a file that was no task: all of them end here.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from orchestrator.bus import Bus
from orchestrator.event import Notice, TaskFinished
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.outcome import Outcome
from orchestrator.spec import Task

PAUSE_S = 1.0
# What all files suffer from; any other error is one file's own, and holds up nobody else.
SHORTAGES = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EROFS,
})  # fmt: skip
Ended = tuple[Run, Outcome, Task | None]
"""A run, how it ended, and its task where its spec can be read."""


class Ends:
    """Writes ends down. `short` is told what the disk refuses, `wrote` that it took something."""

    def __init__(self, ledger: Ledger, bus: Bus, short: Callable[[OSError], None], wrote: Callable[[], None]) -> None:
        self._ledger = ledger
        self._bus = bus
        self._short = short
        self._wrote = wrote
        self.hurried = False
        """Wait for no disk: what can't be written now the next daemon sees to."""
        self.not_ok = 0

    async def conclude(self, run: Run, outcome: Outcome, task: Task | None) -> None:
        """Write a run's end down; a full disk delays it and never loses it."""
        while True:
            try:
                await self._ledger.conclude(run, outcome)
                break
            except OSError as error:
                self._short(error)
                if self.hurried:
                    return
                await asyncio.sleep(PAUSE_S)
        self.tell(outcome, task)

    async def refuse(self, name: str, outcome: Outcome) -> None:
        """Move what is no task to failed/, with the reason beside it."""
        try:
            await self._ledger.refuse(name, outcome)
        except FileNotFoundError:
            return  # gone before it could be moved: nothing to refuse
        except OSError as error:
            if error.errno in SHORTAGES:
                self._short(error)
            else:
                message = f"{name} can't be moved to failed/: {error.strerror or error}"
                self._bus.emit(Notice(level="error", message=message))
        else:
            self.tell(outcome)

    def tell(self, outcome: Outcome, task: Task | None = None) -> None:
        """An end stands where it belongs: tell the sinks."""
        self._wrote()
        self.not_ok += not outcome.ok
        self._bus.emit(
            TaskFinished(outcome=outcome, memory=task.memory if task else None, notify=task.notify if task else None)
        )
