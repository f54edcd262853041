"""Whether the channels that a task wants to tell are there: not an error, as the task can run, but never silent."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from orchestrator.intake.problem import nearest, quote
from orchestrator.settings import LOG_CHANNEL


def unknown_channels(wanted: Iterable[str], known: Collection[str]) -> list[str]:
    """A sentence for each name that neither the configuration has nor the log is."""
    lacking = [name for name in dict.fromkeys(wanted) if name != LOG_CHANNEL and name not in known]
    return [_sentence(name, known) for name in lacking]


def _sentence(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    meant = f" (did you mean {near!r}?)" if near else ""
    there = f"there are {', '.join(known)}" if known else "none is configured"
    return f"notify.channels: no channel {quote(name)}{meant}; {there}: nobody is told there"
