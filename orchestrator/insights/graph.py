"""The graph of what needs what, drawn from the queue: for looking at, not for deciding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.home import Home
from orchestrator.insights.entries import Entry
from orchestrator.insights.holds import Outlook, task_in
from orchestrator.outcome import Hold


@dataclass(frozen=True, slots=True)
class Node:
    """A task, what it needs, and why it waits. `entry` is None for one that is not among those asked about."""

    id: str
    status: str
    needs: tuple[str, ...] = ()
    when: str = "success"
    holds: tuple[Hold, ...] = ()
    entry: Entry | None = None


def graph_of(home: Home, entries: Iterable[Entry]) -> dict[str, Node]:
    """By id: the tasks among these that need others or are needed, oldest first, and all that they need beside them."""
    outlook = Outlook(home)
    nodes: dict[str, Node] = {}
    for entry in sorted(entries, key=lambda entry: entry.since):
        if entry.id is not None:
            nodes[entry.id] = _node(outlook, entry, entry.id)
    needed = dict.fromkeys(need for node in nodes.values() for need in node.needs)
    others = {need: Node(need, outlook.stand(need).status) for need in needed if need not in nodes}
    return others | {task_id: node for task_id, node in nodes.items() if node.needs or task_id in needed}


def _node(outlook: Outlook, entry: Entry, task_id: str) -> Node:
    task = task_in(outlook.home, entry.state, entry.name)
    if task is None:
        return Node(task_id, entry.status, entry=entry)
    holds = outlook.holds_of(task, entry.name) if entry.state == "inbox" else ()
    return Node(task_id, entry.status, tuple(dict.fromkeys(task.needs)), task.when, holds, entry)
