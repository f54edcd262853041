"""SIGHUP: config, skills and policy are read again while the work goes on.

Rule: all of it or nothing. What is read is complete and sound before anything uses it; else what was there stays, and
log and `doctor` say what is wrong. Reading takes a second, so a thread does it; who asks meanwhile is served next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orchestrator.bus import Bus
from orchestrator.errors import FatalError
from orchestrator.event import Notice, utc_now
from orchestrator.execution.prepare import Tools
from orchestrator.fingerprint import mark
from orchestrator.home import Home
from orchestrator.lock import DaemonLock
from orchestrator.sandbox import probe
from orchestrator.settings import Settings
from orchestrator.supervisor import Supervisor

_LONGEST = 300  # characters of a refusal that are published
_AT_START = ("log", "memory")
"""Sections of the configuration that are read at a start alone."""


class Reload:
    """`use` takes new tools into use. Asked from the event loop."""

    def __init__(
        self,
        home: Home,
        bus: Bus,
        lock: DaemonLock,
        supervisor: Supervisor,
        tools: Callable[[], Tools],
        use: Callable[[Tools], None],
    ) -> None:
        self._home = home
        self._bus = bus
        self._lock = lock
        self._supervisor = supervisor
        self._tools = tools
        self._use = use
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Read everything again, from how it is now on."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._go())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _go(self) -> None:
        with self._supervisor.reloading():
            while self._wanted:
                self._wanted = False
                await self._once()

    async def _once(self) -> None:
        try:
            tools = await asyncio.to_thread(self._read)
        except Exception as error:  # noqa: BLE001 - a mistake of ours is no reason to work with half of it either
            why = str(error) if isinstance(error, FatalError | OSError) else f"internal error: {error!r}"
            self._say("error", f"reload refused, the old configuration stays: {why}")
            self._publish({"at": utc_now(), "refused": why[:_LONGEST]})
            return
        later = _changed_at_start(self._tools().settings, tools.settings)
        self._use(tools)
        at_start = f"; what changed in {' and '.join(later)} takes effect at the next start" if later else ""
        self._say("info", f"config, skills and policy were read again{at_start}")
        self._publish(None, read=mark(tools.read_from))

    def _read(self) -> Tools:
        tools = Tools.load(self._home, host=probe())
        tools.wall.prepare()
        return tools

    def _publish(self, refused: dict[str, Any] | None, **more: str) -> None:
        with suppress(OSError):  # the log says it all the same
            self._lock.announce(reload=refused, **more)

    def _say(self, level: str, message: str) -> None:
        self._bus.emit(Notice(level=level, message=message))  # type: ignore[arg-type]


def _changed_at_start(before: Settings, after: Settings) -> list[str]:
    return [f"[{section}]" for section in _AT_START if getattr(before, section) != getattr(after, section)]
