"""Work in the daemon that must end: by itself, at its deadline, or because somebody stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Over = Literal["ended", "cancelled", "timed_out"]


async def until_over(
    work: Coroutine[Any, Any, T], stops: Iterable[asyncio.Event], seconds: float | None, running: set[asyncio.Task[Any]]
) -> tuple[Over, T | None]:
    """Do the work until it ends, one of the events is set, or the time is over (None: never). While it runs it is one
    of `running`.

    It is gone when this returns or raises, however that comes about. What it raises goes on."""
    task = asyncio.create_task(work)
    waits = [asyncio.create_task(event.wait()) for event in stops]
    running.add(task)
    task.add_done_callback(running.discard)
    try:
        await asyncio.wait((task, *waits), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return "ended", task.result()
        return ("cancelled" if any(wait.done() for wait in waits) else "timed_out"), None
    finally:
        for each in (task, *waits):
            each.cancel()
        await asyncio.wait((task, *waits))
        if not task.cancelled():
            task.exception()  # taken note of, where it came too late to matter
