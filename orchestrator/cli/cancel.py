"""`cancel`: ask the daemon, by a file, to end tasks."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import no_such_task, note, printable, say, say_json
from orchestrator.cli.labels import named
from orchestrator.home import Home, daemon_runs

_PATIENCE_S = 5.0


def cancel_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.open_task)
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V",
            help="All that wait or run with this label; repeated, with all of them.",
            autocompletion=completion.labels,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which tasks it would be.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each as JSON.")] = False,
) -> None:
    """Take waiting tasks out, and stop running ones with their whole process tree.

    Only the daemon can do it. Without one, the request stays in the queue until it runs. Exits 5 if there is no
    such task.

    \b
    Example:
      orchestrator cancel tsk_smoke
      orchestrator cancel --label team=data --label stage=test --dry-run
    """
    home = house.opened(ctx)
    tasks = named(home, tasks, label, ("running", "inbox"))
    if label and not dry_run:
        note(f"{len(tasks)} with {' and '.join(label)}")
    if dry_run:
        _tell_dry(tasks, as_json=as_json)
        return
    cancel(home, tasks, as_json=as_json)


def cancel(home: Home, tasks: list[str], *, as_json: bool) -> None:
    """Ask for the end of these tasks, and say what became of each."""
    from orchestrator.cli import waiting

    asked: list[waiting.Awaited] = []
    answers: dict[str, str] = {}
    for task in tasks:
        awaited = waiting.Awaited(task, to_its_end=True)
        awaited.look(home)
        if awaited.entry is None:
            answers[task] = "unknown"
        elif awaited.ended:
            answers[task] = awaited.entry.status
        else:
            _ask(home, awaited.entry.stem)
            asked.append(awaited)
    if asked and daemon_runs(home):
        waiting.wait_for(home, asked, timeout_s=_PATIENCE_S)
    answers |= {awaited.wanted: _became(awaited) for awaited in asked}
    if as_json:
        say_json([{"task": task, "status": status} for task, status in answers.items()])
    else:
        _tell(home, answers, {awaited.wanted for awaited in asked})
    if "unknown" in answers.values():
        raise typer.Exit(exits.NO_SUCH_TASK)


def _tell_dry(tasks: list[str], *, as_json: bool) -> None:
    if as_json:
        say_json([{"task": task, "status": "would be cancelled"} for task in tasks])
        return
    for task in tasks:
        say(printable(task))
    note(f"{len(tasks)} would be cancelled; without --dry-run they are")


def _ask(home: Home, stem: str) -> None:
    from orchestrator.spool.queue import Spool

    Spool(home).ask_to_cancel(stem)


def _became(awaited: object) -> str:
    from orchestrator.cli.waiting import Awaited

    if isinstance(awaited, Awaited) and awaited.ended and awaited.entry is not None:
        return awaited.entry.status
    return "asked"


def _tell(home: Home, answers: dict[str, str], asked: set[str]) -> None:
    for task, status in answers.items():
        if status == "unknown":
            no_such_task(task)
        elif task not in asked:
            note(f"{task} had ended already: {status}")
        elif status != "asked":
            say(f"{task}: {status}")
        elif daemon_runs(home):
            note(f"{task} was asked to end, and is still at it")
        else:
            note(f"{task} is cancelled as soon as a daemon runs for this home")
