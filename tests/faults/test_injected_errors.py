"""System calls that fail at any moment: the daemon pauses or goes on, and every promise holds."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from conftest import House, require, until
from injector import Fault, hits, injected
from tally import Tally
from witness import Witness
from writers import Dropper

from orchestrator.daemon import mark_of
from orchestrator.home import daemon_pid
from orchestrator.runners.process import sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
SPECS = 12
KINDS = ("quick", "quick", "quick", "slow", "session")
ERRORS = {
    "rename": ("ENOSPC", "EIO", "EINTR"),
    "link": ("ENOSPC", "EIO", "EMLINK"),
    "sync": ("ENOSPC", "EIO", "EINTR"),
    "open": ("ENOSPC", "EIO", "EMFILE", "ENFILE", "EINTR"),
    "write": ("ENOSPC", "EIO", "EDQUOT", "EINTR"),
    "list": ("EIO", "ENOMEM"),
    "stat": ("EIO", "ENOMEM"),
    "unlink": ("EIO", "EROFS"),
    "mkdir": ("ENOSPC", "EIO"),
    "pipe": ("EMFILE", "ENFILE"),
    "pidfd": ("EMFILE", "ENOMEM"),
    "start": ("EAGAIN", "ENOMEM"),
    "watch": ("ENOSPC", "ENOMEM"),
}
AT_START = ("rename", "link", "sync", "unlink", "mkdir")  # the others fail in Python's own start
LAST = ("1", "2", "3", "5", "8", "13")
WHEN = ("1", "2", "3", "5", "8", "1+", "3+")
# What a thread meets that strace lets go of in the middle of a call that it was about to make fail.
LET_GO = "Function not implemented"


class Patient:
    """A home whose daemon is made to suffer, and the account of it."""

    def __init__(self, folder):
        self.house = House(folder / "home")
        (self.house.root / "config/local.toml").write_text("[daemon]\nsettle = 200\nrescan = 300\n")
        for name in ("said", "outside"):
            (folder / name).mkdir()
        self.witness = Witness(folder / "said")
        self.dropper = Dropper(self.house.home, folder / "outside", self.witness, KINDS, random.Random(folder.name))
        self.log = folder / "strace"
        self.hits = Counter()
        self.deaths = Counter()

    def suffer(self, fault):
        """Specs come in while calls fail; then no call fails any more, and all has to come to its end."""
        if self.house.process is None:
            self.house.start()
        with injected(self.house.process.pid, fault, self.house.home, self.log):
            self.dropper.drop(SPECS, 0.2)
            self.dropper.join()
            threading.Event().wait(0.8 if fault.when.endswith("+") else 0.4)
        self._recover(fault)

    def suffer_at_start(self, fault):
        """A daemon is killed in the middle of its work, and calls fail while its successor starts. That may end with
        an error, which it then says in one line."""
        before = self.witness.told().ends.total()
        self.house.start()
        self.dropper.drop(SPECS, 0.0)
        self.dropper.join()
        until(lambda: self.witness.told().ends.total() > before, "the first step to end")
        self.house.stop(signal.SIGKILL)
        self._begin_under(fault)
        self.house.start()
        self._recover(fault)
        self.house.stop()

    def die(self, fault):
        """A daemon dies at a call while specs come in, or lives on where it never comes by it."""
        self.house.start()
        with injected(self.house.process.pid, fault, self.house.home, self.log):
            self.dropper.drop(SPECS, 0.2)
            self.dropper.join()
            until(lambda: self.is_idle() or self.house.process.poll() is not None, f"all tasks to end, or {fault}")
        self.deaths[f"at {fault.family}"] += self.house.process.poll() is not None
        self.house.stop(signal.SIGKILL)
        self.house.start()
        self._recover(fault)
        self.house.stop()

    def _begin_under(self, fault):
        """A start that meets the fault: it ends with an error of its own, or works until it is killed."""
        before = len(self._said())
        command = [*fault.command(self.house.home, self.log), *self.house.command("run")]
        with (self.house.root / "daemon.log").open("ab") as log:
            strace = subprocess.Popen(command, env=self.house.environ, stdout=subprocess.DEVNULL, stderr=log)
        until(lambda: strace.poll() is not None or _serves(self.house.home, strace.pid), f"a start under {fault}")
        threading.Event().wait(0.5)
        self.deaths[f"at {fault.family} in a start"] += strace.poll() is not None
        if strace.poll() is None and (daemon := daemon_pid(self.house.home)):
            os.kill(daemon, signal.SIGKILL)
        strace.wait(60)
        assert "Traceback" not in (said := self._said()[before:]), f"{fault}: {said}"

    def _recover(self, fault):
        self.hits[fault.family] += hits(self.log)
        house = self.house
        until(lambda: self.is_idle() or house.process.poll() is not None, f"all tasks to end after {fault}")
        assert house.process.poll() is None, f"{fault} ended the daemon: {self._said()[-3000:]}"

    def is_idle(self):
        return not self.house.names("inbox") and not self.house.names("running")

    def _said(self):
        return (self.house.root / "daemon.log").read_text()

    def judged(self):
        tally = Tally(specs=len(self.dropper.dropped))
        tally.judge(self.house, self.witness, self.dropper.dropped, self.dropper.may_run_again)
        tally.problems = [problem for problem in tally.problems if not problem.endswith(LET_GO)]
        if left := self.witness.processes():
            tally.breaks("orphaned", f"all is done and these live: {left}", len(left))
        if "Traceback" in self._said():
            tally.breaks("daemon failed", self._said()[self._said().index("Traceback") :][:3000])
        return tally


def _serves(home, strace):
    """Whether a daemon that this strace started is ready."""
    return str(daemon_pid(home)) in Path(f"/proc/{strace}/task/{strace}/children").read_text().split()


@pytest.fixture
def patient(tmp_path):
    require(shutil.which("strace") and os.geteuid() == 0, "strace as root is needed to make calls of the daemon fail")
    patient = Patient(tmp_path)
    yield patient
    patient.house.stop(signal.SIGKILL)
    sweep(mark_of(patient.house.home))


def test_calls_that_fail_once_or_for_a_while_lose_nothing_and_stop_nobody(patient):
    for fault in (Fault("rename", "ENOSPC", "3"), Fault("sync", "EIO", "2"), Fault("open", "EMFILE", "2+"),
                  Fault("watch", "ENOSPC", "2+")):  # fmt: skip
        patient.suffer(fault)
    tally = patient.judged()
    assert not tally.problems, tally.table("injected errors")
    assert patient.hits.keys() == {"rename", "sync", "open", "watch"}


@pytest.mark.soak
@pytest.mark.parametrize("family", ERRORS)
def test_each_call_that_fails_in_each_way_at_any_time_loses_nothing(patient, family, capsys):
    for fault in faults_of(family):
        patient.suffer(fault)
    told(patient.judged(), patient.hits, f"{family} fails while the daemon works", capsys)


@pytest.mark.soak
@pytest.mark.parametrize("family", AT_START)
def test_each_call_that_fails_while_a_daemon_recovers_loses_nothing(patient, family, capsys):
    for fault in faults_of(family):
        patient.suffer_at_start(fault)
    told(patient.judged(), patient.hits, f"{family} fails while the daemon starts", capsys)


@pytest.mark.soak
def test_a_daemon_that_dies_at_any_call_breaks_no_promise(patient, capsys):
    for family in ERRORS:
        for when in LAST:
            patient.die(Fault(family, "KILL", when))
            if family in AT_START:
                patient.suffer_at_start(Fault(family, "KILL", when))
    tally = patient.judged()
    tally.deaths = patient.deaths
    told(tally, patient.deaths, "killed right before the n-th call of a kind", capsys)


def faults_of(family):
    """Each error, once and for a while; a call that is interrupted for ever is none that a kernel makes."""
    return [
        Fault(family, error, when)
        for error in ERRORS[family]
        for when in WHEN
        if not (error == "EINTR" and when.endswith("+"))
    ]


def told(tally, failed, title, capsys):
    table = tally.table(f"{title}: {dict(failed)}")
    with capsys.disabled():
        print(f"\n{table}")
    assert not tally.problems, table
    assert failed.total() > 0
