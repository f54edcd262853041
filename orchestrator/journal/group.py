"""Group commit: what many tasks wrote is made durable by one sync, in a thread.

The writes themselves are made where they arise, in the event loop: they go to the page cache, and handing each to
a thread was measured to cost more than making it. Only a sync waits for the disk, so only syncs are handed over.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic


class GroupSync:
    """One thread that syncs when asked, once for all who asked while it was busy.

    It never waits to gather askers (that was measured to be slower), except where nobody waits for the sync but
    only for the news of it: `linger_s` lets syncs be at least so far apart.
    """

    def __init__(self, name: str, sync: Callable[[], None], *, linger_s: float = 0.0) -> None:
        self._sync = sync
        self._linger_s = linger_s
        self._asked: deque[asyncio.Future[None]] = deque()
        self._bell = threading.Lock()  # as a bell, not as a guard: released to wake the thread
        self._bell.acquire()
        self._ringing = False
        self._closing = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def synced(self) -> asyncio.Future[None]:
        """Done when all that was written before this call is durable; an OSError if it could not be made so."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._asked.append(future)
        self._ring()
        return future

    async def close(self) -> None:
        """Sync what was asked for, then end the thread."""
        self._closing.set()
        self._ring()
        await asyncio.to_thread(self._thread.join)

    def _ring(self) -> None:
        """Wake the thread when the loop has done what it has at hand: whoever else asks until then shares the sync, and
        a thread that woke at once would find the interpreter's lock taken by just that work."""
        if not self._ringing:
            self._ringing = True
            self._loop.call_soon(self._bell.release)

    def _work(self) -> None:
        while True:
            self._bell.acquire()
            closing = self._closing.is_set()
            # From here on a new asker rings again; whom this round leaves out the next one serves.
            self._ringing = False
            if count := len(self._asked):
                begun = monotonic()
                error = self._try()
                asked = [self._asked.popleft() for _ in range(count)]
                try:
                    self._loop.call_soon_threadsafe(_settle, asked, error)
                except RuntimeError:  # the loop is closed: the daemon ends with an error, and nobody waits any more
                    return
                if self._linger_s:
                    self._closing.wait(max(0.0, self._linger_s - (monotonic() - begun)))
            if closing:
                return

    def _try(self) -> Exception | None:
        try:
            self._sync()
        except Exception as error:  # noqa: BLE001 - told to those who wait: a thread that dies would leave them waiting
            return error
        return None


def _settle(asked: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in asked:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
