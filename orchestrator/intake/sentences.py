"""The model's errors in our words: what stands there, what must stand there, and what was probably meant.

The model names the members of a union in its paths and tells one error for each of them; both are undone here
by following a path through the model's own types.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.intake.limits import MAX_ERRORS_READ
from orchestrator.intake.problem import Finding, Path, quote
from orchestrator.spec import ID_PATTERN, MODEL_PATTERN, NAME_PATTERN, POINTER_PATTERN, SKILL_PATTERN, Task

_KEY_MARK = "[key]"
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_DURATION_FIELDS = {"timeout", "delay", "max_delay", "duration"}
_PATTERNS = {
    ID_PATTERN: "must be 1 to 128 letters, digits, `.`, `_` or `-`, beginning with a letter or a digit",
    MODEL_PATTERN: "must be the name of one of `[models.NAME]` in the config: 1 to 64 letters, digits, `.`, `_` or `-`",
    SKILL_PATTERN: "must be 1 to 64 letters, digits, `_` or `-`, beginning with a letter or a digit",
    NAME_PATTERN: "must be a name of letters, digits and `_`, not beginning with a digit",
    POINTER_PATTERN: "must be a JSON pointer, such as /results/0/status (`~` is written ~0, and `/` within a name ~1)",
}
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}
_WORDS_FOR_TRUE = {"true", "yes", "on", "1"}
_WORDS_FOR_FALSE = {"false", "no", "off", "0"}


@dataclass(slots=True)
class _Error:
    """One error of the model: where it is in the document, the members of unions that it went through, the
    type that was wanted there and the model whose field that is."""

    details: ErrorDetails
    path: Path = ()
    members: tuple[tuple[Path, str | int], ...] = ()
    wanted: Any = Task
    owner: type[BaseModel] = Task
    at_key: bool = False

    @property
    def mismatch(self) -> bool:
        return self.details["type"] in _EXPECTED


def findings_of(error: ValidationError, value: Any, model: type[BaseModel] = Task) -> tuple[list[Finding], int]:
    """One finding for each place that the `model` refused; `value` is the document that it refused.

    Only the first MAX_ERRORS_READ errors are read; the second answer is the number of the others.
    """
    details = error.errors(include_url=False, include_input=False)
    errors = [_follow(item, model) for item in details[:MAX_ERRORS_READ]]
    by_path: dict[Path, list[_Error]] = {}
    for item in _as_meant(errors):
        by_path.setdefault(item.path, []).append(item)
    findings: list[Finding] = []
    for path, items in by_path.items():
        finding = _finding(items, _value_at(value, path))
        if finding is not None:
            findings.append(finding)
    return findings, len(details) - len(errors)


def _follow(details: ErrorDetails, model: type[BaseModel]) -> _Error:
    """Read the model's path along the model's types, which tell keys from names of union members."""
    error = _Error(details, wanted=model, owner=model)
    for part in details["loc"]:
        options = _options(error.wanted)
        if len(options) > 1:
            error.members += ((error.path, part),)
            error.wanted = _member(options, str(part))
            continue
        kind = options[0] if options else Any
        if part == _KEY_MARK and get_origin(kind) is not dict:
            error.at_key = True
            continue
        error.path += (part,)
        error.wanted = _inside(kind, part)
        error.owner = kind if _is_model(kind) else error.owner
    return error


def _options(kind: Any) -> list[Any]:
    """The members of a union, without None; a list of one for any other type."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for member in get_args(kind) for option in _options(member)]
    return [] if kind is NoneType else [kind]


def _member(options: list[Any], name: str) -> Any:
    """The member of a union that the model calls `name`."""
    for option in options:
        if _is_model(option) and option.__name__ == name:
            return option
        if get_origin(option) is tuple and name.startswith("tuple["):
            return option
    return next((option for option in options if option in (str, int)), Any)


