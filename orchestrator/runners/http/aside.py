"""Work in a thread on behalf of a request.

Rule: the thread is waited for even where the request is cancelled, because what it works on is closed next, and its
descriptor may be another file's a moment later. (anyio shields only from its own cancellation, not from a task's.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def aside(function: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments) -> Result:
    """What the function returns or raises."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait((work,))
        work.exception()  # taken note of: it is the cancellation that is told
        raise
