"""`schedule`: the recurring tasks, their next times, and what a person may do with them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import age, note, printable, say, say_json, table
from orchestrator.cli.front import WAITS_FOR_DAEMON
from orchestrator.cli.groups import group
from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_runs

if TYPE_CHECKING:
    from orchestrator.insights.schedules import Scheduled

GROUP = group()
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Names or ids.", autocompletion=completion.recurring_task)
]


@GROUP.callback()
def schedule_() -> None:
    """Recurring tasks: specs with a `schedule`, which lie in queue/scheduled. `submit` adds or changes one.

    \b
    Example:
      orchestrator schedule list
      orchestrator schedule next --count 5
    """


@GROUP.command("list")
def list_(ctx: typer.Context, as_json: _Json = False) -> None:
    """When each is due next, and what became of its last firing; why its latest time was skipped."""
    home = house.opened(ctx)
    from orchestrator import clock
    from orchestrator.insights.schedules import schedules

    found = schedules(home, clock.wall())
    if as_json:
        say_json(found)
        return
    headers = ("NAME", "STATE", "NEXT", "IN", "SCHEDULE", "LAST", "WHY")
    table(headers, [_row(home, each) for each in found], status_column=1, spare=(5, 4, 3))
    if not found:
        note("no recurring task: `orchestrator submit FILE` adds one whose spec has a `schedule`")
    elif not daemon_runs(home):
        note("no daemon runs for this home: nothing is fired until one does")


@GROUP.command("next")
def next_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", autocompletion=completion.recurring_task)
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, metavar="N", help="So many of each.")] = 3,
    as_json: _Json = False,
) -> None:
    """The next times, in the zone of each and in UTC."""
    home = house.opened(ctx)
    from orchestrator import clock
    from orchestrator.insights.schedules import schedules, upcoming

    now = clock.wall()
    known = schedules(home, now) if not tasks else [_known(home, each) for each in tasks]
    moments = [(each, upcoming(home, each.name, now, count) if each.state != "unreadable" else []) for each in known]
    if as_json:
        say_json([
            {"name": each.stem, "id": each.id, "timezone": each.timezone, "state": each.state, "next": following}
            for each, following in moments
        ])  # fmt: skip
        return
    rows = [
        [each.stem, moment.shown, moment.utc, age(moment.in_s), "paused" if each.state == "paused" else ""]
        for each, following in moments for moment in following
    ]  # fmt: skip
    table(("NAME", "LOCAL", "UTC", "IN", ""), rows)


@GROUP.command()
def pause(ctx: typer.Context, tasks: _Names, as_json: _Json = False) -> None:
    """Fire them no more until they are resumed.

    What runs goes on; times that pass meanwhile are not caught up with.

    \b
    Example:
      orchestrator schedule pause nightly
    """
    _each(ctx, tasks, "paused", lambda spool, stem: spool.pause(stem), as_json=as_json)


@GROUP.command()
def resume(ctx: typer.Context, tasks: _Names, as_json: _Json = False) -> None:
    """Fire them again."""
    _each(ctx, tasks, "resumed", lambda spool, stem: spool.resume(stem), as_json=as_json)


@GROUP.command("run-now")
def run_now(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.recurring_task)],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end; exit as the task did.")] = False,
    as_json: _Json = False,
) -> None:
    """Queue one run now, beside its times.

    Prints the run's name. An approval of all firings holds for this one too. Exits 2 while an earlier one is not over.

    \b
    Example:
      orchestrator schedule run-now nightly --wait
    """
    home = house.opened(ctx)
    name, data = _firing(home, _known(home, task))
    from orchestrator.cli.submit import queue
    from orchestrator.spool.names import stem_of

    if wait:
        from orchestrator.cli import waiting

        awaited = waiting.before_submitting(home, [stem_of(name)])
        queue(home, {name: data})
        raise typer.Exit(waiting.see_through(home, awaited, as_json=as_json))
    queued = queue(home, {name: data})
    if as_json:
        say_json([{"name": stem, "path": path, "daemon_runs": daemon_runs(home)} for stem, path in queued.items()])
        return
    say(stem_of(name))
    if not daemon_runs(home):
        note(WAITS_FOR_DAEMON.rstrip())


@GROUP.command()
def remove(ctx: typer.Context, tasks: _Names, as_json: _Json = False) -> None:
    """Take them out; what they have fired goes on.

    As `cancel` does: the spec goes to failed/, and `orchestrator retry` brings it back."""
    home = house.opened(ctx)
    from orchestrator.cli.cancel import cancel

    cancel(home, [_known(home, task).stem for task in tasks], as_json=as_json)


def _known(home: Home, wanted: str) -> Scheduled:
    from orchestrator import clock
    from orchestrator.insights.entries import find_in
    from orchestrator.insights.schedules import schedule, schedules

    now = clock.wall()
    if (entry := find_in(home, wanted, "scheduled")) is not None:
        return schedule(home, entry.name, now)
    found = next((each for each in schedules(home, now) if each.id == wanted), None)
    if found is None:
        raise FatalError(
            f"no such recurring task: {printable(wanted)}; `orchestrator schedule list` shows those that there are",
            exit_code=exits.NO_SUCH_TASK,
        )
    return found


def _each(ctx: typer.Context, tasks: list[str], word: str, change: Any, *, as_json: bool) -> None:
    home = house.opened(ctx)
    from orchestrator.spool.queue import Spool

    known = [_known(home, task) for task in tasks]
    for each in known:
        change(Spool(home), each.stem)
    if as_json:
        say_json([{"name": each.stem, "id": each.id, "state": word} for each in known])
    else:
        for each in known:
            say(f"{printable(each.stem)}: {word}")


def _firing(home: Home, known: Scheduled) -> tuple[str, bytes]:
    """The name and the bytes of a run that begins now, approved if all firings are. Raises FatalError."""
    from orchestrator import approvals, clock
    from orchestrator.insights.schedules import read
    from orchestrator.runners.process.marks import VARIABLE
    from orchestrator.schedule.firing import firing, open_firings, stamped, was_placed
    from orchestrator.spool.queue import Spool

    if known.state == "unreadable":
        raise FatalError(f"{known.name} can't be read: {known.why}", exit_code=exits.USAGE)
    spool, now = Spool(home), int(clock.wall())
    if earlier := open_firings((*spool.waiting_names(), *spool.running_names())).get(known.stem):
        advice = f"`orchestrator wait {earlier}`, or `orchestrator cancel {earlier}`"
        raise FatalError(f"{earlier} is not over, and two firings never overlap: {advice}", exit_code=exits.USAGE)
    _, recurring, _ = read(home, known.name)
    while was_placed(home, f"{stamped(known.stem, now)}.json", stamped(recurring.id, now)):
        now += 1  # another one has this second
    made, data = firing(recurring, now)
    name = f"{stamped(known.stem, now)}.json"
    if VARIABLE not in os.environ:  # a step of a task may ask for a run, but approve nothing
        approvals.allow_firing(home, recurring, made, name)
    return name, data


def _row(home: Home, each: Scheduled) -> list[str]:
    from orchestrator import clock
    from orchestrator.insights.schedules import upcoming

    following = upcoming(home, each.name, clock.wall(), 1) if each.next else []
    shown, left = (following[0].shown, age(following[0].in_s)) if following else ("-", "-")
    return [
        each.stem, each.state, shown, left, f"{each.cron} {each.timezone}", each.last_status or "-",
        each.why or each.title or "",
    ]  # fmt: skip
