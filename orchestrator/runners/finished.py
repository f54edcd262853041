"""What every runner answers, and what every runner is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from orchestrator.outcome import Call, Failure

FinishedStatus = Literal["ok", "failed", "timed_out", "cancelled"]


@dataclass(frozen=True, slots=True)
class Finished:
    """How one program ended.

    `code` is the exit code, negative for a signal, and 126 or 127 (with `error`) if it could not be started.
    The tails are the last 4 KiB. `*_bytes` count what was printed; `truncated` says that a file lacks its
    middle, `lost_bytes` how much the disk refused (with `error`, which does not make the step fail). `cpu_ms`
    and `max_rss_kb` are of the program and of the children that it waited for; Linux never says less memory
    than this process itself had at the start, unless `peak_is_own` (inside a sandbox). `killed` counts
    processes that were left when the program ended; the kernel kills those inside a sandbox uncounted. `failure` is
    set by a runner that knows more about it than status and code say, `report` by one that has more to tell.
    """

    status: FinishedStatus
    code: int
    stdout_tail: str = ""
    stderr_tail: str = ""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False
    duration_ms: float = 0.0
    cpu_ms: float = 0.0
    max_rss_kb: int = 0
    peak_is_own: bool = False
    killed: int = 0
    lost_bytes: int = 0
    error: str | None = None
    failure: Failure | None = None
    report: dict[str, Any] | None = None


Beside = Callable[[Call, str], Awaitable["Finished"]]
"""Starts one of a call's `beside` as steps are started, after the gate has judged it once more. The word becomes part
of the names of its output files, so that each start of a call has its own."""


class Runner(Protocol):
    """Carries out calls of one kind. Made once by the daemon; used from one event loop."""

    async def start(self) -> None: ...

    async def close(self) -> None:
        """End what runs; its `run` calls return `cancelled`."""

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
        """Carry out a call to its end. What it prints goes to the two files, which appear with the first byte;
        `mark` names the run; `timeout_ms` takes the place of the call's own; setting `cancelled` stops it.

        Raises OSError where the machine is short of something, and then nothing of the call was begun."""
