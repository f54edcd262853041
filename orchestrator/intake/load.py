"""From the bytes of a file to a Task, or to the several tasks of a backlog: the way in for every spec.

Whatever the bytes are, the answer is that or a SpecError that lists all that is wrong, with line, column
and nearest known name. A JSON task that is in order takes a short way with no positions at all; everything
else is read a second time, slowly, by the reader of its format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.intake import meaning, sentences
from orchestrator.intake.document import Document
from orchestrator.intake.forms import Backlog, is_backlog, is_code_task, is_instance
from orchestrator.intake.instances import expanded
from orchestrator.intake.limits import MAX_DEPTH, MAX_JSON_BYTES, MAX_YAML_BYTES
from orchestrator.intake.problem import Finding, Problem, SpecError
from orchestrator.intake.schema import json_schema
from orchestrator.intake.settled import settled_form
from orchestrator.intake.strict_json import deeper_than_allowed, loads
from orchestrator.spec import Task

__all__ = [
    "Backlog", "Finding", "Problem", "SpecError", "json_schema", "load_spec", "load_task", "located", "settled_form",
]  # fmt: skip

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def load_spec(
    data: bytes,
    name: str,
    *,
    skills: Collection[str] | None = None,
    pools: Mapping[str, int] | None = None,
    templates: str | None = None,
) -> Task | Backlog:
    """The task that a file holds, or its tasks. The ending of `name` tells the format: `.json`, `.yaml` or `.yml`.

    `skills` are the names of the installed skills, `pools` the sizes of the pools; None leaves open which there are.
    `templates` is the folder of those that a spec may name. Raises SpecError, and OSError where one can't be read.
    """
    if name.endswith(".json"):
        task = _quick_json(data, skills, pools)
        return task if task is not None else _load(data, name, MAX_JSON_BYTES, _read_json, skills, pools, templates)
    if name.endswith((".yaml", ".yml")):
        return _load(data, name, MAX_YAML_BYTES, _read_yaml, skills, pools, templates)
    raise _error(name, "the name of a spec must end in .json, .yaml or .yml")


def load_task(
    data: bytes,
    name: str,
    *,
    skills: Collection[str] | None = None,
    pools: Mapping[str, int] | None = None,
    templates: str | None = None,
) -> Task:
    """The same where only one task can be meant."""
    spec = load_spec(data, name, skills=skills, pools=pools, templates=templates)
    if isinstance(spec, Backlog):
        raise _error(name, f"is a backlog of {len(spec.entries):,} tasks, where one task is wanted", 1, 1)
    return spec


def value_of(data: bytes, name: str) -> Any:
    """What stands in a file that was found good, as it stands there: a spec that names a template is not expanded."""
    return (_read_json if name.endswith(".json") else _read_yaml)(_decode(data, name)).value


def located(data: bytes, name: str, findings: list[Finding]) -> SpecError:
    """What is wrong with a file that is a task by itself, with line and column. Nothing is raised."""
    read = _read_json if name.endswith(".json") else _read_yaml
    return read(_decode(data, name)).error(name, findings)


def _error(name: str, message: str, line: int | None = None, column: int | None = None) -> SpecError:
    return SpecError(name, [Problem(message, line, column, "")])


def _quick_json(data: bytes, skills: Collection[str] | None, pools: Mapping[str, int] | None) -> Task | None:
    """The task, if everything is in order; None if anything is not, or might not be."""
    if len(data) > MAX_JSON_BYTES:
        return None
    try:
        value = loads(data.decode())
        task = Task.model_validate_json(data)
    except (ValueError, RecursionError):
        return None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and deeper_than_allowed(value):
        return None
    texts = b"${{" in data or b"\\u" in data
    return None if meaning.disagreements(value, skills, pools, texts=texts) else task


def _load(
    data: bytes,
    name: str,
    limit: int,
    read: Callable[[str], Document],
    skills: Collection[str] | None,
    pools: Mapping[str, int] | None,
    templates: str | None,
) -> Task | Backlog:
    if len(data) > limit:
        raise _error(name, f"the file has {len(data):,} bytes; at most {limit:,} are accepted")
    document = read(_decode(data, name))
    if document.broken:
        raise document.error(name, [])
    if is_backlog(document.value):
        from orchestrator.intake.backlog import backlog_of  # most files hold one task

        return backlog_of(document, name, lambda part: _judged(part, name, skills, pools, templates))
    return _judged(document, name, skills, pools, templates)


def _judged(
    document: Document,
    name: str,
    skills: Collection[str] | None,
    pools: Mapping[str, int] | None,
    templates: str | None,
) -> Task:
    if is_instance(document.value) and not document.findings:
        document.value = expanded(document, name, templates, skills, pools)
    elif is_code_task(document.value):
        from orchestrator.intake.code_task import as_task  # most tasks are none, and need not know how

        document.value, skills = as_task(document, name, skills, pools), None
    if shape := meaning.other_shape(document.value):
        raise document.error(name, [shape])
    findings: list[Finding] = []
    if isinstance(document.value, dict):
        findings += meaning.disagreements(document.value, skills, pools, texts=True)
    try:
        # The text is written anew so that both formats meet the same model in the same way; what cannot be
        # encoded has been refused already.
        task = Task.model_validate_json(json.dumps(document.value, ensure_ascii=False).encode(errors="replace"))
    except ValidationError as error:
        told, unread = sentences.findings_of(error, document.value)
        raise document.error(name, findings + told, unread) from None
    if findings or document.findings:
        raise document.error(name, findings)
    return task


def _read_json(text: str) -> Document:
    from orchestrator.intake.json_document import read_json

    return read_json(text)


def _read_yaml(text: str) -> Document:
    from orchestrator.intake.yaml_document import read_yaml

    return read_yaml(text)


def _decode(data: bytes, name: str) -> str:
    """The text of a file. Raises SpecError for an empty one and for every encoding but plain UTF-8."""
    if not data.strip():
        raise _error(name, "the file is empty", 1, 1)
    if data.startswith(_UTF16_MARKS) or b"\0" in data[:2]:
        raise _error(name, "the file is not UTF-8 (it looks like UTF-16): save it as UTF-8", 1, 1)
    if data.startswith(b"\xef\xbb\xbf"):
        raise _error(name, "the file begins with a byte order mark: save it as UTF-8 without one", 1, 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        message = f"the byte 0x{data[error.start]:02x} here is not UTF-8: save the file as UTF-8"
        raise _error(name, message, line, column) from None
