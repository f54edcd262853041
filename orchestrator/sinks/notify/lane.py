"""The way to one receiver: a thread of its own, so that one that is slow or dead holds up no other.

Each message is tried until it arrives or is too old, with growing waits drawn at random (full jitter), each on its own:
one that the receiver does not like holds up no other. More than `per_minute` at once become one digest. An attempt that
does not come back is left behind, and no other is made until it has.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Literal

from orchestrator import failpoint
from orchestrator.event import to_second, utc_now
from orchestrator.sinks.notify.message import Message, digest
from orchestrator.sinks.notify.outbox import Entry, Outbox, new_id, now
from orchestrator.sinks.notify.receiver import Receiver, SendError
from orchestrator.sinks.wording import printable

MOST = 1_000
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 600.0
LONGEST_WAIT_S = 3_600.0  # where the receiver itself asks for more
_PATIENCE_S = 5.0  # beyond the receiver's own timeout
_IN_A_DIGEST = 500
_LONGEST_ERROR = 300

Say = Callable[[Literal["info", "warning", "error"], str, str], None]
"""Told to the log and to telemetry: level, which receiver, what."""


@dataclass(slots=True)
class Health:
    """How a receiver is: counts since the outbox was made, and what was wrong with it when it was last tried."""

    sent: int = 0
    given_up: int = 0
    dropped: int = 0
    last_sent: str = ""
    error: str = ""
    failing_since: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says. `timeout_s` is for one attempt, `give_up_s` the age at which a message is given up;
    `limit_s` is the time in which `burst` messages may be sent."""

    burst: int = 6
    timeout_s: float = 20.0
    give_up_s: float = 86_400.0
    limit_s: float = 60.0


class _Allowance:
    """At most so many in any `limit_s` seconds."""

    def __init__(self) -> None:
        self._used: deque[float] = deque()

    def left(self, terms: Terms) -> int:
        while self._used and self._used[0] <= monotonic() - terms.limit_s:
            self._used.popleft()
        return terms.burst - len(self._used)

    def wait_s(self, terms: Terms) -> float:
        """Seconds until the next may go."""
        if self.left(terms) > 0:
            return 0.0
        return max(0.01, self._used[len(self._used) - terms.burst] + terms.limit_s - monotonic())

    def use(self) -> None:
        self._used.append(monotonic())


