"""`wait`: until tasks have ended."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.errors import FatalError


def wait_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.any_task)
    ],
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
    """
    home = house.opened(ctx)
    from orchestrator.cli import waiting

    wait = waiting.wait_for(home, [waiting.Awaited(task) for task in tasks], timeout_s=_seconds(timeout))
    raise typer.Exit(waiting.report(home, wait, as_json=as_json, outputs=False))


def _seconds(text: str | None) -> float | None:
    from orchestrator.spec import parse_duration

    if text is None:
        return None
    try:
        milliseconds = parse_duration(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise FatalError(f"--timeout {text}: {error}", exit_code=exits.USAGE) from error
    assert isinstance(milliseconds, int)  # noqa: S101 - what parse_duration makes of text and numbers
    return milliseconds / 1_000
