"""`list --tree`: tasks as they depend on one another, each drawn below what it needs, and so in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.cli.display import note, say_json, table
from orchestrator.home import Home
from orchestrator.insights.entries import Entry
from orchestrator.insights.graph import Node, graph_of


def show(home: Home, entries: Sequence[Entry], *, as_json: bool) -> None:
    """Draw those of the entries that need others or are needed, and what they need beyond them."""
    graph = graph_of(home, entries)
    if as_json:
        say_json([_facts(node) for node in graph.values()])
        return
    rows = [(f"{lead}{task_id}", *_about(graph[task_id], again=again)) for lead, task_id, again in _lines(graph)]
    table(("TASK", "STATUS", "WHY"), rows, status_column=1)
    if not rows:
        note("none of these tasks needs another, or is needed")


def _facts(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "name": node.entry.name if node.entry else None,
        "state": node.entry.state if node.entry else None,
        "status": node.status,
        "needs": node.needs,
        "when": node.when,
        "holds": node.holds,
    }


def _about(node: Node, *, again: bool) -> tuple[str, str]:
    if again:
        return "", "as above"
    when = f"when {node.when}" if node.needs and node.when != "success" else ""
    why = "; ".join(hold.why for hold in node.holds) or (node.entry.reason if node.entry else None) or ""
    return node.status, "; ".join(part for part in (when, why) if part)


def _lines(graph: Mapping[str, Node]) -> Iterator[tuple[str, str, bool]]:
    """What stands before each id, the id, and whether what hangs on it was drawn before."""
    below: dict[str, list[str]] = {task_id: [] for task_id in graph}
    for node in graph.values():
        for need in node.needs:
            below[need].append(node.id)
    drawn: set[str] = set()
    # Those in a circle hang on nothing that comes first: they are begun with where they stand.
    for root in sorted(graph, key=lambda task_id: bool(graph[task_id].needs)):
        stack = [("", "", root)] if root not in drawn else []
        while stack:
            lead, branch, task_id = stack.pop()
            again = task_id in drawn
            yield lead + branch, task_id, again
            if again:
                continue
            drawn.add(task_id)
            inner = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
            following = below[task_id]
            for place, each in reversed(list(enumerate(following, 1))):
                stack.append((inner, "└─ " if place == len(following) else "├─ ", each))
