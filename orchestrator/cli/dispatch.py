"""`dispatch`: a backlog of tasks, given to the local models one by one or all at once.

Rule: the file is only read. Which of its tasks are done, run or have failed the queue knows, by their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import code_report, exits, house
from orchestrator.cli.display import note, printable, say, say_json, table
from orchestrator.cli.groups import group
from orchestrator.errors import FatalError
from orchestrator.home import Home
from orchestrator.plan.graph import ordered

if TYPE_CHECKING:
    from orchestrator.cli.classify import Judged
    from orchestrator.cli.sources import Checked
    from orchestrator.insights.standing import Standing

GROUP = group()
_File = Annotated[str, typer.Argument(metavar="BACKLOG", help="A list of tasks, or one task; `-` reads it from stdin.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue, and do not wait for the end.")]
_HOPEFUL = ("done", "running", "queued", "open", "unavailable")
_ORDER = (*_HOPEFUL, "escalated", "blocked", "failed")
"""In which a table of counts has them."""


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
            "file": _output_of(self.spec),
            "needs": self.spec.task.needs,
            "why": self.why,
            "run": self.stands.run,
        }


@GROUP.callback()
def dispatch_() -> None:
    """A backlog of code tasks: what can be done by local models, what was, and what is left for you.

    \b
    Example:
      orchestrator dispatch list backlog.json
      orchestrator dispatch run --all backlog.json
    """


@GROUP.command("list")
def list_(ctx: typer.Context, backlog: _File, as_json: _Json = False) -> None:
    """Each task: how it stands, and whether a local model should try it."""
    items = _items(house.opened(ctx), backlog)
    if as_json:
        say_json([item.told() for item in items])
        return
    headers = ("ID", "STATE", "VERDICT", "KIND", "FILE", "WHY")
    table(headers, [_row(item) for item in items], spare=(3, 4))


@GROUP.command()
def status(ctx: typer.Context, backlog: _File, as_json: _Json = False) -> None:
    """How many are done, run, wait, or are left for you, and why those are."""
    items = _items(house.opened(ctx), backlog)
    counts = Counter(item.state for item in items)
    if as_json:
        left = [item.told() for item in items if item.state in ("escalated", "blocked", "failed")]
        say_json({"total": len(items), **{state: counts[state] for state in _ORDER}, "left_for_you": left})
        return
    say(", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state]) + f" of {len(items)}")
    _say_left(items)


@GROUP.command("assign-next")
def assign_next(ctx: typer.Context, backlog: _File, no_wait: _NoWait = False, as_json: _Json = False) -> None:
    """Have the first task done that is ready and for a local model, and print its report.

    Exits as `code` does; 5 if no task is left to assign: then nothing was queued.

    \b
    Example:
      orchestrator dispatch assign-next backlog.json
    """
    home = house.opened(ctx)
    items = _items(home, backlog)
    item = next((item for item in items if item.is_ready), None)
    if item is None:
        _nothing_left(items, as_json=as_json)
        raise typer.Exit(exits.NO_SUCH_TASK)
    raise typer.Exit(_assign(home, [item], no_wait=no_wait, as_json=as_json, as_list=False))


@GROUP.command()
def run(
    ctx: typer.Context,
    backlog: _File,
    all_: Annotated[bool, typer.Option("--all", help="All that local models should try; needed.")] = False,
    no_wait: _NoWait = False,
    as_json: _Json = False,
) -> None:
    """Have all tasks done that are for local models, in the order of their needs, and list what is left for you.

    Exits 0 if all of the backlog is done, 1 if anything is left for you, 75 if no model server or no daemon is there.

    \b
    Example:
      orchestrator dispatch run --all backlog.json
    """
    if not all_:
        sentence = "say --all for all of them; `dispatch assign-next` takes one"
        raise FatalError(sentence, exit_code=exits.USAGE)
    home = house.opened(ctx)
    items = _items(home, backlog)
    chosen = [item for item in items if item.stands.is_assignable and item.is_local and not item.held]
    under_way = [item for item in items if item.stands.state in ("queued", "running")]
    code = exits.OK
    if chosen or under_way:
        code = _assign(home, chosen, no_wait=no_wait, as_json=as_json, as_list=True, under_way=under_way)
    elif as_json:
        say_json([])
    left = [item for item in items if item not in chosen and item not in under_way and item.state != "done"]
    if left and not as_json:
        _say_left(left)
    raise typer.Exit(exits.worst([code, *([exits.FAILED] if left and code == exits.OK else [])]))


def _assign(
    home: Home, items: Sequence[Item], *, no_wait: bool, as_json: bool, as_list: bool, under_way: Sequence[Item] = ()
) -> int:
    """Queue tasks, each behind those that it needs; wait for them, and for those under way, and print the reports."""
    from orchestrator.cli import sets
    from orchestrator.cli.code import named, see_through
    from orchestrator.cli.submit import queue, say_queued

    specs = sets.in_order([item.spec for item in items])
    if no_wait:
        say_queued(home, queue(home, named(specs)), as_json=as_json)
        return exits.OK
    reports: list[dict[str, Any]] = []

    def tell(report: dict[str, Any]) -> None:
        reports.append(report)
        if not as_json:
            for line in code_report.lines(report):
                say(line)

    code = see_through(home, specs, tell, [item.spec for item in under_way])
    if as_json:
        say_json(reports if as_list or not reports else reports[0])
    return code


def _items(home: Home, file: str) -> list[Item]:
    """The tasks of a backlog as they stand. Raises FatalError for one that is bad."""
    from orchestrator.cli import classify, sources
    from orchestrator.insights.standing import standing

    installed = sources.Installed.of(home)
    good, bad = sources.check([sources.read(file)], installed)
    sources.must_be_good(bad, f"{file} can't be dispatched")
    stands = {spec.task.id: standing(home, spec.task) for spec in good}
    judges = installed.settings.coding.classify != "off"
    judged = [classify.judge(spec, installed) if judges else None for spec in good]
    to_ask = [each for each in judged if each and stands[each.spec.task.id].is_assignable]
    verdicts = {id(old): new for old, new in zip(to_ask, classify.with_model(installed, to_ask), strict=True)}
    items = [
        Item(spec, verdicts.get(id(each), each), stands[spec.task.id]) for spec, each in zip(good, judged, strict=True)
    ]
    return list(_with_needs(home, items))


def _with_needs(home: Home, items: Sequence[Item]) -> Iterator[Item]:
    """The same, each with what it needs and has not got."""
    from orchestrator.insights.standing import of_stranger

    states: dict[str, str] = {item.id: item.state for item in items}
    for need in {need for item in items for need in item.spec.task.needs} - states.keys():
        states[need] = of_stranger(home, need) or "unknown, here and in the queue"
    hopeless = {name: state for name, state in states.items() if state not in _HOPEFUL}
    needs = {item.id: item.spec.task.needs for item in items if item.state != "done"}
    for name in ordered(needs):
        if name not in hopeless and any(need in hopeless for need in needs[name]):
            hopeless[name] = "held back itself"
    for item in items:
        lost = next((need for need in item.spec.task.needs if need in hopeless), None)
        held = f"needs {lost}, which is {hopeless[lost]}" if lost else ""
        waits = tuple(need for need in item.spec.task.needs if states[need] != "done")
        yield Item(item.spec, item.judged, item.stands, held, waits)


def _output_of(spec: Checked) -> str:
    from orchestrator.cli.code import output_of

    return output_of(spec)


def _row(item: Item) -> list[str]:
    verdict = item.judged.verdict if item.judged else None
    said = (verdict.verdict, verdict.category) if verdict else ("-", "-")
    return [item.id, item.state, *said, _output_of(item.spec) or "-", item.why]


def _nothing_left(items: Sequence[Item], *, as_json: bool) -> None:
    if as_json:
        say_json({"assigned": None, "left": [item.told() for item in items if item.state != "done"]})
        return
    done = sum(item.state == "done" for item in items)
    note(f"no task is left to assign: {done} of {len(items)} done")
    _say_left(items)


def _say_left(items: Sequence[Item]) -> None:
    """What a person or an agent has to see to."""
    left = [item for item in items if item.state not in ("done", "running", "queued") and not item.is_ready]
    for item in left:
        path = _output_of(item.spec)
        where = f" ({printable(path)})" if path else ""
        say(f"left for you: {printable(item.id)}{where}: {item.state}: {printable(item.why)}")
