"""Exit codes, and which one a task's status earns."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.plan.ends import UNNEEDED

OK = 0
FAILED = 1
USAGE = 2
NEEDS_APPROVAL = 3
DENIED = 4
NO_SUCH_TASK = 5
BUSY = 75
UNAVAILABLE = 75
"""What is needed is not there just now: the daemon, or a model. Later, or elsewhere, it may go well."""
TIMED_OUT = 124
INTERRUPTED = 130

_OF_STATUS = {
    "ok": OK,
    "failed": FAILED,
    "over_budget": FAILED,
    "skipped": FAILED,
    "blocked": NEEDS_APPROVAL,
    "denied": DENIED,
    "invalid": USAGE,
    "timed_out": TIMED_OUT,
    "cancelled": INTERRUPTED,
    "interrupted": INTERRUPTED,
}
_BEST_TO_WORST = (OK, NEEDS_APPROVAL, DENIED, USAGE, NO_SUCH_TASK, BUSY, INTERRUPTED, TIMED_OUT, FAILED)


def of_end(status: str | None, reason: str | None = None) -> int:
    """The exit code for a task that ended so; a status that this version does not know is a failure. One that was there
    for a failure, which did not come, is none."""
    if status == "skipped" and (reason or "").startswith(UNNEEDED):
        return OK
    if status == "failed" and (reason or "").startswith("model_unavailable:"):
        return UNAVAILABLE
    return _OF_STATUS.get(status or "", FAILED)


def of_verdict(verdict: str) -> int:
    return {"allow": OK, "needs_approval": NEEDS_APPROVAL}.get(verdict, DENIED)


def worst(codes: Iterable[int]) -> int:
    """The one code for several tasks: what failed outright outranks what only waits for a person."""
    return max(codes, key=_BEST_TO_WORST.index, default=OK)
