"""The bus: telling costs the work nothing, and no sink can hurt another."""

import asyncio
import threading

import pytest

from orchestrator.bus import Bus
from orchestrator.event import Notice, StepStarted, TaskFinished
from orchestrator.outcome import Outcome


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self, name="kept"):
        self.name = name
        self.batches = []
        self.threads = set()
        self.closed = 0

    def write(self, batch):
        self.batches.append(list(batch))
        self.threads.add(threading.current_thread())

    def close(self):
        self.closed += 1

    @property
    def events(self):
        return [event for batch in self.batches for event in batch]


class Broken(Kept):
    def write(self, batch):
        super().write(batch)
        raise RuntimeError("no more paper")


class Hanging(Kept):
    """Hangs in write until released."""

    def __init__(self):
        super().__init__("hanging")
        self.entered = threading.Event()
        self.release = threading.Event()

    def write(self, batch):
        self.entered.set()
        self.release.wait()
        super().write(batch)


def step(number):
    return StepStarted(id="tsk", run=1, step=number, skill="bash", args=())


@pytest.fixture
def hanging():
    sink = Hanging()
    yield sink
    sink.release.set()


def test_a_sink_gets_all_events_in_order_and_is_closed_once():
    sink = Kept()
    bus = Bus([sink])
    for number in range(5_000):
        bus.emit(step(number))
    assert bus.close()
    assert [event.step for event in sink.events] == list(range(5_000))
    assert sink.closed == 1
    assert bus.dropped == {}


def test_events_come_in_batches_of_bounded_size_on_one_thread_that_is_not_the_callers():
    sink = Kept()
    bus = Bus([sink])
    for number in range(3_000):
        bus.emit(step(number))
    bus.close()
    assert len(sink.batches) < 100
    assert max(map(len, sink.batches)) <= 1_000
    assert len(sink.threads) == 1
    assert threading.current_thread() not in sink.threads


def test_events_of_many_threads_all_arrive_each_threads_in_its_order():
    sink = Kept()
    bus = Bus([sink], capacity=100_000)

    def work(thread):
        for number in range(1_000):
            bus.emit(StepStarted(id=str(thread), run=1, step=number, skill="bash", args=()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.close()
    for thread in range(8):
        assert [event.step for event in sink.events if event.id == str(thread)] == list(range(1_000))


def test_an_event_wakes_a_sink_that_slept():
    arrived = threading.Event()

    class Ringing(Kept):
        def write(self, batch):
            super().write(batch)
            arrived.set()

    bus = Bus([Ringing()])
    for number in range(3):
        bus.emit(step(number))
        assert arrived.wait(30)
        arrived.clear()
    bus.close()


def test_a_full_queue_drops_and_counts_and_only_for_the_sink_that_hangs(hanging):
    free = Kept("free")
    bus = Bus([hanging, free], capacity=10)
    bus.emit(step(0))
    assert hanging.entered.wait(30)
    seen = 0
    for number in range(1, 31):
        bus.emit(step(number))
        while len(free.events) < number:  # the free sink keeps up, whatever the other does
            seen += 1
            threading.Event().wait(0.001)
    assert bus.dropped == {"hanging": 20}
    hanging.release.set()
    assert bus.close()
    assert [event.step for event in free.events] == list(range(31))
    assert [event.step for event in hanging.events] == list(range(11))


def test_close_does_not_wait_longer_than_told_for_a_sink_that_hangs_and_counts_what_it_left(hanging):
    free = Kept("free")
    bus = Bus([hanging, free])
    bus.emit(step(0))
    assert hanging.entered.wait(30)
    bus.emit(step(1))
    assert not bus.close(timeout=0.05)
    assert bus.dropped == {"hanging": 2}
    assert len(free.events) == 2


def test_settling_waits_for_what_can_be_delivered_and_tells_what_was_not(hanging):
    free = Kept("free")
    bus = Bus([hanging, free])
    for number in range(3):
        bus.emit(step(number))
    assert bus.settle(timeout=0.2) == {"hanging": 3}
    assert len(free.events) == 3
    hanging.release.set()
    assert bus.settle(timeout=30) == {}
    bus.close()


def test_a_sink_that_raises_is_counted_goes_on_and_is_reported_to_the_others_once():
    broken, free = Broken("broken"), Kept("free")
    bus = Bus([broken, free])
    for number in range(3):
        bus.emit(step(number))
        while len(broken.events) <= number:
            threading.Event().wait(0.001)
    while bus.errors.get("broken", 0) < 3:
        threading.Event().wait(0.001)
    bus.close()
    assert [event.step for event in broken.events] == [0, 1, 2]
    assert bus.errors == {"broken": 3}
    assert bus.dropped == {"broken": 3}
    notices = [event for event in free.events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert "no more paper" in notices[0].message
    assert notices[0].level == "error"


def test_a_sink_is_only_given_what_it_wants():
    class Choosy(Kept):
        wants = (TaskFinished,)

    sink = Choosy()
    bus = Bus([sink])
    finished = TaskFinished(outcome=Outcome(id="a", run=1, name="a.json", status="ok", reason=None, title=""))
    bus.emit(step(0))
    bus.emit(finished)
    bus.close()
    assert sink.events == [finished]


def test_after_close_an_event_is_dropped_and_nothing_is_raised():
    bus = Bus([Kept()])
    bus.close()
    bus.emit(step(0))
    assert bus.dropped == {"kept": 1}
    assert bus.close()


async def test_aclose_delivers_from_within_a_loop():
    sink = Kept()
    bus = Bus([sink])
    bus.emit(step(0))
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.ensure_future(tick())
    assert await bus.aclose()
    ticking.cancel()
    assert len(sink.events) == 1
    assert ticks > 0
