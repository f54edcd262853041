"""The one place where programs are started: a few threads that do nothing else.

A start blocks whoever asks for it until the new program runs, on a busy machine for a millisecond and more. So the
event loop hands it to a thread and hears of it when it is done; where the C library allows, the interpreter's lock
is free meanwhile (`posix_spawn`). Elsewhere `subprocess.Popen` does the work, in the same threads.
"""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from orchestrator.runners.process import posix_spawn

THREADS = 2

_Spawn = Callable[[Sequence[str], Mapping[str, str], str, int, int, int], int]


class Start:
    """A program that is being started. `over` is done when `pid` or `error` is set; it may be replaced before.

    `known`, where there is one, is to be set when the pid is known to whoever looks for orphans."""

    __slots__ = ("argv", "cwd", "env", "error", "known", "over", "pid", "restrict", "status", "stderr", "stdout")

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, stdout: int, stderr: int, status: int,
        over: asyncio.Future[None], restrict: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.argv, self.env, self.cwd = argv, env, cwd
        self.stdout, self.stderr, self.status = stdout, stderr, status
        self.over = over
        self.restrict = restrict
        self.known = threading.Event() if restrict is not None else None
        self.pid = 0
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.pid != 0 or self.error is not None

    def settle(self, pid: int, error: Exception | None) -> None:
        """In the event loop: the thread's answer."""
        self.pid, self.error = pid, error
        if not self.over.done():
            self.over.set_result(None)


class Launcher:
    """Starts programs in a session of their own, stdin empty, default signals. `threads` 0 does it in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int = THREADS) -> None:
        self._loop = loop
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._spawn: _Spawn = posix_spawn.PosixSpawn(self._null) if posix_spawn.available() else self._popen
        self._starts: SimpleQueue[Start | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"start-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def start(self, start: Start) -> None:
        """Begin; `start.settle` is called in the loop when the program runs or could not be started."""
        if start.restrict is not None:
            thread = threading.Thread(
                target=self._start_restricted, args=(start,), name="start-restricted", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left to give
                start.settle(0, OSError(errno.EAGAIN, str(error), start.argv[0]))
        elif self._threads:
            self._starts.put(start)
        else:
            start.settle(*self._try(start))

    def close(self) -> None:
        """End the threads. Nothing may be being started any more."""
        for _ in self._threads:
            self._starts.put(None)
        for thread in self._threads:
            thread.join()
        os.close(self._null)

    def _work(self) -> None:
        while (start := self._starts.get()) is not None:
            self._loop.call_soon_threadsafe(start.settle, *self._try(start))

    def _start_restricted(self, start: Start) -> None:
        """In a thread of its own, since it never gets its rights back. When it ends, the kernel hands its child to the
        main thread, where orphans are looked for: so not before that one is known to be none."""
        pid, error = self._try(start)
        self._loop.call_soon_threadsafe(start.settle, pid, error)
        if pid and start.known is not None:
            start.known.wait()

    def _try(self, start: Start) -> tuple[int, Exception | None]:
        try:
            if start.restrict is not None:
                start.restrict()
            return self._spawn(start.argv, start.env, start.cwd, start.stdout, start.stderr, start.status), None
        except Exception as error:  # noqa: BLE001 - told to whoever waits: a thread that dies would leave it waiting
            return 0, error

    def _popen(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, stdout: int, stderr: int, extra: int
    ) -> int:
        """The same contract as `PosixSpawn`, but for `extra`, which Popen can't put at a place of our choice."""
        if extra >= 0:
            raise OSError(errno.ENOSYS, "this C library can't start a program in a sandbox", argv[0])
        process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=self._null, stdout=stdout, stderr=stderr, start_new_session=True
        )
        process.returncode = 0  # The exit is waited for by us: Popen shall neither warn nor wait.
        return process.pid


def explain(error: OSError | ValueError, argv: Sequence[str], cwd: str) -> tuple[int, str]:
    """The exit code that a shell would give, and a sentence for the person who wrote the step."""
    if not isinstance(error, OSError):
        return (
            126,
            f"{argv[0]} can't be started: its arguments, environment or folder hold a NUL byte or bad text",
        )
    reason = error.strerror or str(error)
    if error.filename == cwd:
        return 126, f"the step's folder {cwd} can't be entered: {reason}"
    if error.errno == errno.ENOENT:
        return 127, _explain_missing(argv[0])
    if error.errno == errno.E2BIG:
        size = sum(len(os.fsencode(argument)) + 1 for argument in argv)
        return 126, (
            f"{argv[0]} can't be started: its arguments ({size} bytes) and environment are larger than this "
            "system allows; put long text into a file and name the file instead"
        )
    if error.errno == errno.EACCES:
        return (
            126,
            f"{argv[0]} can't be started: it is not executable, or a folder above it is closed to this user",
        )
    if error.errno == errno.ENOEXEC:
        return 126, f"{argv[0]} can't be started: it is neither a program nor a script with a #! line"
    return 126, f"{argv[0]} can't be started: {reason}"


def _explain_missing(program: str) -> str:
    if os.path.lexists(program):
        return f"{program} is there, but what it needs to start (its #! line, its link or its loader) is missing"
    return f"{program} does not exist; install it, or name another program in the skill"