class Lane:
    """`receiver` makes the receiver anew for each message that it is asked for, as what it depends on may change."""

    def __init__(
        self,
        label: str,
        outbox: Outbox,
        receiver: Callable[[], Receiver],
        terms: Callable[[], Terms],
        say: Say,
        told: Callable[[], None],
        health: Health | None = None,
    ) -> None:
        self.label = label
        self.health = health or Health()
        self._outbox = outbox
        self._receiver = receiver
        self._terms = terms
        self._say = say
        self._told = told
        self._entries: dict[str, Entry] = {}
        self._allowance = _Allowance()
        self._bell = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._hanging: threading.Thread | None = None

    def put(self, entries: Iterable[Entry]) -> None:
        """Send these. Never waits."""
        with self._bell:
            for entry in entries:
                self._entries[entry.id] = entry
            if self._thread is None and self._entries:
                self._thread = threading.Thread(target=self._work, name=f"notify-{self.label}", daemon=True)
                self._thread.start()
            self._bell.notify()

    @property
    def room(self) -> int:
        """How many more may wait."""
        return max(0, MOST - len(self._entries))

    def close(self) -> None:
        """Nothing more comes: what is due is tried, the rest is the next daemon's."""
        with self._bell:
            self._closing = True
            self._bell.notify()

    def join(self, timeout: float) -> bool:
        """Wait for the thread, at most so many seconds. True if it is gone."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (ready := self._next()) is not None:
            try:
                self._serve(ready)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep back all further messages
                self._say("error", self.label, f"internal error at channel {self.label}: {type(error).__name__}")
                threading.Event().wait(FIRST_DELAY_S)

    def _serve(self, ready: list[Entry]) -> None:
        self._give_up_old()
        ready = [entry for entry in ready if entry.id in self._entries]
        if ready:
            self._attempt(ready[0] if len(ready) == 1 else self._bundled(ready))

    def _next(self) -> list[Entry] | None:
        """What is to be sent now, together if it is more than one; None at the end. Waits for it."""
        with self._bell:
            while True:
                due = self._due()
                terms = self._terms()
                wait_s = self._allowance.wait_s(terms) if due else self._until_due()
                if self._closing and (not due or wait_s):
                    return None
                if due and not wait_s:
                    together = 1 if len(due) <= self._allowance.left(terms) else _IN_A_DIGEST
                    self._allowance.use()
                    return due[:together]
                self._bell.wait(wait_s)

    def _due(self) -> list[Entry]:
        """Also what is to wait longer than anything waits: then the clock was set back."""
        at = now()
        found = [entry for entry in self._entries.values() if not 0 < entry.not_before - at <= LONGEST_WAIT_S]
        return sorted(found, key=lambda entry: (entry.attempts, entry.created_at))

    def _until_due(self) -> float | None:
        """Seconds; None where nothing waits. No longer than a wait can be: the clock may have been set back."""
        if not self._entries:
            return None
        first = min(entry.not_before for entry in self._entries.values())
        return min(max(0.05, first - now()), LONGEST_DELAY_S)

    def _bundled(self, entries: list[Entry]) -> Entry:
        whole = Entry(
            id=new_id(),
            receiver=self.label,
            message=digest(entry.message for entry in entries),
            created_at=min(entry.created_at for entry in entries),
            members=tuple(id for entry in entries for id in (entry.id, *entry.members)),
        )
        self._outbox.bundle(whole, entries)
        with self._bell:
            for entry in entries:
                del self._entries[entry.id]
            self._entries[whole.id] = whole
        return whole

    def _attempt(self, entry: Entry) -> None:
        entry.attempts += 1
        self._outbox.update(entry)
        try:
            self._send(entry)
        except SendError as error:
            self._failed(entry, error)
            return
        failpoint.reach("notify.sent")
        self._outbox.done(entry)
        with self._bell:
            del self._entries[entry.id]
        health = self.health
        health.sent += 1
        health.last_sent = utc_now()
        if health.error:
            self._say("info", self.label, f"channel {self.label} takes messages again")
            health.error = health.failing_since = ""
        self._told()

    def _send(self, entry: Entry) -> None:
        """Raises SendError, also where the receiver does not come back in time."""
        if self._hanging is not None and self._hanging.is_alive():
            raise SendError("an earlier attempt still hangs")
        result: list[SendError | None] = []

        def send() -> None:
            try:
                self._receiver().send(_dated(entry), entry.id)
                result.append(None)
            except SendError as error:
                result.append(error)
            except Exception as error:  # noqa: BLE001 - a library's mistake must not end the lane
                result.append(SendError(f"internal error: {type(error).__name__}"))

        self._hanging = threading.Thread(target=send, name=f"send-{self.label}", daemon=True)
        self._hanging.start()
        self._hanging.join(self._terms().timeout_s + _PATIENCE_S)
        if not result:
            raise SendError(f"no answer within {self._terms().timeout_s + _PATIENCE_S:g} s")
        if result[0] is not None:
            raise result[0]

    def _failed(self, entry: Entry, error: SendError) -> None:
        longest = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(entry.attempts - 1, 20))
        drawn = random.uniform(FIRST_DELAY_S / 5, longest)  # noqa: S311 - it spreads, it hides nothing
        delay = min(max(drawn, error.after_s), LONGEST_WAIT_S)
        entry.error = printable(str(error))[:_LONGEST_ERROR]
        entry.not_before = now() + delay
        self._outbox.update(entry)
        health = self.health
        if not health.error:
            health.failing_since = utc_now()
            self._say(
                "warning",
                self.label,
                f"channel {self.label} did not take a message, which is tried again: {entry.error}",
            )
        health.error = entry.error
        self._told()

    def _give_up_old(self) -> None:
        oldest = now() - self._terms().give_up_s
        with self._bell:
            old = [entry for entry in self._entries.values() if entry.created_at < oldest and entry.attempts]
            for entry in old:
                del self._entries[entry.id]
        for entry in old:
            self._outbox.done(entry)
        if old:
            count = sum(entry.message.facts.get("messages", 1) for entry in old)
            self.health.given_up += count
            why = f": {old[-1].error}" if old[-1].error else ""
            self._say("error", self.label, f"gave up {count} messages to channel {self.label}, too old now{why}")
            self._told()


def _dated(entry: Entry) -> Message:
    """What is late, or may have come before, says so."""
    if entry.attempts < 2:
        return entry.message
    note = f"(of {to_second(utc_now(entry.created_at))}, attempt {entry.attempts})"
    return replace(entry.message, body=f"{entry.message.body}\n\n{note}")
