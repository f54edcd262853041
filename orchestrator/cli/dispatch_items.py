"""The tasks of a backlog as `dispatch` sees them: how each stands, whether it is for a local model, what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli import code_report
from orchestrator.cli.code import output_of
from orchestrator.home import Home
from orchestrator.plan.graph import ordered

if TYPE_CHECKING:
    from orchestrator.cli.classify import Judged
    from orchestrator.cli.sources import Checked
    from orchestrator.insights.entries import Entry
    from orchestrator.insights.standing import Standing

HOPEFUL = ("done", "running", "queued", "open", "unavailable")
"""States of what local models have done, or may still do."""


@dataclass(frozen=True, slots=True)
class Item:
    """One task of the backlog. `judged` is None for a task that no model is needed for; `held` says what it needs and
    will not get, `waits` what it needs and may."""

    spec: Checked
    judged: Judged | None
    stands: Standing
    held: str = ""
    waits: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.spec.task.id

    @property
    def state(self) -> str:
        """As the queue has it; what was never tried and should not be is escalated from the start."""
        return "escalated" if self.stands.is_assignable and not self.is_local else self.stands.state

    @property
    def is_local(self) -> bool:
        return self.judged is None or self.judged.verdict.verdict == "local"

    @property
    def is_ready(self) -> bool:
        return self.stands.is_assignable and self.is_local and not self.held and not self.waits

    @property
    def is_left(self) -> bool:
        """Whether no local model will do it: somebody else has to."""
        return self.state not in HOPEFUL

    @property
    def is_held(self) -> bool:
        """Whether it is held back behind one that is left."""
        return bool(self.held) and self.stands.is_assignable and self.is_local

    @property
    def why(self) -> str:
        """The one thing to know about it."""
        if self.state == "escalated" and self.stands.is_assignable and self.judged is not None:
            return "; ".join(self.judged.verdict.reasons)
        if self.held or (self.waits and self.stands.is_assignable):
            return self.held or f"waits for {', '.join(self.waits)}"
        if self.stands.is_over and self.stands.result is not None:
            return code_report.why(code_report.report_of(self.stands.result, ""))
        return self.stands.reason or ""

    def told(self) -> dict[str, Any]:
        """For machines."""
        verdict = self.judged.verdict if self.judged else None
        return {
            "id": self.id,
            "state": self.state,
            "ready": self.is_ready,
            "verdict": verdict.verdict if verdict else "local",
            "category": verdict.category if verdict else None,
            "reasons": verdict.reasons if verdict else (),
            "file": output_of(self.spec),
            "needs": self.spec.task.needs,
            "why": self.why,
            "run": self.stands.run,
        }


def items_of(home: Home, file: str) -> list[Item]:
    """The tasks of a backlog as they stand. Raises FatalError for one that is bad."""
    from orchestrator.cli import classify, sources
    from orchestrator.insights.standing import open_entries, standing

    installed = sources.Installed.of(home)
    good, bad = sources.check([sources.read(file)], installed)
    sources.must_be_good(bad, f"{file} can't be dispatched")
    entries = open_entries(home)
    stands = {spec.task.id: standing(home, spec.task, entries) for spec in good}
    judges = installed.settings.coding.classify != "off"
    judged = [classify.judge(spec, installed) if judges else None for spec in good]
    to_ask = [each for each in judged if each and stands[each.spec.task.id].is_assignable]
    verdicts = {id(old): new for old, new in zip(to_ask, classify.with_model(installed, to_ask), strict=True)}
    items = [
        Item(spec, verdicts.get(id(each), each), stands[spec.task.id]) for spec, each in zip(good, judged, strict=True)
    ]
    return list(_with_needs(home, items, entries))


def _with_needs(home: Home, items: Sequence[Item], entries: Mapping[str, Entry]) -> Iterator[Item]:
    """The same, each with what it needs and has not got."""
    from orchestrator.insights.standing import of_stranger

    states: dict[str, str] = {item.id: item.state for item in items}
    for need in {need for item in items for need in item.spec.task.needs} - states.keys():
        states[need] = of_stranger(home, need, entries) or "unknown, here and in the queue"
    hopeless = {name: state for name, state in states.items() if state not in HOPEFUL}
    needs = {item.id: item.spec.task.needs for item in items if item.state != "done"}
    for name in ordered(needs):
        if name not in hopeless and any(need in hopeless for need in needs[name]):
            hopeless[name] = "held back itself"
    for item in items:
        lost = next((need for need in item.spec.task.needs if need in hopeless), None)
        held = f"needs {lost}, which is {hopeless[lost]}" if lost else ""
        waits = tuple(need for need in item.spec.task.needs if states[need] != "done")
        yield Item(item.spec, item.judged, item.stands, held, waits)
