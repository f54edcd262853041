"""How much is measured: the same benchmarks, at three sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts for one run. `pause` is the longest random pause between two single drops, in seconds."""

    tasks: int = 1_000
    rounds: int = 3
    drops: int = 300
    pause: float = 0.04
    waiting: int = 10_000
    starts: int = 30
    slow_tasks: int = 1_000
    peer_tasks: int = 200
    burst: int = 5_000


NORMAL = Scale()
FULL = Scale(burst=50_000)
QUICK = Scale(
    tasks=200, rounds=1, drops=50, pause=0.02, waiting=500, starts=5, slow_tasks=200, peer_tasks=50, burst=500
)
