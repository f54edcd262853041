"""What we conclude: frozen facts about a call, a step and a task.

Plain dataclasses, because they are made on the hot path by us alone and need no validation; orjson writes
them as they stand, so the field order here is the order in `result.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.masking import Masker
from orchestrator.plan.ends import UNNEEDED

Verdict = Literal["allow", "needs_approval", "deny"]
Status = Literal[
    "ok",
    "failed",
    "timed_out",
    "blocked",
    "denied",
    "invalid",
    "cancelled",
    "interrupted",
    "over_budget",
    "skipped",
]


HoldKind = Literal["needs", "not_before", "retry", "resources", "paused"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a waiting task may not start yet; `why` is for people. `until` is the moment at which it ends by itself, in
    seconds since the epoch; `ids` are the tasks that it waits for."""

    kind: HoldKind
    why: str
    until: float | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """One line of the gate's ledger."""

    rule: str
    points: int
    why: str
    effect: Literal["points", "approve", "deny"] = "points"
    matched: str = ""
    suggestion: str = ""


JUDGED_AGAIN = "judged again before it started"
"""In the reason of a task that the gate has ended at a step, after others had run."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer about one call, or about a whole task. `score` is 0–100; `files` are the script files whose
    contents it is about: each one's absolute path and SHA-256."""

    verdict: Verdict
    score: int
    reasons: tuple[Reason, ...] = ()
    approved_by: str = ""
    files: tuple[tuple[str, str], ...] = ()

    @property
    def may_run(self) -> bool:
        return self.verdict == "allow" or (self.verdict == "needs_approval" and bool(self.approved_by))


@dataclass(frozen=True, slots=True)
class Access:
    """What a skill's calls may reach inside a sandbox. `write` are folders and files beside the workspace that may be
    written, `hide` such as look empty, `show` such as are seen although they are hidden by default; all are absolute.
    `network` False takes every network away, the host's own included."""

    write: tuple[str, ...] = ()
    network: bool = True
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Confinement:
    """How a call is started inside a sandbox: `argv` goes before its own. The program at its head tells on the
    descriptor `status_fd`, in JSON, which process holds the tree inside (`child-pid`) and, where the call's own program
    was started at all, how that ended (`exit-code`). `restrict` is called in a thread of its own that then starts the
    program and ends; `within` once in each of the threads that start such programs, which live on. `absent` are paths
    that the call must not leave behind: a file there is removed, and it failed."""

    level: Literal["bwrap", "landlock"]
    argv: tuple[str, ...] = ()
    status_fd: int = -1
    restrict: Callable[[], None] | None = None
    within: Callable[[], None] | None = None
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A step that is bound to its skill: everything that will be run, nothing left to resolve.

    `argv` starts with the program's absolute path, or with the runner's name where none is started; `args` are the
    step's own, or what its inputs come to. `env` is the complete environment; `given` is the part of it that the
    spec set. `cwd` is absolute. `timeout_ms` is milliseconds. `inputs` are the step's named inputs, for runners that
    start no program. `confinement` is set right before the call is started, and so are secrets in `env`, and `mask`,
    which takes them out of its output. `beside` are calls that its runner may start while it runs: each is judged with
    it, and again right before it starts.
    """

    index: int
    skill: str
    runner: str
    args: tuple[str, ...]
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    timeout_ms: int
    step_id: str | None = None
    optional: bool = False
    output_limit: int = 10 * 1024 * 1024
    given: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    access: Access = Access()
    confinement: Confinement | None = None
    mask: Masker | None = None
    beside: tuple[Call, ...] = ()


StepStatus = Literal["ok", "failed", "timed_out", "cancelled", "interrupted", "not_started", "skipped"]
Failure = Literal[
    "timeout",
    "exit_code",
    "signal",
    "not_started",
    "connection_failed",
    "server_error",
    "bad_answer",
    "bad_outputs",
    "model_unavailable",
    "escalated",
    "inputs_missing",
    "outputs_missing",
    "acceptance_failed",
]
"""What a failure is called, in results and in `retry.on`: the closed set. docs/retries.md says what each one is."""
FAILURES_BETWEEN_STEPS: tuple[Failure, ...] = ("inputs_missing", "outputs_missing", "acceptance_failed")
"""Those of a task in which no step failed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a step after which another one was made. `wait_ms` is what lay between the two; None for one that
    the daemon's end cut off. The paths are relative to the run's folder."""

    attempt: int
    status: StepStatus
    code: int | None
    failure: Failure | None = None
    error: str | None = None
    duration_ms: float = 0.0
    wait_ms: float | None = None
    cpu_ms: float = 0.0
    stdout_path: str | None = None
    stderr_path: str | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step ended. `code` is the exit code, negative for a signal, None where there was none.

    `stdout` and `stderr` are tails of at most 4 KiB; the whole output is in the files named by the paths
    (relative to the run's folder; None where nothing was printed). `outputs` are the values that it named for others.
    `run` is the earlier run that it was taken from. `attempts` is the number of the attempt that all this is about;
    `earlier` are those before it. `report` is what its runner tells beside all that.
    """

    step: int
    skill: str
    args: tuple[str, ...]
    status: StepStatus
    code: int | None
    stdout: str = ""
    stderr: str = ""
    duration_ms: float = 0.0
    attempts: int = 1
    truncated: bool = False
    optional: bool = False
    id: str | None = None
    stdout_path: str | None = None
    stderr_path: str | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    cpu_ms: float = 0.0
    max_rss_kb: int | None = None
    error: str | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    run: int | None = None
    failure: Failure | None = None
    earlier: tuple[Attempt, ...] = ()
    report: dict[str, Any] | None = None

    @property
    def code_report(self) -> dict[str, Any] | None:
        """The report of a code task: that of a step which only asked a question speaks of no file."""
        return self.report if self.report is not None and "file" in self.report else None


