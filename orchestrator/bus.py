"""The way of events from the work to the sinks.

The rule of this room: telling must never cost the work anything. `emit` neither raises nor waits; it appends
to one bounded queue per sink and is done. What does not fit is dropped and counted, never waited for. Each sink
has a thread of its own, so that one which hangs (a full pipe, a dead network) holds up no other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, get_args

from orchestrator.event import Event, Notice

CAPACITY = 10_000
LARGEST_BATCH = 1_000
GATHER_S = 0.05
REPORT_EVERY_S = 60.0


class Sink(Protocol):
    """A place that events flow to. All methods are called on the sink's own thread.

    A sink that cares for few kinds of event may have an attribute `wants`, a tuple of their classes; the
    others are then never queued for it. One that has something to say itself may have `attach`, which is given `emit`
    before the first event; one that goes by the configuration, `use`. What `write` raises is counted and reported, and
    costs that batch alone.
    """

    name: str

    def write(self, batch: Sequence[Event]) -> None:
        """Take events, oldest first; never an empty batch."""

    def close(self) -> None:
        """Called once, after the last batch."""


class _Lane:
    """One sink, its queue and its thread."""

    def __init__(self, sink: Sink, capacity: int, failed: Callable[[_Lane, Exception], None]) -> None:
        self.sink = sink
        self.wants: tuple[type, ...] = getattr(sink, "wants", ()) or get_args(Event)
        self.errors = 0
        self.dropped = 0
        self.reported_at = float("-inf")
        self._capacity = capacity
        self._failed = failed
        self._queue: deque[Event] = deque()
        self._in_hand = 0
        self._asleep = False
        self._shut = False
        self._bell = threading.Event()
        self._closing = threading.Event()
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        if self._shut or len(self._queue) >= self._capacity:
            self._drop(1)
            return
        self._queue.append(event)
        if self._asleep:
            self._asleep = False  # until it wakes, those that come after need not ring
            self._bell.set()

    def shut(self) -> None:
        """Take nothing more; the thread delivers what is there and ends."""
        self._shut = True
        self._closing.set()
        self._bell.set()

    @property
    def left(self) -> int:
        """How many events wait, or are just being written."""
        return self._in_hand + len(self._queue)

    def join(self, timeout: float) -> bool:
        """Wait for the thread; True if all was delivered. What a hanging sink leaves counts as dropped."""
        self._thread.join(timeout)
        left = self.left
        self._queue.clear()
        self._in_hand = 0
        self._drop(left)
        return not left and not self._thread.is_alive()

    def _drop(self, count: int) -> None:
        with self._counting:
            self.dropped += count

    def _run(self) -> None:
        while True:
            if not self._queue:
                self._sleep()
            if not self._queue and self._closing.is_set():
                break
            self._closing.wait(GATHER_S)  # let a batch gather; closing ends the wait at once
            self._deliver()
        self._guarded(self.sink.close)

    def _sleep(self) -> None:
        self._asleep = True
        # Looked at again after the flag is up: an event that came before it rang no bell.
        if not self._queue and not self._closing.is_set():
            self._bell.wait()
        self._bell.clear()
        self._asleep = False

    def _deliver(self) -> None:
        queue = self._queue
        count = min(len(queue), LARGEST_BATCH)
        if not count:
            return
        self._in_hand = count  # before they leave the queue, so that `left` never misses them
        batch = [queue.popleft() for _ in range(count)]
        if not self._guarded(lambda: self.sink.write(batch)):
            self._drop(self._in_hand)
        self._in_hand = 0

    def _guarded(self, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever a sink does, the others and the work go on
            self.errors += 1
            self._failed(self, error)
            return False
        return True


class Bus:
    """Takes events from any thread and hands them to every sink, in order and in batches.

    `capacity` is how many events may wait for one sink.
    """

    def __init__(self, sinks: Iterable[Sink], capacity: int = CAPACITY) -> None:
        self._lanes = [_Lane(sink, capacity, self._report) for sink in sinks]
        self._routes = {kind: tuple(lane for lane in self._lanes if kind in lane.wants) for kind in get_args(Event)}
        self.delivered = False
        """Closed, and nothing was left behind."""
        for sink in self._with("attach"):
            sink.attach(self.emit)

    def emit(self, event: Event, only: str = "") -> None:
        """Tell all sinks, or `only` the one of that name. Never raises, never waits; after `close` the event counts as
        dropped."""
        for lane in self._routes.get(type(event), ()):
            if not only or lane.sink.name == only:
                lane.put(event)

    def use(self, settings: object) -> None:
        """The configuration was read again."""
        for sink in self._with("use"):
            sink.use(settings)

    def _with(self, method: str) -> list[Any]:
        return [lane.sink for lane in self._lanes if hasattr(lane.sink, method)]

    @property
    def dropped(self) -> dict[str, int]:
        """Events that a sink has not recorded, by its name: no room, a failed batch, a sink that hung."""
        return {lane.sink.name: lane.dropped for lane in self._lanes if lane.dropped}

    @property
    def errors(self) -> dict[str, int]:
        """How often each sink has raised, by its name."""
        return {lane.sink.name: lane.errors for lane in self._lanes if lane.errors}

    def settle(self, timeout: float = 2.0) -> dict[str, int]:
        """Block until all is delivered, at most `timeout` seconds; by sink, what was not, with what was dropped."""
        deadline = time.monotonic() + timeout
        while any(lane.left for lane in self._lanes) and time.monotonic() < deadline:
            time.sleep(GATHER_S / 5)
        lost = {lane.sink.name: lane.dropped + lane.left for lane in self._lanes}
        return {name: count for name, count in lost.items() if count}

    def close(self, timeout: float = 5.0) -> bool:
        """Deliver what waits, close the sinks; at most `timeout` seconds. True if nothing was left behind."""
        for lane in self._lanes:
            lane.shut()
        deadline = time.monotonic() + timeout
        joined = [lane.join(max(0.0, deadline - time.monotonic())) for lane in self._lanes]
        self.delivered = all(joined)
        return self.delivered

    async def aclose(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109 - the threads' deadline
        """`close`, without holding up the loop."""
        return await asyncio.to_thread(self.close, timeout)

    def _report(self, failed: _Lane, error: Exception) -> None:
        """Tell the other sinks, at most once a minute for each that fails."""
        now = time.monotonic()
        if now - failed.reported_at < REPORT_EVERY_S:
            return
        failed.reported_at = now
        name = failed.sink.name
        notice = Notice(
            level="error",
            message=f"the {name} sink failed and what it was given is lost: {type(error).__name__}: {error}",
            details={"sink": name, "errors": failed.errors, "dropped": failed.dropped},
        )
        for lane in self._lanes:
            if lane is not failed:
                lane.put(notice)
