"""What a trial of the promises did to real daemons, and how often each promise was broken."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

STATES = ("inbox", "running", "done", "failed")
PROMISES = ("lost", "run twice", "overlapping", "orphaned", "half-read", "torn lines", "daemon failed")

RERUNS = 3  # of a step that says that it may be run again


@dataclass
class Tally:
    """Counts. `problems` says in a sentence what each broken promise was."""

    specs: int = 0
    seconds: float = 0.0
    deaths: Counter = field(default_factory=Counter)
    statuses: Counter = field(default_factory=Counter)
    broken: Counter = field(default_factory=Counter)
    problems: list = field(default_factory=list)
    rerun: int = 0

    @property
    def kills(self):
        return sum(self.deaths.values())

    def breaks(self, promise, sentence, count=1):
        self.broken[promise] += count
        self.problems.append(f"{promise}: {sentence}")

    def add(self, other):
        """Take another one's counts in; the two ran at the same time."""
        self.specs += other.specs
        self.rerun += other.rerun
        self.seconds = max(self.seconds, other.seconds)
        self.problems += other.problems
        for mine, theirs in ((self.deaths, other.deaths), (self.statuses, other.statuses), (self.broken, other.broken)):
            mine.update(theirs)

    def table(self, title):
        """The lines that one can quote."""
        rows = [("specs", self.specs), ("kills", self.kills)]
        rows += [(promise, self.broken[promise]) for promise in PROMISES]
        rows += [("interrupted", self.statuses["interrupted"]), ("steps run again", self.rerun)]
        rows += [("ended ok", self.statuses["ok"]), ("seconds", round(self.seconds))]
        lines = [title, *(f"  {name:<24} {count}" for name, count in rows)]
        lines += [f"    killed {where:<22} {count}" for where, count in sorted(self.deaths.items())]
        if self.kills and not self.problems:
            lines.append(f"  what {self.kills} kills without a violation bound, 95 %: below {self._bound():.2%} a kill")
        return "\n".join([*lines, *(f"  ! {sentence}" for sentence in self.problems[:40])])

    def _bound(self):
        return 1 - 0.05 ** (1 / self.kills)

    # ── judging what stands at the end ─────────────────────────────────────────────────────────

    def judge(self, house, witness, dropped, may_run_again=frozenset()):
        """Hold what was dropped (file name → bytes) against what the steps said and where each file stands."""
        told = witness.told()
        for name, data in dropped.items():
            self._judge_end(house, name, data, told)
        self._judge_starts(told, may_run_again)
        torn = told.torn + sum(map(torn_lines, Path(house.home.telemetry).glob("*.ndjson")))
        if torn:
            self.breaks("torn lines", "in the witness or in telemetry", torn)

    def _judge_starts(self, told, may_run_again):
        for (name, step), starts in told.starts.items():
            allowed = 1 + RERUNS if (name, step) in may_run_again else 1
            self.rerun += min(starts, allowed) - 1
            if starts > allowed:
                self.breaks("run twice", f"{name} step {step} started {starts} times")
        if told.out_of_order:
            self.breaks("run twice", "an earlier step started after a later one", told.out_of_order)
        if told.overlaps:
            self.breaks("overlapping", "a step met another run of its task", told.overlaps)

    def _judge_end(self, house, name, data, told):
        stands = [state for state in STATES if (folder(house, state) / name).exists()]
        if stands not in (["done"], ["failed"]):
            self.breaks("lost", f"{name} stands in {stands or 'no folder'}")
            return
        try:
            result = json.loads((folder(house, stands[0]) / f"{name.rpartition('.')[0]}.result.json").read_text())
        except (OSError, ValueError) as error:
            self.breaks("lost", f"{name} in {stands[0]}/ has no result: {error}")
            return
        self.statuses[result["status"]] += 1
        if result["status"] not in {"ok", "interrupted"} or (folder(house, stands[0]) / name).read_bytes() != data:
            self.breaks("half-read", f"{name} is {result['status']}: {result['reason']}")
        unproven = [step for step in range(data.count(b'"args"')) if told.ends[name, step] == 0]
        if result["status"] == "ok" and unproven:
            self.breaks("lost", f"{name} is ok, and its steps {unproven} never ended")


def folder(house, state):
    return Path(house.home.queue) / state


def torn_lines(path):
    """How many lines of a file are no JSON."""
    torn = 0
    for line in path.read_bytes().splitlines():
        try:
            json.loads(line)
        except ValueError:
            torn += 1
    return torn
