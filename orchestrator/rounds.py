"""What the daemon looks after every few seconds: its lock, its folders, the watch on inbox, and inbox itself.

A watcher's event is a hint only, and a watch can go blind: so inbox is listed again whatever the kernel said. Rule:
a round never ends the rounds; what goes wrong in one is said, and tried again in the next.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from orchestrator.bus import Bus
from orchestrator.event import Notice
from orchestrator.fingerprint import Fingerprint, fingerprint
from orchestrator.home import Home
from orchestrator.lock import DaemonLock
from orchestrator.scheduler.scheduler import Scheduler
from orchestrator.troubles import Troubles
from orchestrator.watcher import Watcher, watch

MOVING_S = 0.5  # whoever moves inbox away may be about to put another in its place


class Rounds:
    """Watches inbox and makes the rounds. `lost` is called when the lock is another's: then there is no further one."""

    def __init__(
        self,
        home: Home,
        lock: DaemonLock,
        scheduler: Scheduler,
        bus: Bus,
        troubles: Troubles,
        lost: Callable[[], None],
    ) -> None:
        self._home = home
        self._lock = lock
        self._scheduler = scheduler
        self._bus = bus
        self._troubles = troubles
        self._lost = lost
        self._told = scheduler.tools.read_from
        self._soon = asyncio.Event()
        self._watcher: Watcher = watch(home.inbox, asyncio.get_running_loop(), self._hint)

    def start(self) -> None:
        """Arm the watch, and have inbox listed for what lay there before."""
        self._watch()
        self._scheduler.hint(None)
        self._task = asyncio.ensure_future(self._go())

    def close(self) -> None:
        self._task.cancel()
        self._watcher.close()

    @property
    def _period_s(self) -> float:
        return self._scheduler.tools.settings.daemon.rescan / 1000

    def _hint(self, changed: set[str] | None) -> None:
        """The watcher's word. Where it can't say what changed, it may have lost the folder: a round, at once."""
        if changed is None:
            self._soon.set()
        else:
            self._scheduler.hint(changed)

    async def _go(self) -> None:
        while True:
            await self._rest()
            try:
                if not self._lock.held():
                    message = "state/daemon.lock was replaced: stopping, another may serve"
                    self._bus.emit(Notice(level="error", message=message))
                    self._lost()
                    return
                await self._round()
            except OSError as error:
                where = f" ({error.filename})" if error.filename else ""
                sentence = f"the home can't be looked after: {error.strerror or error}{where}"
                self._meet("home", sentence, "the home is looked after again")

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._period_s):
                await self._soon.wait()
                await asyncio.sleep(MOVING_S)
        self._soon.clear()

    async def _round(self) -> None:
        self._home.prepare()  # a folder that someone removed would hold up every task
        self._watch()
        await self._scheduler.scan()
        self._told = await asyncio.to_thread(self._tell_if_changed, self._told)

    def _watch(self) -> None:
        try:
            renewed = self._watcher.renew()
        except OSError as error:
            every = f"{self._period_s:g} s"
            sentence = f"inbox can't be watched ({error.strerror or error}): it is listed every {every} instead"
            self._meet("watch", sentence, "inbox is watched again")
        else:
            if renewed:
                self._bus.emit(Notice(level="warning", message="inbox is another folder than before: watched anew"))

    def _meet(self, name: str, sentence: str, afterwards: str) -> None:
        self._troubles.meet(name, sentence, afterwards, lasts_s=self._period_s * 1.5, level="warning")

    def _tell_if_changed(self, told: Fingerprint) -> Fingerprint:
        """Say once that files were changed which this daemon has not read: until SIGHUP it goes by what it knows."""
        now = fingerprint(self._home)
        known = self._scheduler.tools.read_from
        if now in (told, known):
            return now
        changed = sorted({path for path, _, _ in set(now) ^ set(known)})
        names = ", ".join(os.path.relpath(path, self._home.root) for path in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        message = f"{names}{more} changed since they were read: `kill -HUP {os.getpid()}` has them read again"
        self._bus.emit(Notice(level="warning", message=message))
        return now
