"""From a schedule, how far it has been looked at, and a time: which firings are due, and which must do without. Pure.

A moment is *missed* where nobody looked at its time: the machine slept, or no daemon ran. `catch_up` says what comes of
those, `overlap` what comes of a moment at which an earlier firing is not over. Two firings of a schedule never overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from orchestrator.schedule.cron import Recurrence
from orchestrator.spec import Schedule

ON_TIME_S = 60.0
"""A moment no longer ago than this is not missed: a daemon is restarted within it."""
MOST_WAITING = 100
"""So many firings may be caught up with, or wait for one another; beyond that, moments are skipped."""
_MOST_COUNTED = 1_000
SET_BACK_S = 3 * 3600.0
"""By so much a clock may go back and no moment comes again; by more, and it was wrong before."""


@dataclass(frozen=True, slots=True)
class Due:
    """What one look found. `chosen` are moments to be fired for, in order. `missed` counts those that `catch_up` does
    without (at most a thousand are counted), `skipped` those that an earlier firing stood in the way of, `why`."""

    chosen: tuple[int, ...] = ()
    missed: int = 0
    skipped: tuple[int, ...] = ()
    why: str = ""

    def __bool__(self) -> bool:
        return bool(self.chosen or self.missed or self.skipped)


def due(
    schedule: Schedule,
    recurrence: Recurrence,
    seen: float,
    now: float,
    *,
    waiting: int,
    stands: Callable[[], str],
    paused: bool = False,
) -> Due:
    """What is due at `now` of the moments after `seen`. `waiting` firings are due already and not begun; `stands`,
    which is asked only where it matters, says why no firing may begin now, or nothing if one may."""
    found = list(islice(recurrence.latest(seen, now), _MOST_COUNTED))
    if not found:
        return Due()
    if paused:
        return Due(skipped=tuple(reversed(found)), why="it is paused")
    late = len(found) > 1 or now - found[0] > ON_TIME_S
    chosen = _caught_up(schedule, found, now)
    missed = len(found) - len(chosen)
    if schedule.overlap == "queue" or (schedule.catch_up == "all" and late):
        room = max(0, MOST_WAITING - waiting)
        full = f"{MOST_WAITING} firings wait already" if len(chosen) > room else ""
        return Due(chosen[:room], missed, chosen[room:], full)
    if chosen and (why := "an earlier firing waits" if waiting else stands()):
        return Due((), missed, chosen, why)
    return Due(chosen, missed)


def _caught_up(schedule: Schedule, found: list[int], now: float) -> tuple[int, ...]:
    """Of what was found, the latest first, what is fired for, in order."""
    if schedule.catch_up == "all":
        return tuple(reversed(found[:MOST_WAITING]))
    if schedule.catch_up == "none" and now - found[0] > ON_TIME_S:
        return ()
    return (found[0],)
