"""The model runner: carries out steps that ask a language model, for an answer or for a file.

It works in the daemon, as the http runner does. What it prints to a step's output is the answer, or the report of the
code task as one line of JSON; the error output is the account of what happened, for people. The libraries that it
needs are imported with its first step.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from orchestrator.coding.change import settle
from orchestrator.coding.ended import Ended
from orchestrator.home import Home
from orchestrator.outcome import Call, Failure
from orchestrator.runners.capture import Capture, capture, printed
from orchestrator.runners.finished import Beside, Finished, FinishedStatus
from orchestrator.runners.until import until_over
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.runners.model.models import Models

UNAVAILABLE = 75
"""The exit code where no model could be asked: EX_TEMPFAIL of sysexits.h."""
_STOPPED = {"timed_out": "no model had done it within the step's timeout", "cancelled": "the step was cancelled"}
CODES: dict[Failure, int] = {"model_unavailable": UNAVAILABLE, "escalated": 1}


class ModelRunner:
    """Asks the models of the config. `settings` is asked anew by each step. A file that is being written is locked by
    its real path: no two steps write one file at a time."""

    def __init__(self, home: Home, settings: Callable[[], Settings]) -> None:
        self._home, self._settings = home, settings
        self._models: Models | None = None
        self._targets: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closing = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Nothing is needed before the first step."""

    async def close(self) -> None:
        """End what runs; its `run` calls return `cancelled`."""
        self._closing.set()
        while self._running:
            await asyncio.wait(self._running)
        if self._models is not None:
            await self._models.close()

    async def run(
        self,
        call: Call,
        *,
        out_path: str,
        err_path: str,
        mark: str,
        timeout_ms: float | None = None,
        cancelled: asyncio.Event | None = None,
        beside: Beside | None = None,
    ) -> Finished:
        """Ask, and see to what comes back. Code 75 says that no model could be asked, 1 that none was up to it."""
        del mark  # what is started beside it has its own
        stops = [event for event in (self._closing, cancelled) if event is not None]
        if any(event.is_set() for event in stops):
            return Finished("cancelled", -1, error="the step was cancelled before it began")
        out, err = capture(call, out_path), capture(call, err_path)
        begun, seconds = monotonic(), (call.timeout_ms if timeout_ms is None else timeout_ms) / 1000
        undone: list[str] = []
        try:
            work = self._work(call, out_path.removesuffix(".out"), err, beside, undone)
            over, ended = await until_over(work, stops, seconds, self._running)
            if ended is not None:
                out.feed(ended.output)
        finally:
            out.close()
            err.close()
        duration_ms = (monotonic() - begun) * 1000
        if ended is None:
            status: FinishedStatus = "timed_out" if over == "timed_out" else "cancelled"
            error = "; ".join([_STOPPED[status], *undone])
            return Finished(status, -1, duration_ms=duration_ms, error=error, **printed(out, err))
        return Finished(
            "failed" if ended.failure else "ok",
            CODES[ended.failure] if ended.failure else 0,
            duration_ms=duration_ms,
            error=ended.error or out.error or err.error,
            failure=ended.failure,
            report=ended.report,
            **printed(out, err),
        )

    async def _work(self, call: Call, stem: str, err: Capture, beside: Beside | None, undone: list[str]) -> Ended:
        """`undone` is told what became of the file where the work is stopped in the middle."""
        if self._models is None:
            self._models = await asyncio.to_thread(_load, self._home, self._settings)
        from orchestrator.coding.asking import answer_of
        from orchestrator.coding.attempt import surely
        from orchestrator.coding.writing import Writing
        from orchestrator.skills.model_request import read_model_request

        def say(sentence: str) -> None:
            err.feed(f"{sentence}\n".encode())

        request, settings = read_model_request(call.inputs), self._settings()
        chain = request.models or settings.coding.models
        if request.output_file is None:
            return await answer_of(self._models, chain, request, say)
        writing = Writing(call, request, chain, stem, self._home, settings, self._models, beside, say)
        lock = self._targets.setdefault(writing.target, asyncio.Lock())
        async with lock:
            try:
                return await writing.go()
            except BaseException:
                undone += await surely(partial(settle, self._home, os.path.dirname(stem)))
                for sentence in undone:
                    say(sentence)
                raise


def _load(home: Home, settings: Callable[[], Settings]) -> Models:
    """Off the loop, because the libraries take a while to import."""
    from orchestrator.coding import writing  # noqa: F401 - imported here for its own imports
    from orchestrator.runners.model.models import Models
    from orchestrator.secrets import Secrets

    def secret(name: str) -> str | None:
        """As it is now: it may have been set since."""
        return Secrets(settings().secrets, home, os.environ).for_config(name)

    return Models(settings, secret)
