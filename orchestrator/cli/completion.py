"""What the shell offers after TAB: names from the queue, skills by name. Hardly more than reading a folder."""

from __future__ import annotations

import os
from typing import Any

import typer

from orchestrator.home import Home, find_home
from orchestrator.spool import names

_NEWEST = 200


def _home(ctx: typer.Context) -> Home:
    root: Any = ctx.find_root()
    return find_home(root.params.get("home"))


def _stems(folder: str) -> set[str]:
    try:
        found = os.listdir(folder)
    except OSError:
        return set()
    specs = (name for name in found if names.why_not_a_name(name) is None)
    return {names.stem_of(name) for name in specs}


def any_task(ctx: typer.Context, incomplete: str) -> list[str]:
    home = _home(ctx)
    folders = (home.inbox, home.scheduled, home.running, home.done, home.failed)
    return sorted(stem for folder in folders for stem in _stems(folder) if stem.startswith(incomplete))


def open_task(ctx: typer.Context, incomplete: str) -> list[str]:
    home = _home(ctx)
    return sorted(stem for stem in _stems(home.inbox) | _stems(home.running) if stem.startswith(incomplete))


def recurring_task(ctx: typer.Context, incomplete: str) -> list[str]:
    return sorted(stem for stem in _stems(_home(ctx).scheduled) if stem.startswith(incomplete))


def ended_task(ctx: typer.Context, incomplete: str) -> list[str]:
    home = _home(ctx)
    return sorted(stem for stem in _stems(home.done) | _stems(home.failed) if stem.startswith(incomplete))


def blocked_task(ctx: typer.Context, incomplete: str) -> list[str]:
    from orchestrator.insights.entries import read_json

    home = _home(ctx)
    stems = sorted(stem for stem in _stems(home.failed) if stem.startswith(incomplete))
    results = ((stem, read_json(f"{home.failed}/{names.result_name(stem)}") or {}) for stem in stems)
    return [stem for stem, result in results if result.get("status") == "blocked"]


def worktree(ctx: typer.Context, incomplete: str) -> list[str]:
    from orchestrator.worktrees.record import everything

    return sorted(record.name for record in everything(_home(ctx)) if record.name.startswith(incomplete))


def skill(ctx: typer.Context, incomplete: str) -> list[str]:
    try:
        found = os.listdir(_home(ctx).skills)
    except OSError:
        return []
    return sorted(name for name in found if name.startswith(incomplete) and not name.startswith((".", "_")))


def channel(ctx: typer.Context, incomplete: str) -> list[str]:
    return _configured("channels", ctx, incomplete)


def model(ctx: typer.Context, incomplete: str) -> list[str]:
    return _configured("models", ctx, incomplete)


def _configured(section: str, ctx: typer.Context, incomplete: str) -> list[str]:
    from orchestrator.configuration import load_settings
    from orchestrator.errors import FatalError

    try:
        found = getattr(load_settings(_home(ctx)), section)
    except FatalError:
        return []
    return sorted(name for name in found if name.startswith(incomplete))


def labels(ctx: typer.Context, incomplete: str) -> list[str]:
    from orchestrator.insights.entries import queue_entries
    from orchestrator.insights.labels import labels_of

    home = _home(ctx)
    newest = queue_entries(home, limit=_NEWEST)
    found = {f"{key}={value}" for entry in newest for key, value in labels_of(home, entry).items()}
    return sorted(label for label in found if label.startswith(incomplete))


def template(ctx: typer.Context, incomplete: str) -> list[str]:
    from orchestrator.intake.template_file import names as known

    return [name for name in known(_home(ctx).templates) if name.startswith(incomplete)]


def levels(incomplete: str) -> list[str]:
    return [level for level in ("low", "medium", "high") if level.startswith(incomplete)]


def priorities(incomplete: str) -> list[str]:
    return [level for level in ("low", "medium", "high", "urgent") if level.startswith(incomplete)]


def states(incomplete: str) -> list[str]:
    return [state for state in ("inbox", "scheduled", "running", "done", "failed") if state.startswith(incomplete)]
