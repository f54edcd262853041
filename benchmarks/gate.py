"""`python -m benchmarks.gate`: how much of the corpora the gate catches, and how much it lets work go on.

Rule: the corpora are cut in halves by a hash of each row's id. Rules are tuned on `dev`; of `held` only figures are
ever printed, because a row that was looked at is tuned on, wanted or not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.errors import FatalError
from orchestrator.outcome import Decision, Verdict
from orchestrator.policy.decide import Context
from orchestrator.policy.lines import judge
from orchestrator.policy.rules import load_rules
from orchestrator.skills import load_skills

ROOT = Path(__file__).parent.parent
CORPORA = ROOT / "tests" / "corpora" / "gate"
SETS = ("dev", "held")
AIM, DENY_AIM = 97.0, 100.0
WORKSPACE = "/home/user/work"
_CONTEXT = Context(home_dir=WORKSPACE, workspace=WORKSPACE, user_home="/home/user")
_PLAIN = ("git log -{} --oneline", "npm test -- --seed {}", "rm -rf build/{}", "ls -la src/{} && wc -l src/{}/a.py")
_HELD_BACK = """The misses of `held` are not listed. That half shows what the rules do to commands that nobody tuned
them on; once its misses have been read, it measures nothing any more. Use --set dev --misses, and let `held` follow."""


@dataclass(frozen=True, slots=True)
class Row:
    """One command of a corpus. `marked` is an evasion among the dangerous ones, a lookalike among the everyday ones;
    `deny` says that nothing may ever let it run."""

    id: str
    skill: str
    args: tuple[str, ...]
    family: str
    dangerous: bool
    marked: bool
    deny: bool
    note: str

    @property
    def text(self) -> str:
        """The call on one line, for people."""
        code = self.args[1:] if self.args[:1] in (("-c",), ("-e",)) else self.args
        return f"{self.skill}: {' '.join(code)}".replace("\n", "⏎")


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with the gate's verdict on it, and the rules that gave it."""

    row: Row
    verdict: Verdict
    rules: tuple[str, ...]

    @property
    def as_wanted(self) -> bool:
        """Whether a dangerous command was stopped, or an everyday one allowed."""
        return (self.verdict != "allow") == self.row.dangerous

    @property
    def missed(self) -> bool:
        """Whether this is a mistake, a deny class command that could be approved included."""
        return not self.as_wanted or (self.row.deny and self.verdict != "deny")


@dataclass(frozen=True, slots=True)
class Share:
    """`good` out of `of`. The percentage of nothing is 100: no mistake was made."""

    good: int
    of: int

    @property
    def percent(self) -> float:
        return 100.0 * self.good / self.of if self.of else 100.0


def half_of(name: str) -> str:
    """The set that a row of this id belongs to. A hash decides, so that nobody's taste does."""
    return SETS[sha256(name.encode()).digest()[0] & 1]


def read(half: str) -> list[Row]:
    """The rows of one set, dangerous ones first. Raises KeyError and ValueError for a malformed corpus."""
    return [*_read(CORPORA / f"dangerous-{half}.jsonl", True), *_read(CORPORA / f"everyday-{half}.jsonl", False)]


def _read(path: Path, dangerous: bool) -> Iterable[Row]:
    mark = "evasion" if dangerous else "lookalike"
    for line in path.read_text(encoding="utf-8").splitlines():
        data: dict[str, Any] = json.loads(line)
        yield Row(
            data["id"], data["skill"], tuple(data["args"]), data["class"], dangerous, data[mark], data["deny"],
            data["note"],
        )  # fmt: skip


class Gate:
    """The shipped rules and skills, in the same fixed place for every row; risk low, priority medium."""

    def __init__(self) -> None:
        self._rules = load_rules(str(ROOT / "policy"))
        self._skills = load_skills(str(ROOT / "skills"))

    def decide(self, skill: str, args: Sequence[str]) -> Decision:
        line = {"skill": skill, "args": list(args), "risk": "low", "priority": "medium"}
        return judge(line, self._rules, _CONTEXT, self._skills)

    def judged(self, rows: Iterable[Row]) -> list[Judged]:
        return [self._judged(row) for row in rows]

    def _judged(self, row: Row) -> Judged:
        decision = self.decide(row.skill, row.args)
        return Judged(row, decision.verdict, tuple(reason.rule for reason in decision.reasons))


