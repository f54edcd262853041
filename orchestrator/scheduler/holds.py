"""Why waiting tasks may not start yet, and one alarm for all that wait for a moment.

Rule: a hold is never stored. What it follows from lies on disk (the spec, the record of a retry, the ends of other
runs), so that after a restart the same holds are found, and whoever only reads the disk finds them too.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

from orchestrator.event import to_second, utc_now
from orchestrator.execution.prepare import Prepared
from orchestrator.journal.retries import attempt_at
from orchestrator.outcome import Hold, HoldKind
from orchestrator.scheduler.backlog import Waiting
from orchestrator.spec import moment_of

__all__ = ["Alarm", "Hold"]

_LOOK_S = 30.0  # the wall clock may be set, and a machine that slept does not count


class Alarm:
    """Hands over each waiting task when its moment has come. One timer, for the earliest."""

    def __init__(self, due: Callable[[Waiting], None], now: Callable[[], float] = time.time) -> None:
        self._due = due
        self._now = now
        self._tie = itertools.count()
        self._moments: list[tuple[float, int, Waiting]] = []
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, waiting: Waiting, prepared: Prepared) -> None:
        """Hold a task that is new here back until its moment, if that is still to come."""
        moment = prepared.not_before
        if moment is None or moment <= self._now():
            return
        own = prepared.task.not_before
        kind: HoldKind = "not_before" if own is not None and moment == moment_of(own) else "retry"
        why = f"not before {to_second(utc_now(moment))}"
        if kind == "retry" and prepared.task.retry is not None:
            why = attempt_at(prepared.past.tried + 1, prepared.task.retry.limit + 1, moment)
        waiting.holds = (*waiting.holds, Hold(kind, why, moment))
        self.set(waiting, moment)

    def set(self, waiting: Waiting, moment: float) -> None:
        """Hand it over at this moment, in seconds since the epoch, unless it is withdrawn by then."""
        heapq.heappush(self._moments, (moment, next(self._tie), waiting))
        self._wind()

    def close(self) -> None:
        """Wake nobody any more."""
        self._moments.clear()
        self._wind()

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._moments and self._moments[0][2].withdrawn:
            heapq.heappop(self._moments)
        if self._moments:
            left = self._moments[0][0] - self._now()
            self._timer = asyncio.get_running_loop().call_later(min(max(left, 0.0), _LOOK_S), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._now()
        while self._moments and self._moments[0][0] <= now:
            waiting = heapq.heappop(self._moments)[2]
            if not waiting.withdrawn:
                self._due(waiting)
        self._wind()
