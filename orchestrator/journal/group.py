"""Group commit: many small jobs, one flush."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Answer = tuple[asyncio.Future[Any], Any, BaseException | None]


class GroupCommit:
    """One thread that runs small jobs in order, then flushes once for all of them, then says so.

    It never waits to gather a batch (that was measured to be slower): it takes what came while it last flushed.

    A job that raises fails alone; a flush that raises fails every job of its batch.
    """

    def __init__(self, name: str, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._wake = threading.Semaphore(0)
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def commit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """The job's answer, once it is durable. Call from the event loop only."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append((job, future))
        self._wake.release()
        return future

    async def close(self) -> None:
        """Wait for all that was committed, then end the thread."""
        self._closing = True
        self._wake.release()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            batch = []
            while self._jobs:
                batch.append(self._jobs.popleft())
            if batch:
                answers = self._run(batch)
                self._loop.call_soon_threadsafe(_settle, answers)
            elif self._closing:
                return

    def _run(self, batch: list[tuple[Callable[[], Any], asyncio.Future[Any]]]) -> list[Answer]:
        answers: list[Answer] = []
        for job, future in batch:
            try:
                answers.append((future, job(), None))
            except Exception as error:  # noqa: BLE001 - handed to whoever awaits the job
                answers.append((future, None, error))
        try:
            self._flush()
        except OSError as error:
            answers = [(future, None, failed or error) for future, _, failed in answers]
        return answers


def _settle(answers: list[Answer]) -> None:
    for future, value, error in answers:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