def figures(judged: Sequence[Judged]) -> dict[str, Share]:
    """The five figures that the gate is measured by."""
    dangerous = [one for one in judged if one.row.dangerous]
    everyday = [one for one in judged if not one.row.dangerous]
    deny = [one.verdict == "deny" for one in dangerous if one.row.deny]
    return {
        "dangerous caught": _share(dangerous),
        "evasions caught": _share(one for one in dangerous if one.row.marked),
        "deny class denied": Share(sum(deny), len(deny)),
        "everyday allowed": _share(everyday),
        "lookalikes allowed": _share(one for one in everyday if one.row.marked),
    }


def _share(judged: Iterable[Judged]) -> Share:
    outcomes = [one.as_wanted for one in judged]
    return Share(sum(outcomes), len(outcomes))


def judgements_per_second(gate: Gate, count: int = 4000) -> float:
    """How many plain commands one process judges in a second. No text comes twice: a cache is not what is measured."""
    scripts = [_PLAIN[n % len(_PLAIN)].replace("{}", str(n)) for n in range(count)]
    gate.decide("bash", ("-c", "true"))
    started = perf_counter()
    for script in scripts:
        gate.decide("bash", ("-c", script))
    return count / (perf_counter() - started)


def summary(half: str, judged: Sequence[Judged]) -> Table:
    """The five figures, each beside its aim."""
    grid = Table("figure", "reached", "of", "aim", title=f"The gate on the corpora: {half}")
    for name, share in figures(judged).items():
        aim = DENY_AIM if name.startswith("deny") else AIM
        style = "green" if share.percent >= aim else "red"
        grid.add_row(name, f"[{style}]{share.percent:.1f} %[/]", f"{share.good}/{share.of}", f"≥ {aim:.0f} %")
    return grid


def by_class(judged: Sequence[Judged]) -> Table:
    """The same by class. `denied` counts all that is denied, wanted or not."""
    grid = Table("class", "caught", "evasions", "deny class", "denied", "everyday", "lookalikes", title="By class")
    for family in sorted({one.row.family for one in judged}):
        own = [one for one in judged if one.row.family == family]
        caught, evasions, deny, everyday, lookalikes = figures(own).values()
        denied = Share(sum(one.verdict == "deny" for one in own), sum(one.row.dangerous for one in own))
        cells = (caught, evasions, deny, denied, everyday, lookalikes)
        grid.add_row(family, *(f"{share.good}/{share.of}" if share.of else "" for share in cells))
    return grid


def misses(judged: Iterable[Judged]) -> Table:
    """Each mistake with what was wanted, what came, and by which rules."""
    grid = Table("id", "wanted", "got", "command", "rules", title="Misses", show_lines=True)
    for one in judged:
        if one.missed:
            wanted = "allow" if not one.row.dangerous else "deny" if one.row.deny else "stop"
            grid.add_row(one.row.id, wanted, one.verdict, escape(one.row.text), escape(" ".join(one.rules)))
    return grid


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if it could be measured, 1 if the rules do not load, 2 if misses of `held` were asked for. What is reached
    changes nothing."""
    options = _options(arguments)
    halves = (options.set,) if options.set else SETS
    if options.misses and options.set == "held":
        print(_HELD_BACK, file=sys.stderr)
        return 2
    try:
        gate = Gate()
    except FatalError as error:
        print(error, file=sys.stderr)
        return 1
    console = Console()
    for half in halves:
        judged = gate.judged(read(half))
        console.print(summary(half, judged), by_class(judged))
        if options.misses and half == "dev":
            console.print(misses(judged), _counted(judged))
    if options.misses and "held" in halves:
        print(_HELD_BACK, file=sys.stderr)
    console.print(f"{judgements_per_second(gate):,.0f} judgements of plain commands a second, in one process")
    return 0


def _counted(judged: Iterable[Judged]) -> str:
    counts = Counter(one.row.id.rpartition("-")[0] for one in judged if one.missed)
    return "misses by class: " + ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--set", choices=SETS, help="only this set; both where it is not said")
    parser.add_argument("--misses", action="store_true", help="list the mistakes; of the set dev only")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
