"""A scheduler without a daemon around it, in a house of a test."""

from contextlib import asynccontextmanager

from orchestrator.bus import Bus
from orchestrator.execution.prepare import Tools
from orchestrator.journal.ledger import Ledger
from orchestrator.runners.process import ProcessRunner
from orchestrator.sandbox import Host
from orchestrator.scheduler.scheduler import Scheduler
from orchestrator.spool.queue import Spool


@asynccontextmanager
async def scheduling(house):
    """A scheduler that knows the house's config, skills and rules, and has not looked into inbox."""
    house.home.prepare()
    spool = Spool(house.home)
    ledger, runner, bus = Ledger(house.home, spool), ProcessRunner("test"), Bus([])
    await ledger.open()
    await runner.start()
    scheduler = Scheduler(Tools.load(house.home, host=Host()), spool, ledger, {"process": runner}, bus)
    try:
        yield scheduler
    finally:
        scheduler.close_door()
        await runner.close()
        await ledger.close()
        bus.close()
