"""Whether what has failed is attempted again, and after how long. Pure: the draw is the caller's.

Rule: what was stopped from outside, refused by the gate or is no task is never attempted again by itself; only a
failure and a timeout are, where the spec's `retry` is about them.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from orchestrator.outcome import Failure
from orchestrator.spec import Retry

Draw = Callable[[float], float]
"""Of a length, a random part: between nothing and all of it."""


def draw(length: float) -> float:
    return random.uniform(0.0, length)  # noqa: S311 - it spreads attempts in time, and keeps no secret


def wait_ms(retry: Retry | None, failures: int, failure: Failure | None, code: int | None, part: Draw) -> float | None:
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
