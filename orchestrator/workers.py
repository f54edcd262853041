"""The threads that do what would hold up the event loop (`asyncio.to_thread`).

Rule: all are started before anything else is. A machine that later has no thread left to give then takes nothing from
what is at work: a job waits for one of these instead.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor


def start_workers() -> None:
    """Make the running loop use threads that are there. Raises OSError if they can't be started."""
    count = min(32, (os.cpu_count() or 1) + 4)
    workers = ThreadPoolExecutor(count, thread_name_prefix="worker")
    all_there = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            workers.submit(all_there.wait)
    except RuntimeError as error:
        all_there.abort()
        raise OSError(errno.EAGAIN, f"{count} threads can't be started here") from error
    all_there.wait()
    asyncio.get_running_loop().set_default_executor(workers)
