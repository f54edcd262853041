"""Which home a verb works on, and the sentence for when there is none."""

from __future__ import annotations

import os

import typer

from orchestrator.cli import exits
from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home, daemon_note, daemon_pid, find_home


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


def unread(home: Home) -> tuple[str, str] | None:
    """What is wrong and what to do where a daemon runs that goes by an older configuration than there is."""
    from orchestrator.fingerprint import fingerprint, mark

    pid, read = daemon_pid(home), daemon_note(home).get("read")
    if not pid or read is None or read == mark(fingerprint(home)):
        return None
    return "the daemon has not read config, skills and policy as they are now", f"`kill -HUP {pid}` has it read them"


def _lack(ctx: typer.Context, home: Home) -> str:
    """Where a home was looked for in vain."""
    if ctx.obj or os.environ.get("ORCHESTRATOR_HOME"):
        return f"{home.root} is no home: it holds no {MARKER}"
    return f"no home found: {MARKER} is not in this folder, nor in one above it, nor in {home.root}"
