"""The composition root: wires the rooms, holds the lock, hears the signals. Nothing else."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from orchestrator import __version__, aftermath, failpoint
from orchestrator.bus import Bus, Sink
from orchestrator.coding.runner import ModelRunner
from orchestrator.errors import FatalError
from orchestrator.event import DaemonStarted, DaemonStopped, Notice, utc_now
from orchestrator.execution.prepare import APPROVE_HIGH, Tools
from orchestrator.fingerprint import mark
from orchestrator.home import Home
from orchestrator.insights.holds import Outlook
from orchestrator.journal import keys, retries
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.journal.recovery import Recovered, recover
from orchestrator.lock import BUSY, DaemonLock
from orchestrator.reload import Reload
from orchestrator.retention import Retention
from orchestrator.rounds import Rounds
from orchestrator.runners.finished import Runner
from orchestrator.runners.http import HttpRunner
from orchestrator.runners.process import ProcessRunner, sweep
from orchestrator.runners.process.marks import mark_of_home
from orchestrator.sandbox import probe
from orchestrator.sandbox.limits import forbid_core_dumps
from orchestrator.scheduler.backlog import Waiting
from orchestrator.scheduler.leftover import leftovers
from orchestrator.scheduler.scheduler import Scheduler
from orchestrator.sinks import make_sinks
from orchestrator.sinks.log import configure_logging, libraries_told_to
from orchestrator.sinks.log_file import LogFile
from orchestrator.spool import names
from orchestrator.spool.queue import Spool
from orchestrator.supervisor import Supervisor
from orchestrator.troubles import Troubles
from orchestrator.workers import start_workers
from orchestrator.worktrees.git import Git
from orchestrator.worktrees.tidying import Tidying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

PATIENCE_S = 5.0
LAST_WORDS_S = 5.0  # for killing what runs and writing its end down, on a disk that may be full
INTERRUPTED = 130
DESCRIPTORS_PER_TASK = 8  # three pipes while a step starts; a pidfd and two files while it runs
OTHER_DESCRIPTORS = 128
NAMED_LEFT = 20  # tasks that `run --once` leaves in inbox and names
PUBLISHED = 4  # troubles that `doctor` is told of


@dataclass(slots=True)
class Daemon:
    """What one running daemon consists of."""

    home: Home
    lock: DaemonLock
    spool: Spool
    ledger: Ledger
    runners: Mapping[str, Runner]
    bus: Bus
    troubles: Troubles
    scheduler: Scheduler
    supervisor: Supervisor
    once: bool
    stopping: asyncio.Event
    hurry: asyncio.Event
    left: list[Run]
    why: str = "drained"
    needy_left: bool = False


def run(home: Home, *, once: bool = False, verbose: bool = False) -> int:
    """Serve a home until told to stop, or (`once`) until nothing is left to do. Returns the exit code.

    Raises FatalError where it must not start: no home, a second daemon, a broken config, skill or rule.
    """
    if not home.exists():
        raise FatalError(f"{home.root} is no home: make one with `orchestrator init {home.root}`", exit_code=2)
    # Until the handlers stand, a reload that comes too early must not end us.
    signal.signal(signal.SIGHUP, lambda *_: None)
    lock = DaemonLock(home)
    supervisor = Supervisor(os.environ)
    try:
        home.prepare()
        lock.take()
        failpoint.reach("lock.taken")
        try:
            return asyncio.run(_serve(home, lock, supervisor, once=once, verbose=verbose))
        finally:
            lock.release()
    except OSError as error:  # before anything could run, or when all of it was over: a full disk, a closed folder
        where = f": {error.filename}" if error.filename else ""
        raise FatalError(f"the daemon can't work in {home.root}: {error.strerror or error}{where}") from error
    finally:
        supervisor.close()


def mark_of(home: Home) -> str:
    """What marks every process that a daemon of this home starts, in its environment."""
    return mark_of_home(home.root)


async def _serve(home: Home, lock: DaemonLock, supervisor: Supervisor, *, once: bool, verbose: bool) -> int:
    supervisor.attend()
    start_workers()
    tools = Tools.load(home, host=await asyncio.to_thread(probe))
    log = tools.settings.log
    stream = LogFile(os.path.join(home.root, log.file), max_bytes=log.max_bytes, keep=log.keep) if log.file else None
    configure_logging(log.format, "warning" if once else log.level, stream)
    _allow_descriptors(tools.settings.daemon.max_tasks)
    forbid_core_dumps()
    spool = Spool(home)
    mark = mark_of(home)
    # Whom the dead daemon was just starting held its lock until it became a program with the mark: all are seen now.
    swept = await asyncio.to_thread(sweep, mark)
    failpoint.reach("recovery.swept")
    recovered = await asyncio.to_thread(recover, home, spool)
    undone = await asyncio.to_thread(aftermath.undo_unverified, home, recovered)
    await asyncio.to_thread(retries.tidy, home)
    await asyncio.to_thread(keys.tidy, home)
    await asyncio.to_thread(tools.wall.wipe, {left.run_name for left in recovered.going_on})
    tools.wall.prepare()
    async with _wired(home, lock, supervisor, spool, tools, mark, recovered, once=once, verbose=verbose) as daemon:
        if not once:
            daemon.bus.emit(
                DaemonStarted(pid=os.getpid(), home=home.root, version=__version__, recovered=len(recovered))
            )
        aftermath.tell_recovery(daemon.bus, recovered, swept, undone)
        await aftermath.tell_ends(home, daemon.scheduler.ends, recovered)
        daemon.scheduler.pausing.begin()
        daemon.scheduler.take_up(leftovers(home, recovered.left, daemon.left))
        aftermath.tend_approvals(daemon.bus, home)
        _bound_tasks(daemon)
        gc.freeze()
        reload = _hear_signals(daemon)
        await _work(daemon)
        reload.close()
        return _exit_code(daemon)


def _exit_code(daemon: Daemon) -> int:
    """0 for a daemon that was told to stop; with `once` also 1 if a task did not end ok, or waits for another one that
    did not end; 130 if it was cut short."""
    if daemon.why == "lock_lost":
        return BUSY
    if daemon.once and daemon.stopping.is_set():
        return INTERRUPTED
    return int(daemon.once and (daemon.scheduler.ends.not_ok > 0 or daemon.needy_left))


@asynccontextmanager
async def _wired(
    home: Home,
    lock: DaemonLock,
    supervisor: Supervisor,
    spool: Spool,
    tools: Tools,
    mark: str,
    recovered: Recovered,
    *,
    once: bool,
    verbose: bool,
) -> AsyncIterator[Daemon]:
    """Start the parts from the ground up; end them from the top down, so that nothing is cut off."""
    sinks = make_sinks(home, tools.settings, once=once, verbose=verbose)
    async with _telling(sinks) as bus:
        troubles = Troubles(bus, partial(_publish, lock, supervisor))
        runners: Mapping[str, Runner] = {
            "process": ProcessRunner(mark, hangs=partial(_tell_hang, troubles)),
            "http": HttpRunner(home, lambda: scheduler.tools.settings.http),
            "model": ModelRunner(home, lambda: scheduler.tools.settings),
        }
        ledger = Ledger(home, spool)
        for runner in runners.values():
            await runner.start()
        taken = await ledger.open((left.told for left in recovered.left), recovered.closed)
        patience_s = PATIENCE_S if once else None
        scheduler = Scheduler(tools, spool, ledger, runners, bus, troubles=troubles, patience_s=patience_s)
        stopping, hurry = asyncio.Event(), asyncio.Event()
        daemon = Daemon(
            home, lock, spool, ledger, runners, bus, troubles, scheduler, supervisor, once, stopping, hurry, taken
        )
        yield daemon
        troubles.close()
        for runner in runners.values():
            await runner.close()
        await asyncio.to_thread(bus.settle)  # then the journal may say that all has been told
        await ledger.close()
        if not once:
            bus.emit(DaemonStopped(reason=daemon.why, dropped=await asyncio.to_thread(bus.settle)))


@asynccontextmanager
async def _telling(sinks: Iterable[Sink]) -> AsyncIterator[Bus]:
    """The bus, from before anyone speaks until after the last has."""
    bus = Bus(sinks)
    with libraries_told_to(bus):
        try:
            yield bus
        finally:
            await bus.aclose()


def _tell_hang(troubles: Troubles, sentence: str) -> None:
    troubles.meet("start", f"a step does not start: {sentence}", "no start hangs any more", level="warning")


def _publish(lock: DaemonLock, supervisor: Supervisor, troubles: Mapping[str, str]) -> None:
    supervisor.trouble = next(iter(troubles.values()), "")
    with suppress(OSError):  # the log says it all the same
        lock.announce(troubles=dict(islice(troubles.items(), PUBLISHED)))


async def _work(daemon: Daemon) -> None:
    scheduler = daemon.scheduler
    rounds = Rounds(daemon.home, daemon.lock, scheduler, daemon.bus, daemon.troubles, partial(_lose_lock, daemon))
    rounds.start()
    scheduler.keeper.start(once=daemon.once)
    retention = Retention(
        daemon.home, daemon.bus, lambda: scheduler.tools.settings.retention, scheduler.busy_ids, daemon.ledger.is_open
    )
    read = mark(scheduler.tools.read_from)
    lifted = scheduler.tools.approve_high
    daemon.lock.announce(ready=True, started_at=utc_now(), once=daemon.once, read=read, approve_high=lifted)
    if lifted:
        daemon.bus.emit(Notice(level="warning", message=f"{APPROVE_HIGH}=1: what needs approval runs, nobody is asked"))
    if unheard := daemon.supervisor.ready(lambda: _in_short(scheduler)):
        daemon.bus.emit(Notice(level="error", message=f"the service manager can't be told that we serve: {unheard}"))
    ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(daemon.stopping.wait())]
    tidying = Tidying(
        daemon.home, daemon.bus, partial(_git, daemon), lambda: scheduler.tools.settings.retention.every / 1000,
        scheduler.is_busy,
    )  # fmt: skip
    if daemon.once:
        ends.append(asyncio.ensure_future(scheduler.drained()))
    else:
        retention.start()
        tidying.start()
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    daemon.supervisor.stopping()
    scheduler.close_door()
    rounds.close()
    retention.close()
    await tidying.close()
    for task in ends:
        task.cancel()
    await _drain(daemon)
    if daemon.once and not daemon.stopping.is_set():
        await asyncio.to_thread(_tell_left, daemon, scheduler.kept_back())
        await retention.once()
        await tidying.once()


def _git(daemon: Daemon, folder: str) -> Git:
    """For worktrees that no run works in. What it prints passes through the folder."""
    tools = daemon.scheduler.tools
    runner = daemon.runners["process"]
    return Git(runner, tools.wall.confine, tools.path, tools.base_env, "worktrees", "worktrees", folder)


def _tell_left(daemon: Daemon, left: Sequence[Waiting]) -> None:
    """Say what stays in inbox, and for what it waits. Reads files."""
    outlook = Outlook(daemon.home)
    daemon.needy_left = any(hold.kind == "needs" for waiting in left for hold in waiting.holds)
    for waiting in left[:NAMED_LEFT]:
        why = "; ".join(hold.why for hold in outlook.holds(waiting.name) or waiting.holds)
        daemon.bus.emit(Notice(level="warning", message=f"{names.readable(waiting.name)} stays in inbox: {why}"))
    if len(left) > NAMED_LEFT:
        more = f"{len(left) - NAMED_LEFT:,} more stay in inbox: `orchestrator list` says why"
        daemon.bus.emit(Notice(level="warning", message=more))


def _lose_lock(daemon: Daemon) -> None:
    daemon.why = "lock_lost"
    daemon.stopping.set()


def _in_short(scheduler: Scheduler) -> str:
    paused = scheduler.pausing.in_short
    return f"{scheduler.running} running, {scheduler.waiting} waiting" + (f", {paused}" if paused else "")


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


def _hear_signals(daemon: Daemon) -> Reload:
    """Until the loop is closed: a signal that comes while the ends are written down must not cut them off."""
    loop = asyncio.get_running_loop()
    reload = Reload(
        daemon.home, daemon.bus, daemon.lock, daemon.supervisor, lambda: daemon.scheduler.tools, partial(_use, daemon)
    )

    def stop(name: str) -> None:
        if daemon.stopping.is_set():
            daemon.hurry.set()
            return
        daemon.why = name
        level: Literal["warning", "info"] = "warning" if daemon.once else "info"  # with `once` the log is for warnings
        daemon.bus.emit(Notice(level=level, message=f"{name}: finishing what runs; once more ends it at once"))
        daemon.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, reload.ask)
    if sys.platform == "linux":  # a writer that opens a file while its lease is asked for sends us this
        signal.signal(signal.SIGIO, lambda *_: None)
    return reload


def _use(daemon: Daemon, tools: Tools) -> None:
    daemon.scheduler.use(tools)
    daemon.bus.use(tools.settings)
    _bound_tasks(daemon)
    daemon.scheduler.fill()


def _allow_descriptors(max_tasks: int) -> int:
    """Raise the limit of open files as far as so many tasks need it and the system allows; how many tasks it is for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max_tasks * DESCRIPTORS_PER_TASK + OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(ValueError, OSError):  # macOS promises no limit and then has one: what there was stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return max_tasks
    return max(1, (soft - OTHER_DESCRIPTORS) // DESCRIPTORS_PER_TASK)


def _bound_tasks(daemon: Daemon) -> None:
    """Never take up more tasks than there are descriptors for: one that can't start in the middle helps nobody."""
    wanted = daemon.scheduler.tools.settings.daemon.max_tasks
    daemon.scheduler.most = _allow_descriptors(wanted)
    if daemon.scheduler.most < wanted:
        message = (
            f"{daemon.scheduler.most} tasks at once, and not daemon.max_tasks = {wanted}: for more the limit of open "
            f"files is too low, {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} (ulimit -Hn, LimitNOFILE=)"
        )
        daemon.bus.emit(Notice(level="warning", message=message))
