"""Takes backlogs apart: the tasks of one file come into inbox, and the file goes to done/ with a list of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass

from orchestrator.bus import Bus
from orchestrator.errors import is_shortage
from orchestrator.event import Notice
from orchestrator.execution import outcomes
from orchestrator.intake.forms import Backlog
from orchestrator.journal.ledger import Ledger
from orchestrator.scheduler.shortage import Shortage
from orchestrator.spool import names, unpacking
from orchestrator.spool.queue import Spool

NAMED = 20


@dataclass(frozen=True, slots=True)
class Several:
    """A file of inbox that holds several tasks."""

    name: str
    sha256: str
    backlog: Backlog

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(entry.task.id for entry in self.backlog.entries)


class Unpacking:
    """Lives in the event loop, one backlog at a time. `do` runs a coroutine as a job of the scheduler, `hint` has names
    of inbox looked at."""

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        bus: Bus,
        shortage: Shortage,
        do: Callable[[Coroutine[None, None, None]], None],
        hint: Callable[[set[str] | None], None],
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._bus = bus
        self._shortage = shortage
        self._do = do
        self._hint = hint
        self._turn = asyncio.Lock()
        self._unfinished = True
        """Whether something may be left to place: of a dead daemon, or because its name waited in inbox."""

    async def unpack(self, several: Several) -> None:
        """What the disk does not let happen now is done when inbox is listed again."""
        async with self._turn:
            try:
                folder = await asyncio.to_thread(self._stage, several)
                outcome = outcomes.unpacked(several.name, several.ids, several.sha256)
                await self._ledger.refuse(several.name, outcome, end="done")
                self._tell(several)
                await self._place([folder])
            except FileNotFoundError:
                self._unfinished = True  # the backlog was taken away when its tasks were accepted already
            except OSError as error:
                self._meet(several.name, error)

    def look(self) -> None:
        """Place what was left, if anything may be."""
        if self._unfinished:
            self._do(self._go_on())

    async def _go_on(self) -> None:
        async with self._turn:
            self._unfinished = False
            try:
                await self._place(await asyncio.to_thread(lambda: list(unpacking.left(self._spool.home))))
            except OSError as error:
                self._meet("a backlog", error)

    def _stage(self, several: Several) -> str:
        specs = {entry.name: entry.data for entry in several.backlog.entries}
        return unpacking.stage(self._spool.home, several.name, several.sha256, specs)

    async def _place(self, folders: list[str]) -> None:
        for folder in folders:
            placed, whole = await asyncio.to_thread(unpacking.place, self._spool.home, folder)
            self._unfinished = self._unfinished or not whole
            if placed:
                self._hint(set(placed))

    def _tell(self, several: Several) -> None:
        shown = ", ".join(several.ids[:NAMED]) + (", …" if len(several.ids) > NAMED else "")
        message = f"{names.readable(several.name)}: a backlog of {len(several.ids)} tasks came in: {shown}"
        self._bus.emit(Notice(level="info", message=message))

    def _meet(self, name: str, error: OSError) -> None:
        self._unfinished = True
        if is_shortage(error):
            self._shortage.met(error)
        else:
            message = f"{names.readable(name)} can't be taken apart: {error.strerror or error}"
            self._bus.emit(Notice(level="error", message=message))


def in_the_way(backlog: Backlog, waits: Callable[[str], bool]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The entries whose names wait in inbox already: their places in the file, and the names."""
    for entry in backlog.entries:
        stem = names.stem_of(entry.name)
        if any(waits(stem + suffix) for suffix in names.SPEC_SUFFIXES):
            yield entry.path, stem
