"""What becomes of worktrees that no run works in: those a dead daemon left, and those that were kept.

Rule: only looked at, and removed where nothing would be lost: its branch was merged or pushed since, or the run that
was to be kept with it is gone. Of a task that waits or runs none is touched.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from orchestrator.bus import Bus
from orchestrator.errors import TaskError
from orchestrator.event import Notice
from orchestrator.home import Home
from orchestrator.worktrees import record as records
from orchestrator.worktrees.git import Git
from orchestrator.worktrees.leaving import finish, leave, remove
from orchestrator.worktrees.making import unmake
from orchestrator.worktrees.record import Record
from orchestrator.worktrees.status import look_kindly

_OUTPUT = ".git"
"""What git prints passes through here."""
_MOST_NAMED = 5
_TAKEN = "a run of its task has just taken it up"


class Tidying:
    """The daemon's rounds: one at its start, for what a dead daemon left, then one every so often. `git` and `every_s`
    give those of now, `is_busy` tells of a task's id whether it waits or runs."""

    def __init__(
        self,
        home: Home,
        bus: Bus,
        git: Callable[[str], Git],
        every_s: Callable[[], float],
        is_busy: Callable[[str], bool],
    ) -> None:
        self._home = home
        self._bus = bus
        self._git = git
        self._every_s = every_s
        self._is_busy = is_busy
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._go())

    async def close(self) -> None:
        """End it, in the middle of a round if need be: the next one finds what is half done."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _go(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(self._every_s())

    async def once(self) -> None:
        """One round; what goes wrong in it is said, and tried again in the next."""
        folder = f"{self._home.worktrees}/{_OUTPUT}"
        try:
            if not await asyncio.to_thread(_any, self._home):
                return
            os.makedirs(folder, mode=0o700, exist_ok=True)
            done = await tidy(self._git(folder), self._home, self._is_busy)
        except (TaskError, OSError) as error:
            message = f"worktrees: not all of them can be tidied: {error}"
            self._bus.emit(Notice(level="warning", message=message))
            return
        for record in done.left:
            message = f"worktrees: {record.name}, which a dead daemon left, is kept: {record.why}"
            self._bus.emit(Notice(level="warning", message=message))
        if done.removed:
            message = f"worktrees: removed {', '.join(done.removed[:_MOST_NAMED])}: nothing is lost with them"
            self._bus.emit(Notice(level="info", message=message))


@dataclass(slots=True)
class Tidied:
    """What one round did: names of worktrees. `left` are those that a dead daemon had open."""

    removed: list[str] = field(default_factory=list)
    left: list[Record] = field(default_factory=list)


async def tidy(git: Git, home: Home, is_busy: Callable[[str], bool]) -> Tidied:
    """One look at all of them. `is_busy` tells of a task's id whether it waits or runs. Raises OSError."""
    done = Tidied()
    for record in await asyncio.to_thread(lambda: list(records.everything(home))):
        if is_busy(record.id):
            continue
        kept = await _settle(git, home, record)
        if kept is None:
            done.removed.append(record.name)
        elif record.state != "kept":
            done.left.append(kept)
    return done


async def _settle(git: Git, home: Home, record: Record) -> Record | None:
    """The worktree as it stays; None if it is gone."""
    if record.state in ("making", "removing") or not is_there(home, record):
        return await finish(git, home, record)
    if record.state != "kept":
        left = await leave(git, home, record, ok=False, goes_on=False)
        return None if left.removed else left.record
    if (record.goes_on or record.wanted) and _has_runs(home, record):
        return record
    return await remove_if_safe(git, home, record)


async def remove_if_safe(git: Git, home: Home, record: Record) -> Record | None:
    """Look at it now; remove it if nothing would be lost with it. The answer is what stays, and why."""
    found = await look_kindly(git, home, record)
    tip = found.head or record.tip
    why = f"{found.lost} would be lost" if found.lost else await _taken(git, home, replace(record, tip=tip))
    if not why:
        return None
    kept = replace(record, lost=found.lost, why=why, tip=tip)
    if kept != record:
        await asyncio.to_thread(records.write, home, kept)
    return kept


async def remove_anyway(git: Git, home: Home, record: Record) -> str:
    """Remove it with all that is in it, and its branch: a person has said so. Why it stays, or empty."""
    found = await look_kindly(git, home, record)
    doomed = replace(record, state="removing", tip=found.head or record.tip)
    if not await asyncio.to_thread(_doom, home, doomed):
        return _TAKEN
    await unmake(git, home, doomed)
    await asyncio.to_thread(records.remove, home, doomed)
    return ""


async def _taken(git: Git, home: Home, record: Record) -> str:
    """Remove it, unless a run has taken it up meanwhile; why it stays, or empty."""
    if not await asyncio.to_thread(_doom, home, replace(record, state="removing")):
        return _TAKEN
    return await remove(git, home, record)


def _doom(home: Home, record: Record) -> bool:
    """Take it for removal, durably; False where a run was quicker."""
    with records.guarded(home):
        now = records.read(home, record.id, record.number)
        if now is None or now.state != "kept":
            return False
        records.write(home, record)
        return True


def _any(home: Home) -> bool:
    return next(records.everything(home), None) is not None


def is_there(home: Home, record: Record) -> bool:
    """Whether the worktree's folder is still there: a person may have removed it."""
    return os.path.isdir(record.path(home))


def _has_runs(home: Home, record: Record) -> bool:
    """Whether a run that worked in it is still kept in state/runs."""
    return any(os.path.isdir(f"{home.runs}/{record.id}/{run}") for run in record.runs)
