"""When the machine is short of something that every task needs: nothing new is started for a moment."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from orchestrator.troubles import Troubles

PAUSE_S = 1.0


class Shortage:
    """`go_on` is called at the end of each pause, `over` when nobody has met the shortage for a while."""

    def __init__(self, troubles: Troubles, go_on: Callable[[], None], over: Callable[[], None]) -> None:
        self._troubles = troubles
        self._go_on = go_on
        self._over = over
        self._pause: asyncio.TimerHandle | None = None

    @property
    def pauses(self) -> bool:
        return self._pause is not None

    def met(self, error: OSError) -> None:
        """Someone was refused: the disk is full, descriptors are short."""
        what = error.strerror or str(error)
        if error.errno == errno.EAGAIN:  # it may be one task's own trouble, which then waits alone
            self._troubles.meet("starting", f"a start waits: {what}", "no start waits any more", over=self._over)
            return
        self._troubles.meet("claiming", f"claiming pauses: {what}", "claiming goes on", over=self._over)
        if self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._try_again)

    def _try_again(self) -> None:
        self._pause = None
        self._go_on()
