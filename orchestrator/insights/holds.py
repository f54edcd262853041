"""Why specs that wait in inbox do not start yet, as the disk tells it: the same that the daemon holds them back for.

A reason is one function of `_REASONS`: it looks at one waiting task and finds a hold or none.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import FatalError
from orchestrator.event import to_second, utc_now
from orchestrator.home import Home
from orchestrator.insights.entries import peek
from orchestrator.insights.needs import latest_end, stand_of_end
from orchestrator.outcome import Hold
from orchestrator.pauses import ALL, Pause, standing
from orchestrator.plan import ends
from orchestrator.plan.ends import Stand
from orchestrator.spool import names
from orchestrator.spool.reading import signature_of

if TYPE_CHECKING:
    from orchestrator.insights.shares import Shares
    from orchestrator.spec import Task

_MARKS = re.compile(rb"\b(?:needs|not_before|retry|template)\b")
_MARKS_OF_LABELS = re.compile(rb"\b(?:needs|not_before|retry|template|labels|task_id)\b")
"""What a spec must say to be worth a look: reading one whole costs more than all else that a list does with it."""


class Outlook:
    """What is asked about many waiting specs at one moment; each question is put to the disk once. `now` is in seconds
    since the epoch."""

    def __init__(self, home: Home, now: float | None = None) -> None:
        self.home = home
        self.now = time.time() if now is None else now
        self._ends: dict[str, Stand] = {}

    def holds(self, name: str) -> tuple[Hold, ...]:
        """Why the spec of this file name waits in inbox; nothing if it only waits for room, or is no task."""
        own = self._own(name)
        if ALL in self.paused:
            own = (Hold("paused", "paused"), *(hold for hold in own if hold.kind != "paused"))
        return (*own, *self._of_shares(name))

    def _own(self, name: str) -> tuple[Hold, ...]:
        """What keeps it back whoever else waits: such a one has no place in the order."""
        task = task_in(self.home, "inbox", name, self._marks)
        return () if task is None else self.holds_of(task, name)

    def holds_of(self, task: Task, name: str = "") -> tuple[Hold, ...]:
        """Why a task does not start yet, or would not if it came now. `name` is that of its file, if it is in inbox."""
        seen = Seen(self, name, task)
        return tuple(hold for reason in _REASONS if (hold := reason(seen)) is not None)

    def _of_shares(self, name: str) -> tuple[Hold, ...]:
        lack = self.shares.lack(name) if self._anything_held and self.shares is not None else None
        return () if lack is None else (Hold("resources", lack[0], ids=lack[1]),)

    @functools.cached_property
    def paused(self) -> dict[str, Pause]:
        return standing(self.home, self.now)

    @functools.cached_property
    def _marks(self) -> re.Pattern[bytes]:
        return _MARKS_OF_LABELS if self.paused.keys() - {ALL} else _MARKS

    @functools.cached_property
    def _anything_held(self) -> bool:
        from orchestrator.insights.shares import is_anything_held

        return is_anything_held(self.home)

    @functools.cached_property
    def shares(self) -> Shares | None:
        """Who holds what tasks share; None where the configuration can't be read."""
        from orchestrator.insights.shares import Shares

        try:
            return Shares(self.home, lambda name: bool(self._own(name)))
        except FatalError:  # the daemon, if it was reloaded, and `doctor` say what is wrong with it
            return None

    def stand(self, task_id: str) -> Stand:
        """How a task stands that others need."""
        if task_id in self._queued:
            return self._queued[task_id]
        if task_id not in self._ends:
            self._ends[task_id] = stand_of_end(latest_end(self.home, task_id)) or ends.UNKNOWN
        return self._ends[task_id]

    def blocked_by(self, name: str) -> str | None:
        """The id of the blocked task that the spec of this file name waits for, itself or through others."""
        seen: set[str] = set()
        left = [name]
        while left:
            for need in (need for hold in self._own(left.pop()) for need in hold.ids):
                if self.stand(need).status == "blocked":
                    return need
                if need in self._files and need not in seen:
                    seen.add(need)
                    left.append(self._files[need])
        return None

    @functools.cached_property
    def _queued(self) -> dict[str, Stand]:
        running = dict.fromkeys(_ids_in(self.home.running), ends.RUNNING)
        return dict.fromkeys(self._files, ends.WAITING) | running

    @functools.cached_property
    def _files(self) -> dict[str, str]:
        """The file in inbox of each id that waits there."""
        return _ids_in(self.home.inbox)


@dataclass(frozen=True, slots=True)
class Seen:
    """One waiting task that is looked at."""

    outlook: Outlook
    name: str
    task: Task


def stands_of(task: Task, outlook: Outlook) -> dict[str, Stand]:
    """How everything stands that a task needs."""
    return {need: outlook.stand(need) for need in task.needs}


def _of_needs(seen: Seen) -> Hold | None:
    stands = stands_of(seen.task, seen.outlook)
    open_ = tuple(need for need, stand in stands.items() if not stand.over)
    return Hold("needs", ends.waits_for(stands), ids=open_) if open_ else None


def _of_its_time(seen: Seen) -> Hold | None:
    from orchestrator.spec import moment_of

    moment = moment_of(seen.task.not_before) if seen.task.not_before else 0.0
    return Hold("not_before", f"not before {to_second(utc_now(moment))}", moment) if moment > seen.outlook.now else None


def _of_pauses(seen: Seen) -> Hold | None:
    paused = seen.outlook.paused.values()
    what = next((pause.what for pause in paused if pause.what != ALL and pause.covers(seen.task.labels)), None)
    return None if what is None else Hold("paused", f"paused ({what})")


def _of_an_attempt(seen: Seen) -> Hold | None:
    if seen.task.retry is None:
        return None
    from orchestrator.journal import retries  # it knows the models of specs, which a list has no other need of

    try:
        signature = signature_of(os.lstat(f"{seen.outlook.home.inbox}/{seen.name}"))
    except FileNotFoundError:
        return None
    wish = retries.find(seen.outlook.home, seen.task.id, signature)
    if wish is None or wish.due <= seen.outlook.now:
        return None
    attempt = retries.attempt_at(wish.tried + 1, wish.of, wish.due)
    return Hold("retry", f"{attempt}; run {wish.run}: {wish.why}", wish.due)


_REASONS: tuple[Callable[[Seen], Hold | None], ...] = (_of_needs, _of_its_time, _of_an_attempt, _of_pauses)


def _ids_in(folder: str) -> dict[str, str]:
    """The file of each id that a spec in the folder names."""
    try:
        specs = [name for name in os.listdir(folder) if not names.is_temporary(name)]
    except FileNotFoundError:
        return {}
    return {task_id: name for name in specs if (task_id := peek(f"{folder}/{name}").get("id")) is not None}


def task_in(home: Home, state: str, name: str, marks: re.Pattern[bytes] = _MARKS) -> Task | None:
    """The task in a file of the queue, if that may say that it waits for something; None for all others."""
    try:
        with open(f"{home.queue}/{state}/{name}", "rb") as file:
            data = file.read()
    except OSError:
        return None
    if not marks.search(data):
        return None
    from orchestrator.intake.load import SpecError, load_task

    try:
        return load_task(data, name, templates=home.templates)
    except SpecError:
        return None
