"""The labels of what stands in the queue, read from its specs. Quick for plain JSON; all else needs intake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.home import Home
from orchestrator.insights.entries import Entry


def labels_of(home: Home, entry: Entry) -> Mapping[str, str]:
    """None for what can't be read as a spec."""
    try:
        with open(f"{home.queue}/{entry.state}/{entry.name}", "rb") as file:
            data = file.read()
    except OSError:
        return {}
    try:
        found: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _by_intake(home, data, entry.name)
    if isinstance(found, dict) and not found.keys().isdisjoint(("template", "task_id")):
        return _by_intake(home, data, entry.name)
    labels = found.get("labels") if isinstance(found, dict) else None
    return labels if isinstance(labels, dict) else {}


def _by_intake(home: Home, data: bytes, name: str) -> Mapping[str, str]:
    from orchestrator.intake.load import SpecError, load_task

    try:
        return load_task(data, name, templates=home.templates).labels
    except SpecError:
        return {}
