"""What is not wrong with a task, and its writer should know: names in it that the configuration does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.errors import FatalError
from orchestrator.intake.problem import nearest, quote
from orchestrator.pools import suspicions
from orchestrator.spec import Task

if TYPE_CHECKING:
    from orchestrator.cli.sources import Installed
    from orchestrator.settings import Settings


def remarks(task: Task, installed: Installed) -> list[str]:
    """One sentence for each thing."""
    channels = task.notify.channels if task.notify is not None else ()
    models = list(_models(task, installed))
    if not channels and not task.resources and not models:
        return []
    from orchestrator.intake.channels import unknown_channels

    try:
        settings = installed.settings
    except FatalError:
        return ["names in it are not checked, as the configuration is not valid: `orchestrator doctor` says why"]
    return [
        *unknown_channels(channels, settings.channels),
        *suspicions(task.resources, settings.pools),
        *(_unknown(where, name, settings) for where, name in models if name not in settings.models),
    ]


def _models(task: Task, installed: Installed) -> Iterator[tuple[str, str]]:
    """The models that its steps name, each with its place."""
    for index, step in enumerate(task.steps):
        names = step.with_.get("models")
        if isinstance(names, list) and installed.skills.get(step.skill).manifest.runner == "model":
            where = f"steps[{index}]: " if len(task.steps) > 1 else ""  # a code task was written without steps
            yield from ((where, name) for name in dict.fromkeys(names) if isinstance(name, str))


def _unknown(where: str, name: str, settings: Settings) -> str:
    near = nearest(name, settings.models)
    meant = f" (did you mean {near!r}?)" if near else f"; there are {', '.join(settings.models)}"
    return f"{where}no model {quote(name)} is in the configuration{meant}; until it is, it can't be asked"
