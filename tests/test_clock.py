"""What a wall clock that is set does to the order of moments."""

import time

from orchestrator import clock


def test_moments_keep_their_order_and_their_distance_to_now_when_the_clock_is_set(monkeypatch):
    now = time.time
    earlier = clock.on_monotonic(now() - 5)
    for shift in (-864_000.0, 864_000.0, 0.0):
        monkeypatch.setattr(time, "time", lambda shift=shift: now() + shift)
        later = clock.on_monotonic(now() + shift)
        assert earlier < later <= time.monotonic()
        earlier = later


def test_a_moment_of_the_future_counts_as_now_and_close_moments_keep_their_order():
    assert clock.on_monotonic(time.time() + 864_000) <= time.monotonic()
    moments = [time.time() - 1 + number * 1e-6 for number in range(1000)]
    assert [clock.on_monotonic(moment) for moment in moments] == sorted(map(clock.on_monotonic, moments))
