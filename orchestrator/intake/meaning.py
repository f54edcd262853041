"""What a model of one field cannot see: names that must agree, and fields that this version cannot serve yet.

Works on the plain value rather than on the Task, so that everything is told at once even where some fields
have the wrong type; such fields are left to the model's own errors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from orchestrator.intake import staged
from orchestrator.intake.limits import MAX_REGEX
from orchestrator.intake.problem import Finding, Path, nearest, quote

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_FILE_CHECKS = ("file_exists", "file_updated")
_TEMPLATED = ("steps", "env", "acceptance")


def other_shape(value: Any) -> Finding | None:
    """Why this is not a task at all: a shape that comes later, or none."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return Finding((), staged.BACKLOG)
    if not isinstance(value, dict) or "steps" in value:
        return None
    if "task_id" in value:
        return Finding(("task_id",), staged.CODE_TASK, at_key=True)
    if "tasks" in value:
        backlog = isinstance(value["tasks"], list) and len(value) == 1
        return Finding(("tasks",), staged.BACKLOG if backlog else staged.PLAN, at_key=True)
    return None


def disagreements(task: dict[str, Any], skills: Collection[str] | None, *, texts: bool) -> list[Finding]:
    """Everything in a task that is wrong although each field may be right by itself.

    `skills` are the installed ones, None where that is not known. `texts` asks for a look into every string,
    which is needed only if the file holds a template or an escape.
    """
    findings = list(_staged(task, "Task", ()))
    declared = [skill for skill in _list(task.get("skills")) if isinstance(skill, str)]
    if skills is not None:
        findings += _not_installed(task, skills)
    steps = [(index, step) for index, step in enumerate(_list(task.get("steps"))) if isinstance(step, dict)]
    findings += _of_steps(steps, declared if isinstance(task.get("skills"), list) else None)
    findings += _of_checks(task, steps, declared)
    findings += _of_workspace(task)
    if texts:
        findings += _of_texts(task)
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
            yield Finding(("skills", index), message, nearest(skill, skills))


def _undeclared(skill: str, declared: list[str], path: Path) -> Finding:
    message = f"the skill {quote(skill)} is used here but not listed in the task's `skills`"
    return Finding(path, message, nearest(skill, declared))


def _of_steps(steps: list[tuple[int, dict[str, Any]]], declared: list[str] | None) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, step in steps:
        path = ("steps", index)
        yield from _staged(step, "Step", path)
        skill, name = step.get("skill"), step.get("id")
        if declared is not None and isinstance(skill, str) and skill not in declared:
            yield _undeclared(skill, declared, (*path, "skill"))
        if isinstance(name, str):
            if name in seen:
                yield Finding((*path, "id"), f"step {seen[name]} (from 0) has the id {quote(name)} already")
            seen.setdefault(name, index)
        if "with" in step:
            yield from _nul_inside(step["with"], (*path, "with"))


def _nul_inside(value: Any, path: Path) -> Iterator[Finding]:
    for place, text, at_key in _strings(value, path):
        if "\0" in text:
            yield Finding(place, "contains a NUL character, which no program can receive", at_key=at_key)


def _of_workspace(task: dict[str, Any]) -> Iterator[Finding]:
    workspace = task.get("workspace")
    if isinstance(workspace, dict):
        yield from _staged(workspace, "Workspace", ("workspace",))
        if workspace.get("dir") == "":
            yield Finding(("workspace", "dir"), "must not be empty")


def _of_checks(
    task: dict[str, Any], steps: list[tuple[int, dict[str, Any]]], declared: list[str]
) -> list[Finding]:
    findings: list[Finding] = []
    for index, check in enumerate(_list(task.get("acceptance"))):
        if isinstance(check, dict):
            path = ("acceptance", index)
            findings += _of_form(check, path)
            findings += _of_command(check.get("command"), declared, (*path, "command"))
            findings += _of_exit_code(check.get("exit_code"), task, steps, (*path, "exit_code", "step"))
    return findings


def _of_form(check: dict[str, Any], path: Path) -> Iterator[Finding]:
    """What can be said of a check without looking at the rest of the task."""
    if len(check) != 1:
        found = "none" if not check else ", ".join(quote(key) for key in list(check)[:8])
        yield Finding(
            path,
            f"a check must have exactly one key; here are {found}" if check else "a check must have a key",
        )
    for key, value in check.items():
        if value is None:
            yield Finding((*path, key), "must not be empty")
    for key in _FILE_CHECKS:
        if check.get(key) == "":
            yield Finding((*path, key), "must not be empty")
    for key in ("file_contains", "json"):
        part = check.get(key)
        if isinstance(part, dict) and part.get("path") == "":
            yield Finding((*path, key, "path"), "must not be empty")
    yield from _of_pointer(check.get("json"), (*path, "json", "pointer"))
    yield from _of_regex(check.get("stdout_matches"), (*path, "stdout_matches"))


def _of_pointer(part: Any, path: Path) -> Iterator[Finding]:
    pointer = part.get("pointer") if isinstance(part, dict) else None
    if isinstance(pointer, str) and not _POINTER.fullmatch(pointer):
        message = (
            "is not a JSON pointer: it begins with `/`, and `~` must be written `~0`, a `/` in a name `~1`"
        )
        yield Finding(path, message)


def _of_regex(pattern: Any, path: Path) -> Iterator[Finding]:
    if not isinstance(pattern, str):
        return
    if len(pattern) > MAX_REGEX:
        yield Finding(path, f"is too long: at most {MAX_REGEX} characters")
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield Finding(path, f"is not a regular expression: {error}")
    except (RecursionError, OverflowError):
        yield Finding(path, "is not a regular expression that can be run: it nests or repeats too much")


def _of_command(command: Any, declared: list[str], path: Path) -> Iterator[Finding]:
    if isinstance(command, str):
        if not command.strip():
            yield Finding(path, "must not be empty")
        elif "bash" not in declared:
            yield _undeclared("bash", [], path)
    elif isinstance(command, list):
        if not command:
            yield Finding(path, "must not be empty: write the skill's name and its arguments")
        elif isinstance(command[0], str) and command[0] not in declared:
            yield _undeclared(command[0], declared, (*path, 0))


def _of_exit_code(
    part: Any, task: dict[str, Any], steps: list[tuple[int, dict[str, Any]]], path: Path
) -> Iterator[Finding]:
    step = part.get("step") if isinstance(part, dict) else None
    if isinstance(step, bool) or not isinstance(task.get("steps"), list):
        return
    if isinstance(step, int):
        count = len(task["steps"])
        if not 0 <= step < count:
            last = f"the last is {count - 1}" if count else "the task has none"
            yield Finding(path, f"there is no step {step}: steps count from 0, and {last}")
    elif isinstance(step, str):
        ids = [item["id"] for _, item in steps if isinstance(item.get("id"), str)]
        if step not in ids:
            yield Finding(path, f"no step has the id {quote(step)}", nearest(step, ids))


def _of_texts(task: dict[str, Any]) -> Iterator[Finding]:
    for field in _TEMPLATED:
        for path, text, at_key in _strings(task.get(field), (field,)):
            if staged.TEMPLATE_MARK in text:
                yield Finding(path, staged.TEMPLATES, at_key=at_key)


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
