"""Facts that happened: a tagged union, each one NDJSON line in telemetry.

An event is made once, never changed, and says nothing that a later event could make untrue. `ts` is UTC in
ISO 8601 with milliseconds; `run` is the run's number, null where there is none.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.outcome import Outcome


def utc_now(at: float | None = None) -> str:
    """Wall-clock time as `2026-01-31T12:00:00.123Z`; `at` is seconds since the epoch."""
    at = time.time() if at is None else at
    return f"{_second(int(at // 1))}.{int(at % 1 * 1000):03d}Z"


def to_second(stamp: str) -> str:
    """Such a time without its milliseconds, for people."""
    return f"{stamp[:19]}Z"


@functools.lru_cache(maxsize=2)
def _second(at: int) -> str:
    """Kept for the events of the same second: formatting costs more than all else in making one."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted:
    pid: int
    home: str
    version: str
    recovered: int = 0
    event: Literal["daemon_started"] = "daemon_started"
    run: None = None
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStopped:
    reason: str
    dropped: dict[str, int] = field(default_factory=dict)
    event: Literal["daemon_stopped"] = "daemon_stopped"
    run: None = None
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    id: str
    name: str
    run: int
    title: str
    priority: str
    waited_ms: float
    attempt: int = 1
    event: Literal["task_started"] = "task_started"
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    id: str
    run: int
    step: int
    skill: str
    args: tuple[str, ...]
    attempt: int = 1
    event: Literal["step_started"] = "step_started"
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    id: str
    run: int
    step: int
    skill: str
    status: str
    code: int | None
    duration_ms: float
    attempt: int = 1
    wait_ms: float | None = None
    """Until the next attempt, where there is to be one."""
    event: Literal["step_finished"] = "step_finished"
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFinished:
    """A local code task's last word; telemetry writes what its report says beside these keys."""

    id: str
    run: int
    step: int
    report: dict[str, Any]
    event: Literal["code_finished"] = "code_finished"
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetrying:
    """A run failed, and its task waits for the next attempt: `attempt` of `of`, at `at`."""

    id: str | None
    name: str
    run: int
    status: str
    reason: str | None
    attempt: int
    of: int
    at: str
    wait_ms: float
    duration_ms: float
    event: Literal["task_retrying"] = "task_retrying"
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished:
    """The last word about one run, after its spec stands in done/ or failed/. Sinks get the whole outcome;
    telemetry writes the original system's keys from it."""

    outcome: Outcome
    memory: Any = None
    notify: Any = None
    event: Literal["task_finished"] = "task_finished"
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFired:
    """A firing of a recurring task was put into inbox. `due` is its moment, `late_s` how long ago that was."""

    id: str
    name: str
    schedule: str
    due: str
    late_s: float
    event: Literal["schedule_fired"] = "schedule_fired"
    run: None = None
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSkipped:
    """Moments of a recurring task for which nothing is fired: `count` of them, the latest of which was `due`."""

    schedule: str
    due: str
    count: int
    why: str
    event: Literal["schedule_skipped"] = "schedule_skipped"
    run: None = None
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something an operator should know: a full disk, a refused reload, a cancel for nobody. `trouble` names one that
    lasts; its end is told with the level info."""

    level: Literal["info", "warning", "error"]
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    trouble: str | None = None
    event: Literal["notice"] = "notice"
    run: None = None
    ts: str = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeVerdict:
    """What a reviewer says of the file that a run of a code task has made. No sink is told: the command line writes it
    (`verdicts`), with or without a daemon."""

    id: str
    run: int
    verdict: Literal["accepted", "revise"]
    note: str
    by: str
    via: str
    event: Literal["code_verdict"] = "code_verdict"
    ts: str = field(default_factory=utc_now)


Event = (
    DaemonStarted | DaemonStopped | TaskStarted | StepStarted | StepFinished | CodeFinished | TaskRetrying
    | TaskFinished | ScheduleFired | ScheduleSkipped | Notice
)  # fmt: skip
