"""What waits for a person's word, and which words were given and not used yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator import approvals
from orchestrator.approvals import Answer
from orchestrator.errors import TaskError
from orchestrator.home import Home
from orchestrator.insights.entries import Entry, find, queue_entries, read_json
from orchestrator.intake.load import SpecError, load_task
from orchestrator.skills import Skills, command_step, load_skills
from orchestrator.spec import Check, Step, Task
from orchestrator.spool import names


@dataclass(frozen=True, slots=True)
class Blocked:
    """A task that waits for approval. `age_s` is how long, in seconds; `reasons` are the gate's, as in `result.json`,
    and `files` the scripts that it read, with their SHA-256. `runs` is what its spec says now: each step's skill,
    arguments and environment, the tests of what models write, the commands of acceptance rules, what makes its worktree
    ready. `where` is the spec's own `workspace`, in words."""

    id: str | None
    name: str
    title: str | None
    age_s: float
    score: int | None
    reason: str | None
    reasons: list[dict[str, Any]]
    files: list[list[str]]
    runs: list[dict[str, Any]]
    where: str | None


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that no run has used; `standing` is the approval of a recurring task, which each of its firings gets.
    `state` is `void` where it would not hold now; `why` says so."""

    answer: Answer
    state: Literal["unused", "standing", "expired", "void"]
    why: str | None = None


def blocked(home: Home) -> list[Blocked]:
    """All that waits for approval, the longest waiting first. Raises FatalError where the skills can't be read."""
    entries = queue_entries(home, ("failed",), limit=None)
    waiting = [entry for entry in reversed(entries) if entry.status == "blocked"]
    skills = load_skills(home.skills) if waiting else Skills({})
    return [_blocked(home, entry, skills) for entry in waiting]


def given(home: Home) -> list[Given]:
    """All answers that were not used, the oldest first."""
    return [_given(home, answer) for answer in sorted(approvals.everything(home), key=lambda answer: answer.at)]


def _blocked(home: Home, entry: Entry, skills: Skills) -> Blocked:
    result = read_json(f"{home.failed}/{names.result_name(entry.stem)}") or {}
    policy, task = result.get("policy") or {}, _task(home, entry)
    return Blocked(
        entry.id, entry.name, entry.title, entry.age_s, policy.get("score"), entry.reason,
        policy.get("reasons") or [], policy.get("files") or [], _runs(task, skills) if task is not None else [],
        _where(task) if task is not None else None,
    )  # fmt: skip


def _task(home: Home, entry: Entry) -> Task | None:
    """The spec as it is now; None if it is gone, or no spec any more."""
    try:
        with open(f"{home.queue}/{entry.state}/{entry.name}", "rb") as file:
            return load_task(file.read(), entry.name, templates=home.templates)
    except (SpecError, OSError):
        return None


def _runs(task: Task, skills: Skills) -> list[dict[str, Any]]:
    commands = [check.command for check in task.acceptance if isinstance(check, Check) and check.command is not None]
    if task.workspace is not None and task.workspace.worktree is not None:
        commands += task.workspace.worktree.setup
    steps = [*task.steps, *map(command_step, [*_tests(task, skills), *commands])]
    return [{"skill": step.skill, "args": _words(step, skills), "env": {**task.env, **step.env}} for step in steps]


def _words(step: Step, skills: Skills) -> list[str]:
    """A step's arguments, or what its inputs come to."""
    if not step.with_:
        return list(step.args)
    try:
        return list(skills.get(step.skill).expand(step)[1:])
    except TaskError:  # it holds templates, or its skill is gone
        return [*step.args, *(f"{name}={value}" for name, value in step.with_.items() if isinstance(value, str))]


def _tests(task: Task, skills: Skills) -> list[str | tuple[str, ...]]:
    """The commands by which the files of models are tried. Inputs are as yet unread: they may hold templates."""
    names = skills.names()
    asked = [step for step in task.steps if step.skill in names and skills.get(step.skill).manifest.runner == "model"]
    tests = (test for step in asked if (test := step.with_.get("test_command")))
    return [test if isinstance(test, str) else tuple(map(str, test)) for test in tests]


def _where(task: Task) -> str | None:
    if task.workspace is None:
        return None
    if (tree := task.workspace.worktree) is not None:
        return f"a worktree of {tree.repo}" + (f", branch {tree.branch}" if tree.branch else "")
    return task.workspace.dir


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
