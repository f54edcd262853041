"""Skills are data: `skills/<name>/skill.toml` says what a step of that skill runs.

A user adds one by adding a folder, without Python. Rule: arguments stay apart. Every argument of a step becomes
one argument of the program; nothing is joined into a line for a shell, and nothing is looked up at run time but
the program on PATH. Manifests are compiled once at load, because a step is bound on the hot path.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import FatalError, TaskError
from orchestrator.outcome import Call
from orchestrator.spec import Duration, EnvName, SkillName, Step, Task, Text

MANIFEST = "skill.toml"
RESERVED_PREFIX = "ORCHESTRATOR_"
TASK_ID = "ORCHESTRATOR_TASK_ID"

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.]*)\}")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class Input(BaseModel):
    """One named input: a value that a step gives in its `with`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["string", "integer", "number", "boolean"] = "string"
    required: bool = False
    default: str | int | float | bool | None = None
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
        """Whether a value is of the declared type. A boolean is not a number here."""
        return isinstance(value, _TYPES[self.type]) and (self.type == "boolean") == isinstance(value, bool)


class Manifest(BaseModel):
    """What `skill.toml` may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: SkillName = Field(description="The folder's name.")
    description: str = Field(min_length=1, description="One line for people.")
    runner: Literal["process"] = "process"
    argv: tuple[Text, ...] = Field(min_length=1, description="The program and its arguments, with placeholders.")
    min_args: int = Field(0, ge=0)
    max_args: int | None = Field(None, ge=0)
    inputs: dict[EnvName, Input] = Field(default_factory=dict)
    env: dict[EnvName, Text] = Field(default_factory=dict, description="Fixed environment of the skill.")
    pass_env: tuple[EnvName, ...] = Field((), description="Variables let through from the daemon's environment.")
    requires: tuple[str, ...] = Field((), description="Programs that `doctor` looks for.")
    install: str = Field("", description="How to get them.")
    example: dict[str, Any] = Field(default_factory=dict, description="A step, as a spec would say it.")
    timeout: Duration | None = Field(None, description="For steps that name none.")

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if reserved := [name for name in (*self.env, *self.pass_env) if name.startswith(RESERVED_PREFIX)]:
            raise ValueError(f"env: {reserved[0]} belongs to the orchestrator; choose another name")
        if self.max_args is not None and self.max_args < self.min_args:
            raise ValueError(f"max_args is {self.max_args}, less than min_args, which is {self.min_args}")
        _check_argv(self)
        if self.example:
            example = Step.model_validate_json(orjson.dumps(self.example))
            if example.skill != self.name:
                raise ValueError(f"example.skill is `{example.skill}`, but this skill is `{self.name}`")
        return self


def _check_argv(manifest: Manifest) -> None:
    known = {"args", "skill", *(f"input.{name}" for name in manifest.inputs)}
    used: set[str] = set()
    for item in manifest.argv:
        for name in filter(None, _PLACEHOLDER.findall(item)):
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


# One item of argv, compiled: takes a step's inputs as text, answers the arguments that the item becomes.
_Fill = Callable[[Mapping[str, str]], str | None]


class Skill:
    """A manifest that is ready to be bound. `folder` is absolute."""

    __slots__ = ("_after", "_before", "_fixed", "_takes_args", "folder", "manifest", "program")

    def __init__(self, manifest: Manifest, folder: str) -> None:
        self.manifest, self.folder = manifest, folder
        self._takes_args = "{args}" in manifest.argv
        at = manifest.argv.index("{args}") if self._takes_args else len(manifest.argv)
        self._before = [_compile(item, folder) for item in manifest.argv[:at]]
        self._after = [_compile(item, folder) for item in manifest.argv[at + 1 :]]
        self._fixed: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        if not manifest.inputs:
            self._fixed = (_fill(self._before, {}), _fill(self._after, {}))
        self.program = self._before[0]({}) or ""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def description(self) -> str:
        return self.manifest.description

    def expand(self, step: Step) -> tuple[str, ...]:
        """The whole argument vector of a step, the program as the manifest names it.

        Raises TaskError("invalid") where the step's arguments or inputs are not what the manifest asks for.
        """
        self._check_args(step)
        if self._fixed and not step.with_:
            return (*self._fixed[0], *step.args, *self._fixed[1])
        values = self._inputs(step)
        return (*_fill(self._before, values), *step.args, *_fill(self._after, values))

    def _check_args(self, step: Step) -> None:
        count, manifest = len(step.args), self.manifest
        if count and not self._takes_args:
            raise TaskError("invalid", f"skill `{self.name}` takes no args; give its inputs in `with`")
        if count < manifest.min_args:
            raise TaskError("invalid", f"skill `{self.name}` needs at least {manifest.min_args} args, not {count}")
        if manifest.max_args is not None and count > manifest.max_args:
            raise TaskError("invalid", f"skill `{self.name}` takes at most {manifest.max_args} args, not {count}")

    def _inputs(self, step: Step) -> dict[str, str]:
        declared = self.manifest.inputs
        for name in step.with_:
            if name not in declared:
                near = difflib.get_close_matches(name, declared, 1)
                hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(declared) or 'no inputs'}"
                raise TaskError("invalid", f"skill `{self.name}` has no input `{name}`: {hint}")
        return {
            name: text
            for name, spec in declared.items()
            if (text := self._input(name, spec, step.with_.get(name))) is not None
        }

    def _input(self, name: str, spec: Input, value: object) -> str | None:
        if value is None:
            if spec.required:
                raise TaskError("invalid", f"skill `{self.name}` needs the input `{name}` ({spec.type}) in `with`")
            value = spec.default
        elif not spec.accepts(value):
            raise TaskError("invalid", f"skill `{self.name}`: input `{name}` must be of type {spec.type}: {value!r}")
        elif spec.choices and value not in spec.choices:
            choices = ", ".join(map(str, spec.choices))
            raise TaskError("invalid", f"skill `{self.name}`: input `{name}` must be one of {choices}: {value!r}")
        if value is None:
            return None
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if "\0" in text:
            raise TaskError("invalid", f"skill `{self.name}`: input `{name}` contains a NUL character")
        return text


def _fill(fills: list[_Fill], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(text for fill in fills if (text := fill(values)) is not None)


def _compile(item: str, folder: str) -> _Fill:
    """One item of argv; answers None for an item with an input that was not given."""
    inputs = [name for name in _PLACEHOLDER.findall(item) if name.startswith("input.")]
    if not inputs:
        fixed = _PLACEHOLDER.sub(lambda found: _fixed(found, folder), item)
        return lambda _values: fixed

    def fill(values: Mapping[str, str]) -> str | None:
        if any(name.removeprefix("input.") not in values for name in inputs):
            return None
        return _PLACEHOLDER.sub(
            lambda found: (
                values[name.removeprefix("input.")]
                if (name := found.group(1)) and name.startswith("input.")
                else _fixed(found, folder)
            ),
            item,
        )

    return fill


def _fixed(found: re.Match[str], folder: str) -> str:
    return folder if found.group(1) == "skill" else found.group()[0]


class Skills:
    """The skills of a home, by name. A collection of their names; `digest` is a SHA-256 over the manifests."""

    __slots__ = ("_skills", "digest")

    def __init__(self, skills: Mapping[str, Skill], digest: str = "") -> None:
        self._skills = dict(sorted(skills.items()))
        self.digest = digest

    def names(self) -> frozenset[str]:
        return frozenset(self._skills)

    def get(self, name: str) -> Skill:
        """The skill of that name. Raises TaskError("invalid") that names the nearest one."""
        try:
            return self._skills[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._skills, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(self._skills) or 'none'}"
            raise TaskError("invalid", f"there is no skill `{name}` in skills/: {hint}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._skills)

    def __len__(self) -> int:
        return len(self._skills)

    def __contains__(self, name: object) -> bool:
        return name in self._skills


def load_skills(folder: str) -> Skills:
    """Read every `skills/<name>/skill.toml`. Folders whose names begin with `.` or `_` are left alone.

    Raises FatalError that lists every mistake in every manifest by file and key.
    """
    folder = os.path.abspath(folder)
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] not in "._")
    except OSError as error:
        raise FatalError(
            f"{folder}: the skills folder cannot be read ({error.strerror}); `orchestrator init` makes one",
            exit_code=2,
        ) from error
    digest, problems, skills = hashlib.sha256(), [], {}
    for name in names:
        file = f"{folder}/{name}/{MANIFEST}"
        try:
            content, manifest = _read(file)
        except ValueError as error:
            problems += [f"{file}: {line}" for line in str(error).splitlines()]
            continue
        if manifest.name != name:
            problems.append(f"{file}: name: is `{manifest.name}`, but must be the folder's name, `{name}`")
        digest.update(b"%s:%d:" % (name.encode(), len(content)) + content)
        skills[name] = Skill(manifest, f"{folder}/{name}")
    if problems:
        lines = "\n".join(f"  {line}" for line in problems)
        raise FatalError(
            f"the skills are not valid; correct these files, or move their folders away:\n{lines}", exit_code=2
        )
    return Skills(skills, digest.hexdigest())


def _read(file: str) -> tuple[bytes, Manifest]:
    """Raises ValueError with one line for each mistake."""
    try:
        with open(file, "rb") as handle:
            content = handle.read()
        # By way of JSON, because strict mode takes a list for a tuple only from there.
        return content, Manifest.model_validate_json(orjson.dumps(tomllib.loads(content.decode())))
    except FileNotFoundError:
        raise ValueError(f"is missing; a skill's folder holds a {MANIFEST}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is not valid TOML: {error}") from error
    except ValidationError as error:
        raise ValueError("\n".join(map(_problem, error.errors()))) from error
    except TypeError as error:
        raise ValueError(f"holds a value that a manifest cannot have: {error}") from error


def _problem(item: Any) -> str:
    key = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), (*Manifest.model_fields, *Input.model_fields), 1)
        return f"{key}: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
    if item["type"] == "missing":
        return f"{key}: is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


@dataclass(frozen=True, slots=True)
class BindContext:
    """What a step is bound in.

    `workspace` is an absolute folder; `environ` the part of the daemon's environment that every step gets;
    `daemon_env` the whole of it, from which a skill's `pass_env` takes what it names; `path` the PATH of steps;
    `output_limit` is in bytes.
    """

    workspace: str
    environ: Mapping[str, str]
    path: str
    output_limit: int
    daemon_env: Mapping[str, str] = field(default_factory=lambda: os.environ)


def bind(step: Step, index: int, task: Task, skills: Skills, context: BindContext) -> Call:
    """Resolve a step into a Call. Raises TaskError: "invalid" for what the spec got wrong, "skill_unavailable"
    where the skill's program is not on PATH."""
    skill = skills.get(step.skill)
    manifest = skill.manifest
    argv = skill.expand(step)
    env = {**context.environ, "PATH": context.path}
    for name in manifest.pass_env:
        if (value := context.daemon_env.get(name)) is not None:
            env[name] = value
    env.update(manifest.env)
    for own in (task.env, step.env):
        if own:
            _refuse_reserved(own)
            env.update(own)
    env[TASK_ID] = task.id
    program = _locate(skill.name, argv[0], env["PATH"], manifest.install)
    timeout = step.timeout
    if manifest.timeout is not None and "timeout" not in step.model_fields_set:
        timeout = manifest.timeout
    return Call(
        index, step.skill, manifest.runner, step.args, (program, *argv[1:]), env, context.workspace, timeout,
        step.id, step.optional, context.output_limit,
    )  # fmt: skip


def _refuse_reserved(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith(RESERVED_PREFIX):
            raise TaskError("invalid", f"env sets {name}, but names that begin with {RESERVED_PREFIX} are reserved")


@functools.lru_cache(maxsize=256)
def _locate(skill: str, program: str, path: str, install: str) -> str:
    """The absolute path of a program. Relative entries of PATH are passed over: the daemon's folder is not the
    step's. What is missing is not cached, so that a program installed later is found."""
    entries = os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))
    # An empty search path would make `which` fall back to the daemon's own PATH.
    found = shutil.which(program, path=entries) if entries or os.path.isabs(program) else None
    if found is None:
        hint = f" To get it: {install}" if install else ""
        where = "which is not an executable file" if os.path.isabs(program) else f"which is not on PATH ({entries})."
        raise TaskError("skill_unavailable", f"skill `{skill}` needs the program `{program}`, {where}{hint}")
    return found
