"""The composition root: wires the rooms, holds the lock, hears the signals. Nothing else."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator import __version__, approvals
from orchestrator.bus import Bus
from orchestrator.errors import FatalError
from orchestrator.event import DaemonStarted, DaemonStopped, Notice, to_second, utc_now
from orchestrator.execution.prepare import Fingerprint, Tools, fingerprint
from orchestrator.home import Home
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.journal.recovery import Recovered, recover
from orchestrator.lock import BUSY, DaemonLock
from orchestrator.runners.finished import Runner
from orchestrator.runners.http import HttpRunner
from orchestrator.runners.process import ProcessRunner, sweep
from orchestrator.sandbox import probe
from orchestrator.sandbox.limits import forbid_core_dumps
from orchestrator.scheduler.leftover import leftovers
from orchestrator.scheduler.scheduler import Scheduler
from orchestrator.sinks import make_sinks
from orchestrator.sinks.log import configure_logging
from orchestrator.spool.queue import Spool
from orchestrator.watcher import watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE_S = 5.0
LAST_WORDS_S = 5.0  # for killing what runs and writing its end down, on a disk that may be full
INTERRUPTED = 130
DESCRIPTORS_PER_TASK = 8


@dataclass(slots=True)
class Daemon:
    """What one running daemon consists of."""

    home: Home
    lock: DaemonLock
    spool: Spool
    ledger: Ledger
    runners: Mapping[str, Runner]
    bus: Bus
    scheduler: Scheduler
    once: bool
    stopping: asyncio.Event
    hurry: asyncio.Event
    left: list[Run]
    why: str = "drained"


def run(home: Home, *, once: bool = False, verbose: bool = False) -> int:
    """Serve a home until told to stop, or (`once`) until nothing is left to do. Returns the exit code.

    Raises FatalError where it must not start: no home, a second daemon, a broken config, skill or rule.
    """
    if not home.exists():
        raise FatalError(f"{home.root} is no home: make one with `orchestrator init {home.root}`", exit_code=2)
    home.prepare()
    # Until the handlers stand, a reload that comes too early must not end us.
    signal.signal(signal.SIGHUP, lambda *_: None)
    lock = DaemonLock(home)
    lock.take()
    try:
        return asyncio.run(_serve(home, lock, once=once, verbose=verbose))
    finally:
        lock.release()


def mark_of(home: Home) -> str:
    """What marks every process that a daemon of this home starts, in its environment."""
    return hashlib.sha256(os.fsencode(home.root)).hexdigest()[:16]


async def _serve(home: Home, lock: DaemonLock, *, once: bool, verbose: bool) -> int:
    tools = Tools.load(home, host=await asyncio.to_thread(probe))
    configure_logging(tools.settings.log.format, "warning" if once else tools.settings.log.level)
    _allow_descriptors(tools.settings.daemon.max_tasks)
    forbid_core_dumps()
    spool = Spool(home)
    mark = mark_of(home)
    swept = await asyncio.to_thread(sweep, mark)
    recovered = await asyncio.to_thread(recover, home, spool)
    await asyncio.to_thread(tools.wall.wipe, {left.run_name for left in recovered.going_on})
    tools.wall.prepare()
    async with _wired(home, lock, spool, tools, mark, recovered, once=once, verbose=verbose) as daemon:
        if not once:
            daemon.bus.emit(
                DaemonStarted(pid=os.getpid(), home=home.root, version=__version__, recovered=len(recovered))
            )
        _tell_recovery(daemon.bus, recovered, swept)
        daemon.scheduler.take_up(leftovers(recovered.left, daemon.left))
        _tend_approvals(daemon.bus, home)
        gc.freeze()
        with _signals(daemon):
            await _work(daemon)
        return _exit_code(daemon)


def _exit_code(daemon: Daemon) -> int:
    """0 for a daemon that was told to stop; with `once` also 1 if a task did not end ok, 130 if it was cut short."""
    if daemon.why == "lock_lost":
        return BUSY
    if daemon.once and daemon.stopping.is_set():
        return INTERRUPTED
    return int(daemon.once and daemon.scheduler.ends.not_ok > 0)


@asynccontextmanager
async def _wired(
    home: Home,
    lock: DaemonLock,
    spool: Spool,
    tools: Tools,
    mark: str,
    recovered: Recovered,
    *,
    once: bool,
    verbose: bool,
) -> AsyncIterator[Daemon]:
    """Start the parts from the ground up; end them from the top down, so that nothing is cut off."""
    bus = Bus(make_sinks(home, tools.settings, once=once, verbose=verbose))
    runners: Mapping[str, Runner] = {
        "process": ProcessRunner(mark),
        "http": HttpRunner(home, lambda: scheduler.tools.settings.http),
    }
    ledger = Ledger(home, spool)
    try:
        for runner in runners.values():
            await runner.start()
        taken = await ledger.open((left.told for left in recovered.left), recovered.closed)
        scheduler = Scheduler(tools, spool, ledger, runners, bus, patience_s=PATIENCE_S if once else None)
        stopping, hurry = asyncio.Event(), asyncio.Event()
        daemon = Daemon(home, lock, spool, ledger, runners, bus, scheduler, once, stopping, hurry, taken)
        yield daemon
        for runner in runners.values():
            await runner.close()
        await ledger.close()
        if not once:
            bus.emit(DaemonStopped(reason=daemon.why, dropped=dict(bus.dropped)))
    finally:
        await bus.aclose()


async def _work(daemon: Daemon) -> None:
    scheduler = daemon.scheduler
    watcher = watch(daemon.home.inbox, asyncio.get_running_loop(), scheduler.hint)
    try:
        watcher.start()
    except OSError as error:
        daemon.bus.emit(
            Notice(
                level="warning",
                message=f"inbox can't be watched ({error.strerror}): it is listed again and again",
            )
        )
    scheduler.hint(None)  # what lay there before the watch was armed
    daemon.lock.announce({"ready": True, "started_at": utc_now(), "once": daemon.once})
    rescan = asyncio.ensure_future(_rescan(daemon, watcher.renew))
    ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(daemon.stopping.wait())]
    if daemon.once:
        ends.append(asyncio.ensure_future(scheduler.drained()))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    scheduler.close_door()
    watcher.close()
    for task in (rescan, *ends):
        task.cancel()
    await _drain(daemon)


async def _drain(daemon: Daemon) -> None:
    """Wait for what runs, as long as the config allows or until a second signal; then end it as interrupted."""
    quiet = asyncio.ensure_future(daemon.scheduler.quiet())
    hurry = asyncio.ensure_future(daemon.hurry.wait())
    timeout = daemon.scheduler.tools.settings.daemon.drain_timeout / 1000
    await asyncio.wait((quiet, hurry), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if not quiet.done():
        daemon.scheduler.stop_all("interrupted")
        await asyncio.wait((quiet,), timeout=LAST_WORDS_S)
    if not quiet.done():
        daemon.bus.emit(Notice(level="error", message="not all ends could be written: the next start sees to them"))
        daemon.scheduler.abandon()
        await quiet
    hurry.cancel()


async def _rescan(daemon: Daemon, renew: object) -> None:
    """A watcher's event is a hint only: list inbox every few seconds, and see to the watch and the lock."""
    period = daemon.scheduler.tools.settings.daemon.rescan / 1000
    told = daemon.scheduler.tools.read_from
    while True:
        await asyncio.sleep(period)
        told = await asyncio.to_thread(_tell_if_changed, daemon, told)
        if not daemon.lock.held():
            daemon.bus.emit(
                Notice(level="error", message="state/daemon.lock was replaced: stopping, another may serve")
            )
            daemon.why = "lock_lost"
            daemon.stopping.set()
            return
        try:
            daemon.home.prepare()  # a folder that someone removed would hold up every task
            renew()  # type: ignore[operator]
            await daemon.scheduler.scan()
        except OSError as error:
            daemon.bus.emit(Notice(level="error", message=f"inbox can't be listed: {error.strerror}"))


