"""A runner on a stage of its own, for the tests of processes."""

import contextlib
import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator.outcome import Call
from orchestrator.runners.process import ProcessRunner

PATH = "/usr/local/bin:/usr/bin:/bin"
MARK = f"test-{os.getpid()}"  # tests that run beside us in other processes have another


@dataclass
class Stage:
    """A started runner, and a folder for what its steps print and for the FIFOs that they meet us at."""

    runner: ProcessRunner
    folder: Path
    count: int = 0

    def call(self, *argv, timeout_ms=60_000, limit=1 << 20, cwd=None, env=None):
        environment = {"PATH": PATH, "T": str(self.folder), **(env or {})}
        folder = str(cwd or self.folder)
        return Call(0, "bash", "process", argv[1:], argv, environment, folder, timeout_ms, output_limit=limit)

    async def run(self, *argv, cancelled=None, **options):
        """Run a program; its files are `out` and `err` of the latest run."""
        self.count += 1
        return await self.runner.run(
            self.call(*argv, **options), out_path=str(self.out), err_path=str(self.err),
            mark=f"run{self.count}", cancelled=cancelled,
        )  # fmt: skip

    async def bash(self, script, **options):
        return await self.run("/bin/bash", "-c", script, **options)

    @property
    def out(self):
        return self.folder / f"{self.count}.out"

    @property
    def err(self):
        return self.folder / f"{self.count}.err"

    def fifo(self, name):
        """A FIFO in the folder: `echo x > $T/name` in a step waits for our `read_fifo`."""
        os.mkfifo(self.folder / name)
        return self.folder / name


@contextlib.asynccontextmanager
async def stage(folder, mark=MARK, **options):
    runner = ProcessRunner(mark, **options)
    await runner.start()
    try:
        yield Stage(runner, folder)
    finally:
        await runner.close()
        if os.uname().sysname == "Linux":
            # Other tests share this process, and count on orphans going to init.
            libc = ctypes.CDLL(None)
            libc.prctl(36, 0, 0, 0, 0)
            libc.prctl(4, 1, 0, 0, 0)


def is_alive(pid):
    """Is there such a process, and is it more than a zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
