"""Clocks that nobody can set. Wall-clock time is for people, and for what must outlast a restart of the machine."""

from __future__ import annotations

import time

_JUMP_S = 1.0
_offset = 0.0


def boot_seconds() -> float:
    """Seconds since this machine was started, sleep included where the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def boot_id() -> str:
    """What names this run of the machine from its start to its end; empty where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def on_monotonic(wall: float) -> float:
    """A moment of the wall clock (seconds since the epoch), on the scale of `time.monotonic`; never in the future.

    Moments keep their order, unless the wall clock was set in between."""
    global _offset  # kept, so that two moments are not put in another order by how long these two calls take
    now, steady = time.time(), time.monotonic()
    if abs(now - steady - _offset) > _JUMP_S:
        _offset = now - steady
    return min(wall - _offset, steady)
