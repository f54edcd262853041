"""What is wrong with the templates of a task, as far as it can be told before any value is known.

Rule: a name that will never be there is refused when the spec comes, with the nearest one that will; that a value is
missing, or of no use, only its time can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.intake.problem import Finding, Path, quote
from orchestrator.templates import text as texts
from orchestrator.templates.expression import Expression, ExpressionError
from orchestrator.templates.places import ACCEPTANCE, BEFOREHAND, IN_STEP

MOST_EXPRESSIONS = 1_000
STEP_FACTS = ("stdout", "stderr", "code", "status", "outputs")
NEED_FACTS = ("status", "outputs")
TASK_FACTS = ("id",)
Strings = Callable[[Any, Path], Iterator[tuple[Path, str, bool]]]


@dataclass(slots=True)
class _Known:
    """The names that an expression at some place may mention. `steps` None: none there, and `why` says so."""

    vars: list[str]
    env: list[str]
    needs: list[str]
    secrets: list[str] = field(default_factory=list)
    steps: list[str] | None = None
    later: list[str] = field(default_factory=list)
    conditional: bool = False


def of_templates(task: dict[str, Any], strings: Strings) -> Iterator[Finding]:
    """Every template of a task. `strings` goes through a value: place, text, whether it is a key."""
    count = 0
    for path, text, at_key in strings({key: value for key, value in task.items() if key != "vars"}, ()):
        if texts.MARK not in text or path[-1:] == ("if",):
            continue
        count += text.count(texts.MARK)
        if at_key or not _may_stand(path):
            where = "in a key" if at_key else "here"
            yield Finding(path, f"`{texts.MARK} … }}}}` is not replaced {where}", at_key=at_key)
            continue
        try:
            found = list(texts.expressions_in(text))
        except ExpressionError as error:
            yield Finding(path, str(error))
            continue
        for expression in found:
            yield from _of_expression(expression, path, _known(task, path))
        if count > MOST_EXPRESSIONS:
            yield Finding((), f"more than {MOST_EXPRESSIONS:,} templates are too many")
            return
    yield from _of_conditions(task)


def _of_conditions(task: dict[str, Any]) -> Iterator[Finding]:
    for index, step in enumerate(_list(task.get("steps"))):
        if not isinstance(step, dict) or not isinstance(step.get("if"), str):
            continue
        path: Path = ("steps", index, "if")
        try:
            expression = texts.condition(step["if"])
        except ExpressionError as error:
            yield Finding(path, str(error))
        else:
            yield from _of_expression(expression, path, _known(task, path))


def _may_stand(path: Path) -> bool:
    if path[0] == "steps":
        return len(path) > 2 and path[2] in IN_STEP
    return path[0] in (*BEFOREHAND, ACCEPTANCE)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _keys(value: Any) -> list[str]:
    return [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []


def _known(task: dict[str, Any], path: Path) -> _Known:
    known = _Known(
        _keys(task.get("vars")),
        _keys(task.get("env")),
        [n for n in _list(task.get("needs")) if isinstance(n, str)],
        [n for n in _list(task.get("secrets")) if isinstance(n, str)],
    )
    steps = [step for step in _list(task.get("steps")) if isinstance(step, dict)]
    ids = [step.get("id") for step in steps]
    if path[0] == "env":
        known.env = []  # of which some would stand on others
    elif path[0] == "steps" and isinstance(path[1], int):
        known.steps = [name for name in ids[: path[1]] if isinstance(name, str)]
        known.later = [name for name in ids[path[1] :] if isinstance(name, str)]
        known.conditional = path[2] == "if"
        if path[2] != "env" and path[1] < len(steps):
            known.env += _keys(steps[path[1]].get("env"))
    elif path[0] == ACCEPTANCE and "file_updated" not in path:
        known.steps = [name for name in ids if isinstance(name, str)]
    return known


def _of_expression(expression: Expression, path: Path, known: _Known) -> Iterator[Finding]:
    if expression.functions and not known.conditional:
        name = min(expression.functions)
        yield Finding(path, f"{expression.shown}: `{name}()` is for the `if` of a step")
    for mentioned in sorted(expression.paths):
        if finding := _of_name(expression, mentioned, path, known):
            yield finding


def _of_name(expression: Expression, mentioned: tuple[str, ...], path: Path, known: _Known) -> Finding | None:
    root, *keys = mentioned
    if root == "steps" and known.steps is None:
        return Finding(path, f"{expression.shown}: this is fixed before the first step, and no step has an output yet")
    names = {
        "vars": known.vars,
        "env": known.env,
        "needs": known.needs,
        "steps": known.steps or [],
        "task": list(TASK_FACTS),
    }
    facts = {"steps": STEP_FACTS, "needs": NEED_FACTS}.get(root)
    if keys and keys[0] not in names[root]:
        return Finding(path, f"{expression.shown}: {_missing(root, keys[0], known)}", keys[0], names[root])
    if facts is not None and len(keys) > 1 and keys[1] not in facts:
        message = f"{expression.shown}: `{root}.{keys[0]}` has no {quote(keys[1])}, but {', '.join(facts)}"
        return Finding(path, message, keys[1], facts)
    return None


def _missing(root: str, key: str, known: _Known) -> str:
    if root == "vars":
        return f"`vars` has no {quote(key)}"
    if root == "env" and key in known.secrets:
        how = f'read it from the environment ("${key[:60]}" in a script)'
        return f"{quote(key)} is a secret, and no text may hold one: {how}"
    if root == "env":
        return f"neither the task's `env` nor the step's sets {quote(key)}"
    if root == "needs":
        return f"{quote(key)} is not among the task's `needs`"
    if root == "task":
        return f"`task` has no {quote(key)}, but {', '.join(TASK_FACTS)}"
    return (
        f"step {quote(key)} does not come before" if key in known.later else f"no step before has the id {quote(key)}"
    )
