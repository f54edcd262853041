"""`dispatch`: a backlog of tasks, given to the local models one by one or all at once.

Rule: the file is only read. Which of its tasks are done, run or have failed the queue knows, by their ids.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import code_report, exits, house
from orchestrator.cli.code import output_of, queued, see_through
from orchestrator.cli.dispatch_items import HOPEFUL, Item, items_of
from orchestrator.cli.display import note, printable, say, say_json, table
from orchestrator.cli.groups import group
from orchestrator.cli.submit import say_queued
from orchestrator.errors import FatalError
from orchestrator.home import Home
from orchestrator.spool.alone import alone_in

if TYPE_CHECKING:
    from orchestrator.cli.waiting import Awaited

GROUP = group()
_File = Annotated[str, typer.Argument(metavar="BACKLOG", help="A file of tasks, or of one; `-` reads stdin.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue, and do not wait for the end.")]
_SECOND_LOOK_S = 0.02
_ORDER = (*HOPEFUL, "escalated", "blocked", "failed")
"""In which a table of counts has them."""


@GROUP.callback()
def dispatch_() -> None:
    """A backlog of code tasks: what can be done by local models, what was, and what is left for you.

    \b
    Example:
      orchestrator dispatch list backlog.json
      orchestrator dispatch run --all backlog.json
    """


@GROUP.command("list", short_help="Each task: how it stands, and is it for a local model.")
def list_(ctx: typer.Context, backlog: _File, as_json: _Json = False) -> None:
    """Each task: how it stands, and whether a local model should try it.

    \b
    Example:
      orchestrator dispatch list backlog.json
    """
    items = items_of(house.opened(ctx), backlog)
    if as_json:
        say_json([item.told() for item in items])
        return
    headers = ("ID", "STATE", "VERDICT", "KIND", "FILE", "WHY")
    table(headers, [_row(item) for item in items], spare=(3, 4))


@GROUP.command(short_help="How many are done, run, wait or are left for you, and why.")
def status(ctx: typer.Context, backlog: _File, as_json: _Json = False) -> None:
    """How many are done, run, wait, or are left for you, and why those are.

    \b
    Example:
      orchestrator dispatch status backlog.json --json
    """
    items = items_of(house.opened(ctx), backlog)
    counts = Counter(item.state for item in items)
    if as_json:
        left = [item.told() for item in items if item.is_left]
        held = [item.told() for item in items if item.is_held]
        counted = {state: counts[state] for state in _ORDER}
        say_json({"total": len(items), **counted, "left_for_you": left, "held_back": held})
        return
    say(", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state]) + f" of {len(items)}")
    _say_left(items)


@GROUP.command("assign-next", short_help="Have the first done that is ready, and print its report.")
def assign_next(ctx: typer.Context, backlog: _File, no_wait: _NoWait = False, as_json: _Json = False) -> None:
    """Have the first task done that is ready and for a local model, and print its report.

    Exits as `code` does; 5 if no task is left to assign: then nothing was queued.

    \b
    Example:
      orchestrator dispatch assign-next backlog.json
    """
    home = house.opened(ctx)
    items = items_of(home, backlog)
    given = _given(home, [item for item in items if item.is_ready], most=1)
    if not given.items:
        _nothing_left(items, as_json=as_json)
        raise typer.Exit(exits.NO_SUCH_TASK)
    raise typer.Exit(_see_through(home, given, no_wait=no_wait, as_json=as_json))


@GROUP.command(short_help="Have all done that are for local models; list what is left.")
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
    items = items_of(home, backlog)
    chosen = [item for item in items if item.stands.is_assignable and item.is_local and not item.held]
    given = _given(home, chosen)
    under_way = [item for item in items if item.stands.state in ("queued", "running")]
    given.add(under_way)
    left = [item for item in items if item not in chosen and item not in under_way and item.state != "done"]
    code = _see_through(home, given, no_wait=no_wait, as_json=as_json, left=left)
    if not as_json:
        _say_left(left)
    if not (as_json or given.items or left):
        say(f"nothing to do: all {len(items)} tasks are done")
    raise typer.Exit(exits.worst([code, *([exits.FAILED] if left and code == exits.OK else [])]))


@dataclass(slots=True)
class Given:
    """Tasks that are in the queue now, and what to wait for."""

    items: list[Item]
    awaited: list[Awaited]

    def add(self, under_way: Sequence[Item]) -> None:
        """Wait for these too, which somebody else has queued."""
        from orchestrator.cli.waiting import Awaited

        self.items += under_way
        self.awaited += [Awaited(item.id) for item in under_way]


def _given(home: Home, items: Sequence[Item], most: int | None = None) -> Given:
    """Queue these tasks, or the first of them, each behind those that it needs. Two who do so at once never give out
    the same."""
    from orchestrator.cli import sets

    with alone_in(home.queue):
        still = _still_open(home, items)[:most]
        specs = sets.in_order([item.spec for item in still])
        by_id = {item.id: item for item in still}
        return Given([by_id[spec.task.id] for spec in specs], queued(home, specs))


def _still_open(home: Home, items: Sequence[Item]) -> list[Item]:
    """Looked at twice: between two folders a task can be missed for an instant."""
    from orchestrator.insights.standing import open_entries, standing

    still = list(items)
    for pause in (0.0, _SECOND_LOOK_S):
        time.sleep(pause)
        entries = open_entries(home)
        still = [item for item in still if standing(home, item.spec.task, entries).is_assignable]
    return still


def _see_through(home: Home, given: Given, *, no_wait: bool, as_json: bool, left: Sequence[Item] | None = None) -> int:
    """Wait for tasks, and print their reports; as JSON a list of them and of what is `left`, if that is given."""
    if no_wait:
        paths = {item.id: f"{home.inbox}/{item.id}{item.spec.source.ending}" for item in given.items}
        say_queued(home, paths, as_json=as_json, left=map(_left, left or ()))
        return exits.OK
    reports: list[dict[str, Any]] = []

    def tell(report: dict[str, Any]) -> None:
        reports.append(code_report.for_programs(report))
        if not as_json:
            for line in code_report.lines(report):
                say(line)

    code = see_through(home, [item.spec for item in given.items], given.awaited, tell)
    if as_json:
        say_json(reports[0] if left is None and reports else [*reports, *map(_left, left or ())])
    return code


def _row(item: Item) -> list[str]:
    verdict = item.judged.verdict if item.judged else None
    said = (verdict.verdict, verdict.category) if verdict else ("-", "-")
    return [item.id, item.state, *said, output_of(item.spec) or "-", item.why]


def _nothing_left(items: Sequence[Item], *, as_json: bool) -> None:
    if as_json:
        say_json({"assigned": None, "left": [item.told() for item in items if item.state != "done"]})
        return
    done = sum(item.state == "done" for item in items)
    note(f"no task is left to assign: {done} of {len(items)} done")
    _say_left(items)


def _left(item: Item) -> dict[str, Any]:
    """In the form of a report: nobody was asked."""
    return {"status": "left", "file": output_of(item.spec), "error": item.why, "id": item.id, "state": item.state}


def _say_left(items: Sequence[Item]) -> None:
    """What a person or an agent has to see to, and what is held back until then."""
    for item in items:
        if not (item.is_left or item.is_held):
            continue
        path = output_of(item.spec)
        where = f" ({printable(path)})" if path else ""
        what = f"left for you: {printable(item.id)}{where}: {item.state}"
        if item.is_held:
            what = f"held back: {printable(item.id)}{where}"
        say(f"{what}: {printable(item.why)}")
