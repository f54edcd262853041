"""The clock and the bookkeeping around a request: when it must end, and what is said of it then.

The deadline is one for the whole step: names, connections, redirects, and an answer that comes drop by drop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from orchestrator.errors import is_limit
from orchestrator.home import Home
from orchestrator.outcome import Call
from orchestrator.runners.capture import Capture, capture, printed
from orchestrator.runners.finished import Beside, Finished, FinishedStatus
from orchestrator.runners.http.failure import Code, HttpFailure, cause_of
from orchestrator.runners.until import until_over
from orchestrator.settings import HttpSettings

if TYPE_CHECKING:
    from orchestrator.runners.http.exchange import Exchange

_CANCELLED = HttpFailure(Code.CANCELLED, "the request was cancelled")
_TIMED_OUT = HttpFailure(Code.TIMED_OUT, "the request did not end within the step's timeout")


class HttpRunner:
    """Makes requests. `settings` is asked anew by each of them, so that a host that is trusted no more is refused
    from then on."""

    def __init__(self, home: Home, settings: Callable[[], HttpSettings]) -> None:
        self._home = home
        self._settings = settings
        self._closing = asyncio.Event()
        self._running: set[asyncio.Task[HttpFailure | None]] = set()
        self._library: type[Exchange] | None = None

    async def start(self) -> None:
        """Nothing is needed before the first request."""

    async def close(self) -> None:
        """End what runs; its `run` calls return `cancelled`."""
        self._closing.set()
        while self._running:
            await asyncio.wait(self._running)

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
        """Make a request. The answer's body is the output, an account of the exchange the error output; the code is 0
        if the status was an expected one, else as `Code` says. Raises OSError where this machine is at a limit
        (`errors.is_limit`) and nothing was sent."""
        del mark, beside  # nothing of a request outlives the daemon, and nothing else is started for it
        stops = [event for event in (self._closing, cancelled) if event is not None]
        if any(event.is_set() for event in stops):
            return Finished("cancelled", Code.CANCELLED, error="the step was cancelled before it began")
        out, err = capture(call, out_path), capture(call, err_path)
        started = monotonic()
        try:
            status, failure = await self._until_over(
                call, out, err, stops, (call.timeout_ms if timeout_ms is None else timeout_ms) / 1000
            )
            if failure is not None:
                err.feed(f"http: {failure.message}\n".encode())
        finally:
            out.close()
            err.close()
        return _finished(status, failure, out, err, (monotonic() - started) * 1000)

    async def _until_over(
        self, call: Call, out: Capture, err: Capture, stops: list[asyncio.Event], seconds: float
    ) -> tuple[FinishedStatus, HttpFailure | None]:
        over, failure = await until_over(self._exchange(call, out, err), stops, seconds, self._running)
        if over == "ended":
            return ("ok", None) if failure is None else ("failed", failure)
        return ("cancelled", _CANCELLED) if over == "cancelled" else ("timed_out", _TIMED_OUT)

    async def _exchange(self, call: Call, out: Capture, err: Capture) -> HttpFailure | None:
        if self._library is None:
            self._library = await asyncio.to_thread(_load)
        exchange = self._library(call, self._settings(), self._home, out, err)
        try:
            await exchange.go()
        except HttpFailure as failure:
            if not exchange.sent and is_limit(cause := cause_of(failure)):
                raise cause from failure
            return failure
        return None


def _load() -> type[Exchange]:
    """Only a daemon that makes requests pays for the library, which takes a while to import."""
    from orchestrator.runners.http.exchange import Exchange

    return Exchange


def _finished(
    status: FinishedStatus, failure: HttpFailure | None, out: Capture, err: Capture, duration_ms: float
) -> Finished:
    return Finished(
        status=status,
        code=failure.code if failure else 0,
        duration_ms=duration_ms,
        error=failure.message if failure else out.error or err.error,
        failure=failure.kind if failure and status == "failed" else None,
        **printed(out, err),
    )
