"""Which home a verb works on, and the sentence for when there is none."""

from __future__ import annotations

import typer

from orchestrator.cli import exits
from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home, find_home


def opened(ctx: typer.Context) -> Home:
    """The home in use, with its queue folders in place. Raises FatalError where there is none."""
    home = find_home(ctx.obj)
    if not home.exists():
        raise FatalError(
            f"no home here: {home.root} holds no {MARKER}.\n"
            f"Make one with `orchestrator init DIR`, or name yours with --home DIR or $ORCHESTRATOR_HOME.",
            exit_code=exits.USAGE,
        )
    home.prepare()
    return home
