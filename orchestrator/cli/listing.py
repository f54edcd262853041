"""`list`: the queue as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli import completion, exits, house, tree
from orchestrator.cli.display import age, duration, note, printable, say_json, table
from orchestrator.cli.labels import has, pair
from orchestrator.cli.summary import next_step
from orchestrator.errors import FatalError
from orchestrator.insights.entries import STATES, Entry, State, counts, queue_entries
from orchestrator.insights.holds import Outlook
from orchestrator.outcome import Hold


def list_(
    ctx: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="Only this state (inbox, scheduled, running, done, failed) or status (ok, …); may be repeated.",
            autocompletion=completion.states,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V", help="Only tasks with this label; may be repeated.", autocompletion=completion.labels
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, metavar="N", help="The newest N; 0: all.")] = 50,
    as_tree: Annotated[bool, typer.Option("--tree", help="Draw what needs what.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the entries as JSON.")] = False,
) -> None:
    """List what waits, runs and has ended; the newest stands last, next to your prompt.

    The age is since the task came into its state.

    \b
    Example:
      orchestrator list --state failed --limit 10
      orchestrator list --tree
    """
    home = house.opened(ctx)
    states, statuses = _split(state or [])
    labels = dict(map(pair, label or []))
    filtered = bool(statuses or labels)
    entries = queue_entries(home, states, limit=None if filtered or limit == 0 else limit)
    entries = [entry for entry in entries if not statuses or entry.state in _given(state) or entry.status in statuses]
    if labels:
        entries = [entry for entry in entries if has(home, entry, labels)]
    shown = (entries[:limit] if limit else entries)[::-1]
    if as_tree:
        tree.show(home, shown, as_json=as_json)
        return
    outlook = Outlook(home)
    holds = {entry.name: outlook.holds(entry.name) for entry in shown if entry.state == "inbox"}
    if as_json:
        say_json([asdict(entry) | {"holds": holds.get(entry.name, ())} for entry in shown])
        return
    headers = ("NAME", "STATE", "STATUS", "PRIORITY", "AGE", "TOOK", "WHY")
    rows = [_row(entry, holds.get(entry.name, ())) for entry in shown]
    table(headers, rows, status_column=2, spare=(3, 1, 5))
    for pause in outlook.paused.values():
        note(printable(pause.sentence()))
    if not shown:
        note("no task matches" if state or labels else "no task yet: `orchestrator submit FILE` queues one")
    total = len(entries) if filtered else sum(number for where, number in counts(home).items() if where in states)
    if total > len(shown):
        note(f"the newest {len(shown)} of {total:,}; --limit 0 shows all")


def _split(given: Sequence[str]) -> tuple[tuple[State, ...], set[str]]:
    """The folders to read, and the statuses to keep. Raises FatalError for a word that is neither."""
    from typing import get_args

    from orchestrator.outcome import Status

    known = {*get_args(Status), "waiting", "paused"}
    for word in given:
        if word not in STATES and word not in known:
            words = ", ".join([*STATES, *sorted(known - set(STATES))])
            raise FatalError(f"--state {word}: there is no such state; there are {words}", exit_code=exits.USAGE)
    statuses = {word for word in given if word not in STATES}
    return (STATES if statuses or not given else tuple(one for one in STATES if one in given)), statuses


def _given(state: Sequence[str] | None) -> set[str]:
    return set(state or ())


def _row(entry: Entry, holds: Sequence[Hold]) -> list[str]:
    why = entry.reason or "; ".join(hold.why for hold in holds)
    if advice := next_step(entry.status, entry.reason, entry.name):
        why = f"{why} → {advice}" if why else advice
    took = age(entry.age_s) if entry.state == "running" else duration(entry.duration_ms)
    return [
        entry.stem,
        entry.state,
        entry.status,
        entry.priority or ("medium" if entry.id else "-"),
        age(entry.age_s),
        took,
        why or entry.title or "",
    ]
