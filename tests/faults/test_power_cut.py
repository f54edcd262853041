"""When the power goes, what `submit` accepted and what the journal holds is there when it comes back.

Kills prove nothing of that kind: the kernel writes what a dead process left in the page cache.
"""

import signal
import subprocess
import sys

import pytest
from conftest import House, until
from disk import Disk
from tally import Tally
from witness import Witness
from writers import written

from orchestrator.daemon import mark_of
from orchestrator.runners.process import sweep
from orchestrator.spool.queue import Spool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="loop devices and ext4 are Linux's")


class PoweredHouse(House):
    """A home on a disk whose power can be cut, and what was accepted there (file name → bytes)."""

    def __init__(self, folder):
        self.disk = Disk(folder)
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
        sweep(mark_of(self.home))
        self.disk.cut_power()

    def is_idle(self):
        return not self.names("inbox") and not self.names("running")

    def judged(self, tally):
        tally.judge(self, self.witness, self.accepted)
        return tally


@pytest.fixture
def powered(tmp_path):
    house = PoweredHouse(tmp_path)
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
    tally = powered.judged(Tally())
    assert not tally.problems, tally.table("two power cuts")
    assert powered.result("bad")["status"] == "invalid"
