"""The outbox and the lanes that empty it: what is to be sent is durable first, then each lane has its part of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from time import monotonic

from orchestrator.home import Home
from orchestrator.secrets import Secrets
from orchestrator.settings import Settings
from orchestrator.sinks.notify.lane import Health, Lane, Say, Terms
from orchestrator.sinks.notify.obstacles import obstacles
from orchestrator.sinks.notify.outbox import Entry, Outbox, published
from orchestrator.sinks.notify.receiver import Receiver, Surroundings, make

_SAY_AGAIN_S = 60.0
_HEALTH_KEYS = ("sent", "given_up", "dropped", "last_sent", "error", "failing_since")


class Post:
    """`say` hears what goes wrong with a receiver. After `open`, methods are called on the sink's thread."""

    def __init__(self, home: Home, settings: Settings, mark: str, say: Say) -> None:
        self._home = home
        self._mark = mark
        self._say = say
        self._around = self._surroundings(settings)
        self._outbox = Outbox(home.notify)
        self._lanes: dict[str, Lane] = {}
        self._receivers: dict[str, tuple[Surroundings, Receiver]] = {}
        self._said: dict[str, float] = {}
        self._before: dict[str, Health] = {}

    def open(self) -> None:
        """Go on with what an earlier daemon left."""
        self._before = {label: _health(facts) for label, facts in published(self._home.notify).items()}
        self._look()
        try:
            left = self._outbox.open()
        except OSError as error:
            self._say("error", "", f"messages that waited can't be read: {error.strerror or error}: {error.filename}")
        else:
            self._hand_out(left)

    def use(self, settings: Settings) -> None:
        """The configuration was read again."""
        self._around = self._surroundings(settings)
        self._look()

    def _surroundings(self, settings: Settings) -> Surroundings:
        secrets = Secrets(settings.secrets, self._home, os.environ)
        return Surroundings(self._home.root, settings, secrets.for_config, self._mark)

    def _look(self) -> None:
        """Say at once what would else be found out with the first message."""
        for name, channel in self._around.settings.channels.items():
            for sentence in obstacles(channel, self._around.lookup):
                self._say("warning", name, f"channel {name} can't be used: {sentence}")

    def put(self, entries: Iterable[Entry]) -> None:
        """Send these, in time; what was put here before is not sent again."""
        new = [entry for entry in entries if not self._outbox.knows(entry.id)]
        taken: list[Entry] = []
        for label, those in _by_receiver(new).items():
            room = self._lane(label).room
            taken += those[:room]
            if lost := those[room:]:
                self._drop(label, len(lost))
        if not taken:
            return
        trouble = self._outbox.put(taken)
        if trouble is not None:
            why = trouble.strerror or str(trouble)
            self._say_once(
                "warning", "", f"messages can't be kept on disk ({why}): they are sent, but outlast no restart"
            )
        self._hand_out(taken)

    def close(self, patience_s: float) -> None:
        """At most so many seconds for what has not been tried yet."""
        until = monotonic() + patience_s
        for lane in self._lanes.values():
            lane.close()
        for lane in self._lanes.values():
            lane.join(max(0.0, until - monotonic()))

    def _hand_out(self, entries: Iterable[Entry]) -> None:
        for label, those in _by_receiver(entries).items():
            self._lane(label).put(those)

    def _lane(self, label: str) -> Lane:
        lane = self._lanes.get(label)
        if lane is None:
            health = self._before.pop(label, None)
            lane = self._lanes[label] = Lane(
                label,
                self._outbox,
                lambda: self._receiver(label),
                lambda: self._terms(label),
                self._say,
                self._publish,
                health,
            )
        return lane

    def _receiver(self, label: str) -> Receiver:
        """Kept while it works and the configuration stays: after a failure it is made anew, with what secrets and
        libraries are by then."""
        around = self._around
        made_in, receiver = self._receivers.get(label, (None, None))
        if receiver is None or made_in is not around or self._lanes[label].health.error:
            receiver = make(label, around)
            self._receivers[label] = around, receiver
        return receiver

    def _terms(self, label: str) -> Terms:
        give_up_s = self._around.settings.notify.give_up / 1000
        channel = self._around.settings.channels.get(label.partition("/")[0])
        if channel is None:
            return Terms(give_up_s=give_up_s)
        return Terms(channel.per_minute, channel.timeout / 1000, give_up_s)

    def _drop(self, label: str, count: int) -> None:
        self._lane(label).health.dropped += count
        self._say_once("error", label, f"too many messages wait for channel {label}: further ones are dropped")
        self._publish()

    def _say_once(self, level: str, label: str, sentence: str) -> None:
        if monotonic() - self._said.get(sentence, float("-inf")) >= _SAY_AGAIN_S:
            self._said[sentence] = monotonic()
            self._say(level, label, sentence)  # type: ignore[arg-type]

    def _publish(self) -> None:
        lanes = dict(self._lanes)
        kept = {label: asdict(health) for label, health in self._before.items()}
        self._outbox.publish(kept | {label: asdict(lane.health) for label, lane in lanes.items()})


def _by_receiver(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.receiver].append(entry)
    return found


def _health(facts: dict[str, object]) -> Health:
    """As it was published, whatever of it can be read."""
    health = Health()
    for key in _HEALTH_KEYS:
        if isinstance(facts.get(key), type(getattr(health, key))):
            setattr(health, key, facts[key])
    return health
