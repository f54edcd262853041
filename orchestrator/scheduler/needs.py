"""Tasks that wait for others to end. Each end wakes only those that need its id.

Rule: nothing of this is stored. How a needed id stands is looked up when somebody begins to need it, in the queue, else
on disk, and again when a task of that id comes, ends or is taken away. A verdict is only given when all that lies in
inbox has been read: an id that is there again counts before its earlier end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orchestrator.execution.outcomes import Ending
from orchestrator.outcome import Hold
from orchestrator.plan import ends
from orchestrator.plan.ends import RUNNING, UNKNOWN, WAITING, Stand, When
from orchestrator.plan.graph import arrows, circle_in, circles
from orchestrator.scheduler.backlog import Backlog, Waiting
from orchestrator.scheduler.holds import Alarm
from orchestrator.sinks.wording import duration
from orchestrator.spec import Task


@dataclass(slots=True, eq=False)
class Needy:
    """A task that waits for others: how many of them are not over, are unknown, have failed."""

    waiting: Waiting
    needs: tuple[str, ...]
    when: When
    unended: int = 0
    unknown: int = 0
    failed: int = 0
    timed: bool = False
    """Whether the alarm is set for what is unknown."""
    asked: bool = False
    """Whether its file is being judged anew."""


class Needs:
    """`end` ends a task that may not run any more; `look` has the file of one whose needs are met judged anew, now that
    what it waited for is there. `latest_end` reads the disk; `undecided` says that a file of that name is being read.
    """

    def __init__(
        self,
        backlog: Backlog,
        latest_end: Callable[[str], Stand | None],
        *,
        undecided: Callable[[str], bool],
        look: Callable[[str], None],
        end: Callable[[Waiting, Ending], None],
        timeout_s: Callable[[], float],
    ) -> None:
        self._backlog = backlog
        self._latest_end = latest_end
        self._undecided = undecided
        self._look = look
        self._end = end
        self._timeout_s = timeout_s
        self._of: dict[Waiting, Needy] = {}
        self._by_id: dict[str, list[Needy]] = {}
        self._needed_by: dict[str, dict[Needy, None]] = {}
        self._stands: dict[str, Stand] = {}
        self._ending: dict[str, Stand] = {}
        self._fresh: list[Needy] = []
        self._unjudged: dict[Needy, None] = {}
        self._met: set[str] = set()
        self._listed = False
        self._alarm = Alarm(self._too_late)

    # ── what the scheduler tells ───────────────────────────────────────────────────────────────

    def keep(self, waiting: Waiting, task: Task) -> None:
        """A task came into inbox: hold it back if what it needs is not there yet."""
        if not task.needs:
            return
        needy = Needy(waiting, tuple(dict.fromkeys(task.needs)), task.when)
        for need in needy.needs:
            stand = self._stands.get(need)
            if stand is None:
                stand = self._stands[need] = self._look_up(need)
            _count(needy, stand, 1)
            self._needed_by.setdefault(need, {})[needy] = None
        self._of[waiting] = needy
        self._by_id.setdefault(waiting.id, []).append(needy)
        judged_anew = waiting.name in self._met
        self._met.discard(waiting.name)
        if judged_anew and _verdict(needy) == "ready":
            self.drop(waiting)
            return
        waiting.holds = (*waiting.holds, Hold("needs", f"waits for {ends.some(needy.needs)}", ids=needy.needs))
        self._fresh.append(needy)
        self._unjudged[needy] = None

    def drop(self, waiting: Waiting) -> None:
        """It waits no more, or not here."""
        needy = self._of.pop(waiting, None)
        if needy is None:
            return
        self._unjudged.pop(needy, None)
        self._met.discard(waiting.name)
        namesakes = self._by_id[waiting.id]
        namesakes.remove(needy)
        if not namesakes:
            del self._by_id[waiting.id]
        for need in needy.needs:
            others = self._needed_by[need]
            del others[needy]
            if not others:
                del self._needed_by[need], self._stands[need]

    def over(self, waiting: Waiting) -> None:
        """Its run is over, or it is gone from inbox."""
        self.drop(waiting)
        self._ending.pop(waiting.id, None)
        self.changed(waiting.id)

    def changed(self, task_id: str) -> None:
        """A task of this id came, ended, or is gone: whoever needs it may go, or wait again."""
        if task_id in self._stands:
            self._set(task_id, self._look_up(task_id))
            self._judge()

    def settle(self, *, listed: bool = False) -> None:
        """What came is read. `listed`: and it was all that lies in inbox; before that nothing is concluded."""
        self._listed = self._listed or listed
        if self._unjudged:
            self._judge()

    def close(self) -> None:
        """Conclude nothing more."""
        self._listed = False
        self._alarm.close()

    # ── how an id stands ───────────────────────────────────────────────────────────────────────

    def _look_up(self, task_id: str) -> Stand:
        if self._backlog.waits(task_id):
            return WAITING
        if task_id in self._ending:
            return self._ending[task_id]
        if self._backlog.runs(task_id):
            return RUNNING
        return self._latest_end(task_id) or UNKNOWN

    def _set(self, task_id: str, stand: Stand) -> None:
        before, self._stands[task_id] = self._stands[task_id], stand
        if stand != before:
            for needy in self._needed_by[task_id]:
                _count(needy, before, -1)
                _count(needy, stand, 1)
                self._unjudged[needy] = None

    # ── what follows ───────────────────────────────────────────────────────────────────────────

    def _judge(self) -> None:
        """Give every verdict that can be given, and follow those that end a task up to all who need that."""
        if not self._listed:
            return
        self._untie()
        later: dict[Needy, None] = {}
        while self._unjudged:
            needy, _ = self._unjudged.popitem()
            if not self._follow(needy):
                later[needy] = None
        self._unjudged = later

    def _follow(self, needy: Needy) -> bool:
        """Do what this one's needs lead to; False if one of them may be about to change."""
        verdict = _verdict(needy)
        needy.asked = needy.asked and verdict == "ready"
        if verdict == "waits":
            self._mind_unknown(needy)
        elif any(self._undecided(need) for need in needy.needs):
            return False
        elif verdict == "failed":
            need = next(need for need in needy.needs if self._stands[need].failed)
            self._conclude(needy, "skipped", ends.skipped_for(needy.waiting.id, need, self._stands[need]))
        elif verdict == "unneeded":
            self._conclude(needy, "skipped", ends.skipped_unneeded(needy.needs))
        elif not needy.asked:
            needy.asked = True
            self._met.add(needy.waiting.name)
            self._look(needy.waiting.name)
        return True

    def _conclude(self, needy: Needy, status: Literal["skipped", "failed"], reason: str) -> None:
        waiting = needy.waiting
        self.drop(waiting)
        self._ending[waiting.id] = Stand(status, reason)
        self._end(waiting, Ending(status, reason))
        if waiting.id in self._stands:
            self._set(waiting.id, self._look_up(waiting.id))

    def _untie(self) -> None:
        """End those that wait for one another. Only what has come since the last look can have closed a circle."""
        starts = [needy.waiting.id for needy in self._fresh if needy.waiting.id in self._needed_by]
        self._fresh.clear()
        for group in circles(starts, self._edges):
            reason = f"needs_cycle: {arrows(circle_in(group, self._edges), '→')}"
            for needy in [needy for task_id in group for needy in self._by_id[task_id]]:
                self._conclude(needy, "failed", reason)

    def _edges(self, task_id: str) -> list[str]:
        """The waiting tasks that one waits for, and that wait for others themselves."""
        needs = (need for needy in self._by_id.get(task_id, ()) for need in needy.needs)
        return [need for need in needs if need in self._by_id and not self._stands[need].over]

    def _mind_unknown(self, needy: Needy) -> None:
        if needy.unknown and not needy.timed:
            needy.timed = True
            left = needy.waiting.arrived + self._timeout_s() - time.monotonic()
            self._alarm.set(needy.waiting, time.time() + max(0.0, left))

    def _too_late(self, waiting: Waiting) -> None:
        """It has waited as long as one may for tasks that nobody has ever seen."""
        needy = self._of.get(waiting)
        if needy is None:
            return
        needy.timed = False
        if unknown := [need for need in needy.needs if self._stands[need] == UNKNOWN]:
            self._conclude(needy, "skipped", ends.timed_out(unknown, duration(self._timeout_s() * 1000)))
            self._judge()


def _count(needy: Needy, stand: Stand, change: Literal[1, -1]) -> None:
    needy.unended += change * (not stand.over)
    needy.unknown += change * (stand.status == "unknown")
    needy.failed += change * stand.failed


def _verdict(needy: Needy) -> Literal["waits", "ready", "failed", "unneeded"]:
    if needy.when == "success" and needy.failed:
        return "failed"
    if needy.unended:
        return "waits"
    return "unneeded" if needy.when == "failure" and not needy.failed else "ready"
