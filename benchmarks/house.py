"""A home of its own for each measurement, a real daemon in it, and specs that are dropped as `cp` would.

Only the public contract is used: the command line, `state/daemon.json`, and files in `queue/`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 30
STALL_SECONDS = 60
# Counting a folder must not compete with what is measured: at most this part of one core is spent on it.
LISTING_SHARE = 0.05
SHORTEST_PAUSE = 0.005

ORCHESTRATOR = (sys.executable, "-m", "orchestrator")


class BenchmarkError(Exception):
    """The system under test did not do what the benchmark needs; the message tells what it did instead."""


class House:
    """One home and, while `daemon` is open, the daemon in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.queue = root / "queue"
        self.inbox = self.queue / "inbox"
        self.done = self.queue / "done"
        self.failed = self.queue / "failed"
        self.log = root / "daemon.log"
        self.pid = 0
        self._alive: Callable[[], bool] = lambda: False

    @contextmanager
    def daemon(self, *, max_tasks: int, program: Sequence[str] = ORCHESTRATOR, **env: str) -> Iterator[None]:
        """Run a daemon until the block ends. `program` is what stands before `--home`."""
        settings = {"ORCHESTRATOR_DAEMON__MAX_TASKS": str(max_tasks), "ORCHESTRATOR_LOG__LEVEL": "warning"}
        # The peers start plain processes; what a sandbox adds to one is measured by itself.
        settings["ORCHESTRATOR_SANDBOX__LEVEL"] = "none"
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*program, "--home", str(self.root), "run"],
                env={**os.environ, **settings, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._alive = lambda: process.poll() is None
            self.pid = self._ready(process)
            yield
        finally:
            _end(process)

    def _ready(self, process: subprocess.Popen[bytes]) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(FileNotFoundError, ValueError):
                said = json.loads((self.root / "state" / "daemon.json").read_text())
                if said.get("ready") and said.get("pid") == process.pid:
                    return process.pid
            time.sleep(0.01)
        raise BenchmarkError(f"the daemon was not ready after {START_SECONDS} s; it said:\n{self.last_words()}")

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def stage(self, specs: dict[str, object]) -> list[tuple[Path, Path]]:
        """Write the specs outside of the inbox, on the same file system: pairs of from and to for `drop`."""
        staging = self.root / "staging"
        staging.mkdir(exist_ok=True)
        pairs = []
        for name, spec in specs.items():
            (staging / name).write_text(json.dumps(spec))
            pairs.append((staging / name, self.inbox / name))
        return pairs

    def wait(self, count: int, watch: Callable[[], None] | None = None) -> float:
        """Wait until `count` tasks have ended, done or failed. Returns the monotonic time at which that was seen."""
        seen, since = 0, time.monotonic()
        while True:
            started = time.monotonic()
            ended = len(specs_in(self.done)) + len(specs_in(self.failed))
            now = time.monotonic()
            if ended >= count:
                return now
            if ended > seen:
                seen, since = ended, now
            if now - since > STALL_SECONDS or not self._alive():
                raise BenchmarkError(
                    f"{ended} of {count} tasks ended, then none for {now - since:.0f} s"
                    f"{'' if self._alive() else ', for the daemon is gone'}; it said:\n{self.last_words()}"
                )
            if watch is not None:
                watch()
            time.sleep(max(SHORTEST_PAUSE, (now - started) / LISTING_SHARE))

    def result(self, name: str) -> dict[str, object]:
        """The result of a task that is done, by the name of its file."""
        loaded: dict[str, object] = json.loads((self.done / f"{Path(name).stem}.result.json").read_text())
        return loaded

    def verify(self, names: Sequence[str]) -> None:
        """Every one of these tasks is done, once, with every check passed. Raises BenchmarkError otherwise."""
        done = set(specs_in(self.done))
        if lost := set(names) - done:
            raise BenchmarkError(f"{len(lost)} of {len(names)} tasks are not in done/, {min(lost)} among them")
        for name in names:
            result = self.result(name)
            checks = result["acceptance"]
            assert isinstance(checks, list)
            if result["status"] != "ok" or not all(check["ok"] is True for check in checks):
                raise BenchmarkError(f"{name} did not end ok: {result}")
            runs = os.listdir(self.root / "state" / "runs" / str(result["id"]))
            if result["run"] != 1 or runs != ["1"]:
                raise BenchmarkError(f"{name} ran more than once: {sorted(runs)}")


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """A fresh home beneath `folder`, which the caller removes when all is measured.

    Removing it sooner would slow the next round down: ext4 passes over inodes that were freed within the last
    minutes, one by one, each time that it makes a file near them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    subprocess.run([*ORCHESTRATOR, "--home", str(root), "init", str(root)], check=True, capture_output=True)
    yield House(root)


def drop(pairs: Sequence[tuple[Path, Path]]) -> float:
    """Move staged specs into the inbox, each by one rename. Returns the monotonic time just before the first."""
    started = time.monotonic()
    for source, target in pairs:
        os.rename(source, target)
    return started


def task(name: str, script: str, *acceptance: object) -> dict[str, object]:
    """A spec of one bash step."""
    return {
        "id": name,
        "title": f"Benchmark {name}",
        "risk": "low",
        "skills": ["bash"],
        "steps": [{"skill": "bash", "args": ["-c", script]}],
        "acceptance": list(acceptance),
    }


def tasks(prefix: str, count: int, script: str, *acceptance: object) -> dict[str, object]:
    """Specs by file name."""
    names = [f"{prefix}-{number:06}" for number in range(count)]
    return {f"{name}.json": task(name, script, *acceptance) for name in names}


def specs_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return [name for name in names if name.endswith(".json") and not name.endswith(".result.json")]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the daemon: ask, insist (a second SIGTERM ends running steps), then kill."""
    for ask in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(ask)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return
