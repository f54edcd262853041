"""How tasks stand that others need, and what follows from it for these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.plan.graph import arrows

When = Literal["success", "failure", "always"]
"""How the needs of a task must have ended."""

UNNEEDED = "needs_succeeded"
"""The word that the reason of a task begins with that was for the case of a failure, where none came."""

_CHAIN = re.compile(r"needs_failed: .* \((?P<chain>.*)\)", re.DOTALL)
_ARROW = "←"


@dataclass(frozen=True, slots=True)
class Stand:
    """How a task stands. `status` is its result's, or `waiting`, `running`; `unknown` where nothing is known of it.
    `reason` is its result's."""

    status: str
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended. What is blocked has not: a person may yet let it run."""
        return self.status not in ("waiting", "running", "blocked", "unknown")

    @property
    def failed(self) -> bool:
        """Whether it has ended otherwise than well."""
        return self.over and self.status != "ok"


UNKNOWN = Stand("unknown")
WAITING = Stand("waiting")
RUNNING = Stand("running")


def skipped_for(task_id: str, need: str, stand: Stand) -> str:
    """The reason of a task that is skipped because a need of it failed. It names the chain back to what really did."""
    earlier = _CHAIN.fullmatch(stand.reason)
    chain = earlier["chain"] if earlier else f"{need}: {stand.status}"
    way = [task_id, *chain.split(f" {_ARROW} ")]
    return f"needs_failed: {need} {stand.status} ({arrows(way, _ARROW)})"


def skipped_unneeded(needs: Iterable[str]) -> str:
    """The reason of a task for the case that something fails, where nothing did."""
    return f"{UNNEEDED}: nothing failed of what it is for ({some(needs)})"


def timed_out(unknown: Iterable[str], waited: str) -> str:
    """The reason of a task that waited so long for tasks that nobody ever saw."""
    return f"needs_timeout: after {waited} there is still no task {some(unknown)}"


def some(ids: Iterable[str]) -> str:
    """`a, b, c and 4 more`."""
    named = list(ids)
    more = f" and {len(named) - 3:,} more" if len(named) > 3 else ""
    return ", ".join(named[:3]) + more


def waits_for(stands: Mapping[str, Stand]) -> str:
    """`waits for build (running), test (waiting)`: those of the needs that are not over."""
    return "waits for " + some(f"{need} ({stand.status})" for need, stand in stands.items() if not stand.over)
