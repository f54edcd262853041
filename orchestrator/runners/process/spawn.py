"""The one place where programs are started: a few threads that do nothing else.

A start blocks whoever asks for it until the new program runs, on a busy machine for a millisecond and more. So the
event loop hands it to a thread and hears of it when it is done; where the C library allows, the interpreter's lock
is free meanwhile (`posix_spawn`). Elsewhere `subprocess.Popen` does the work, in the same threads.

A program on a mount that does not answer blocks its thread for as long as that lasts. Rule: it holds up nobody else.
Another thread takes that one's place, and whoever waits for the start stops waiting at its deadline; what is hung is
then killed before it has become the program.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from queue import SimpleQueue
from time import monotonic

from orchestrator.runners.process import posix_spawn

THREADS = 2
MOST_THREADS = 64
LOOK_S = 0.25
HANGS_S = 1.0
_FORKED_BUT_NOT_EXECUTED = 0x40  # PF_FORKNOEXEC, linux/sched.h

_Spawn = Callable[[Sequence[str], Mapping[str, str], str, int, int, int], int]


class Start:
    """A program that is being started. `over` is done when `pid` or `error` is set; it may be replaced before.

    The launcher closes `stdout`, `stderr` and `status` when the thread needs them no more. `known`, where there is one,
    is to be set when the pid is known to whoever looks for orphans. `deadline` is monotonic; at that time, or soon
    after `cancelled` is set, it is given up: `error` is then a TimeoutError."""

    __slots__ = (
        "argv", "cancelled", "cwd", "deadline", "env", "error", "given_up", "known", "over", "pid", "restrict", "since",
        "status", "stderr", "stdout", "thread",
    )  # fmt: skip

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, stdout: int, stderr: int, status: int,
        over: asyncio.Future[None], restrict: Callable[[], None] | None = None, deadline: float = inf,
        cancelled: asyncio.Event | None = None,
    ) -> None:  # fmt: skip
        self.argv, self.env, self.cwd = argv, env, cwd
        self.stdout, self.stderr, self.status = stdout, stderr, status
        self.over = over
        self.restrict = restrict
        self.deadline = deadline
        self.cancelled = cancelled
        self.known = threading.Event() if restrict is not None else None
        self.pid = 0
        self.error: Exception | None = None
        self.since = monotonic()
        self.thread = 0  # the kernel's number of the one that works on it
        self.given_up = False

    @property
    def done(self) -> bool:
        return self.pid != 0 or self.error is not None

    def settle(self, pid: int, error: Exception | None) -> None:
        """In the event loop: the thread's answer."""
        self.pid, self.error = pid, error
        if not self.over.done():
            self.over.set_result(None)

    def hangs_in(self) -> str:
        """What it waits for, in words."""
        return f"the system does not answer for {self.argv[0]} or its folder {self.cwd} (a mount that is gone?)"


