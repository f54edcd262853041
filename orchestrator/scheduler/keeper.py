"""Keeps the recurring tasks: fires each when its moment has come.

One timer stands for the earliest moment; whatever it says, everything is looked at again at least every minute, because
the wall clock may be set and the machine may sleep. Rule: each transition is durable before the next, and each can be
done again (`schedule.record`); so neither a crash nor a second look loses a firing or makes two of one.

A file of queue/scheduled that is not the one that was taken (new, or edited there) goes through inbox, where every
spec is judged.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from orchestrator import approvals, clock, failpoint
from orchestrator.bus import Bus
from orchestrator.event import Event, Notice, ScheduleFired, ScheduleSkipped, utc_now
from orchestrator.execution import outcomes
from orchestrator.intake.load import SpecError, load_task
from orchestrator.journal import runs
from orchestrator.schedule import record
from orchestrator.schedule.cron import Recurrence
from orchestrator.schedule.due import SET_BACK_S, Due, due
from orchestrator.schedule.firing import firing, open_firings, recurrence_of, schedule_of, stamped, was_placed
from orchestrator.schedule.record import Record
from orchestrator.scheduler.backlog import Waiting
from orchestrator.scheduler.ends import Ends
from orchestrator.spec import Task
from orchestrator.spool import names, reading
from orchestrator.spool.queue import NameTaken, Spool
from orchestrator.troubles import Troubles

LOOK_S = 60.0
VIRTUAL_LOOK_S = 0.05
"""How often a clock is looked at that a test sets."""


@dataclass(slots=True)
class Kept:
    """A recurring task that was taken."""

    name: str
    signature: reading.Signature
    task: Task
    recurrence: Recurrence
    record: Record

    @property
    def stem(self) -> str:
        return names.stem_of(self.name)

    @property
    def when(self) -> tuple[str, str, float]:
        return self.recurrence.cron, self.recurrence.zone, self.recurrence.begins


@dataclass
class Look:
    """One look at everything: what is to be told of it, and which names of inbox are to be looked at."""

    spool: Spool
    now: float
    events: list[Event] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    errors: list[OSError] = field(default_factory=list)

    @cached_property
    def open_firings(self) -> dict[str, str]:
        """By the name of its schedule, a firing that waits or runs."""
        return open_firings((*self.spool.waiting_names(), *self.spool.running_names()))


class Keeper:
    """Lives in the event loop; its files are read and written in threads, one look at a time. `do` runs a coroutine as
    a job of the scheduler, `hint` has names of inbox looked at."""

    def __init__(
        self,
        spool: Spool,
        bus: Bus,
        troubles: Troubles,
        do: Callable[[Coroutine[None, None, None]], None],
        hint: Callable[[set[str] | None], None],
        period_s: Callable[[], float],
        now: Callable[[], float] = clock.wall,
    ) -> None:
        self._spool = spool
        self._home = spool.home
        self._bus = bus
        self._troubles = troubles
        self._do = do
        self._hint = hint
        self._period_s = period_s
        self._now = now
        self._kept: dict[str, Kept] = {}
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._goes_on = False

    # ── in the event loop ──────────────────────────────────────────────────────────────────────

    def start(self, *, once: bool) -> None:
        """Look now; and, unless `once`, again whenever it is time."""
        self._goes_on = not once
        self._do(self.look())

    def close(self) -> None:
        """Fire nothing more."""
        self._goes_on = False
        if self._timer is not None:
            self._timer.cancel()

    def over(self) -> None:
        """A task has ended: perhaps one that a firing waits for."""
        if any(kept.record.waiting for kept in list(self._kept.values())):
            self._do(self.look())

    async def look(self) -> None:
        """Fire what is due."""
        try:
            async with self._turn:
                found = Look(self._spool, self._now())
                await asyncio.to_thread(self._look, found)
                self._tell(found)
        finally:  # whatever happened: nothing else would have it look again
            self._wind()

    async def take(self, waiting: Waiting, task: Task) -> None:
        """Take a recurring task out of inbox; an earlier version of it is replaced. What the disk does not let happen
        now is tried again when inbox is listed."""
        async with self._turn:
            found = Look(self._spool, self._now())
            try:
                await asyncio.to_thread(self._take, found, waiting, task)
            except FileNotFoundError:
                return  # taken already, or taken away
            except OSError as error:
                found.errors.append(error)
            self._tell(found)
        await self.look()

    def find(self, target: str) -> Kept | None:
        """The recurring task of this name or id, if it is known already."""
        everything = list(self._kept.values())
        return next((kept for kept in everything if target in (kept.stem, kept.name, kept.task.id)), None)

    def is_there(self, target: str) -> bool:
        """Whether queue/scheduled holds a file of this name."""
        return any(os.path.lexists(f"{self._home.scheduled}/{target}{suffix}") for suffix in ("", *names.SPEC_SUFFIXES))

    async def take_out(self, kept: Kept, ends: Ends) -> None:
        """It shall recur no more: it goes to failed/, cancelled. What it has fired goes on."""
        async with self._turn:
            await ends.refuse(kept.name, outcomes.unscheduled(kept.task, kept.name), "scheduled")
        await self.look()

    def _tell(self, found: Look) -> None:
        for event in found.events:
            self._bus.emit(event)
        for error in found.errors:
            where = f" ({error.filename})" if error.filename else ""
            sentence = f"recurring tasks can't be looked after: {error.strerror or error}{where}"
            self._troubles.meet("schedules", sentence, "recurring tasks are looked after again", lasts_s=LOOK_S * 1.5)
        if found.changed:
            self._hint(found.changed)

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._goes_on:
            return
        now = self._now()
        moments = (next(kept.recurrence.after(kept.record.seen), None) for kept in list(self._kept.values()))
        left = min((moment - now for moment in moments if moment is not None), default=LOOK_S)
        pause = VIRTUAL_LOOK_S if clock.VIRTUAL else min(max(left, 0.0) + 0.001, LOOK_S, self._period_s())
        self._timer = asyncio.get_running_loop().call_later(pause, lambda: self._do(self.look()))

    # ── in a thread ────────────────────────────────────────────────────────────────────────────

    def _look(self, found: Look) -> None:
        try:
            listed = set(self._spool.scheduled_names())
            specs = {name for name in listed if not name.endswith(names.PAUSED_SUFFIX)}
            self._forget_others(specs)
        except OSError as error:
            found.errors.append(error)
            return
        for name in sorted(specs):
            try:
                if (kept := self._known(found, name)) is not None:
                    self._fire(found, kept, paused=kept.stem + names.PAUSED_SUFFIX in listed)
            except OSError as error:
                found.errors.append(error)

    def _forget_others(self, specs: set[str]) -> None:
        """Who takes a recurring task away, by whatever means, takes with it what was known and allowed of it."""
        for name in self._kept.keys() - specs:
            del self._kept[name]
        gone = record.stems(self._home) - {names.stem_of(name) for name in specs}
        if not gone:
            return
        for stem in gone - {names.stem_of(name) for name in self._spool.waiting_names()}:  # there it is judged again
            if (known := record.read(self._home, stem)) is not None:
                approvals.revoke(self._home, known.id)
            self._spool.resume(stem)
            record.forget(self._home, stem)

    def _known(self, found: Look, name: str) -> Kept | None:
        """The task in this file, if it is the one that was taken; else it is on its way to be judged."""
        path = f"{self._home.scheduled}/{name}"
        kept = self._kept.get(name)
        try:
            if kept is not None and reading.signature_of(os.lstat(path)) == kept.signature:
                return kept
        except FileNotFoundError:
            return None
        seen = reading.look(path)
        if isinstance(seen, reading.Gone | reading.Writing):
            return None
        if (kept := self._as_taken(name, seen)) is None:
            self._kept.pop(name, None)
            self._judge_again(found, name)
        else:
            self._kept[name] = kept
        return kept

    def _as_taken(self, name: str, seen: reading.Look) -> Kept | None:
        known = record.read(self._home, names.stem_of(name))
        if known is None or known.name != name or not isinstance(seen, reading.Content):
            return None
        if hashlib.sha256(seen.data).hexdigest() != known.sha256:
            return None
        try:
            task = load_task(seen.data, name, templates=self._home.templates)
        except SpecError:  # what another version of ours took, or a zone that this machine no longer has
            return None
        kept = Kept(name, seen.signature, task, recurrence_of(task), known)
        if kept.when != known.when:  # the zone is this machine's own, and it has moved
            self._note(kept, when=kept.when)
        return kept

    def _judge_again(self, found: Look, name: str) -> None:
        try:
            self._spool.put_back(name, "scheduled")
        except (NameTaken, FileNotFoundError):
            return  # a newer one waits there already; or this one is gone
        found.changed.add(name)

    def _take(self, found: Look, waiting: Waiting, task: Task) -> None:
        name = waiting.name
        if reading.signature_of(os.lstat(f"{self._home.inbox}/{name}")) != waiting.signature:
            found.changed.add(name)
            return
        known = record.read(self._home, waiting.stem)
        self._spool.schedule(name)
        for earlier in [other for other in self._kept if names.stem_of(other) == waiting.stem]:
            del self._kept[earlier]
        kept = Kept(
            name, waiting.signature, task, recurrence_of(task), Record(task.id, name, "", ("", "", 0), found.now)
        )
        if known is not None and (known.id, known.when) == (task.id, kept.when):
            kept.record = known  # only what it does was changed: what was missed before is still to be caught up with
        self._note(kept, name=name, sha256=waiting.sha256, when=kept.when)
        failpoint.reach("schedule.noted")
        self._kept[name] = kept
        following = next(kept.recurrence.after(found.now), None)
        until = "for the first time" if known is None else "next"
        moment = "never again" if following is None else f"{until} at {utc_now(following)[:16]}Z"
        found.events.append(Notice(level="info", message=f"{names.readable(name)} is scheduled: {moment}"))

    def _fire(self, found: Look, kept: Kept, *, paused: bool) -> None:
        if kept.record.seen > found.now + SET_BACK_S:
            message = f"the clock was set back: {kept.stem} counts from now on"
            found.events.append(Notice(level="warning", message=message))
            self._note(kept, seen=found.now)
        now_due = due(
            schedule_of(kept.task), kept.recurrence, kept.record.seen, found.now,
            waiting=len(kept.record.waiting), stands=lambda: self._stands(found, kept), paused=paused,
        )  # fmt: skip
        if now_due:
            self._note_due(found, kept, now_due)
        while kept.record.waiting and not paused and not self._stands(found, kept):
            self._fire_one(found, kept, kept.record.waiting[0])

    def _note_due(self, found: Look, kept: Kept, now_due: Due) -> None:
        known, skipped = kept.record, now_due.skipped
        changes: dict[str, Any] = {"skipped_due": skipped[-1], "why": now_due.why} if skipped else {}
        self._note(
            kept, seen=found.now, waiting=(*known.waiting, *now_due.chosen), missed=known.missed + now_due.missed,
            skipped=known.skipped + len(skipped), **changes,
        )  # fmt: skip
        failpoint.reach("firing.due")
        if skipped:
            found.events.append(_skipped(kept, skipped[-1], len(skipped), now_due.why))
        if now_due.missed:
            why = f"nobody looked at the time, and catch_up is {schedule_of(kept.task).catch_up}"
            found.events.append(_skipped(kept, found.now, now_due.missed, why))

    def _stands(self, found: Look, kept: Kept) -> str:
        """Why none of its firings may begin now: an earlier one is not over. Empty if one may."""
        if kept.stem in found.open_firings:
            return f"{found.open_firings[kept.stem]} is not over"
        last = stamped(kept.stem, kept.record.last_due)
        result = runs.read_result(f"{self._home.failed}/{names.result_name(last)}") or {}
        return f"{last} waits for approval" if result.get("status") == "blocked" else ""

    def _fire_one(self, found: Look, kept: Kept, moment: int) -> None:
        task, data = firing(kept.task, moment)
        stem = stamped(kept.stem, moment)
        name = f"{stem}.json"
        if not was_placed(self._home, name, task.id):  # else a crash came between it and the note of it
            approvals.allow_firing(self._home, kept.task, task, name)
            with suppress(NameTaken):  # whoever put it there was quicker
                self._spool.submit(name, data)
            failpoint.reach("firing.placed")
            found.changed.add(name)
            found.open_firings[kept.stem] = stem
        known = kept.record
        self._note(kept, waiting=known.waiting[1:], last=task.id, last_due=moment, fired=known.fired + 1)
        failpoint.reach("firing.noted")
        late_s = round(found.now - moment, 3)
        event = ScheduleFired(id=task.id, name=name, schedule=kept.task.id, due=utc_now(moment), late_s=late_s)
        found.events.append(event)

    def _note(self, kept: Kept, **changes: Any) -> None:
        changed = replace(kept.record, **changes)
        record.write(self._home, changed)
        kept.record = changed


def _skipped(kept: Kept, moment: float, count: int, why: str) -> ScheduleSkipped:
    return ScheduleSkipped(schedule=kept.task.id, due=utc_now(moment), count=count, why=why)
