"""A storm: real daemons over a real home, killed again and again while specs come in; then every promise is counted.

The counting trusts three things only: what was dropped, what the steps said themselves (`witness`), and what stands in
done/ and failed/ at the end.
"""

import json
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from conftest import PATIENCE_S, House, until
from tally import Tally
from witness import Witness
from writers import Dropper

import orchestrator
from orchestrator.daemon import mark_of
from orchestrator.home import daemon_pid
from orchestrator.runners.process import sweep

SOURCE = Path(orchestrator.__file__).parent
BUSY = 75
START_S = 0.8  # about what a daemon takes to start: kills fall into the start too
# What only people's commands, or rare faults, come by: tests/test_protocol.py and test_approvals.py kill there.
REACHED_ELSEWHERE = re.compile(r"approval\.|retry\.|back\.|place\.|retention\.|run\.discarded|recovery\.reclaimed")
MIX = ("quick",) * 10 + ("slow",) * 3 + ("loud", "group", "session", "double_fork")


def failpoints():
    """Every point that the source names and that a storm comes by."""
    text = "".join(path.read_text() for path in sorted(SOURCE.rglob("*.py")))
    found = set(re.findall(r"failpoint\.reach\(\s*\"([a-z_.]+)\"", text))
    return sorted(point for point in found if not REACHED_ELSEWHERE.match(point))


