"""How much a memory matters: two pure formulas, explained with examples in docs/memory.md.

`importance` is fixed when something is recorded; `rank` blends it with how well, how recently and how often a
memory answered, when someone asks.
"""

from __future__ import annotations

import math

_LEVEL = {"low": 0.0, "medium": 1 / 3, "high": 2 / 3, "urgent": 1.0}
HALF_LIFE_DAYS = 30.0


def importance(
    *, failed: bool = False, priority: str = "medium", risk: str = "medium", explicit: bool = False, seen: int = 1
) -> float:
    """A number in [0, 1], higher for what it would hurt more not to remember.

        (0.25 + 0.25·failed + 0.20·priority + 0.15·risk + 0.15·explicit) · novelty

    `priority` and `risk` run from 0 for low to 1 for urgent and for high. `explicit` is a text that someone wrote
    down on purpose, in a spec or by hand. `novelty` is 1 the first time and falls with each repetition.
    """
    weight = (
        0.25
        + 0.25 * failed
        + 0.20 * _LEVEL.get(priority, 1 / 3)
        + 0.15 * min(1.0, 1.5 * _LEVEL.get(risk, 1 / 3))
        + 0.15 * explicit
    )
    return round(min(1.0, weight) * novelty(seen), 4)


def novelty(seen: int) -> float:
    """1 / (1 + 0.1·log2(seen)): 1 when new, 0.75 after ten times, 0.5 after a thousand."""
    return 1 / (1 + 0.1 * math.log2(max(seen, 1)))


def rank(*, relevance: float, importance: float, age_days: float, query_count: int) -> float:
    """What a memory is worth as an answer, in [0, 1].

        0.65·relevance + 0.20·importance + 0.10·recency + 0.05·use

    `relevance` is its bm25 divided by the best one among the candidates. `recency` halves every 30 days since it
    was last recorded. `use` grows with the logarithm of how often it has answered, to 1 at 31 times.
    """
    recency = math.pow(0.5, max(age_days, 0.0) / HALF_LIFE_DAYS)
    use = min(1.0, math.log2(1 + max(query_count, 0)) / 5)
    return 0.65 * relevance + 0.20 * importance + 0.10 * recency + 0.05 * use
