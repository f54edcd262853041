"""What a model of one field cannot see: names that must agree, and fields that this version cannot serve yet.

Works on the plain value rather than on the Task, so that everything is told at once even where some fields
have the wrong type; such fields are left to the model's own errors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from orchestrator.intake import staged
from orchestrator.intake.acceptance import of_checks, undeclared, untemplated
from orchestrator.intake.problem import Finding, Path, quote
from orchestrator.intake.workspace import of_workspace
from orchestrator.outcome import FAILURES_BETWEEN_STEPS, Failure
from orchestrator.pools import too_much

FAILURES_OF_TASKS: tuple[str, ...] = get_args(Failure)
FAILURES_OF_STEPS = tuple(kind for kind in FAILURES_OF_TASKS if kind not in FAILURES_BETWEEN_STEPS)


def other_shape(value: Any) -> Finding | None:
    """Why this is not a task at all: a shape that comes later, or none."""
    if isinstance(value, dict) and "tasks" in value and "steps" not in value:
        return Finding(("tasks",), staged.PLAN, at_key=True)
    return None


def disagreements(
    task: dict[str, Any], skills: Collection[str] | None, pools: Mapping[str, int] | None, *, texts: bool
) -> list[Finding]:
    """Everything in a task that is wrong although each field may be right by itself.

    `skills` are the installed ones, `pools` the sizes of the pools, None where that is not known. `texts` asks for a
    look into every string, which is needed only if the file holds a template or an escape.
    """
    findings = list(_staged(task, "Task", ()))
    declared = dict.fromkeys(skill for skill in _list(task.get("skills")) if isinstance(skill, str))
    if skills is not None:
        findings += _not_installed(task, skills)
    steps = [(index, step) for index, step in enumerate(_list(task.get("steps"))) if isinstance(step, dict)]
    findings += _of_steps(steps, declared if isinstance(task.get("skills"), list) else None)
    findings += _of_retry(task.get("retry"), ("retry",), FAILURES_OF_TASKS)
    findings += of_checks(task, declared)
    findings += _of_needs(task)
    findings += of_workspace(task, declared)
    if pools is not None and "resources" in task:
        findings += _of_resources(task["resources"], pools)
    if "secrets" in task:
        findings += _of_secrets(task, steps)
    if task.get("schedule") is not None:
        from orchestrator.intake.recurring import of_schedule  # most tasks are none, and need not know how

        findings += of_schedule(task)
    if texts or any("if" in step for _, step in steps):
        from orchestrator.intake.templated import of_templates  # few tasks have templates, and all pay for imports

        findings += of_templates(task, _strings)
    return findings


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _staged(part: dict[str, Any], model: str, path: Path) -> Iterator[Finding]:
    fields = staged.FIELDS[model]
    if not fields.keys().isdisjoint(part):
        for key in part:
            if key in fields:
                yield Finding((*path, key), staged.sentence(model, key), at_key=True)


def _not_installed(task: dict[str, Any], skills: Collection[str]) -> Iterator[Finding]:
    for index, skill in enumerate(_list(task.get("skills"))):
        if isinstance(skill, str) and skill not in skills:
            message = f"no skill {quote(skill)} is installed"
            yield Finding(("skills", index), message, skill, skills)


def _of_steps(steps: list[tuple[int, dict[str, Any]]], declared: Collection[str] | None) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, step in steps:
        path = ("steps", index)
        yield from _staged(step, "Step", path)
        skill, name = step.get("skill"), step.get("id")
        if declared is not None and isinstance(skill, str) and skill not in declared:
            yield undeclared(skill, declared, (*path, "skill"))
        if isinstance(name, str):
            if name in seen:
                yield Finding((*path, "id"), f"step {seen[name]} (from 0) has the id {quote(name)} already")
            seen.setdefault(name, index)
        if "retry" in step:
            yield from _of_retry(step["retry"], (*path, "retry"), FAILURES_OF_STEPS)
        if "with" in step:
            yield from _of_inputs(step["with"], (*path, "with"))


def _of_retry(retry: Any, path: Path, kinds: Collection[str]) -> Iterator[Finding]:
    """`on` names exit codes of failures, and kinds of failure."""
    for index, word in enumerate(_list(retry.get("on"))) if isinstance(retry, dict) else ():
        place = (*path, "on", index)
        if isinstance(word, int) and not isinstance(word, bool) and not 1 <= word <= 255:
            yield Finding(
                place, f"{word} is not the exit code of a failure: those are 1 to 255; for signals say `signal`"
            )
        elif isinstance(word, str) and word not in kinds:
            message = f"there is no kind of failure {quote(word)} here: exit codes, and {', '.join(kinds)}"
            yield Finding(place, message, word, kinds)


def _of_inputs(value: Any, path: Path) -> Iterator[Finding]:
    if isinstance(value, dict) and "test_command" in value:
        yield from untemplated(value["test_command"], (*path, "test_command"))
    for place, text, at_key in _strings(value, path):
        if "\0" in text:
            yield Finding(place, "contains a NUL character, which no program can receive", at_key=at_key)


def _of_needs(task: dict[str, Any]) -> Iterator[Finding]:
    for index, need in enumerate(_list(task.get("needs"))):
        if isinstance(need, str) and need == task.get("id"):
            yield Finding(("needs", index), "a task cannot need itself")


def _of_resources(resources: Any, pools: Mapping[str, int]) -> Iterator[Finding]:
    for name, number in resources.items() if isinstance(resources, dict) else ():
        if type(number) is int and (why := too_much(name, number, pools)):
            yield Finding(("resources", name), why, "" if name in pools else name, () if name in pools else pools)


def _of_secrets(task: dict[str, Any], steps: list[tuple[int, dict[str, Any]]]) -> Iterator[Finding]:
    """A variable has one value."""
    secrets = {name for name in _list(task["secrets"]) if isinstance(name, str)}
    places: list[tuple[Path, dict[str, Any]]] = [((), task), *((("steps", index), step) for index, step in steps)]
    for path, part in places:
        env = part.get("env")
        for name in env if isinstance(env, dict) else ():
            if name in secrets:
                message = f"{quote(name)} is one of the task's `secrets` already: it can't have another value here"
                yield Finding((*path, "env", name), message, at_key=True)


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every string inside, with its place and whether it is a key. Recursive, as depth is limited."""
    if isinstance(value, str):
        yield path, value, False
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key, True
            yield from _strings(item, (*path, key))
