"""Where in a task a template may stand, and the task with what stands there replaced.

Rule: one list of fields for all. What is not on it is no template, and intake refuses one there. `vars` are data: what
looks like a template in a value stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

from orchestrator.spec import Check, Step, Task
from orchestrator.templates.text import MARK

BEFOREHAND = (
    "title", "env", "labels", "memory", "notify", "workspace", "inputs", "outputs", "idempotency_key",
)  # fmt: skip
"""Fields of a task that are fixed before its first step, and so know of no step."""
IN_STEP = ("args", "with", "env", "if")
"""Fields of a step; each is fixed right before the step starts."""
ACCEPTANCE = "acceptance"
_OF_TASKS = frozenset((*BEFOREHAND, ACCEPTANCE))

Path = tuple[str | int, ...]
Fill = Callable[[str, Path], Any]
P = TypeVar("P", bound=BaseModel)


def is_templated(task: Task) -> bool:
    """Whether anything in a task has to be worked out. Asked of every task, so it only looks."""
    if task.vars:
        return True
    for step in task.steps:
        if step.if_ is not None or _holds(step.args) or (step.env and _holds(step.env.values())):
            return True
        if step.with_ and any(MARK in text for text in _texts(step.with_)):
            return True
    return any(_holds_any(getattr(task, name)) for name in _OF_TASKS & task.model_fields_set)


def _holds(texts: Any) -> bool:
    return any(MARK in text for text in ((texts,) if isinstance(texts, str) else texts))


def _holds_any(value: Any) -> bool:
    return bool(value) and any(MARK in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, BaseModel):
        for name in value.model_fields_set:
            yield from _texts(getattr(value, name))


def replaced(value: Any, fill: Fill, path: Path) -> Any:
    """A value with every text in it that holds a template replaced; the same object where there is none."""
    if isinstance(value, str):
        return fill(value, path) if MARK in value else value
    if isinstance(value, tuple | list):
        return type(value)(replaced(item, fill, (*path, at)) for at, item in enumerate(value))
    if isinstance(value, dict):
        return {key: replaced(item, fill, (*path, key)) for key, item in value.items()}
    if isinstance(value, BaseModel):
        return _replaced_in(value, tuple(value.model_fields_set), fill, path)
    return value


def _replaced_in(part: P, names: tuple[str, ...], fill: Fill, path: Path) -> P:
    fields = type(part).model_fields
    changes = {}
    for name in names:
        value = getattr(part, name)
        if _holds_any(value):
            changes[name] = replaced(value, fill, (*path, fields[name].alias or name))
    return part.model_copy(update=changes) if changes else part


def beforehand(task: Task, fill: Fill) -> Task:
    """The task with all replaced that is fixed before its first step."""
    return _replaced_in(task, BEFOREHAND, fill, ())


def in_step(step: Step, index: int, fill: Fill) -> Step:
    """The step with its arguments, inputs and environment replaced; `if` is no text of it."""
    return _replaced_in(step, ("args", "with_", "env"), fill, ("steps", index))


def in_check(check: str | Check, index: int, fill: Fill) -> str | Check:
    """An acceptance rule, replaced."""
    found: str | Check = replaced(check, fill, (ACCEPTANCE, index))
    return found
