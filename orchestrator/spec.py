"""What people write: frozen models of a task and its parts.

The only rules here are those a field can check by itself; what needs other files (unknown skills, the gate)
is checked by `intake` and `policy`. Field descriptions are the documentation: `orchestrator schema` and
`docs/spec.md` print them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
SKILL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
POINTER_PATTERN = r"^(/([^~/]|~[01])*)*$"
MODEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
AUTHOR_PATTERN = r"^[^<>\n]*[^<>\s] <[^<>\s]+>$"
DEFAULT_STEP_TIMEOUT_MS = 120_000
MAX_OUTPUTS = 100
"""A step names no more values for others."""
MAX_CONTEXT_FILES = 50
MAX_CONSTRAINTS = 50
"""What a model is shown, and told to keep to: more would only be cut."""

Priority = Literal["low", "medium", "high", "urgent"]
LEVEL = {"low": 0, "medium": 1, "high": 2, "urgent": 3}
Risk = Literal["low", "medium", "high"]
Level = Literal["debug", "info", "warn", "warning", "error", "critical"]
NotifyOn = Literal[
    "ok", "failed", "timed_out", "blocked", "denied", "invalid", "cancelled", "interrupted", "over_budget", "skipped",
    "not_ok",
]  # fmt: skip

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATION_LENGTH = 64  # longer ones are not meant as durations, and would cost quadratic time to search
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_OBEYED = ("PATH", "HOME", "TMPDIR", "IFS", "LOCPATH", "NLSPATH", "RES_OPTIONS")
_OBEYED_PREFIXES = ("LD_", "GLIBC_", "GCONV_", "MALLOC_", "LIBC_", "DYLD_", "ORCHESTRATOR_")
_MAX_MS = 366 * _UNIT_MS["d"]


def parse_duration(value: object) -> object:
    """A duration in milliseconds: an integer as it is, a string as `"90s"`, `"1h30m"`, `"250ms"`.

    Raises ValueError with the accepted forms; anything of another type is left for pydantic to refuse.
    """
    if isinstance(value, str):
        parts = _DURATION.findall(value) if len(value) <= _DURATION_LENGTH else []
        if not parts or "".join(number + unit for number, unit in parts) != value.replace(" ", ""):
            raise ValueError('not a duration: write milliseconds as a number, or "500ms", "30s", "2m", "1h30m"')
        value = round(sum(float(number) * _UNIT_MS[unit] for number, unit in parts))
    if isinstance(value, int) and not isinstance(value, bool) and not 0 < value <= _MAX_MS:
        raise ValueError("a duration must be more than 0 and at most 366 days")
    return value


def moment_of(text: str) -> float:
    """The moment that an ISO 8601 time means, in seconds since the epoch; without an offset, in this machine's zone.

    Raises ValueError with the accepted forms.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        forms = '"2026-12-01T07:00:00Z", "2026-12-01T07:00+01:00", or without an offset for this machine\'s own time'
        raise ValueError(f"not an ISO 8601 time: write {forms}") from error


def _moment(text: str) -> str:
    moment_of(text)
    return text


def _no_nul(value: object) -> object:
    if isinstance(value, str) and "\0" in value:
        raise ValueError("contains a NUL character, which no program can receive")
    return value


def inside(value: str) -> str:
    """A path in the workspace. What links make of it is found out when it is opened. Raises ValueError."""
    if not value or value.startswith(("/", "~")) or {"", ".", ".."} & set(value.split("/")):
        raise ValueError(f"{value!r} must be a plain relative path in the workspace, without `..`")
    return value


def secret_name(value: str) -> str:
    """The name, if it can be that of a secret. Raises ValueError: what the C library or a shell obeys is no place for a
    value that nobody sees."""
    if value in _OBEYED or value.startswith(_OBEYED_PREFIXES):
        raise ValueError(f"`{value}` can't be the name of a secret, because programs obey it: choose another")
    return value


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MAX_MS},
                {
                    "type": "string",
                    "maxLength": _DURATION_LENGTH,
                    "pattern": r"^( *[0-9]+(\.[0-9]+)?(ms|s|m|h|d))+ *$",
                },
            ]
        }
    ),
]
Text = Annotated[str, BeforeValidator(_no_nul)]
Moment = Annotated[
    str, AfterValidator(_moment), WithJsonSchema({"type": "string", "maxLength": 40, "pattern": "^[0-9]{4}-?[0-9W]"})
]
Sentence = Annotated[Text, StringConstraints(min_length=1)]
Title = Annotated[Text, StringConstraints(min_length=1, max_length=500)]
Inside = Annotated[Text, AfterValidator(inside)]
Glob = Annotated[Text, StringConstraints(min_length=1)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
EnvName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Pointer = Annotated[str, StringConstraints(pattern=POINTER_PATTERN)]
SecretName = Annotated[EnvName, AfterValidator(secret_name)]
SkillName = Annotated[str, StringConstraints(pattern=SKILL_PATTERN)]
ModelName = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]
CodeKind = Literal["code", "test", "refactor", "doc"]
"""What a model is asked to write: each kind has a prompt of its own."""


