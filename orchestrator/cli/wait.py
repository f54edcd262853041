"""`wait`: until tasks have ended."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion, house
from orchestrator.cli.durations import seconds
from orchestrator.cli.labels import named


def wait_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.any_task)
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V",
            help="All tasks with this label, also those that have ended; may be repeated.",
            autocompletion=completion.labels,
        ),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait no longer: 30s, 10m; a bare number is milliseconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Wait until tasks have ended; exits as the worst of them: 0 ok, 1 failed, 3 blocked, 124 timed out, …

    Exits 5 if there is no such task, 75 if no daemon runs that could end it, 124 if --timeout is over.

    \b
    Example:
      orchestrator wait tsk_smoke --timeout 10m
      orchestrator wait --label batch=7
    """
    home = house.opened(ctx)
    from orchestrator.cli import waiting

    awaited = [waiting.Awaited(task) for task in named(home, tasks, label, ("running", "inbox", "failed", "done"))]
    wait = waiting.wait_for(home, awaited, timeout_s=seconds(timeout, "--timeout"), for_people=False)
    raise typer.Exit(waiting.report(home, wait, as_json=as_json, outputs=False))
