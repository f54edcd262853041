"""Retention: what `state/` keeps of the past, and what is taken away.

Rules: what is not over is never touched: a run without a result in done/ or failed/, the latest run of a task that
waits or runs, one that waits for a person's approval. No link is ever followed. A run vanishes with one rename, and is
taken apart afterwards. Work is done in small portions with pauses between, so that tasks do not feel it. Nothing is
removed for its age right after the clock was set: a clock that is wrong for a minute must not cost the history.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator import clock, failpoint
from orchestrator.bus import Bus
from orchestrator.event import Notice
from orchestrator.home import Home
from orchestrator.journal.runs import RESULT
from orchestrator.sandbox.scratch import remove_tree
from orchestrator.schedule.firing import unstamped
from orchestrator.settings import RetentionSettings
from orchestrator.sinks.telemetry import file_name, telemetry_files
from orchestrator.spool import files, names
from orchestrator.verdicts import verdict_files

DAY_S = 86_400
SET_S = 600.0  # by so much two clocks may differ over an hour and neither was set
OFF_S = 8 * DAY_S  # a machine that was off for longer has its clock watched for one round first
FIRST_S = 60.0
ONCE_S = 1.0
PORTION_S = 0.02
PAUSE_S = 0.2
_TRASH = ".trash"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Step = Generator[None, None, None]
"""Work that may rest whenever it yields."""
Goes = Callable[[int, float], bool]
"""Whether a run goes, by its place among those of its task (0 for the latest; the firings of a recurring one count
together) and the time of its end."""


class Retention:
    """Makes a round every so often. `settings`, `busy` and `is_open` give those of now."""

    def __init__(
        self,
        home: Home,
        bus: Bus,
        settings: Callable[[], RetentionSettings],
        busy: Callable[[], Collection[str]],
        is_open: Callable[[str, int], bool],
    ) -> None:
        self._home = home
        self._bus = bus
        self._settings = settings
        self._busy = busy
        self._is_open = is_open
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """For a daemon that lives on: until `close`, and not in its first minute."""
        self._task = asyncio.ensure_future(self._go())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _go(self) -> None:
        await asyncio.sleep(min(FIRST_S, self._every_s))
        while True:
            wait = self._every_s - since_last_round(self._home)
            if wait > 0:
                await asyncio.sleep(wait)
            await self._round(float("inf"))
            await asyncio.sleep(PAUSE_S)

    async def once(self) -> None:
        """For one that ends now: a round, if one is due, cut short after a second."""
        if since_last_round(self._home) >= self._every_s:
            await self._round(ONCE_S)

    @property
    def _every_s(self) -> float:
        return self._settings().every / 1000

    async def _round(self, seconds: float) -> None:
        one = Round(self._home, self._settings(), self._busy(), self._is_open)
        work, until, left = one.work(), time.monotonic() + seconds, True
        try:
            while left and time.monotonic() < until:
                left = await asyncio.to_thread(_portion, work)
                await asyncio.sleep(PAUSE_S if left and seconds > ONCE_S else 0)
        except OSError as error:
            one.error = error
        if one.removed:
            self._bus.emit(Notice(level="info", message=f"retention: removed {one.removed}"))
        if one.error is not None:
            where = f" ({one.error.filename})" if one.error.filename else ""
            message = f"retention: not all that is too old can be removed: {one.error.strerror or one.error}{where}"
            self._bus.emit(Notice(level="warning", message=message))


def _portion(work: Step) -> bool:
    """Work for a moment; whether something is left."""
    until = time.monotonic() + PORTION_S
    return any(time.monotonic() >= until for _ in work)


@dataclass(slots=True)
class Removed:
    """What one round took away."""

    runs: int = 0
    telemetry: int = 0
    reports: int = 0

    def __bool__(self) -> bool:
        return bool(self.runs or self.telemetry or self.reports)

    def __str__(self) -> str:
        return f"{self.runs} runs, {self.telemetry} telemetry files, {self.reports} reports"


@dataclass(slots=True)
class Round:
    """One look at everything. `busy` are the ids that wait or run; `is_open` tells of a run whose end is not written.

    What can't be removed is passed over; `error` is the first reason why."""

    home: Home
    keep: RetentionSettings
    busy: Collection[str]
    is_open: Callable[[str, int], bool]
    removed: Removed = field(default_factory=Removed)
    error: OSError | None = None

    def work(self) -> Step:
        """All of it, in small steps. Raises OSError where not even the folders can be read."""
        steady = is_steady(self.home)
        before = time.time() - self.keep.days * DAY_S if steady and self.keep.days else 0.0
        yield from self._empty_trash()
        ages: array[float] = array("d")
        per_task = self.keep.count_per_task or float("inf")
        yield from self._runs(lambda place, ended: place >= per_task or ended < before, ages)
        excess = len(ages) - self.keep.count
        if self.keep.count and excess > 0:
            last, enough = sorted(ages)[excess - 1], self.removed.runs + excess
            yield from self._runs(lambda _, ended: ended <= last and self.removed.runs < enough, array("d"))
        self._telemetry(before)
        yield
        self._verdicts(before)
        self._reports(before)

    # ── runs ───────────────────────────────────────────────────────────────────────────────────

    def _runs(self, goes: Goes, ages: array[float]) -> Step:
        """Remove every run that goes and may; `ages` gets the time of the end of the others."""
        later: Counter[str] = Counter()
        with _opened(self.home.runs) as top:
            for task in sorted(_folders(top), reverse=True):  # of a recurring task, the latest firing first
                whole = unstamped(task) if unstamped(task) != task else ""
                with suppress(FileNotFoundError, NotADirectoryError), _opened(task, top) as folder:
                    numbers = sorted((int(name) for name in _folders(folder) if name.isdigit()), reverse=True)
                    yield from self._runs_of(task, numbers, folder, top, goes, later[whole], ages)
                    later[whole] += len(numbers) if whole else 0
                yield

    def _runs_of(
        self, task: str, numbers: list[int], folder: int, top: int, goes: Goes, later: int, ages: array[float]
    ) -> Step:
        left = len(numbers)
        for place, number in enumerate(numbers):
            ended = _ended(folder, number)
            if ended is None or self.is_open(task, number):
                continue
            latest = place == 0 and task in self.busy
            if goes(later + place, ended) and not latest and not self._is_asked(folder, number):
                if unstamped(task) != task:
                    self._remove_firing(task, number, folder)
                left -= self._remove_run(folder, number, top)
                yield
            else:
                ages.append(ended)
        if not left:
            with suppress(OSError):  # it has a new run this very moment, or something that is none of ours
                os.rmdir(task, dir_fd=top)

    def _remove_run(self, folder: int, number: int, top: int) -> bool:
        trash = f"{_TRASH}-{time.monotonic_ns()}"
        with self._forgiving():
            os.rename(str(number), trash, src_dir_fd=folder, dst_dir_fd=top)
            failpoint.reach("retention.renamed")
            self.removed.runs += 1
            _remove(f"{self.home.runs}/{trash}")
            return True
        return False

    def _remove_firing(self, task: str, number: int, folder: int) -> None:
        """Nobody dropped its file: where done/ or failed/ still show this run, it goes with it."""
        name = os.path.basename(str(_read(f"{number}/{RESULT}", folder).get("name")))
        stem = names.stem_of(name)
        if unstamped(stem) == stem:
            return
        result = names.result_name(stem)
        for state in (self.home.done, self.home.failed):
            shown = _read(f"{state}/{result}")
            if (shown.get("id"), shown.get("run")) == (task, number):
                with self._forgiving():
                    _remove(f"{state}/{name}")
                    _remove(f"{state}/{result}")

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error

    def _is_asked(self, folder: int, number: int) -> bool:
        """Whether this run is what a person sees who is to approve the task."""
        result = _read(f"{number}/{RESULT}", folder)
        if result.get("status") != "blocked" or not isinstance(name := result.get("name"), str):
            return False
        stands = os.path.lexists(f"{self.home.failed}/{os.path.basename(name)}")
        shown = _read(f"{self.home.failed}/{names.result_name(names.stem_of(os.path.basename(name)))}")
        return stands and (shown.get("id"), shown.get("run")) == (result.get("id"), number)

    def _empty_trash(self) -> Step:
        """What a crash left half taken apart."""
        for name in [name for name in os.listdir(self.home.runs) if name.startswith(_TRASH)]:
            with self._forgiving():
                _remove(f"{self.home.runs}/{name}")
            yield

    # ── files ──────────────────────────────────────────────────────────────────────────────────

    def _telemetry(self, before: float) -> None:
        """Whole files, never the latest: that one is being written."""
        *earlier, _ = telemetry_files(self.home.telemetry) or [("", 0)]
        day = time.strftime("%Y-%m-%d", time.gmtime(before))
        surplus = len(earlier) + 1 - self.keep.telemetry_files if self.keep.telemetry_files else 0
        for place, file in enumerate(earlier):
            if place < surplus or file[0] < day:
                with self._forgiving():
                    os.unlink(f"{self.home.telemetry}/{file_name(*file)}")
                    self.removed.telemetry += 1

    def _verdicts(self, before: float) -> None:
        """Whole months: what they are about has gone with the telemetry."""
        month = time.strftime("%Y-%m", time.gmtime(before))
        for name in verdict_files(self.home):
            if name[:7] < month:
                with self._forgiving():
                    os.unlink(f"{self.home.verdicts}/{name}")

    def _reports(self, before: float) -> None:
        with suppress(FileNotFoundError), os.scandir(self.home.reports) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
                    with self._forgiving():
                        os.unlink(entry.path)
                        self.removed.reports += 1