def _tell_if_changed(daemon: Daemon, told: Fingerprint) -> Fingerprint:
    """Say once that files were changed which this daemon has not read: until SIGHUP it goes by what it knows."""
    now = fingerprint(daemon.home)
    known = daemon.scheduler.tools.read_from
    if now in (told, known):
        return now
    changed = sorted({path for path, _, _ in set(now) ^ set(known)})
    names = ", ".join(os.path.relpath(path, daemon.home.root) for path in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    message = f"{names}{more} changed since they were read: `kill -HUP {os.getpid()}` has them read again"
    daemon.bus.emit(Notice(level="warning", message=message))
    return now


@contextmanager
def _signals(daemon: Daemon) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        if daemon.stopping.is_set():
            daemon.hurry.set()
            return
        daemon.why = name
        daemon.bus.emit(Notice(level="info", message=f"{name}: finishing what runs; once more ends it at once"))
        daemon.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, _reload, daemon)
    if sys.platform == "linux":  # a writer that opens a file while its lease is asked for sends us this
        signal.signal(signal.SIGIO, lambda *_: None)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _reload(daemon: Daemon) -> None:
    """Read config, skills and policy again; where the new is broken, keep the old and say so."""
    try:
        tools = Tools.load(daemon.home, host=probe())
        tools.wall.prepare()
    except (FatalError, OSError) as error:
        daemon.bus.emit(Notice(level="error", message=f"reload refused, the old configuration stays: {error}"))
        return
    daemon.scheduler.tools = tools
    daemon.bus.emit(Notice(level="info", message="config, skills and policy were read again"))
    daemon.scheduler.fill()


def _tell_recovery(bus: Bus, recovered: Recovered, swept: int) -> None:
    if swept:
        bus.emit(Notice(level="warning", message=f"killed {swept} processes that a dead daemon had left"))
    if len(recovered) or recovered.torn_lines:
        bus.emit(
            Notice(
                level="warning",
                message=(
                    f"recovered: {len(recovered.requeued)} back to inbox, {len(recovered.going_on)} go on, "
                    f"{len(recovered.left) - len(recovered.going_on) + len(recovered.ended)} had ended or end here"
                ),
                details={"go_on": [left.told.id for left in recovered.going_on[:100]]},
            )
        )


def _tend_approvals(bus: Bus, home: Home) -> None:
    """Remove answers that have expired and that no task can meet any more; what is no answer a person must see to."""
    for answer in approvals.remove_expired(home):
        message = f"{answer.called} for {answer.id} expired unused at {to_second(answer.until)}: removed"
        bus.emit(Notice(level="info", message=message, details={"id": answer.id}))
    for path in approvals.unreadable(home):
        message = f"{path} is no approval, or could have been written by someone else: it counts for nothing, remove it"
        bus.emit(Notice(level="warning", message=message))


def _allow_descriptors(max_tasks: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max_tasks * DESCRIPTORS_PER_TASK + 128
    if soft < needed:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
