"""What `skill.toml` may say.

Rule: a mistake is found when the manifest is loaded, and told by key; nothing here looks at a step.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.spec import Duration, EnvName, SkillName, Step, Text

RESERVED_PREFIX = "ORCHESTRATOR_"
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.]*)\}")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "json": (object,),
}
# What the http runner understands, and what a manifest declares each as; skills/http_request.py says the rest.
HTTP_INPUTS = {
    **dict.fromkeys(("url", "method", "body", "body_file", "save"), "string"),
    **dict.fromkeys(("query", "headers"), "object"),
    **dict.fromkeys(("json", "expect_status"), "json"),
    "max_bytes": "integer",
}
# What the model runner understands; skills/model_request.py says the rest.
MODEL_INPUTS = {
    **dict.fromkeys(("prompt", "system", "description", "output_file", "kind"), "string"),
    **dict.fromkeys(("context_files", "constraints", "test_command", "models"), "json"),
    "json_schema": "object",
}
_RUNNERS_INPUTS = {"http": (HTTP_INPUTS, "url"), "model": (MODEL_INPUTS, "")}
"""What a runner in the daemon knows, and the input without which it can do nothing."""
# What only a program can use; a runner in the daemon has none.
_OF_PROGRAMS = (
    "argv", "options", "option_values", "min_args", "max_args", "env", "pass_env", "requires", "install", "network", "write", "hide", "show",
)  # fmt: skip


class Input(BaseModel):
    """One named input: a value that a step gives in its `with`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["string", "integer", "number", "boolean", "object", "json"] = "string"
    required: bool = False
    default: Any = None
    choices: tuple[str | int | float | bool, ...] = ()
    description: str = ""

    @model_validator(mode="after")
    def _default_fits(self) -> Input:
        if self.default is not None and self.required:
            raise ValueError("is required, so its default would never be used: remove one of the two")
        for value in (self.default, *self.choices):
            if value is not None and not self.accepts(value):
                raise ValueError(f"{value!r} is not of type {self.type}")
        if self.default is not None and self.choices and self.default not in self.choices:
            raise ValueError(f"the default {self.default!r} is not one of the choices")
        return self

    def accepts(self, value: object) -> bool:
        """Whether a value is of the declared type. A boolean is not a number here; "json" is any value."""
        if isinstance(value, bool):
            return self.type in ("boolean", "json")
        return isinstance(value, _TYPES[self.type])


