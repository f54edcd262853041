"""The inputs of a step whose skill has `runner = "model"`: what one asks a model for, checked before the task runs.

Rule: the shape only, as in `http_request`. Either `prompt` is given, and the answer is what the step prints; or
`description` and `output_file` are, and the answer becomes that file, if it stands its gates and its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.spec import MAX_CONSTRAINTS, MAX_CONTEXT_FILES, CodeKind, Inside, ModelName, Sentence

PROGRAM = "local_model"
KINDS: tuple[str, ...] = get_args(CodeKind)


class ModelRequest(BaseModel):
    """What is asked. `models` are names of `[models.NAME]` in the config, in the order in which they are tried."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    prompt: Sentence | None = None
    system: Sentence | None = None
    json_schema: dict[str, Any] | None = None
    description: Sentence | None = None
    output_file: Inside | None = None
    context_files: tuple[Inside, ...] = Field((), max_length=MAX_CONTEXT_FILES)
    constraints: tuple[Sentence, ...] = Field((), max_length=MAX_CONSTRAINTS)
    test_command: Sentence | tuple[Sentence, ...] | None = None
    kind: CodeKind = "code"
    models: tuple[ModelName, ...] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> ModelRequest:
        if (self.prompt is None) == (self.description is None):
            raise ValueError("give either `prompt`, or `description` and `output_file`")
        needed, useless = ("output_file", _OF_ANSWERS) if self.description is not None else (None, _OF_FILES)
        if needed is not None and self.output_file is None:
            raise ValueError("`output_file` is missing: the file that the description is of")
        if alien := [name for name in useless if name in self.model_fields_set]:
            raise ValueError(f"`{alien[0]}` is not for a request with `{'description' if needed else 'prompt'}`")
        return self

    def argv(self) -> tuple[str, ...]:
        """The request as a command line, for rules and for people: what it reads, and what it writes. What it is asked
        for is a person's or an agent's own sentence, and is no word of a command."""
        words = [PROGRAM, *(word for path in self.context_files for word in ("--context", path))]
        return (*words, "--output", self.output_file) if self.output_file is not None else (*words, "--answer")


_OF_ANSWERS = ("system", "json_schema")
_OF_FILES = ("output_file", "context_files", "constraints", "test_command", "kind")


def read_model_request(inputs: Mapping[str, Any]) -> ModelRequest:
    """Raises ValueError with a sentence that names the input."""
    try:
        return ModelRequest.model_validate(dict(inputs), strict=False)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        sentence = problem["msg"].removeprefix("Value error, ")
        raise ValueError(f"input `{where}`: {sentence}" if where else sentence) from None