class Launcher:
    """Starts programs in a session of their own, stdin empty, default signals. `threads` 0 does it in the loop. Each
    thread calls `within` first, and keeps what that did to it.

    `hangs` is told, again and again, in words, of a start that takes long; `late` the pid of one that came after it was
    given up: a child to be killed and buried.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, threads: int, hangs: Callable[[str], None], late: Callable[[int], None],
        within: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._within = within
        self._hangs = hangs
        self._late = late
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._spawn: _Spawn = posix_spawn.PosixSpawn(self._null) if posix_spawn.available() else self._popen
        self._starts: SimpleQueue[Start | None] = SimpleQueue()
        self._open: set[Start] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._threads: set[threading.Thread] = set()
        self._wanted = threads
        self._hung = 0
        for _ in range(threads):
            self._add_thread()

    def start(self, start: Start) -> None:
        """Begin; `start.settle` is called in the loop when the program runs, could not be started, or was given up."""
        self._open.add(start)
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        if start.restrict is not None:
            thread = threading.Thread(
                target=self._start_restricted, args=(start,), name="start-restricted", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left to give
                self._settle(start, 0, OSError(errno.EAGAIN, str(error), start.argv[0]))
        elif self._wanted:
            self._starts.put(start)
        else:
            self._settle(start, *self._try(start))

    @property
    def is_idle(self) -> bool:
        """Whether every start was answered, also those that were given up."""
        return not self._open

    def give_up_all(self) -> None:
        """Wait for no start any more."""
        for start in [start for start in self._open if not start.given_up]:
            self._give_up(start)

    def close(self) -> None:
        """End the threads, but those that hang. Nothing may be waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
        for _ in self._threads:
            self._starts.put(None)
        for thread in list(self._threads):
            thread.join(0.0 if self._open else None)
        if not self._open:  # else one that comes back may yet ask for it
            os.close(self._null)

    # ── in the event loop ──────────────────────────────────────────────────────────────────────

    def _settle(self, start: Start, pid: int, error: Exception | None) -> None:
        self._open.discard(start)
        for one in (start.stdout, start.stderr, start.status):
            if one >= 0:
                os.close(one)
        if start.given_up:
            if pid:
                self._late(pid)
                if start.known is not None:
                    start.known.set()
        else:
            start.settle(pid, error)

    def _look(self) -> None:
        """While anything is being started: give up what is overdue, and let no start wait behind one that hangs."""
        self._timer = self._loop.call_later(LOOK_S, self._look) if self._open else None
        now = monotonic()
        hung = 0
        for start in list(self._open):
            if not start.given_up and (now >= start.deadline or (start.cancelled and start.cancelled.is_set())):
                self._give_up(start)
            if start.thread and now - start.since >= HANGS_S:
                hung += start.restrict is None
                if start.given_up:
                    _kill_unborn(start)
                else:
                    self._hangs(start.hangs_in())
        self._hung = hung
        if self._wanted and len(self._threads) < min(self._wanted + hung, MOST_THREADS):
            self._add_thread()

    def _give_up(self, start: Start) -> None:
        start.given_up = True
        _kill_unborn(start)
        start.settle(0, TimeoutError(f"it was not started: {start.hangs_in()}"))

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="start", daemon=True)
        with suppress(RuntimeError):  # the system has no thread left to give: tried again at the next look
            thread.start()
            self._threads.add(thread)

    # ── in the threads ─────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        refused = self._enter()
        while (start := self._starts.get()) is not None:
            self._answer(start, *((0, refused) if refused else self._try(start)))
            if len(self._threads) > self._wanted + self._hung:
                self._threads.discard(threading.current_thread())
                return

    def _enter(self) -> OSError | None:
        try:
            if self._within is not None:
                self._within()
        except OSError as error:
            return OSError(error.errno, f"the sandbox could not be set up: {error.strerror}")
        return None

    def _answer(self, start: Start, pid: int, error: Exception | None) -> None:
        with suppress(RuntimeError):  # it hung for so long that the loop is closed
            self._loop.call_soon_threadsafe(self._settle, start, pid, error)

    def _start_restricted(self, start: Start) -> None:
        """In a thread of its own, since it never gets its rights back. When it ends, the kernel hands its child to the
        main thread, where orphans are looked for: so not before that one is known to be none."""
        pid, error = self._try(start)
        self._answer(start, pid, error)
        if pid and start.known is not None:
            start.known.wait()

    def _try(self, start: Start) -> tuple[int, Exception | None]:
        if start.given_up:
            return 0, None
        start.since = monotonic()
        start.thread = threading.get_native_id()
        try:
            if start.restrict is not None:
                start.restrict()
            return self._spawn(start.argv, start.env, start.cwd, start.stdout, start.stderr, start.status), None
        except Exception as error:  # noqa: BLE001 - told to whoever waits: a thread that dies would leave it waiting
            return 0, error
        finally:
            start.thread = 0

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


class Launchers:
    """A launcher for calls as any, and one for each `within`: a thread that gave something up never gets it back."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, threads: int, hangs: Callable[[str], None], late: Callable[[int], None]
    ) -> None:  # fmt: skip
        self._make = partial(Launcher, loop, hangs=hangs, late=late)
        self._made: dict[Callable[[], None] | None, Launcher] = {None: self._make(threads)}

    def start(self, start: Start, within: Callable[[], None] | None) -> None:
        """As a launcher does."""
        if within not in self._made:
            self._made[within] = self._make(THREADS, within=within)
        self._made[within].start(start)

    @property
    def are_idle(self) -> bool:
        return all(launcher.is_idle for launcher in self._made.values())

    def give_up_all(self) -> None:
        for launcher in self._made.values():
            launcher.give_up_all()

    def close(self) -> None:
        for launcher in self._made.values():
            launcher.close()


def _kill_unborn(start: Start) -> None:
    """Kill the process that is to become the program. Where the kernel does not tell, it is killed when it comes."""
    thread, since = start.thread, start.since
    if not thread:
        return
    with suppress(OSError):
        with open(f"/proc/self/task/{thread}/children", "rb") as listed:
            unborn = [int(pid) for pid in listed.read().split() if _is_unborn(int(pid))]
        if (start.thread, start.since) == (thread, since):  # else it is another start's by now
            for pid in unborn:
                os.kill(pid, signal.SIGKILL)


def _is_unborn(pid: int) -> bool:
    """Whether a child of ours has not become another program yet."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return bool(int(stat.read().rpartition(b")")[2].split()[6]) & _FORKED_BUT_NOT_EXECUTED)


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
