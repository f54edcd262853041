"""Which home a verb works on, and the sentence for when there is none."""

from __future__ import annotations

import os

import typer

from orchestrator.cli import exits
from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home, find_home


def opened(ctx: typer.Context) -> Home:
    """The home in use, with its queue folders in place. Raises FatalError where there is none."""
    home = found(ctx)
    home.prepare()
    return home


def found(ctx: typer.Context) -> Home:
    """The home in use, as it is. Raises FatalError where there is none."""
    home = find_home(ctx.obj)
    if not home.exists():
        raise FatalError(
            f"{_lack(ctx, home)}.\n"
            f"Make one with `orchestrator init DIR`, or name yours with --home DIR or $ORCHESTRATOR_HOME.",
            exit_code=exits.USAGE,
        )
    return home


def _lack(ctx: typer.Context, home: Home) -> str:
    """Where a home was looked for in vain."""
    if ctx.obj or os.environ.get("ORCHESTRATOR_HOME"):
        return f"{home.root} is no home: it holds no {MARKER}"
    return f"no home found: {MARKER} is not in this folder, nor in one above it, nor in {home.root}"
