"""A local code task, `{task_id, description, output_file, …}`, becomes the task that it stands for.

Rule: what is wrong is told by its own keys and lines. A description is text and never a template: only what the shape
shares with every task is worked out as there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError, create_model

from orchestrator.intake import meaning, sentences
from orchestrator.intake.acceptance import untemplated
from orchestrator.intake.document import Document
from orchestrator.intake.problem import Finding, quote
from orchestrator.spec import (
    MAX_CONSTRAINTS,
    MAX_CONTEXT_FILES,
    CodeKind,
    Id,
    Inside,
    ModelName,
    Part,
    Sentence,
    Task,
    Title,
)

SKILL = "local_model"
SHARED = (
    "priority", "risk", "needs", "when", "parent", "labels", "memory", "notify", "workspace", "env", "secrets",
    "timeout", "retry", "inputs", "outputs", "resources", "not_before", "idempotency_key", "on_interrupt",
)  # fmt: skip
"""Fields of every task that a code task may have too."""
_ASKED = ("description", "output_file", "context_files", "constraints", "test_command", "kind", "models")
_TITLE_LENGTH = 100
_MARK = "${{"


class _CodeTask(Part):
    """One file that a local model writes."""

    task_id: Id = Field(description="Letters, digits, `.`, `_`, `-`; names the task and its runs.")
    description: Sentence = Field(description="What the file is to be, for the model.")
    output_file: Inside = Field(description="The one file that is written, relative to the workspace.")
    context_files: tuple[Inside, ...] = Field(
        (), max_length=MAX_CONTEXT_FILES, description="Files of the workspace that the model is shown."
    )
    constraints: tuple[Sentence, ...] = Field(
        (), max_length=MAX_CONSTRAINTS, description="What the file must keep to; those that a machine can check are."
    )
    test_command: Sentence | tuple[Sentence, ...] | None = Field(
        None,
        description="A bash script, or a list of skill and arguments, that must exit 0, else the old file is back.",
    )
    kind: CodeKind = Field("code", description="Which prompt of config/prompts is used.")
    model: ModelName | None = Field(None, description="One of `[models.NAME]` in the config.")
    models: tuple[ModelName, ...] = Field((), description="Several, in the order in which they are tried.")
    title: Title = Field("", description="One line for people; else the description's first words.")


_shared: Any = {name: (Task.model_fields[name].annotation, Task.model_fields[name]) for name in SHARED}
CodeTask: type[Part] = create_model("CodeTask", __base__=_CodeTask, **_shared)


def as_task(
    document: Document, name: str, skills: Collection[str] | None, pools: Mapping[str, int] | None
) -> dict[str, Any]:
    """The task of a file of this name. Raises SpecError with all that is wrong."""
    spec: dict[str, Any] = document.value
    shared = {key: spec[key] for key in SHARED if key in spec}
    used = [SKILL, *_of_test(spec.get("test_command"))]
    findings = [*_disagreements(spec, used, skills)]
    findings += meaning.disagreements(
        {"id": spec.get("task_id"), "title": spec.get("title"), **shared}, None, pools, texts=True
    )
    unread = 0
    try:
        CodeTask.model_validate_json(json.dumps(spec, ensure_ascii=False).encode(errors="replace"))
    except ValidationError as error:
        told, unread = sentences.findings_of(error, spec, CodeTask)
        findings += told
    if findings or document.findings:
        raise document.error(name, findings, unread)
    asked = {key: _literal(spec[key]) for key in _ASKED if key in spec}
    if spec.get("model") is not None:
        asked["models"] = [spec["model"]]
    labels = {"kind": spec.get("kind", "code"), "output_file": _literal(spec["output_file"])}
    return {
        **shared,
        "title": spec.get("title") or _title(spec["description"]),
        "id": spec["task_id"],
        "skills": used,
        "steps": [{"skill": SKILL, "with": asked, "idempotent": True}],
        "labels": labels | shared.get("labels", {}),
    }


def _of_test(command: Any) -> list[str]:
    """The skill that a test needs; none where there is no test, or none that can be one."""
    if isinstance(command, list):
        return [word for word in command[:1] if isinstance(word, str) and word != SKILL]
    return ["bash"] if isinstance(command, str) else []


def _disagreements(spec: dict[str, Any], used: list[str], skills: Collection[str] | None) -> Iterator[Finding]:
    """What is wrong between its own keys, and with what is installed."""
    command = spec.get("test_command")
    if (isinstance(command, str) and not command.strip()) or command == []:
        yield Finding(("test_command",), "must not be empty")
    yield from untemplated(command, ("test_command",))
    if spec.get("model") is not None and "models" in spec:
        yield Finding(("models",), "give `model` or `models`, not both", at_key=True)
    files, output = spec.get("context_files"), spec.get("output_file")
    if isinstance(files, list) and output in files:
        at = files.index(output)
        yield Finding(("context_files", at), "is the `output_file`, which is shown anyway: leave it out here")
    if skills is None:
        return
    if SKILL not in skills:
        message = f"no skill `{SKILL}` is installed, which a local code task needs: `orchestrator init` adds it"
        yield Finding(("task_id",), message, at_key=True)
    for name in used[1:]:
        if name not in skills:
            place = ("test_command",) if isinstance(command, str) else ("test_command", 0)
            meant = (
                "" if isinstance(command, str) else " (a list is a skill and its arguments; a shell line is a string)"
            )
            yield Finding(place, f"no skill {quote(name)} is installed{meant}", name, skills)


def _literal(value: Any) -> Any:
    """The value, written so that what looks like a template in it stays as it is."""
    if isinstance(value, str):
        return value.replace(_MARK, "${{ '${{' }}")
    return [_literal(item) for item in value] if isinstance(value, list) else value


def _title(description: str) -> str:
    """Its first words, in one line."""
    line = " ".join(description.split())
    return _literal(line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…")  # type: ignore[no-any-return]
