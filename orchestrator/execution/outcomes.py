"""From what happened to what we say about it. Pure: no file is read, nothing is started."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.event import utc_now
from orchestrator.execution import retrying
from orchestrator.execution.prepare import Prepared
from orchestrator.intake.channels import unknown_channels
from orchestrator.intake.load import SpecError
from orchestrator.journal import past, runs
from orchestrator.journal.ledger import Run
from orchestrator.outcome import (
    Attempt,
    Call,
    CheckResult,
    Decision,
    Failure,
    Outcome,
    Status,
    StepResult,
    StepStatus,
    outputs_of,
)
from orchestrator.runners.finished import Finished
from orchestrator.spec import Task
from orchestrator.spool import names

T = TypeVar("T")
_daemons_peak_kb = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """A task's status, and why. `reason` begins with a stable word; people read the rest."""

    status: Status
    reason: str | None = None


OK = Ending("ok")
TASK_TIMED_OUT = Ending("timed_out", "task_timeout: the task's own timeout passed")


def stopped(reason: str) -> Ending:
    """The ending of a task that was stopped from outside."""
    if reason == "cancelled":
        return Ending("cancelled", "cancelled: on request")
    return Ending("interrupted", "interrupted: the daemon was stopped before the task ended")


def cut_off(task: Task, step: int, why: str) -> Ending:
    """The ending of a task whose daemon was stopped in a step (counted from 0) that may not be run again."""
    where, advice = past.place(task, step), past.advice(task, step)
    return Ending("interrupted", f"interrupted: the daemon was stopped in {where}, and {why}: {advice}")


def internal(error: Exception) -> Ending:
    """The ending of a task at which the daemon itself failed."""
    return Ending("failed", f"internal_error: the orchestrator itself failed on this task: {error!r}; please report it")


def after_step(result: StepResult, stop: str | None, deadline: float | None) -> Ending:
    """The ending that a failed step brings."""
    if stop is not None:
        return stopped(stop)
    where = f"step {result.step} ({result.skill})" + (f" `{result.id}`" if result.id else "")
    if result.status == "timed_out":
        if deadline is not None and time.monotonic() >= deadline:
            return TASK_TIMED_OUT
        why = f": {result.error}" if result.error else ""
        return Ending("timed_out", f"step_timeout: {where} ran into its timeout{why}")
    if result.error:
        reason = result.failure if result.failure in ("model_unavailable", "escalated") else "step_failed"
        return Ending("failed", f"{reason}: {where}: {result.error}")
    if result.code is not None and result.code < 0:
        return Ending("failed", f"step_failed: {where} was killed by signal {-result.code}")
    return Ending("failed", f"step_failed: {where} exited with {result.code}")


def judge(acceptance: Iterable[CheckResult]) -> Ending:
    """All steps went well: the acceptance rules have the last word."""
    failed = [check for check in acceptance if check.ok is False]
    if not failed:
        return OK
    first = failed[0]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    detail = f": {first.detail}" if first.detail else ""
    return Ending("failed", f"acceptance_failed: {first.rule}{detail}{more}")


def failure_of(finished: Finished) -> Failure | None:
    """What kind of failure a step came to; None where it went well, or was ended from outside."""
    if finished.status == "timed_out":
        return "timeout"
    if finished.status != "failed" or finished.failure is not None:
        return finished.failure
    if finished.code < 0:
        return "signal"
    return "not_started" if finished.error and finished.code in (126, 127) else "exit_code"


