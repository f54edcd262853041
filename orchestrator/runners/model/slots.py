"""Who may ask a server now: so many at once as it has slots, in the order in which they came.

Some servers answer two questions in one slot with nothing, others with half the context each; none says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """Used from one event loop."""

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @asynccontextmanager
    async def one(self, limit: int) -> AsyncIterator[None]:
        """Wait until fewer than `limit` are taken and nobody was here before, then hold one."""
        if self._waiting or self._taken >= limit:
            await self._turn(limit)
        else:
            self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._pass_on()

    async def _turn(self, limit: int) -> None:
        """A slot is already counted as taken when this returns."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, limit))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._taken -= 1  # it was given in the moment in which nobody wanted it any more
            self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            turn, limit = self._waiting[0]
            if not turn.cancelled():
                if self._taken >= limit:
                    return
                self._taken += 1
                turn.set_result(None)
            self._waiting.popleft()
