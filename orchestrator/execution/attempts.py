"""The attempts at the steps of one run: which is the next, when it is due, and what those before it came to.

Rule: what has only been waited for is no work. A stop in a wait ends nothing that may not be gone on with.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from orchestrator.execution import retrying
from orchestrator.journal.past import Past, attempt_of
from orchestrator.outcome import StepResult
from orchestrator.spec import Task

StopReason = Literal["cancelled", "interrupted"]


@dataclass(slots=True)
class Stop:
    """Ends a running task from outside. The first reason given stands.

    `rest` is set as well where the daemon is about to end: what only waits then is left to the next one.
    """

    event: asyncio.Event = field(default_factory=asyncio.Event)
    rest: asyncio.Event = field(default_factory=asyncio.Event)
    reason: StopReason | None = None

    def set(self, reason: StopReason) -> None:
        if self.reason is None:
            self.reason = reason
            self.event.set()
            self.rest.set()


@dataclass(slots=True)
class Attempts:
    """`here` are those at the step that was begun last."""

    task: Task
    stop: Stop
    here: Past

    def at(self, step: int) -> Past:
        """Those at a step so far. What comes after the last step counts as one."""
        steps = len(self.task.steps)
        return self.here if min(step, steps) == min(self.here.step, steps) else Past(step=step)

    @property
    def failed(self) -> StepResult | None:
        """How the last one ended, where the next one has not begun."""
        return self.here.failed

    def begin(self) -> None:
        """The next one begins."""
        if self.here.failed is not None:
            self.here = replace(self.here, failed=None)

    async def wait(self, step: int) -> None:
        """Wait until the next one is due, or for a stop. However the clock is set, that is no longer than meant."""
        at = self.at(step)
        if at.failed is not None:
            seconds = min(at.due - time.time(), (at.earlier[-1].wait_ms or 0.0) / 1000)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.rest.wait(), max(0.0, seconds))

    def wait_after(self, result: StepResult, deadline: float | None) -> float | None:
        """How long to wait before the next one, in milliseconds; None if there is to be none. `deadline` is the
        task's, on the monotonic clock."""
        if result.failure is None or self.stop.reason is not None:
            return None
        failures = 1 + sum(attempt.status != "interrupted" for attempt in result.earlier)
        retry = self.task.steps[result.step].retry
        wait_ms = retrying.wait_ms(retry, failures, result.failure, result.code)
        if wait_ms is None or (deadline is not None and time.monotonic() + wait_ms / 1000 >= deadline):
            return None
        return wait_ms

    def put_off(self, failed: StepResult, wait_ms: float) -> float:
        """Another one is to follow. When it is due, in seconds since the epoch."""
        due = time.time() + wait_ms / 1000
        earlier = (*failed.earlier, attempt_of(failed, wait_ms))
        self.here = Past(step=failed.step, attempt=failed.attempts + 1, earlier=earlier, failed=failed, due=due)
        return due