def outputs_of(results: Iterable[StepResult]) -> dict[str, str]:
    """The values that steps named for others; of two of one name the later."""
    return {name: value for result in results for name, value in result.outputs.items()}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One acceptance rule. `ok` is None where no rule understood the sentence: never counted as passed."""

    rule: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """The next attempt at a task that failed: its number, out of how many, and when it is due (UTC, ISO 8601). It
    begins at `step`, counted from 0, where the number of steps stands for the checks. `wait_ms` was drawn."""

    attempt: int
    of: int
    at: str
    wait_ms: float
    step: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a task ended; written as `result.json`. `outputs` are those of all steps, of two of one name the
    later; `files` are those that the task was to make; `tasks` are the ids of those that a backlog held; `notes` is
    what its writer should know beside. `continues` is the earlier run whose first steps it took over. `attempt` is the
    number of this attempt at the task; `again` is set where another one follows by itself. Times are UTC in ISO 8601,
    durations are monotonic milliseconds, without what a crash left unknown."""

    id: str | None
    run: int
    name: str
    status: Status
    reason: str | None
    title: str
    results: tuple[StepResult, ...] = ()
    acceptance: tuple[CheckResult, ...] = ()
    policy: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    usage: dict[str, Any] = field(default_factory=dict)
    worktree: dict[str, Any] | None = None
    errors: tuple[dict[str, Any], ...] = ()
    tasks: tuple[str, ...] = ()
    sandbox: str = "none"
    priority: str = "medium"
    risk: str = "medium"
    labels: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    continues: int | None = None
    attempt: int = 1
    again: Again | None = None
    started_at: str = ""
    finished_at: str = ""
    duration_ms: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def went_well(self) -> bool:
        """Ended ok, or not run because what it was there for did not happen."""
        return self.ok or (self.reason or "").startswith(UNNEEDED)

    @property
    def acceptance_passed(self) -> bool | None:
        """True if every check passed, False if one failed, None if there are none or some were not understood."""
        verdicts = [check.ok for check in self.acceptance]
        if False in verdicts:
            return False
        return None if None in verdicts or not verdicts else True

    @property
    def warnings(self) -> int:
        """Failed optional steps, sentences that no check understood, and notes."""
        soft = sum(1 for step in self.results if step.optional and step.status not in ("ok", "skipped"))
        return len(self.notes) + soft + sum(1 for check in self.acceptance if check.ok is None)
