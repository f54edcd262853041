"""`run`: the daemon in the foreground."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from orchestrator.cli import house


def run_(
    ctx: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Drain what is ready, then end: 0, or 1 if a task did not end ok.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print each step's call.")] = False,
    max_tasks: Annotated[
        int | None, typer.Option("--max-tasks", min=1, max=10_000, metavar="N", help="Tasks at once.")
    ] = None,
) -> None:
    """Run the daemon in the foreground, until SIGTERM or Ctrl-C.

    One daemon serves a home; a second one says so and exits 75.

    \b
    Example:
      orchestrator run
      orchestrator run --once --verbose
    """
    home = house.opened(ctx)
    if max_tasks is not None:
        os.environ["ORCHESTRATOR_DAEMON__MAX_TASKS"] = str(max_tasks)
    from orchestrator import daemon

    raise typer.Exit(daemon.run(home, once=once, verbose=verbose))