def is_steady(home: Home) -> bool:
    """Whether the wall clock has gone on as clocks do since this was asked last."""
    path = f"{home.state}/retention.json"
    before = _read(path)
    boot, since_boot, wall = clock.boot_id(), clock.boot_seconds(), time.time()
    now = {"boot": boot, "since_boot": since_boot, "wall": wall}
    with suppress(OSError):  # a full disk: all the more reason to go on
        files.replace_file(path, json.dumps(now).encode())
    try:
        passed = wall - float(before["wall"])
        if before["boot"] != boot:
            return 0 <= passed <= OFF_S
        return abs(passed - (since_boot - float(before["since_boot"]))) < SET_S
    except (KeyError, TypeError, ValueError):  # the first time, or someone wrote something else there
        return False


def since_last_round(home: Home) -> float:
    """Seconds since the last round began; infinite where there was none, or the clock was set back since."""
    try:
        passed = time.time() - os.stat(f"{home.state}/retention.json").st_mtime
    except FileNotFoundError:
        return float("inf")
    return passed if passed >= 0 else float("inf")


@contextmanager
def _opened(path: str, above: int | None = None) -> Iterator[int]:
    """A folder, reached through no link."""
    fd = os.open(path, _FOLDER, dir_fd=above)
    try:
        yield fd
    finally:
        os.close(fd)


def _folders(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [entry.name for entry in entries if entry.name[0] != "." and entry.is_dir(follow_symlinks=False)]


def _ended(folder: int, number: int) -> float | None:
    """When a run's result was written, in seconds since the epoch; None if it has none."""
    try:
        with _opened(str(number), folder) as run:
            status = os.stat(RESULT, dir_fd=run, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


def _read(path: str, above: int | None = None) -> dict[str, Any]:
    """A JSON object; empty for what is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
        with open(fd, "rb") as handle:
            value = json.load(handle)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(path)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)
