"""What can be wrong with acceptance checks although their types are right: refused now, not after the work."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from orchestrator.intake.limits import MAX_REGEX
from orchestrator.intake.problem import Finding, Path, quote

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_EMPTY = "must not be empty"


def of_checks(task: dict[str, Any], declared: Collection[str]) -> Iterator[Finding]:
    """Everything that is wrong with the checks of a task; `declared` are the task's skills."""
    checks, steps = task.get("acceptance"), task.get("steps")
    if not isinstance(checks, list):
        return
    ids: dict[str, None] | None = None
    for index, check in enumerate(checks):
        if not isinstance(check, dict):
            continue
        path = ("acceptance", index)
        yield from _of_form(check, path)
        yield from of_command(check.get("command"), declared, (*path, "command"))
        if "exit_code" in check and isinstance(steps, list):
            ids = _ids(steps) if ids is None else ids
            yield from _of_exit_code(check["exit_code"], len(steps), ids, (*path, "exit_code", "step"))


def undeclared(skill: str, declared: Collection[str], path: Path) -> Finding:
    """A skill that is used and not listed."""
    message = f"the skill {quote(skill)} is used here but not listed in the task's `skills`"
    return Finding(path, message, skill, declared)


def _ids(steps: list[Any]) -> dict[str, None]:
    found = (step.get("id") for step in steps if isinstance(step, dict))
    return dict.fromkeys(name for name in found if isinstance(name, str))


def _of_form(check: dict[str, Any], path: Path) -> Iterator[Finding]:
    """What can be said of a check without looking at the rest of the task."""
    if not check:
        yield Finding(path, "a check must have a key")
    elif len(check) > 1:
        found = ", ".join(quote(key) for key in list(check)[:8])
        yield Finding(path, f"a check must have exactly one key; here are {found}")
    for key, value in check.items():
        if value is None or (value == "" and key in ("file_exists", "file_updated")):
            yield Finding((*path, key), _EMPTY)
        elif key in ("file_contains", "json") and isinstance(value, dict) and value.get("path") == "":
            yield Finding((*path, key, "path"), _EMPTY)
    yield from _of_pointer(check.get("json"), (*path, "json", "pointer"))
    yield from _of_regex(check.get("stdout_matches"), (*path, "stdout_matches"))


def _of_pointer(part: Any, path: Path) -> Iterator[Finding]:
    pointer = part.get("pointer") if isinstance(part, dict) else None
    if isinstance(pointer, str) and not _POINTER.fullmatch(pointer):
        message = "is not a JSON pointer: it begins with `/`; in names, write `~0` for `~` and `~1` for `/`"
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
        yield Finding(path, f"is not a regular expression: {error.msg} at character {(error.pos or 0) + 1}")
    except (RecursionError, OverflowError):
        yield Finding(path, "is not a regular expression that can be run: it nests or repeats too much")


def of_command(command: Any, declared: Collection[str], path: Path) -> Iterator[Finding]:
    """What is wrong with a command: a bash script, or a list of a skill and its arguments."""
    if isinstance(command, str):
        if not command.strip():
            yield Finding(path, _EMPTY)
        elif "bash" not in declared:
            yield undeclared("bash", (), path)
    elif isinstance(command, list):
        if not command:
            yield Finding(path, "must not be empty: write the skill's name and its arguments")
        elif isinstance(command[0], str) and command[0] not in declared:
            yield undeclared(command[0], declared, (*path, 0))


def untemplated(command: Any, path: Path) -> Iterator[Finding]:
    """What is wrong with a command of which no part may be worked out from values."""
    if any(isinstance(word, str) and "${{" in word for word in (command if isinstance(command, list) else [command])):
        why = "takes no template, as a value could be code there: put it into `env`, and name the variable here"
        yield Finding(path, why)


def _of_exit_code(part: Any, count: int, ids: Collection[str], path: Path) -> Iterator[Finding]:
    step = part.get("step") if isinstance(part, dict) else None
    if isinstance(step, str) and step not in ids:
        yield Finding(path, f"no step has the id {quote(step)}", step, ids)
    elif isinstance(step, int) and not isinstance(step, bool) and not 0 <= step < count:
        last = f"the last is {count - 1}" if count else "the task has none"
        yield Finding(path, f"there is no step {step}: steps count from 0, and {last}")
