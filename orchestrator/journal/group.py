"""Group commit: many small jobs, one flush."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")
Answer = tuple[asyncio.Future[Any], Any, BaseException | None]
_Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class GroupCommit:
    """One thread that runs small jobs in order, then flushes once for all of them, then says so.

    It never waits to gather a batch (that was measured to be slower): it takes what came while it last flushed.
    Where nobody waits for the flush but only for the job's effect, `linger_s` lets flushes be at least so far apart.

    A job that raises fails alone; a flush that raises fails every job of its batch.
    """

    def __init__(self, name: str, flush: Callable[[], None], *, linger_s: float = 0.0) -> None:
        self._flush = flush
        self._linger_s = linger_s
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def commit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """The job's answer, once it is durable. Call from the event loop only."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((job, future))
        return future

    async def close(self) -> None:
        """Wait for all that was committed, then end the thread."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        answers: list[Answer] = []
        due = 0.0
        job: _Job | None = None
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, due - monotonic())) if answers else self._jobs.get()
                if job is not None:
                    if not answers:
                        due = monotonic() + self._linger_s
                    answers.append(_answer(*job))
                    continue
            except Empty:
                pass  # nothing more came in time: flush what there is
            if answers:
                self._loop.call_soon_threadsafe(_settle, self._flushed(answers))
                answers = []
            if job is None:
                return

    def _flushed(self, answers: list[Answer]) -> list[Answer]:
        try:
            self._flush()
        except OSError as error:
            return [(future, None, failed or error) for future, _, failed in answers]
        return answers


def _answer(job: Callable[[], Any], future: asyncio.Future[Any]) -> Answer:
    try:
        return future, job(), None
    except Exception as error:  # noqa: BLE001 - handed to whoever awaits the job
        return future, None, error


def _settle(answers: list[Answer]) -> None:
    for future, value, error in answers:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