class Part(BaseModel):
    """Base of all parts of a spec: frozen, strict types, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Retry(Part):
    """When, and how often, what has failed is attempted again."""

    limit: int = Field(ge=0, le=100, description="How many attempts there may be after the first one.")
    delay: Duration = Field(1_000, description="Wait before the first retry.")
    backoff: float = Field(2.0, ge=1, le=10, description="Factor from one wait to the next.")
    max_delay: Duration = Field(300_000, description="No wait is longer than this.")
    jitter: bool = Field(True, description="Draw each wait at random between 0 and its full length.")
    on: tuple[int | Text, ...] = Field(
        (), description="Exit codes and kinds of failure after which there is another attempt; any failure when empty."
    )


class TaskRetry(Retry):
    """The same for a whole task."""

    from_: Literal["failed", "start"] = Field(
        "failed", alias="from", description="Where the next run begins: at what failed, or at the first step again."
    )


class Schedule(Part):
    """A recurring task."""

    cron: Text = Field(description="Five cron fields.")
    timezone: Text | None = Field(None, description="IANA name; the machine's own zone by default.")
    overlap: Literal["skip", "queue"] = Field("skip", description="What to do while the last firing runs.")
    catch_up: Literal["none", "latest", "all"] = Field("latest", description="What to do about missed firings.")


class Commit(Part):
    """How what a task has changed is committed."""

    message: Text | None = Field(None, description="Default: the task's title, and its id.")
    author: Annotated[Text, StringConstraints(pattern=AUTHOR_PATTERN)] | None = Field(
        None, description="`Name <mail>`; default: whoever git's configuration says."
    )


class Worktree(Part):
    """A git worktree of the task's own."""

    repo: Text = Field(description="The repository's folder; relative to `workspace.root` of the config.")
    base: Text = Field("HEAD", description="The branch, tag or commit to start from.")
    branch: Text | None = Field(None, description="A new branch; default: `orchestrator/<id>-<run>`.")
    keep: Literal["never", "on_failure", "always"] = Field(
        "on_failure", description="Whether it stays when nothing would be lost; with work in it, it always does."
    )
    copy_: tuple[Text, ...] = Field(
        (), alias="copy", description="Globs of untracked files of the repository that it needs."
    )
    setup: tuple[Text | tuple[Text, ...], ...] = Field(
        (), description="Bash scripts, or lists of skill and arguments, that make it ready."
    )
    commit: bool | Commit = Field(False, description="Commit what changed, if the task ends ok.")


class Workspace(Part):
    """Where the steps run."""

    dir: Text | None = Field(None, description="A folder; relative to `workspace.root` of the config.")
    worktree: Worktree | None = None