def step_result(
    call: Call,
    finished: Finished,
    attempt: int,
    earlier: tuple[Attempt, ...],
    stop: str | None,
    outputs: dict[str, str] | None = None,
    wrong: str = "",
) -> StepResult:
    """What is kept of a step. `stop` is why the task was ended from outside, if it was; `wrong` is what is wrong with
    its `outputs`: then it has failed, as what comes after would build on them."""
    status: StepStatus = "interrupted" if finished.status == "cancelled" and stop == "interrupted" else finished.status
    error = finished.error
    if wrong and status in ("ok", "failed"):
        exited = f"it exited with {finished.code}, and " if status == "failed" and not error else ""
        status, error = "failed", f"{error}; {wrong}" if error else f"{exited}{wrong}"
    stem = runs.output_stem(call.index, call.skill, attempt)
    return StepResult(
        step=call.index,
        skill=call.skill,
        args=call.args,
        status=status,
        code=finished.code,
        stdout=finished.stdout_tail,
        stderr=finished.stderr_tail,
        duration_ms=round(finished.duration_ms, 3),
        attempts=attempt,
        truncated=finished.truncated,
        optional=call.optional,
        id=call.step_id,
        stdout_path=f"{stem}.out" if finished.stdout_bytes else None,
        stderr_path=f"{stem}.err" if finished.stderr_bytes else None,
        stdout_bytes=finished.stdout_bytes,
        stderr_bytes=finished.stderr_bytes,
        cpu_ms=round(finished.cpu_ms, 3),
        max_rss_kb=finished.max_rss_kb if finished.peak_is_own else _own_peak(finished.max_rss_kb),
        error=error,
        outputs=outputs or {},
        failure="bad_outputs" if status == "failed" and finished.status == "ok" else failure_of(finished),
        earlier=earlier,
        report=finished.report,
    )


def _own_peak(max_rss_kb: int) -> int | None:
    """A step's peak memory in KiB; None where it stayed below the daemon's own, which Linux counts in for a child."""
    global _daemons_peak_kb  # asked for again only when a step seems to be above it: the question is not cheap
    if sys.platform != "linux":
        return max_rss_kb
    if max_rss_kb > _daemons_peak_kb:
        _daemons_peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max_rss_kb if max_rss_kb > _daemons_peak_kb else None


def conclude(
    prepared: Prepared,
    run: Run,
    ending: Ending,
    results: tuple[StepResult, ...],
    acceptance: tuple[CheckResult, ...],
    sha256: str,
    began_at: str,
    begun: float,
    files: tuple[str, ...] = (),
    worktree: dict[str, Any] | None = None,
) -> Outcome:
    """The outcome of a run whose steps were started. `begun` is `time.monotonic()` at its start."""
    own = [result for result in results if result.run is None]
    usage: dict[str, Any] = {
        "cpu_ms": round(sum(map(_cpu_ms, own)), 3),
        "max_rss_kb": max((result.max_rss_kb for result in own if result.max_rss_kb), default=None),
        **_tokens(own),
    }
    again = retrying.next_run(prepared.task, prepared.past.tried, ending.status, ending.reason, results)
    return _outcome(
        prepared, run, ending, sha256,
        again=again, results=results, acceptance=acceptance, usage=usage, files=files, worktree=worktree,
        started_at=began_at, duration_ms=round((time.monotonic() - begun) * 1000, 3),
    )  # fmt: skip


def _tokens(results: Iterable[StepResult]) -> dict[str, Any]:
    """What was asked of models, in tokens; nothing where none was."""
    asked = [result.report["tokens"] for result in results if result.report is not None]
    if not asked:
        return {}
    counted = "measured" if all(tokens["source"] == "measured" for tokens in asked) else "estimated"
    return {
        "prompt_tokens": sum(tokens["prompt"] for tokens in asked),
        "completion_tokens": sum(tokens["completion"] for tokens in asked),
        "tokens": counted if any(tokens["source"] != "unknown" for tokens in asked) else "unknown",
    }


def _cpu_ms(result: StepResult) -> float:
    return result.cpu_ms + sum(attempt.cpu_ms for attempt in result.earlier)


def not_run(prepared: Prepared, run: Run, ending: Ending, sha256: str) -> Outcome:
    """The outcome of a task that started nothing: blocked, denied, cancelled while it waited."""
    return _outcome(prepared, run, ending, sha256, results=prepared.past.results)


_REFUSED: dict[str, Status] = {"invalid": "invalid", "duplicate": "skipped"}


