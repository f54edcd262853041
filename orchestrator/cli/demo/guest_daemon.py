"""A daemon of one's own for the length of the demo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import FatalError
from orchestrator.home import Home

START_PATIENCE_S = 30.0
END_PATIENCE_S = 20.0


@contextmanager
def running(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Start a daemon, wait until it is ready, end it with SIGTERM. Raises FatalError with its last words."""
    log = f"{home.state}/demo.log"
    environment = {key: value for key, value in os.environ.items() if key != "LOCAL_ALLOW_HIGH"}
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "--home", home.root, "run"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        _until_ready(home, process, log)
        yield process
    finally:
        _end(process)


def _until_ready(home: Home, process: subprocess.Popen[bytes], log: str) -> None:
    from orchestrator.home import daemon_pid

    deadline = time.monotonic() + START_PATIENCE_S
    while daemon_pid(home) != process.pid:
        if process.poll() is not None or time.monotonic() > deadline:
            with open(log, encoding="utf-8", errors="replace") as handle:
                last = handle.read()[-2_000:].strip()
            raise FatalError(f"the demo's daemon did not start; its log says:\n{last}")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
