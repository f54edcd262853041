"""What in a syntax tree starts processes without end.

Rule: nodes in, yes or no out. A function that calls itself twice, side by side, doubles with every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.shell.syntax import Node

PIPES = ("|", "|&")


def forks(body: Node, name: str) -> bool:
    """Whether a function starts itself twice, side by side: a fork bomb."""
    calls = list(_starts(body, name, aside=False))
    return len(calls) > 1 and any(calls)


def backgrounds(node: object) -> bool:
    """Whether anything in it is started and not waited for."""
    if isinstance(node, list):
        return any(map(backgrounds, node))
    if not isinstance(node, dict):
        return False
    return bool(node.get("Background")) or node.get("Type") == "CoprocClause" or any(map(backgrounds, node.values()))


_MANY = re.compile(r"\{\d+\.\.\d{5,}\}|\bseq\s(?:\d+\s)*\d{5,}|<=?\s*\d{5,}")


def counts_far(loop: str) -> bool:
    """Whether a loop is told to count so far that there is no end to it for who starts something each time."""
    return _MANY.search(loop) is not None


def _starts(node: object, name: str, aside: bool) -> Iterator[bool]:
    """For each call of a function by itself, whether it runs beside others."""
    if isinstance(node, list):
        for item in node:
            yield from _starts(item, name, aside)
    elif isinstance(node, dict):
        aside = aside or bool(node.get("Background")) or node.get("Op") in PIPES
        if node.get("Type") == "CallExpr" and node.get("Args"):
            parts = node["Args"][0].get("Parts") or [{}]
            if parts[0].get("Value") == name or parts[0].get("Param", {}).get("Value") == "FUNCNAME":
                yield aside
        yield from _starts(list(node.values()), name, aside)
