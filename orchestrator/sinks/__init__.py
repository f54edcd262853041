"""Where events end up: one module per place, each behind `bus.Sink`. A new one is a module and a line here.

Sinks are imported when they are made, so that a reader of one of them does not pay for all.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.bus import Sink
    from orchestrator.home import Home
    from orchestrator.settings import Settings


def make_sinks(home: Home, settings: Settings, *, once: bool = False, verbose: bool = False) -> list[Sink]:
    """The sinks of a daemon. `once` prints each task's end on stdout, and then the log keeps to notices."""
    from orchestrator.sinks.console import ConsoleSink
    from orchestrator.sinks.log import LogSink
    from orchestrator.sinks.memory import MemorySink
    from orchestrator.sinks.notify import NotifySink
    from orchestrator.sinks.telemetry import TelemetrySink

    sinks: list[Sink] = [TelemetrySink(home.telemetry), LogSink(tasks=not once)]
    sinks.append(NotifySink(home, settings, once=once))
    if settings.memory.enabled:
        sinks.append(MemorySink(home.memory))
    if once:
        sinks.append(ConsoleSink(sys.stdout, verbose=verbose))
    return sinks