class Manifest(BaseModel):
    """What `skill.toml` may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: SkillName = Field(description="The folder's name.")
    description: str = Field(min_length=1, description="One line for people.")
    runner: Literal["process", "http", "model"] = "process"
    argv: tuple[Text, ...] = Field((), description="The program and its arguments, with placeholders.")
    min_args: int = Field(0, ge=0)
    max_args: int | None = Field(None, ge=0)
    options: dict[str, tuple[Text, ...]] = Field(
        default_factory=dict, description="Put behind the first of a step's arguments that is no option, by that word."
    )
    option_values: tuple[Text, ...] = Field(
        (), description="Options before that word which take the next argument as their value."
    )
    inputs: dict[EnvName, Input] = Field(default_factory=dict)
    env: dict[EnvName, Text] = Field(default_factory=dict, description="Fixed environment of the skill.")
    pass_env: tuple[EnvName, ...] = Field((), description="Variables let through from the daemon's environment.")
    requires: tuple[str, ...] = Field((), description="Programs that `doctor` looks for.")
    install: str = Field("", description="How to get them.")
    example: dict[str, Any] = Field(default_factory=dict, description="A step, as a spec would say it.")
    timeout: Duration | None = Field(None, description="For steps that name none.")
    concurrency: int | None = Field(None, ge=1, description="So many tasks that list the skill run at once, at most.")
    network: bool = Field(True, description="False: no network inside the sandbox, not even this host's own.")
    write: tuple[Text, ...] = Field((), description="Paths beside the workspace that may be written.")
    hide: tuple[Text, ...] = Field((), description="Paths that look empty.")
    show: tuple[Text, ...] = Field((), description="Paths that are seen although they are hidden by default.")

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if reserved := [name for name in (*self.env, *self.pass_env) if name.startswith(RESERVED_PREFIX)]:
            raise ValueError(f"env: {reserved[0]} belongs to the orchestrator; choose another name")
        if self.max_args is not None and self.max_args < self.min_args:
            raise ValueError(f"max_args is {self.max_args}, less than min_args, which is {self.min_args}")
        if self.runner == "process":
            _check_argv(self)
        else:
            _check_inputs(self)
        for key in ("write", "hide", "show"):
            for path in getattr(self, key):
                _check_path(key, path)
        if self.example:
            example = Step.model_validate_json(orjson.dumps(self.example))
            if example.skill != self.name:
                raise ValueError(f"example.skill is `{example.skill}`, but this skill is `{self.name}`")
        return self


def _check_inputs(manifest: Manifest) -> None:
    """Those of a runner that starts no program."""
    runner = manifest.runner
    known, needed = _RUNNERS_INPUTS[runner]
    if useless := [key for key in _OF_PROGRAMS if key in manifest.model_fields_set]:
        raise ValueError(f"{useless[0]}: is for skills that start a program, and the {runner} runner starts none")
    for name, spec in manifest.inputs.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"it knows {', '.join(known)}"
            raise ValueError(f"inputs: the {runner} runner has no input `{name}`: {hint}")
        if spec.type != known[name]:
            raise ValueError(f"inputs.{name}: its type must be {known[name]}, not {spec.type}")
    if needed and needed not in manifest.inputs:
        raise ValueError(f"inputs: `{needed}` is missing, and nothing can be asked for without it")


def _check_path(key: str, path: str) -> None:
    """A path of the sandbox: `/…`, `~/…` or with a placeholder at its head."""
    known = ("skill", "workspace")
    for name in filter(None, PLACEHOLDER.findall(path)):
        if name not in known and not re.fullmatch(r"env\.[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{key}: {path!r} names {{{name}}}; there are {{workspace}}, {{skill}} and {{env.NAME}}")
    if not path.startswith(("/", "~/", "{workspace}", "{skill}", "{env.")):
        raise ValueError(f"{key}: {path!r} must begin with /, ~/, {{workspace}}, {{skill}} or {{env.NAME}}")


def _check_argv(manifest: Manifest) -> None:
    if not manifest.argv:
        raise ValueError("argv: is missing; it names the program and its arguments")
    for name, spec in manifest.inputs.items():
        if spec.type in ("object", "json"):
            raise ValueError(f"inputs.{name}: a program takes text; its type can't be {spec.type}")
    known = {"args", "skill", *(f"input.{name}" for name in manifest.inputs)}
    used: set[str] = set()
    for item in manifest.argv:
        for name in filter(None, PLACEHOLDER.findall(item)):
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), 1, 0.4)
                hint = f"; did you mean {{{near[0]}}}?" if near else "; write {{ and }} for braces themselves"
                raise ValueError(f"argv: {item!r} names {{{name}}}, which is not known{hint}")
            if name == "args" and item != "{args}":
                raise ValueError(f"argv: {{args}} must be an item by itself, not a part of {item!r}")
            used.add(name)
    if unused := sorted(known - used - {"args", "skill"}):
        raise ValueError(f"inputs: `{unused[0].removeprefix('input.')}` is declared but no item of argv uses it")
    if manifest.argv.count("{args}") > 1:
        raise ValueError("argv: {args} may stand only once")
    program = manifest.argv[0]
    if not program or "{args}" in program or "{input." in program:
        raise ValueError("argv: the program (the first item) must be fixed, not an argument or an input")
    if "/" in program and not program.startswith(("/", "{skill}/")):
        raise ValueError(f"argv: the program {program!r} must be a name, an absolute path, or begin with {{skill}}/")
