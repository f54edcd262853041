"""Where a run works when it has a git worktree of its own: how it comes there, and how it leaves.

Rule: what is judged by the gate before the worktree is there is judged again in it. A worktree that can't be left in
order (a full disk, a daemon that must end) stays, and is tidied later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator import failpoint
from orchestrator.errors import TaskError
from orchestrator.execution import outcomes, retrying
from orchestrator.execution.outcomes import Ending
from orchestrator.execution.prepare import Prepared, prepare
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.journal.ledger import Run
from orchestrator.outcome import Call, Outcome, StepResult
from orchestrator.runners.finished import Finished, Runner
from orchestrator.spec import Commit, Task, Worktree
from orchestrator.worktrees import leaving, making
from orchestrator.worktrees import record as records
from orchestrator.worktrees.git import Git
from orchestrator.worktrees.record import Record
from orchestrator.worktrees.source import source_of

LEAVING_MS = 300_000


@dataclass(slots=True)
class Place:
    """The worktree of one run. `cancelled` ends what git does on the way in, `deadline` is on the monotonic clock."""

    wanted: Worktree
    run: Run
    runner: Runner
    cancelled: asyncio.Event
    deadline: float | None
    resumed: bool
    record: Record | None = None
    setup: list[dict[str, Any]] = field(default_factory=list)

    async def enter(self, prepared: Prepared) -> Prepared:
        """Make the worktree, or take up the earlier one: the task as it is bound there.

        Raises TaskError that says what is wrong, OSError where the machine is short of something."""
        task, tools = prepared.task, prepared.tools
        source = source_of(self.wanted, tools.workspace, tools.settings)
        asked = making.Asked(
            tools.home, source, self.wanted, task.id, self.run.number, prepared.past.source, self.resumed
        )
        self.record = await making.enter(self._git(prepared, self.cancelled), asked)
        bound = await asyncio.to_thread(prepare, prepared.spec, tools, self.record.path(tools.home))
        # What a person approved stays what they saw: each call is held against that before it starts.
        seen = prepared.decision if prepared.answer is not None else bound.decision
        return replace(
            bound, decision=seen, settled=False, answer=prepared.answer, void=prepared.void, past=prepared.past,
        )  # fmt: skip

    @property
    def needs_setup(self) -> bool:
        return self.record is not None and not self.record.set_up

    async def set_up(
        self,
        prepared: Prepared,
        judge: Callable[[Call], Awaitable[Ending | None]],
        spawn: Callable[[Call], Awaitable[Finished]],
    ) -> Ending | None:
        """Make it ready, each step judged and run as others are; why that failed."""
        for call in prepared.setup:
            if (ending := await judge(call) or self.note_setup(call, await spawn(call))) is not None:
                return ending
        return None

    async def ready(self, prepared: Prepared) -> None:
        """All of its setup went well: from now on the worktree is the task's. Raises OSError."""
        if self.record is not None:
            self.record = replace(self.record, state="open", set_up=True)
            await asyncio.to_thread(records.write, prepared.tools.home, self.record)
            failpoint.reach("worktree.ready")

    def note_setup(self, call: Call, finished: Finished) -> Ending | None:
        """Keep what is told of a setup step; the ending that it brings where it failed."""
        stem = runs.output_stem(call.index, call.skill, 1)
        self.setup.append(
            {
                "skill": call.skill, "args": call.args, "code": finished.code,
                "duration_ms": round(finished.duration_ms, 3),
                "stdout_path": f"{stem}.out" if finished.stdout_bytes else None,
                "stderr_path": f"{stem}.err" if finished.stderr_bytes else None,
            }
        )  # fmt: skip
        if finished.status == "ok":
            return None
        where = f"setup {len(self.setup) - 1} ({call.skill})"
        if finished.status == "timed_out":
            return Ending("timed_out", f"setup_timeout: {where} ran into its timeout")
        said = finished.error or (finished.stderr_tail.strip().splitlines() or [""])[-1]
        return Ending("failed", f"setup_failed: {where} exited with {finished.code}" + (f": {said}" if said else ""))

    async def leave(
        self, prepared: Prepared, ending: Ending, results: tuple[StepResult, ...], *, stopping: bool
    ) -> tuple[Ending, dict[str, Any] | None]:
        """Commit what changed, keep or remove the worktree: how the task ends then, and what is told of it."""
        record, home = self.record, prepared.tools.home
        if record is None:
            return ending, None
        git = replace(self._git(prepared, None), timeout_ms=LEAVING_MS)
        committed = None
        if stopping:
            return ending, self.unseen(home, record, "the daemon was stopped: its next start looks at it")
        try:
            if ending.status == "ok" and self.wanted.commit:
                asked = self.wanted.commit if isinstance(self.wanted.commit, Commit) else Commit()
                committed = await leaving.commit(git, home, record, prepared.task, asked)
        except TaskError as error:
            ending = Ending("failed", f"commit_failed: {error.message}")
        except OSError as error:
            ending = Ending("failed", f"commit_failed: {error.strerror or error}")
        again = retrying.next_run(prepared.task, prepared.past.tried, ending.status, ending.reason, results)
        goes_on = ending.status == "blocked" or again is not None
        try:
            left = await leaving.leave(
                git, home, record, ok=ending.status == "ok", goes_on=goes_on, committed=committed
            )
        except OSError as error:
            return ending, self.unseen(home, record, f"it can't be looked at now: {error.strerror or error}")
        return ending, left.account(home) | ({"setup": self.setup} if self.setup else {})

    @staticmethod
    def unseen(home: Home, record: Record, why: str) -> dict[str, Any]:
        """What is told of a worktree that nobody has looked at."""
        return {"path": record.path(home), "branch": record.branch, "base": record.base, "kept": True, "why": why}

    def _git(self, prepared: Prepared, cancelled: asyncio.Event | None) -> Git:
        tools = prepared.tools
        git = Git(
            self.runner, tools.wall.confine, tools.path, tools.base_env, runs.name_of(self.run.id, self.run.number),
            f"{self.run.id}/{self.run.number}/worktree", self.run.folder, cancelled=cancelled,
        )  # fmt: skip
        if self.deadline is None:
            return git
        return replace(git, timeout_ms=min(git.timeout_ms, max(1, int((self.deadline - time.monotonic()) * 1000))))


def left_in_place(home: Home, task: Task | None, outcome: Outcome) -> Outcome:
    """The outcome of a run that a dead daemon left, with what is known of its worktree, at which nobody has looked."""
    if task is None or task.workspace is None or task.workspace.worktree is None:
        return outcome
    record = records.of_run(home, task.id, outcome.run)
    why = "the daemon died: this one looks at it soon"
    return outcome if record is None else replace(outcome, worktree=Place.unseen(home, record, why))


def why_not(error: TaskError) -> Ending:
    """The ending of a task that did not come to its worktree."""
    return outcomes.Ending("failed", f"{error.reason}: {error.message}")