def shared_out(specs, kills):
    """How many specs come before each kill: deep and nearly empty inboxes in turn."""
    few = max(1, specs // kills // 4)
    shares = [few if number % 2 else 2 * (specs // kills) - few for number in range(kills)]
    shares[0] += specs - sum(shares)
    return shares


class Contender:
    """One place for a daemon, taken again by a new one whenever the last one ended."""

    def __init__(self, house):
        self._house = house
        self.process = None
        self.failpoint = ""

    def start(self, failpoint):
        environment = {**self._house.environ, "ORCHESTRATOR_FAILPOINT": failpoint}
        self.failpoint = failpoint
        self.process = subprocess.Popen(
            self._house.command("run"), env=environment, stdout=subprocess.DEVNULL,
            stderr=open(self._house.root / "daemon.log", "ab"),
        )  # fmt: skip

    @property
    def pid(self):
        return self.process.pid if self.process is not None else None

    def ended(self):
        """The exit code of one that ended; told once, then its place is free. None while it runs."""
        code = self.process.poll() if self.process is not None else None
        if code is not None:
            self.process = None
        return code

    def signal(self, number):
        """True if it was there to hear it."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.send_signal(number)
        return True

    def kill(self):
        """True if it was alive: then the death is ours. How another one ended is still to be asked."""
        if not self.signal(signal.SIGKILL):
            return False
        self.process.wait()
        self.process = None
        return True


class Storm:
    """`kills` deaths of up to `daemons` competing daemons, while `specs` files come in."""

    def __init__(self, folder, *, specs, kills, daemons=1, seed=0, sandbox="none"):
        folder = Path(folder)
        self.house = House(folder / "home")
        self.house.sandbox = sandbox
        (self.house.root / "config/local.toml").write_text(
            f"[daemon]\nsettle = 200\nrescan = 500\n[sandbox]\nwrite = {json.dumps([str(folder / 'said')])}\n"
        )
        for name in ("said", "outside"):
            (folder / name).mkdir()
        self.witness = Witness(folder / "said")
        self.rng = random.Random(seed)
        self.tally = Tally(specs=specs)
        kinds = MIX if sandbox == "none" else (*MIX, "bare")
        self.dropper = Dropper(self.house.home, folder / "outside", self.witness, kinds, self.rng)
        self._kills = kills
        self._contenders = [Contender(self.house) for _ in range(daemons)]
        self._points = failpoints()
        self._shares = shared_out(specs, kills)
        self._failpoint = ""
        self._looked = set()
        self._pause = threading.Event()

    def run(self):
        begun = time.monotonic()
        for number in range(self._kills):
            self.dropper.drop(self._shares[number], 0.0 if number % 2 == 0 else 2 * START_S)
            self._one_death()
        self.dropper.join()
        self._last_daemon()
        self.tally.judge(self.house, self.witness, self.dropper.dropped, self.dropper.may_run_again)
        self.tally.seconds = time.monotonic() - begun
        return self.tally

    def close(self):
        for contender in self._contenders:
            if contender.process is not None:
                contender.kill()
        sweep(mark_of(self.house.home))

    # ── who dies ───────────────────────────────────────────────────────────────────────────────

    def _one_death(self):
        """Let daemons run until one of them is dead."""
        before = self.tally.kills
        way = self.rng.choice(
            (self._at_random, self._at_random, self._at_start, self._stopped, *[self._at_failpoint] * 4)
        )
        self._failpoint = (
            f"{self.rng.choice(self._points)}:{self.rng.randint(1, 4)}" if way == self._at_failpoint else ""
        )
        while self.tally.kills == before:
            way()

    def _at_start(self):
        if self._rest(self.rng.uniform(0.3, 1.0) * START_S):
            self._kill(self._contenders[0], "at start")

    def _at_random(self):
        if (holder := self._ready()) and self._rest(self.rng.expovariate(1 / 0.2)):
            self._kill(holder, "at random")

    def _at_failpoint(self):
        """A daemon that does not come by its failpoint dies when it has nothing left to do."""
        if (holder := self._ready()) and self._rest(PATIENCE_S, enough=self._is_idle):
            self._kill(holder, "when idle")

    def _stopped(self):
        """While a daemon is stopped nobody may take its place; it may go on as if nothing had been."""
        holder = self._ready()
        if holder is None or not holder.signal(signal.SIGSTOP) or not self._rest(self.rng.uniform(0.05, 0.4)):
            return
        if self.rng.random() < 0.5:
            self._kill(holder, "while stopped")
        elif holder.signal(signal.SIGCONT) and self._rest(self.rng.expovariate(1 / 0.2)):
            self._kill(holder, "after a stop")

    def _kill(self, contender, where):
        if contender.kill():
            self.tally.deaths[where] += 1

    def _rest(self, seconds, *, enough=lambda: False):
        """Let time pass, until there was enough of it. False if a daemon died meanwhile."""
        before, until_then = self.tally.kills, time.monotonic() + seconds
        while self.tally.kills == before and time.monotonic() < until_then and not enough():
            self._tend()
        return self.tally.kills == before

    def _is_idle(self):
        return not self.house.names("inbox") and not self.house.names("running")

    def _ready(self):
        """The contender that serves, as soon as one does; None if one died before."""
        before, give_up = self.tally.kills, time.monotonic() + PATIENCE_S
        while self.tally.kills == before:
            self._tend()
            pid = daemon_pid(self.house.home)
            for contender in self._contenders:
                if pid and contender.pid == pid:
                    self._look_for_orphans(contender)
                    return contender
            assert time.monotonic() < give_up, (self.house.root / "daemon.log").read_text()[-3000:]
        return None

    def _tend(self):
        """Put a new daemon in each place whose last one ended, and note how it ended."""
        for contender in self._contenders:
            code = contender.ended()
            if code == -signal.SIGKILL and contender.failpoint:
                self.tally.deaths[contender.failpoint.partition(":")[0]] += 1
            elif code not in (None, BUSY):
                self.tally.breaks("daemon failed", f"a daemon ended with {code}")
            if contender.process is None:
                contender.start(self._failpoint)
        self._pause.wait(0.004)

    # ── what is counted ────────────────────────────────────────────────────────────────────────

    def _look_for_orphans(self, holder):
        """A daemon that is ready has ended whatever the dead one left, before it touched a task."""
        if holder.pid in self._looked:
            return
        self._looked.add(holder.pid)
        if not (seen := self.witness.orphans(holder.pid)):
            return
        # One that was losing its parent just then is seen below the daemon now; if that died, they are its successor's.
        still = [pid for pid in self.witness.orphans(holder.pid) if pid in seen]
        if still and holder.process.poll() is None:
            told = ", ".join(map(command_of, still))
            self.tally.breaks("orphaned", f"daemon {holder.pid} is ready and these live: {told}", len(still))

    def _last_daemon(self):
        """One that is left in peace brings all to its end, and leaves no process when it goes."""
        for contender in self._contenders:
            contender.kill()
        house = self.house
        house.start()
        until(self._is_idle, "the queue to be empty")
        if left := self.witness.processes():
            self.tally.breaks("orphaned", f"all is done and these live: {list(map(command_of, left))}", len(left))
        if (code := house.stop()) != 0:
            self.tally.breaks("daemon failed", f"told to stop, it ended with {code}")


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return f"{pid} (gone)"