class MadeFrom(Part):
    """The template that a task was made from: what its steps were then."""

    template: Annotated[str, StringConstraints(pattern=SKILL_PATTERN)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Budget(Part):
    """Limits for the whole task."""

    tokens: int | None = Field(None, ge=1)
    usd: float | None = Field(None, gt=0)
    duration: Duration | None = None


class Memory(Part):
    """What to remember when the task ends."""

    kind: Text = Field("solution", description="A word to group memories by: solution, fact, incident, …")
    text: Text = Field(description="The sentence to remember.")


class Notify(Part):
    """Whom to tell how it ended."""

    channels: tuple[Text, ...] = Field((), description="Names of channels in the config.")
    level: Level = Field("info", description="How loudly; where it is not given, as it ended.")
    on: tuple[NotifyOn, ...] = Field((), description="Statuses to tell about; `not_ok` is all but `ok`. Empty: all.")


class FileContains(Part):
    path: Text
    text: Text


class JsonEquals(Part):
    path: Text = Field(description="A JSON file in the workspace.")
    pointer: Text = Field(description="JSON pointer (RFC 6901), for example /status.")
    equals: Any = Field(description="The value that must be there.")


class ExitCode(Part):
    step: int | Text = Field(description="Index from 0, or the step's id.")
    equals: int


class Check(Part):
    """One acceptance check: exactly one of these keys."""

    stdout_contains: Text | None = Field(None, description="Some step printed this text.")
    stdout_matches: Text | None = Field(None, description="Some step's output matches this regular expression.")
    file_exists: Text | None = Field(None, description="A file or glob in the workspace exists.")
    file_updated: Text | None = Field(None, description="A file or glob changed since the task began.")
    file_contains: FileContains | None = None
    json_: JsonEquals | None = Field(None, alias="json", description="A value in a JSON file.")
    command: Text | tuple[Text, ...] | None = Field(
        None, description="A bash script, or a list of skill and arguments, that must exit 0."
    )
    exit_code: ExitCode | None = None


class Step(Part):
    """One call of one skill."""

    skill: SkillName = Field(description="Name of a folder in skills/; must be listed in the task's `skills`.")
    args: tuple[Text, ...] = Field((), description="Arguments, each one string; never re-joined into a shell line.")
    with_: dict[EnvName, Any] = Field(
        default_factory=dict, alias="with", description="Named inputs, for skills that declare them."
    )
    id: Id | None = Field(None, description="A name for this step; unique in the task.")
    timeout: Duration = Field(
        DEFAULT_STEP_TIMEOUT_MS, description="Milliseconds, or a duration such as `30s`. Default 120000."
    )
    optional: bool = Field(False, description="A failure of this step is a warning, not the end of the task.")
    env: dict[EnvName, Text] = Field(default_factory=dict, description="Environment of this step alone.")
    retry: Retry | None = Field(None, description="Attempt the step again when it fails.")
    outputs: dict[EnvName, Pointer] = Field(
        default_factory=dict,
        max_length=MAX_OUTPUTS,
        description="Names for values in what it prints: JSON pointers (RFC 6901) into its standard output.",
    )
    idempotent: bool = Field(False, description="May be run again after a crash.")
    if_: Text | None = Field(None, alias="if", description="Run this step only if the expression is true.")


class Task(Part):
    """A task: what a person or an agent drops into queue/inbox/."""

    id: Id = Field(description="Letters, digits, `.`, `_`, `-`; names the task and its runs.")
    title: Title = Field(description="One line for people.")
    skills: tuple[SkillName, ...] = Field(description="Every skill that a step uses.")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=1_000, description="Run one after another.")
    priority: Priority = Field("medium", description="Urgent goes first, and needs approval.")
    risk: Risk = Field("medium", description="The submitter's word; it may raise the gate's score, never lower it.")
    acceptance: tuple[Text | Check, ...] = Field((), description="What must be true at the end.")
    memory: Memory | None = None
    notify: Notify | None = None
    labels: dict[Text, Text] = Field(default_factory=dict, description="Free words to filter lists by.")
    env: dict[EnvName, Text] = Field(default_factory=dict, description="Environment of every step.")
    timeout: Duration | None = Field(None, description="For the whole task.")
    workspace: Workspace | None = None
    parent: Id | None = Field(None, description="The task that this one is a part of; recorded.")
    made_from: MadeFrom | None = Field(
        None, description="The template that it was made from; written by the orchestrator."
    )
    needs: tuple[Id, ...] = Field((), description="Tasks that must end first.")
    when: Literal["success", "failure", "always"] = Field("success", description="How the needs must end.")
    retry: TaskRetry | None = Field(None, description="Run the task again when it fails.")
    schedule: Text | Schedule | None = Field(None, description="A cron string, or a mapping.")
    vars: dict[EnvName, Any] = Field(default_factory=dict, description="Values for `${{ vars.x }}`.")
    secrets: tuple[SecretName, ...] = Field((), description="Names of secrets that the steps get as environment.")
    inputs: tuple[Glob, ...] = Field(
        (), description="Files or globs in the workspace that must exist before the first step."
    )
    outputs: tuple[Glob, ...] = Field(
        (), description="Files or globs in the workspace that must exist after the last step."
    )
    resources: dict[Id, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Slots of pools, and locks, that it holds while it runs."
    )
    not_before: Moment | None = Field(None, description="An ISO 8601 time; do not start earlier.")
    budget: Budget | None = None
    idempotency_key: Text | None = Field(None, description="A second task with the same key is not run.")
    on_interrupt: Literal["fail", "retry"] = Field("fail", description="What a crash in mid-step leads to.")
