"""Run as a program: the orchestrator, on a disk that seems to take 5 ms for each flush.

Only what `os.fsync` and `os.fdatasync` cost is changed, and each call is counted as one byte in a file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

FLUSH_SECONDS = 0.005
COUNTER = "BENCHMARK_SYNC_COUNTER"


def slowed(flush: Callable[[int], None], counter: int) -> Callable[[int], None]:
    """The same flush after a sleep, which lets other threads run as a waiting disk would."""

    def slow(descriptor: int) -> None:
        os.write(counter, b".")
        time.sleep(FLUSH_SECONDS)
        flush(descriptor)

    return slow


def main() -> None:
    counter = os.open(os.environ[COUNTER], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.fsync = slowed(os.fsync, counter)  # type: ignore[assignment]
    if hasattr(os, "fdatasync"):
        os.fdatasync = slowed(os.fdatasync, counter)  # type: ignore[assignment]
    from orchestrator.cli.front import main as orchestrator

    orchestrator()


if __name__ == "__main__":
    main()
