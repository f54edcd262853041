"""`--label K=V`: which tasks are meant."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli import exits
from orchestrator.errors import FatalError
from orchestrator.home import Home
from orchestrator.insights.entries import Entry, State, queue_entries


def pair(text: str) -> tuple[str, str]:
    """Key and value. Raises FatalError (exit 2) for what is not `K=V`."""
    key, found, value = text.partition("=")
    if not found or not key:
        raise FatalError(f"--label {text}: write KEY=VALUE", exit_code=exits.USAGE)
    return key, value


def named(home: Home, tasks: Sequence[str] | None, labels: Sequence[str] | None, states: Sequence[State]) -> list[str]:
    """The tasks that are meant: those named, or all in these states that have every one of the labels.

    Raises FatalError where neither or both are given (exit 2), or no task has the labels (exit 5)."""
    if bool(tasks) == bool(labels):
        raise FatalError("say which tasks: ID..., or --label K=V", exit_code=exits.USAGE)
    if not labels:
        return list(tasks or ())
    wanted = dict(map(pair, labels))
    found = [entry.stem for entry in queue_entries(home, states, limit=None) if has(home, entry, wanted)]
    if not found:
        where = "waits or runs" if "done" not in states else "is there"
        raise FatalError(f"no task with {' and '.join(labels)} {where}", exit_code=exits.NO_SUCH_TASK)
    return found


def has(home: Home, entry: Entry, wanted: dict[str, str]) -> bool:
    """Whether its spec has all of these labels."""
    from orchestrator.insights.labels import labels_of

    return wanted.items() <= labels_of(home, entry).items()
