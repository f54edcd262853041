"""`init`: make a home."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from orchestrator import seed
from orchestrator.cli.display import note, say, say_json
from orchestrator.home import Home, find_home


def init_(
    ctx: typer.Context,
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Where; default: --home, $ORCHESTRATOR_HOME, else here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make a home: config, policy, skills, examples and the queue's folders.

    Nothing that is there already is overwritten, so it can be run again after an upgrade.

    \b
    Example:
      orchestrator init ~/orchestrator
      orchestrator --home ~/orchestrator init
    """
    home = Home(folder) if folder else _named(ctx)
    planted = seed.plant(home)
    if as_json:
        say_json({"home": home.root, "made": planted.made, "kept": planted.kept, "unchanged": planted.same})
        return
    for path in planted.kept:
        note(f"kept {path}, which differs from the one that comes with this version")
    say(f"{home.root} is ready: {len(planted.made)} files made, {len(planted.kept) + len(planted.same)} were there.")
    cd = "" if os.path.realpath(os.getcwd()) == home.root else f"  cd {_quoted(home.root)}\n"
    note(
        f"Next:\n{cd}"
        "  orchestrator doctor                                # is everything there that steps need?\n"
        "  orchestrator submit queue/examples/tsk_smoke.json  # a first task\n"
        "  orchestrator run --once --verbose                  # run what waits, then end"
    )


def _named(ctx: typer.Context) -> Home:
    if ctx.obj or os.environ.get("ORCHESTRATOR_HOME"):
        return find_home(ctx.obj)
    return Home(os.getcwd())


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)
