"""Specs that are handed in together, as one set: whether all that they need is there, and an order to queue them in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.home import Home
from orchestrator.plan.graph import arrows, circle_in, circles, ordered

if TYPE_CHECKING:
    from orchestrator.cli.sources import Checked
    from orchestrator.intake.load import SpecError


def in_order(specs: Sequence[Checked]) -> list[Checked]:
    """Each behind those that it needs, so that whatever cuts the queueing off, nothing waits for what never came."""
    by_id = {spec.task.id: spec for spec in specs}
    if len(by_id) < len(specs):
        return list(specs)
    return [by_id[task_id] for task_id in ordered({task_id: spec.task.needs for task_id, spec in by_id.items()})]


def needed_first(home: Home, wanted: Sequence[str]) -> list[str]:
    """Ids or names of tasks that are put back together: one that came before what it needs would meet the earlier end
    of that."""
    if len(wanted) < 2:
        return list(wanted)
    from orchestrator.insights.entries import find
    from orchestrator.insights.graph import graph_of

    entries = {each: find(home, each) for each in wanted}
    graph = graph_of(home, filter(None, entries.values()))
    ids = {each: entry.id if entry and entry.id else each for each, entry in entries.items()}
    order = ordered({task_id: graph[task_id].needs if task_id in graph else () for task_id in ids.values()})
    return sorted(wanted, key=lambda each: order.index(ids[each]))


def without_start(specs: Sequence[Checked]) -> Iterator[SpecError]:
    """What is wrong with a set in which tasks wait for one another: each circle, told at one of its files."""
    from orchestrator.intake.load import Finding

    by_id = {spec.task.id: spec for spec in specs}

    def needs(task_id: str) -> tuple[str, ...]:
        return by_id[task_id].task.needs if task_id in by_id else ()

    for group in circles(by_id, needs):
        way = circle_in([task_id for task_id in by_id if task_id in group], needs)
        spec = by_id[way[0]]
        message = f"a circle of needs, in which nothing can start: {arrows(way, '→')}"
        finding = Finding(("needs", spec.task.needs.index(way[1])), message)
        yield spec.source.error([finding])


def needing_strangers(specs: Sequence[Checked], home: Home) -> Iterator[SpecError]:
    """What is wrong with specs that need an id which is neither in the set nor in the queue, and has had no run."""
    from orchestrator.intake.load import Finding

    of_the_set = {spec.task.id for spec in specs}
    known: set[str] | None = None
    for spec in specs:
        findings = []
        for index, need in enumerate(spec.task.needs):
            if need in of_the_set or os.path.isdir(f"{home.runs}/{need}"):
                continue
            known = _known(home) if known is None else known
            if need not in known:
                message = (
                    f"no task `{need}` is among these files, in the queue or in the past of this home; "
                    f"--allow-unknown queues it all the same, to wait for one"
                )
                findings.append(Finding(("needs", index), message, need, [*of_the_set, *sorted(known)]))
        if findings:
            yield spec.source.error(findings)


def _known(home: Home) -> set[str]:
    """The ids of all that waits or has come to an end here. What recurs is not among them: its firings have ids of
    their own."""
    from orchestrator.insights.entries import queue_entries

    entries = queue_entries(home, ("inbox", "running", "done", "failed"), limit=None)
    return {entry.id or entry.stem for entry in entries} | set(_names_in(home.runs))


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
