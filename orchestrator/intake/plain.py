"""A quick yes for plain tasks, for the commands that must start as fast as Python itself.

Standard library only, and little of it: no model, no YAML. It knows a part of the spec by hand and says yes
only to that; "no" means "not sure, ask `load_task`", never "wrong".
"""

from __future__ import annotations

from orchestrator.intake.limits import MAX_JSON_BYTES
from orchestrator.intake.strict_json import deeper_than_allowed, loads

TYPE_CHECKING = False  # type checkers take it as true; typing costs milliseconds at start
if TYPE_CHECKING:
    from typing import Any

_ALPHANUMERIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_IN_ID = _ALPHANUMERIC | {".", "_", "-"}
_IN_SKILL = _ALPHANUMERIC | {"_", "-"}
_MAX_TIMEOUT_MS = 31_622_400_000
_REQUIRED = {"id", "title", "skills", "steps"}
_LEVELS = ("debug", "info", "warn", "warning", "error", "critical")
_NOTIFY_ON = (
    "ok", "failed", "timed_out", "blocked", "denied", "invalid", "cancelled", "interrupted", "over_budget", "skipped",
    "not_ok",
)  # fmt: skip
_ONE_TEXT_CHECKS = {"stdout_contains", "file_exists", "file_updated"}


def is_plain_task(data: bytes) -> bool:
    """True only if `load_task` certainly accepts these bytes as JSON. Never raises."""
    # An escape may hide a NUL, half of a character or a template; so it is left to the full check.
    if len(data) > MAX_JSON_BYTES or b"\\u" in data or b"${{" in data:
        return False
    try:
        task = loads(data.decode())
    except (ValueError, RecursionError):
        return False
    return _is_mapping(task, _TASK, _REQUIRED) and not deeper_than_allowed(task) and _agrees(task)


def _agrees(task: dict[str, Any]) -> bool:
    """Whether the names in a task of right types agree with one another."""
    names = [step["id"] for step in task["steps"] if "id" in step]
    used = {step["skill"] for step in task["steps"]}
    return len(set(names)) == len(names) and used <= set(task["skills"])


def _is_mapping(value: Any, fields: dict[str, Any], required: set[str]) -> bool:
    if not isinstance(value, dict) or not required <= value.keys() <= fields.keys():
        return False
    return all(fields[key](item) for key, item in value.items())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_title(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 500


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 128 and value[0] in _ALPHANUMERIC and _IN_ID.issuperset(value)


def _is_skill(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and value[0] in _ALPHANUMERIC and _IN_SKILL.issuperset(value)


def _is_skills(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_skill, value))


def _is_short_duration(value: str) -> bool:
    number = value.rstrip("msh")
    return (
        value[len(number) :] in ("ms", "s", "m", "h")
        and 0 < len(number) <= 3
        and number.isascii()
        and number.isdigit()
        and number[0] != "0"
    )


def _is_timeout(value: Any) -> bool:
    if isinstance(value, str):
        return _is_short_duration(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_TIMEOUT_MS


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_env(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name.isascii() and name.isidentifier() and isinstance(text, str) for name, text in value.items()
    )


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_priority(value: Any) -> bool:
    return value in ("low", "medium", "high", "urgent")


def _is_risk(value: Any) -> bool:
    return value in ("low", "medium", "high")


def _is_on_interrupt(value: Any) -> bool:
    return value in ("fail", "retry")


def _is_steps(value: Any) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= 1_000:
        return False
    return all(_is_mapping(step, _STEP, {"skill"}) for step in value)


def _is_check(value: Any) -> bool:
    if isinstance(value, str):
        return True
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= _ONE_TEXT_CHECKS:
        return False
    return all(isinstance(text, str) and text != "" for text in value.values())


def _is_acceptance(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_check, value))


def _is_memory(value: Any) -> bool:
    return _is_mapping(value, {"kind": _is_text, "text": _is_text}, {"text"})


def _is_level(value: Any) -> bool:
    return value in _LEVELS


def _is_on(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word in _NOTIFY_ON for word in value)


def _is_notify(value: Any) -> bool:
    return _is_mapping(value, {"channels": _is_texts, "level": _is_level, "on": _is_on}, set())


def _is_workspace(value: Any) -> bool:
    return _is_mapping(value, {"dir": _is_title}, set())


_STEP = {
    "skill": _is_skill,
    "args": _is_texts,
    "id": _is_id,
    "timeout": _is_timeout,
    "optional": _is_flag,
    "idempotent": _is_flag,
    "env": _is_env,
}
_TASK = {
    "id": _is_id,
    "title": _is_title,
    "skills": _is_skills,
    "steps": _is_steps,
    "priority": _is_priority,
    "risk": _is_risk,
    "acceptance": _is_acceptance,
    "memory": _is_memory,
    "notify": _is_notify,
    "labels": _is_labels,
    "env": _is_env,
    "timeout": _is_timeout,
    "workspace": _is_workspace,
    "parent": _is_id,
    "on_interrupt": _is_on_interrupt,
}
