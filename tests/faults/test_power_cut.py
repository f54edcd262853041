"""When the power goes, what `submit` accepted and what the journal holds is there when it comes back.

Kills prove nothing of that kind: the kernel writes what a dead process left in the page cache.
"""

import random
import signal
import subprocess
import sys
import threading

import pytest
from conftest import House, until
from disk import Disk
from storm import Contender, failpoints
from tally import Tally
from witness import Witness
from writers import Dropper, submitted, written

from orchestrator.daemon import mark_of
from orchestrator.home import daemon_runs
from orchestrator.runners.process import sweep
from orchestrator.spool.queue import Spool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="loop devices and ext4 are Linux's")
CUTS = 50
KINDS = ("quick", "quick", "quick", "slow", "session")


class PoweredHouse(House):
    """A home on a disk whose power can be cut, and what was accepted there (file name → bytes)."""

    def __init__(self, folder, kind):
        self.disk = Disk(folder, kind)
        (folder / "said").mkdir()
        self.witness = Witness(folder / "said")
        self.accepted = {}
        super().__init__(self.disk.root / "home")
        subprocess.run(["sync", "-f", self.disk.root], check=True)

    def submit(self, count, steps=()):
        """Accept so many more: from now on they must never be lost."""
        spool = Spool(self.home)
        for number in range(len(self.accepted), len(self.accepted) + count):
            name = f"t{number}.json"
            spec = {"id": f"t{number}", "title": "Accepted", "risk": "low", "skills": ["bash"]}
            spec["steps"] = steps or [self.witness.step(f"t{number}", name, 0, "quick")]
            data = written(name, spec)
            spool.submit(name, data)
            self.accepted[name] = data

    def cut_power(self):
        """The daemon and all steps end with the power."""
        self.stop(signal.SIGKILL)
        # A child that it was just starting holds the lock too, until it has its own environment.
        until(lambda: not daemon_runs(self.home), "the lock to be free")
        sweep(mark_of(self.home))
        self.disk.cut_power()

    def is_idle(self):
        return not self.names("inbox") and not self.names("running")

    def judged(self, tally):
        tally.judge(self, self.witness, self.accepted)
        return tally


@pytest.fixture
def powered(tmp_path, request):
    house = PoweredHouse(tmp_path, getattr(request, "param", "ext4"))
    yield house
    house.stop(signal.SIGKILL)
    sweep(mark_of(house.home))
    house.disk.unmount()


SLOW_JOURNAL = """
import os, time
sync = os.fdatasync
os.fdatasync = lambda fd: (time.sleep(0.5), sync(fd))
from orchestrator.cli.front import main
main()
"""


@pytest.mark.soak
@pytest.mark.parametrize("step", [0, 1])
def test_no_step_starts_before_its_start_would_survive_a_power_cut(powered, step):
    """On a disk that takes half a second for each flush, the power goes in the moment in which a step says its first
    word."""
    ordinary = powered.command
    powered.command = lambda *args: [sys.executable, "-c", SLOW_JOURNAL, *ordinary(*args)[3:]]
    powered.start()
    kinds = ("quick",) * step + ("slow",)
    steps = [powered.witness.step("t0", "t0.json", number, kind, 60) for number, kind in enumerate(kinds)]
    for earlier in steps[:-1]:
        earlier["idempotent"] = True  # so that a lost start of the last step would let all go on, and start it twice
    powered.submit(1, steps)
    until(lambda: powered.witness.told().starts["t0.json", step], "the step to start")
    powered.cut_power()
    powered.command = ordinary
    powered.start()
    assert powered.result("t0")["status"] == "interrupted"
    tally = powered.judged(Tally())
    assert not tally.problems, tally.table("a power cut at the first word")


def test_what_was_accepted_is_there_after_a_power_cut_although_no_daemon_ran(powered):
    powered.submit(3)
    powered.cut_power()
    assert {name: (powered.root / "queue/inbox" / name).read_bytes() for name in powered.names("inbox")} == (
        powered.accepted
    )


def test_a_power_cut_while_tasks_run_and_another_one_after_their_end_lose_nothing(powered):
    powered.start()
    Spool(powered.home).submit("bad.json", b"{}")
    powered.submit(20)
    until(lambda: len(powered.names("done")) > 10, "some tasks to end")
    powered.cut_power()
    powered.start()
    powered.submit(3)
    until(powered.is_idle, "all tasks to end")
    powered.cut_power()
    powered.start()
    until(powered.is_idle, "what the cut took back to be put right again")
    tally = powered.judged(Tally())
    assert not tally.problems, tally.table("two power cuts")
    assert powered.result("bad")["status"] == "invalid"


@pytest.mark.soak
@pytest.mark.parametrize("powered", ["ext4", "xfs", "btrfs"], indirect=True)
def test_fifty_power_cuts_at_failpoints_and_at_any_other_moment_break_no_promise(powered, tmp_path, capsys, request):
    (tmp_path / "outside").mkdir()
    rng, tally, daemon, pause = random.Random(1), Tally(), Contender(powered), threading.Event()
    dropper = Dropper(powered.home, tmp_path / "outside", powered.witness, KINDS, rng, ways=(submitted,))
    for number in range(CUTS):
        failpoint = f"{rng.choice(failpoints())}:{rng.randint(1, 6)}" if number % 2 else ""
        daemon.start(failpoint)
        dropper.drop(10, 0.5)
        dropper.join()
        for _ in range(2_000 if failpoint else rng.randint(50, 300)):
            if daemon.process.poll() is not None or (failpoint and powered.is_idle()):
                break
            pause.wait(0.005)
        tally.deaths["at random" if daemon.kill() else failpoint.partition(":")[0]] += 1
        powered.cut_power()
    powered.start()
    until(powered.is_idle, "all tasks to end")
    tally.specs = len(dropper.dropped)
    tally.judge(powered, powered.witness, dropper.dropped, dropper.may_run_again)
    with capsys.disabled():
        print("\n" + tally.table(f"{CUTS} power cuts: {request.node.name}"))
    assert not tally.problems
