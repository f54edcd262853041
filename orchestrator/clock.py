"""Clocks that nobody can set, and the one that people set. Wall-clock time is for people, for schedules, and for what
must outlast a restart of the machine."""

from __future__ import annotations

import os
import time

VIRTUAL = os.environ.get("ORCHESTRATOR_CLOCK", "")
"""For tests: a file whose modification time is the time of schedules (`touch -d 2026-03-29T00:59Z FILE`)."""

_JUMP_S = 1.0
_offset = 0.0


def wall() -> float:
    """The time that schedules go by, in seconds since the epoch."""
    return os.stat(VIRTUAL).st_mtime if VIRTUAL else time.time()


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
