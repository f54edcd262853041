"""Counts, rates and durations of the last days, from telemetry, in one pass and in little memory."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.insights.entries import counts
from orchestrator.insights.holds import Outlook
from orchestrator.insights.telemetry import lines_since

if TYPE_CHECKING:
    from orchestrator.insights.shares import Share
    from orchestrator.pauses import Pause

# Tasks that were started: the others say nothing about whether work succeeds.
_RAN = ("ok", "failed", "timed_out", "interrupted", "over_budget")
_DAY_S = 86_400


@dataclass(slots=True)
class SkillStats:
    """How the steps of one skill went; durations in milliseconds."""

    steps: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(slots=True)
class Stats:
    """`success_rate` is ok out of all that were started, None if none was. `dropped` counts the events that sinks
    of stopped daemons had not recorded; `torn` the telemetry lines that could not be read."""

    days: float
    finished: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    success_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    skills: dict[str, SkillStats] = field(default_factory=dict)
    failures: list[tuple[str, int]] = field(default_factory=list)
    queue: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    torn: int = 0
    paused: list[Pause] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)


class _Tally:
    def __init__(self) -> None:
        self.status: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.durations = array("d")
        self.skill_durations: dict[str, array[float]] = {}
        self.skill_failures: Counter[str] = Counter()
        self.torn = 0

    def add(self, line: bytes, since: str) -> None:
        try:
            self._add(orjson.loads(line), since)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
            self.torn += 1

    def _add(self, fact: dict[str, Any], since: str) -> None:
        if fact["ts"] < since:
            return
        kind = fact["event"]
        if kind == "task_finished":
            self._task(fact["status"], fact.get("reason"), float(fact["duration_ms"]))
        elif kind == "step_finished":
            durations = self.skill_durations.setdefault(fact["skill"], array("d"))
            durations.append(float(fact["duration_ms"]))
            self.skill_failures[fact["skill"]] += fact["status"] != "ok"
        elif kind == "daemon_stopped":
            self.dropped.update(fact["dropped"])

    def _task(self, status: str, reason: str | None, duration_ms: float) -> None:
        self.status[status] += 1
        if status in _RAN:
            self.durations.append(duration_ms)
        if status != "ok":
            self.failures[(reason or status).partition(":")[0]] += 1


def stats(home: Home, days: float = 7, *, now: float | None = None) -> Stats:
    """What happened in the last `days` days until `now` (seconds since the epoch), and what stands in the queue."""
    since = utc_now((time.time() if now is None else now) - days * _DAY_S)
    outlook = Outlook(home, now)
    tally = _Tally()
    for line in lines_since(home, since[:10]):
        if line.strip():
            tally.add(line, since)
    ran = sum(tally.status[status] for status in _RAN)
    return Stats(
        days=days,
        finished=tally.status.total(),
        by_status=dict(tally.status.most_common()),
        success_rate=tally.status["ok"] / ran if ran else None,
        p50_ms=quantile(tally.durations, 0.50),
        p95_ms=quantile(tally.durations, 0.95),
        skills=_skills(tally),
        failures=tally.failures.most_common(10),
        queue={str(state): count for state, count in counts(home).items()},
        dropped=dict(tally.dropped),
        torn=tally.torn,
        paused=list(outlook.paused.values()),
        shares=outlook.shares.all() if outlook.shares is not None else [],
    )


def quantile(values: array[float], share: float) -> float | None:
    """The smallest value that at least `share` of all do not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _skills(tally: _Tally) -> dict[str, SkillStats]:
    by_use = sorted(tally.skill_durations.items(), key=lambda item: -len(item[1]))
    return {
        skill: SkillStats(
            len(durations), tally.skill_failures[skill], quantile(durations, 0.50), quantile(durations, 0.95)
        )
        for skill, durations in by_use
    }
