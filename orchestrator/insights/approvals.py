"""What waits for a person's word, and which words were given and not used yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator import approvals
from orchestrator.approvals import Answer
from orchestrator.home import Home
from orchestrator.insights.entries import Entry, find, queue_entries, read_json
from orchestrator.intake.load import SpecError, load_task
from orchestrator.spec import Check, Task
from orchestrator.spool import names


@dataclass(frozen=True, slots=True)
class Blocked:
    """A task that waits for approval. `age_s` is how long, in seconds; `reasons` are the gate's, as in `result.json`;
    `runs` what its spec says now: each step's skill and arguments, then the commands of its acceptance rules."""

    id: str | None
    name: str
    title: str | None
    age_s: float
    score: int | None
    reason: str | None
    reasons: list[dict[str, Any]]
    runs: list[list[str]]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that no run has used; `standing` is the approval of a recurring task, which each of its firings gets.
    `state` is `void` where it would not hold now; `why` says so."""

    answer: Answer
    state: Literal["unused", "standing", "expired", "void"]
    why: str | None = None


def blocked(home: Home) -> list[Blocked]:
    """All that waits for approval, the longest waiting first."""
    entries = queue_entries(home, ("failed",), limit=None)
    return [_blocked(home, entry) for entry in reversed(entries) if entry.status == "blocked"]


def given(home: Home) -> list[Given]:
    """All answers that were not used, the oldest first."""
    return [_given(home, answer) for answer in sorted(approvals.everything(home), key=lambda answer: answer.at)]


def _blocked(home: Home, entry: Entry) -> Blocked:
    result = read_json(f"{home.failed}/{names.result_name(entry.stem)}") or {}
    policy, task = result.get("policy") or {}, _task(home, entry)
    return Blocked(
        entry.id, entry.name, entry.title, entry.age_s, policy.get("score"), entry.reason,
        policy.get("reasons") or [], _runs(task) if task is not None else [],
    )  # fmt: skip


def _task(home: Home, entry: Entry) -> Task | None:
    """The spec as it is now; None if it is gone, or no spec any more."""
    try:
        with open(f"{home.queue}/{entry.state}/{entry.name}", "rb") as file:
            return load_task(file.read(), entry.name, templates=home.templates)
    except (SpecError, OSError):
        return None


def _runs(task: Task) -> list[list[str]]:
    commands = [check.command for check in task.acceptance if isinstance(check, Check) and check.command is not None]
    checks = [["bash", "-c", command] if isinstance(command, str) else list(command) for command in commands]
    return [[step.skill, *step.args] for step in task.steps] + checks


def _given(home: Home, answer: Answer) -> Given:
    if why := answer.why_over():
        return Given(answer, "expired", why)
    entry = find(home, answer.name)
    task = _task(home, entry) if entry is not None else None
    if task is None or task.id != answer.id:
        return Given(answer, "void", f"there is no task {answer.id} under the name {answer.name} in the queue")
    now = [(path, digest) for path, _ in answer.files if (digest := _sha256(path))]
    why = answer.why_void(approvals.digest(task), now)
    if why:
        return Given(answer, "void", why)
    return Given(answer, "unused" if task.schedule is None else "standing")


def _sha256(path: str) -> str:
    """Empty for a file that can't be read any more."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
