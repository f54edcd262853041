"""The channels of a home: where each leads to, as far as that may be seen, and what waits for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.home import Home
from orchestrator.settings import Settings
from orchestrator.sinks.notify import outbox
from orchestrator.sinks.notify.outbox import Entry
from orchestrator.sinks.notify.receiver import labels, place


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message on its way. Times are seconds since the epoch; `next_at` is 0 where it has not been tried."""

    id: str
    title: str
    created_at: float
    attempts: int
    next_at: float
    error: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One receiver. `error` is what was wrong when it was last tried, since `failing_since`; counts are since its
    outbox was made. `configured` is False for one that messages wait for, and that the configuration has no more."""

    name: str
    kind: str
    to: str
    level: str = "debug"
    troubles: bool = False
    configured: bool = True
    sent: int = 0
    given_up: int = 0
    dropped: int = 0
    last_sent: str = ""
    error: str = ""
    failing_since: str = ""
    waiting: Sequence[Waiting] = field(default_factory=tuple)


def channels(home: Home, settings: Settings) -> list[Channel]:
    """Those of the configuration in its order, then others that messages wait for."""
    waiting: dict[str, list[Waiting]] = {}
    for entry in outbox.read(home.notify):
        waiting.setdefault(entry.receiver, []).append(_waiting(entry))
    published = outbox.published(home.notify)
    found = []
    for name, channel in settings.channels.items():
        for label in labels(name, channel):
            facts = {key: value for key, value in published.get(label, {}).items() if key in Channel.__slots__}
            to, mine = place(label, channel), tuple(waiting.pop(label, ()))
            found.append(Channel(label, channel.kind, to, channel.level, channel.troubles, waiting=mine, **facts))
    return found + [
        Channel(label, "-", "", configured=False, waiting=tuple(rest)) for label, rest in sorted(waiting.items())
    ]


def _waiting(entry: Entry) -> Waiting:
    next_at = entry.not_before if entry.not_before > time.time() else 0.0
    return Waiting(entry.id, entry.message.title, entry.created_at, entry.attempts, next_at, entry.error)
