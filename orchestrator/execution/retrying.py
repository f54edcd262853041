"""Whether what has failed is attempted again, and after how long. Pure: the draw is the caller's.

Rule: what was stopped from outside, refused by the gate or is no task is never attempted again by itself; only a
failure and a timeout are, where the spec's `retry` is about them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from orchestrator.event import utc_now
from orchestrator.journal.past import went_well
from orchestrator.outcome import FAILURES_BETWEEN_STEPS, Again, Failure, Status, StepResult
from orchestrator.spec import Retry, Task

Draw = Callable[[float], float]
"""Of a length, a random part: between nothing and all of it."""


def draw(length: float) -> float:
    return random.uniform(0.0, length)  # noqa: S311 - it spreads attempts in time, and keeps no secret


def wait_ms(
    retry: Retry | None, failures: int, failure: Failure | None, code: int | None, part: Draw = draw
) -> float | None:
    """How long to wait, in milliseconds, before the next attempt; None where there is to be none. `failures` counts
    the attempts that have failed, `failure` and `code` are of the last."""
    if retry is None or failure is None or failures > retry.limit:
        return None
    if retry.on and failure not in retry.on and (code is None or code not in retry.on):
        return None
    try:
        longest = retry.delay * retry.backoff ** (failures - 1)
    except OverflowError:
        longest = retry.max_delay
    longest = min(longest, retry.max_delay)
    return round(part(longest) if retry.jitter else float(longest), 3)


def next_run(
    task: Task, tried: int, status: Status, reason: str | None, results: Sequence[StepResult], part: Draw = draw
) -> Again | None:
    """The next attempt at a task whose run ended so, after `tried` others; None if there is to be none."""
    if task.retry is None:
        return None
    failure, code = failure_of(status, reason, results)
    wait = wait_ms(task.retry, tried + 1, failure, code, part)
    if wait is None:
        return None
    failed = next((result.step for result in results if not went_well(result)), len(results))
    step = 0 if task.retry.from_ == "start" else failed
    return Again(tried + 2, task.retry.limit + 1, utc_now(time.time() + wait / 1000), wait, step)


def failure_of(status: Status, reason: str | None, results: Sequence[StepResult]) -> tuple[Failure | None, int | None]:
    """What kind of failure a run came to, and the exit code of the step at which it did."""
    last = next((result for result in results if not went_well(result)), None)
    if status == "timed_out":
        return "timeout", last.code if last else None
    if status != "failed":
        return None, None
    word = (reason or "").partition(":")[0]
    between = next((kind for kind in FAILURES_BETWEEN_STEPS if kind == word), None)
    return between or (last.failure if last else None), last.code if last else None