def refusal_of(prepared: Prepared) -> Ending | None:
    """Why a prepared task may not start; None if it may."""
    if prepared.refusal is not None:
        status = _REFUSED.get(prepared.refusal.reason, "failed")
        return Ending(status, f"{prepared.refusal.reason}: {prepared.refusal.message}")
    if prepared.decision.verdict == "deny":
        return Ending("denied", "denied: " + _why(prepared.decision))
    answer = prepared.answer
    if answer is not None and answer.verdict == "rejected" and not prepared.void:
        return Ending("denied", f"rejected: {answer.text} (by {answer.by})")
    if prepared.decision.may_run:
        return None
    return Ending("blocked", f"approval_required: {prepared.void}" if prepared.void else "approval_required")


def invalid(name: str, error: SpecError, sha256: str) -> Outcome:
    """The outcome of a file that is no task."""
    problems = tuple(
        {"line": p.line, "column": p.column, "path": p.path, "message": p.message, "hint": p.hint}
        for p in error.problems
    )
    return _refused(name, error.message, problems, sha256)


def refused(name: str, why: str) -> Outcome:
    """The outcome of something in inbox that is not even a file."""
    return _refused(name, why, ({"line": None, "column": None, "path": "", "message": why, "hint": ""},), "")


def unpacked(name: str, tasks: tuple[str, ...], sha256: str) -> Outcome:
    """The outcome of a file that held several tasks, which are in the queue now."""
    now = utc_now()
    return Outcome(
        id=None, run=0, name=names.readable(name), status="ok", reason=None, title=f"Tasks of a backlog: {len(tasks)}",
        tasks=tasks, sha256=sha256, started_at=now, finished_at=now,
    )  # fmt: skip


def unscheduled(task: Task, name: str) -> Outcome:
    """The outcome of a recurring task that shall recur no more."""
    now = utc_now()
    return Outcome(
        id=task.id, run=0, name=names.readable(name), status="cancelled", reason="cancelled: on request",
        title=task.title, priority=task.priority, risk=task.risk, labels=task.labels, started_at=now, finished_at=now,
    )  # fmt: skip


def _refused(name: str, why: str, problems: tuple[dict[str, Any], ...], sha256: str) -> Outcome:
    now = utc_now()
    return Outcome(
        id=None, run=0, name=names.readable(name), status="invalid", reason=f"invalid: {why}", title="",
        errors=problems, sha256=sha256, started_at=now, finished_at=now,
    )  # fmt: skip


def _why(decision: Decision) -> str:
    return "; ".join(reason.why for reason in decision.reasons if reason.effect == "deny")


def _policy_of(prepared: Prepared) -> dict[str, Any]:
    """The gate's part of `result.json`; empty for a task that was refused before the gate saw it."""
    if prepared.refusal is not None:
        return {}
    decision, answer = prepared.decision, prepared.answer
    return {
        "score": decision.score,
        "verdict": decision.verdict,
        "approved_by": decision.approved_by or None,
        **(answer.told() if answer is not None and not prepared.void else {}),
        "reasons": decision.reasons,
        **({"files": decision.files} if decision.files else {}),
    }


def _notes(prepared: Prepared) -> tuple[str, ...]:
    """What the task asked for, and nobody has: it ran all the same."""
    wish = prepared.task.notify
    return tuple(unknown_channels(wish.channels, prepared.tools.settings.channels)) if wish is not None else ()


def _outcome(prepared: Prepared, run: Run, ending: Ending, sha256: str, **parts: Any) -> Outcome:
    task = prepared.task
    now = utc_now()
    parts.setdefault("started_at", now)
    parts.setdefault("outputs", outputs_of(parts.get("results", ())))
    outcome = Outcome(
        id=task.id,
        run=run.number,
        name=names.readable(os.path.basename(run.name)),
        status=ending.status,
        reason=ending.reason,
        title=task.title,
        notes=_notes(prepared),
        policy=_policy_of(prepared),
        sandbox=prepared.tools.wall.level,
        priority=task.priority,
        risk=task.risk,
        labels=task.labels,
        sha256=sha256,
        continues=prepared.past.source,
        attempt=prepared.past.tried + 1,
        finished_at=now,
        **parts,
    )
    return masked(prepared, outcome)


def masked(prepared: Prepared, told: T) -> T:
    """What is told of a task, without its secrets: a spec may hold one in plain sight."""
    names = prepared.task.secrets
    masker = prepared.tools.secrets.masker(names) if names else None
    return told if masker is None else masker.deep(told)
