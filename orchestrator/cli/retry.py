"""`retry`: ended tasks go back into the queue."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import complain, no_such_task, note, say, say_json
from orchestrator.cli.front import WAITS_FOR_DAEMON
from orchestrator.home import Home, daemon_runs


def retry_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.ended_task)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each as JSON.")] = False,
) -> None:
    """Put ended tasks back into the queue, as they are; the earlier runs stay in state/runs.

    Exits 5 if there is no such task, 2 if one waits or runs already.

    \b
    Example:
      orchestrator retry tsk_smoke
    """
    home = house.opened(ctx)
    codes = {task: _put_back(home, task) for task in tasks}
    queued = [task for task, code in codes.items() if code == exits.OK]
    if as_json:
        say_json([{"task": task, "queued": code == exits.OK} for task, code in codes.items()])
    else:
        for task in queued:
            say(task)
    if queued and not daemon_runs(home):
        note(WAITS_FOR_DAEMON.rstrip())
    raise typer.Exit(exits.worst(codes.values()))


def _put_back(home: Home, task: str) -> int:
    from orchestrator.insights.entries import find
    from orchestrator.spool.queue import NameTaken, Spool

    entry = find(home, task)
    if entry is None:
        no_such_task(task)
        return exits.NO_SUCH_TASK
    if entry.state not in ("done", "failed"):
        complain(f"{task} has not ended: it is in {entry.state}")
        return exits.USAGE
    try:
        Spool(home).put_back(entry.name, "done" if entry.state == "done" else "failed")
    except NameTaken as error:
        complain(str(error))
        return exits.USAGE
    return exits.OK