def _inside(kind: Any, part: str | int) -> Any:
    """The type of what stands at `part` of a value of this type."""
    if _is_model(kind):
        fields = kind.model_fields.items()
        return next((field.annotation for name, field in fields if part in (field.alias or name,)), Any)
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return arguments[0]
    return arguments[1] if get_origin(kind) is dict else Any


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _as_meant(errors: list[_Error]) -> list[_Error]:
    """Of the members of a union, keep those whose type fits what stands there; all of them if none does."""
    fitting: dict[Path, set[str | int]] = {}
    for error in errors:
        for place, member in error.members:
            if not (error.mismatch and error.path == place):
                fitting.setdefault(place, set()).add(member)
    return [
        error
        for error in errors
        if all(place not in fitting or member in fitting[place] for place, member in error.members)
    ]


def known_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a model as people write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _finding(errors: list[_Error], value: Any) -> Finding | None:
    error = next((item for item in errors if not item.mismatch), errors[0])
    path, kind = error.path, error.details["type"]
    if kind == "extra_forbidden":
        key = str(path[-1])
        return Finding(path, f"unknown key {quote(key)}", key, known_keys(error.owner), at_key=True)
    if kind == "literal_error":
        message = f"must be {error.details['ctx']['expected']}, not {describe(value)}"
        return Finding(path, message, value, _words(error.wanted)) if isinstance(value, str) else Finding(path, message)
    if kind == "too_short" and value:
        return None  # the model counts what was right, and the items that were wrong have been told already
    message = _mismatch(errors, value) if error.mismatch else _sentence(error, value)
    return Finding(path, message, at_key=error.at_key)


def _words(wanted: Any) -> list[str]:
    """The words that a field may hold; empty where it may hold others."""
    return [word for option in _options(wanted) if get_origin(option) is Literal for word in get_args(option)]


def _mismatch(errors: list[_Error], value: Any) -> str:
    error, kinds = errors[0], [item.details["type"] for item in errors]
    wanted = " or ".join(dict.fromkeys(_EXPECTED[kind] for kind in kinds))
    if error.path[-1:] and error.path[-1] in _DURATION_FIELDS and kinds == ["int_type"]:
        wanted = 'a whole number of milliseconds or a duration such as "30s"'
    elif error.path == ():
        wanted = "a mapping with `id`, `title`, `skills` and `steps`"
    return f"must be {wanted}, not {describe(value)}{_advice(kinds, value)}"


def describe(value: Any) -> str:
    """What kind of value stands there, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return quote(value) if value else "an empty string"
    return "a list" if isinstance(value, list) else "a mapping"


def _advice(kinds: list[str], value: Any) -> str:
    """How to write what was probably meant; empty where nobody can know."""
    if "string_type" in kinds and isinstance(value, int | float):
        return f': write "{json.dumps(value)}"'
    if not isinstance(value, str) or len(value) > 40:
        return ""
    if kinds == ["tuple_type"]:
        return f": write [{json.dumps(value, ensure_ascii=False)}]"
    if kinds == ["bool_type"] and value.lower() in _WORDS_FOR_TRUE | _WORDS_FOR_FALSE:
        return f": write {'true' if value.lower() in _WORDS_FOR_TRUE else 'false'}"
    if kinds == ["int_type"] and value.isascii() and value.isdigit():
        return f": write {value}"
    return ""


def _sentence(error: _Error, value: Any) -> str:
    details = error.details
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        return f"must be {_BOUNDS[kind].format_map(context)}"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        said = error.path[-1] if error.at_key else value
        return f"{_PATTERNS[context['pattern']]}; {describe(said)} is not"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind in ("too_long", "string_too_long"):
        unit = "items" if kind == "too_long" and isinstance(value, list) else "characters"
        return f"is too long: at most {context['max_length']} {unit}"
    return details["msg"][:1].lower() + details["msg"][1:]


def _value_at(value: Any, path: Path) -> Any:
    """What stands at a path; None where nothing does."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
