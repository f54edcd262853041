"""Says which names in inbox changed, or only "look again" where it can't say. A hint, never the truth.

On Linux our own small reader of inotify: it asks for arrivals only, so that the daemon's own renames out of inbox
cost nothing, it sits in the event loop without a thread, and it sees overflow and a replaced folder, which
watchdog's emitter passes over (measured: notes in docs/architecture.md). Elsewhere watchdog does it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Protocol

Hint = Callable[[set[str] | None], None]
"""Called in the event loop with the names that changed, or None for "list the folder"."""


class Watcher(Protocol):
    def start(self) -> None:
        """Arm the watch. What arrives from now on is hinted at; list the folder after this, not before.

        Raises OSError where there is no folder, or the system has no watch to give: then try again later."""

    def renew(self) -> bool:
        """As `start`, where it is not armed or the folder was replaced meanwhile; True if it was another one before."""

    def close(self) -> None:
        """Let go of it; `renew` arms it again."""


def watch(folder: str, loop: asyncio.AbstractEventLoop, hint: Hint) -> Watcher:
    """The watcher that this system has."""
    if sys.platform == "linux":
        from orchestrator.watcher.inotify import InotifyWatcher

        return InotifyWatcher(folder, loop, hint)
    from orchestrator.watcher.observer import ObserverWatcher

    return ObserverWatcher(folder, loop, hint)
