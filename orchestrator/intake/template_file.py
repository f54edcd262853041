"""A template: `config/templates/NAME.yaml`, a task with holes, and what may be put into each.

Rule: a template that is wrong says so by its own file and line, and costs only the specs that name it: it is read when
one does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from orchestrator.errors import is_shortage
from orchestrator.intake import meaning, sentences
from orchestrator.intake.document import Document
from orchestrator.intake.limits import MAX_YAML_BYTES
from orchestrator.intake.problem import Finding, Problem, SpecError
from orchestrator.spec import SKILL_PATTERN, EnvName, Part, Task, Text

ENDING = ".yaml"
OWN = ("id", "made_from", "parent")
"""Fields that no template has: they are what makes one task differ from the others of it."""
_NAME = re.compile(SKILL_PATTERN)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "list": (list,),
    "mapping": (dict,),
}  # fmt: skip
_WORDS = {"true": True, "yes": True, "false": False, "no": False}


class Param(Part):
    """What may be put into one hole of a template."""

    type: Literal["string", "integer", "number", "boolean", "list", "mapping"] = "string"
    required: bool = False
    default: Any = None
    choices: tuple[str | int | float | bool, ...] = ()
    description: Text = ""

    @model_validator(mode="after")
    def _sound(self) -> Param:
        if self.default is not None and self.required:
            raise ValueError("is required, so its default would never be used: remove one of the two")
        for value in (*self.choices, *(() if self.default is None else (self.default,))):
            if why := self.why_not(value):
                raise ValueError(why)
        return self

    def why_not(self, value: Any) -> str:
        """Why a value is none for it; empty where it is."""
        fits = isinstance(value, _TYPES[self.type]) and (self.type == "boolean") == isinstance(value, bool)
        if not fits:
            article = "an" if self.type == "integer" else "a"
            return f"must be {article} {self.type}, not {sentences.describe(value)}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(map(str, self.choices))}; {sentences.describe(value)} is not"
        return ""

    def read(self, text: str) -> Any:
        """The value that a person typed; the text itself where it is none of this type, which `why_not` then tells."""
        if self.type == "string":
            return text
        if self.type == "boolean":
            return _WORDS.get(text.lower(), text)
        try:
            return json.loads(text)
        except ValueError:
            return text

    @property
    def sample(self) -> Any:
        """Some value of its type."""
        return self.default if self.default is not None else _TYPES[self.type][0]()


class _File(Part):
    description: Text = Field("", description="One line for people.")
    params: dict[EnvName, Param] = Field(default_factory=dict)
    task: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """`sha256` is that of the file; `task` as it stands there, its own `vars` included."""

    name: str
    path: str
    sha256: str
    description: str
    params: Mapping[str, Param]
    task: Mapping[str, Any]


def names(folder: str) -> list[str]:
    """The templates that there are."""
    try:
        found = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    stems = (name.removesuffix(ENDING) for name in found if name.endswith(ENDING))
    return sorted(stem for stem in stems if _NAME.fullmatch(stem))


def read(folder: str, name: str, skills: Collection[str] | None, pools: Mapping[str, int] | None) -> Template | None:
    """The template of this name; None if there is none. Raises SpecError, and OSError for a shortage of
    ours."""
    path, label = f"{folder}/{name}{ENDING}", f"config/templates/{name}{ENDING}"
    if not _NAME.fullmatch(name):
        return None
    data = _content(path, label)
    if data is None:
        return None
    from orchestrator.intake.yaml_document import read_yaml  # a plain task does without

    try:
        document = read_yaml(data.decode())
    except UnicodeDecodeError as error:
        raise _wrong(label, "is not UTF-8: save it as UTF-8") from error
    parsed = _parsed(document, label)
    _check_task(document, parsed, label, skills, pools)
    return Template(name, path, hashlib.sha256(data).hexdigest(), parsed.description, parsed.params, parsed.task)


def _content(path: str, label: str) -> bytes | None:
    """The bytes of a template; None if there is none. Raises SpecError, and OSError for a shortage of ours."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise _wrong(label, "is not a file")
        with open(path, "rb") as file:
            data = file.read(MAX_YAML_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        if is_shortage(error):
            raise
        raise _wrong(label, f"can't be read: {error.strerror}") from error
    if len(data) > MAX_YAML_BYTES:
        raise _wrong(label, f"has more than {MAX_YAML_BYTES:,} bytes")
    return data


def _wrong(label: str, message: str) -> SpecError:
    return SpecError(label, [Problem(message, None, None, "")])


def _parsed(document: Document, label: str) -> _File:
    if document.broken:
        raise document.error(label, [])
    try:
        return _File.model_validate_json(json.dumps(document.value, ensure_ascii=False).encode(errors="replace"))
    except ValidationError as error:
        findings, unread = sentences.findings_of(error, document.value, _File)
        raise document.error(label, findings, unread) from None


def _check_task(
    document: Document, parsed: _File, label: str, skills: Collection[str] | None, pools: Mapping[str, int] | None
) -> None:
    """Whatever is wrong with the task of a template whatever is put into its holes."""
    own = parsed.task.get("vars")
    task = parsed.task | {"vars": {**(own if isinstance(own, dict) else {}), **samples(parsed.params)}}
    findings = [Finding((name,), f"a template has no `{name}`: each task made from it has its own", at_key=True)
                for name in OWN if name in task]  # fmt: skip
    findings += [Finding(("vars", name), "is a param too: its value would never be used", at_key=True)
                 for name in (own if isinstance(own, dict) else ()) if name in parsed.params]  # fmt: skip
    whole = {"id": "template", **task}
    findings += meaning.disagreements(whole, skills, pools, texts=True)
    unread = 0
    try:
        Task.model_validate_json(json.dumps(whole, ensure_ascii=False).encode(errors="replace"))
    except ValidationError as error:
        told, unread = sentences.findings_of(error, whole)
        findings += told
    if findings or document.findings:
        raise document.error(label, [replace(one, path=("task", *one.path)) for one in findings], unread)


def samples(params: Mapping[str, Param]) -> dict[str, Any]:
    return {name: param.sample for name, param in params.items()}
