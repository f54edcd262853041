"""How a run leaves its worktree: what changed is committed, then the worktree is kept or removed, and it is told why.

Rule: removed is only what was looked at right before, and then held nothing that is nowhere else. Git itself is asked
to remove it, and refuses where it sees work that we did not.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import failpoint
from orchestrator.errors import TaskError
from orchestrator.home import Home
from orchestrator.spec import Commit, Task
from orchestrator.spool import names
from orchestrator.worktrees import record as records
from orchestrator.worktrees.git import Git, alone
from orchestrator.worktrees.making import is_whole, unmake
from orchestrator.worktrees.record import Record
from orchestrator.worktrees.status import Found, entries_of, look_kindly

_MOST_TOLD = 100
_NOBODY = {
    "GIT_AUTHOR_NAME": "Orchestrator", "GIT_AUTHOR_EMAIL": "orchestrator@localhost",
    "GIT_COMMITTER_NAME": "Orchestrator", "GIT_COMMITTER_EMAIL": "orchestrator@localhost",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Left:
    """How a worktree was left. `committed` is the commit that we made, None for none."""

    record: Record
    found: Found
    removed: bool
    committed: str | None = None

    def account(self, home: Home) -> dict[str, Any]:
        """The worktree's part of `result.json`."""
        record, found = self.record, self.found
        return {
            "path": record.path(home),
            "repo": record.repo,
            "branch": record.branch,
            "base": record.base,
            "head": found.head or record.tip,
            "commit": self.committed,
            "files_changed": len(found.changed),
            "files": [names.readable(name) for name in found.changed[:_MOST_TOLD]],
            "uncommitted": len(found.files),
            "unpushed": found.commits,
            "kept": not self.removed,
            "why": record.why,
        }


async def commit(git: Git, home: Home, record: Record, task: Task, asked: Commit) -> str | None:
    """Commit all that changed, but not what was copied; the new commit, or None where nothing had changed.

    Raises GitFailed, OSError. No hook runs: what a hook would check, a step or an acceptance rule can."""
    path = record.path(home)
    copied = {name for name, _, _ in record.copied}
    if all(state == "??" and name in copied for name, state in (await entries_of(git, path)).items()):
        return None
    await git.do("add", "--all", "--", ".", *(f":(exclude,literal,top){name}" for name in sorted(copied)), at=path)
    if (await git.ask("diff", "--cached", "--quiet", "--no-ext-diff", at=path)).code == 0:
        return None
    message = asked.message or f"{task.title}\n\nOrchestrator-Task: {task.id}"
    words = ["commit", "--quiet", "--no-verify", "--cleanup=whitespace", f"--message={message}"]
    if asked.author:
        words.append(f"--author={asked.author}")
    known = (await git.ask("config", "user.email", at=path)).code == 0
    await git.do(*words, at=path, env={} if known else _NOBODY)
    failpoint.reach("worktree.committed")
    return (await git.do("rev-parse", "HEAD", at=path)).line


async def leave(git: Git, home: Home, record: Record, *, ok: bool, goes_on: bool, committed: str | None = None) -> Left:
    """The end of a run in its worktree. `ok` is whether the task ended so, `goes_on` that a next run takes it up.

    Raises OSError where the machine is short of something: it may be called again."""
    found = await look_kindly(git, home, record)
    wanted = record.keep == "always" or (record.keep == "on_failure" and not ok)
    why = _why(record, found, ok=ok, goes_on=goes_on)
    tip = found.head or record.tip
    record = replace(record, state="kept", why=why, lost=found.lost, wanted=wanted, goes_on=goes_on, tip=tip)
    if not why and (why := await remove(git, home, record)) == "":
        return Left(record, found, True, committed)
    record = replace(record, why=why)
    await asyncio.to_thread(records.write, home, record)
    failpoint.reach("worktree.kept")
    return Left(record, found, False, committed)


def _why(record: Record, found: Found, *, ok: bool, goes_on: bool) -> str:
    """Why it stays; empty if it may go."""
    if goes_on:
        return "the next run of the task goes on in it"
    if found.lost:
        return f"{found.lost} would be lost"
    if record.keep == "always":
        return "keep: always"
    return "keep: on_failure, and the task did not end ok" if record.keep == "on_failure" and not ok else ""


async def remove(git: Git, home: Home, record: Record) -> str:
    """Remove one that was just found to hold nothing that would be lost; else the answer is why it is still there.

    Raises OSError where the machine is short of something."""
    removing = replace(record, state="removing")
    await asyncio.to_thread(records.write, home, removing)
    failpoint.reach("worktree.doomed")
    force = ("--force",) if record.copied else ()
    words = ("worktree", "remove", *force, record.path(home))
    write, env = (f"{home.worktrees}/{record.id}",), {"GIT_DIR": record.common}
    try:
        async with alone(record.common):
            await git.do(*words, at=record.common, write=write, env=env)
            failpoint.reach("worktree.removed")
            await git.ask("update-ref", "-d", f"refs/heads/{record.branch}", record.tip, at=record.common, env=env)
    except TaskError as error:
        return f"it can't be removed: {error.message}"
    await asyncio.to_thread(records.remove, home, record)
    return ""


def _still_there(path: str, files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in files if os.path.lexists(f"{path}/{name}"))


async def finish(git: Git, home: Home, record: Record) -> Record | None:
    """Bring to its end what was half made or half removed; the answer is what of it stays after all.

    A removal that git had begun had passed its own check. Before that the worktree is looked at again: all that may be
    missing in it is what was being removed."""
    if record.state == "removing" and is_whole(home, record):
        found = await look_kindly(git, home, record)
        if lost := replace(found, files=_still_there(record.path(home), found.files)).lost:
            kept = replace(record, state="kept", lost=lost, why=f"{lost} would be lost")
            await asyncio.to_thread(records.write, home, kept)
            return kept
    await unmake(git, home, record)
    await asyncio.to_thread(records.remove, home, record)
    return None
