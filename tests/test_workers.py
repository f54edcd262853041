"""Work aside from the event loop on a machine that has no thread left."""

import asyncio
import threading

import pytest

from orchestrator.workers import start_workers


def none_left(thread):
    raise RuntimeError("can't start new thread")


async def test_what_is_done_aside_needs_no_thread_that_is_not_there_yet(monkeypatch):
    start_workers()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        jobs = [asyncio.to_thread(str, number) for number in range(100)]
        assert await asyncio.gather(*jobs) == [*map(str, range(100))]


async def test_a_daemon_that_gets_no_threads_at_its_start_says_so_as_of_any_shortage(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(OSError, match="threads can't be started here"):
        start_workers()
