"""What a piece of Python's tree starts or ends, whatever its values: forks, threads of itself, processes.

Rule: nodes in, yes or no out.
"""

from __future__ import annotations

import ast


def multiplies(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    """Whether a function starts itself beside itself: by a fork, a thread or a process."""
    again = any(isinstance(item, ast.Name) and item.id == name for item in ast.walk(function))
    starts = {item.attr for item in ast.walk(function) if isinstance(item, ast.Attribute)}
    return again and not starts.isdisjoint(("fork", "Thread", "Process")) and starts.isdisjoint(("join", "accept"))


def calls_fork(node: ast.AST) -> bool:
    """Whether it forks anywhere in it."""
    return any(isinstance(item, ast.Attribute) and item.attr in ("fork", "forkpty") for item in ast.walk(node))


def kills(node: ast.AST) -> bool:
    """Whether it ends processes anywhere in it."""
    return any(isinstance(item, ast.Attribute) and item.attr in ("kill", "killpg") for item in ast.walk(node))
