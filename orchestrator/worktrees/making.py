"""How a run comes to its worktree: a new one, or the one of the run that it goes on with.

Rule: durable before done. What a crash leaves half made is known by its record as `making`, holds nothing of the
task's, and is made anew.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import failpoint
from orchestrator.errors import TaskError
from orchestrator.event import to_second, utc_now
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.sandbox.reach import is_under
from orchestrator.sandbox.repository import find_repository, is_bare
from orchestrator.sandbox.scratch import remove_tree
from orchestrator.spec import Worktree
from orchestrator.worktrees import record as records
from orchestrator.worktrees.copying import copy_files
from orchestrator.worktrees.git import Git, alone
from orchestrator.worktrees.record import Record
from orchestrator.worktrees.source import Source
from orchestrator.worktrees.status import entries_of

MOST_MAKINGS = 4
_MOST_COPIED = 1_000
_NOT_IN_A_REF = re.compile(r"\.{2,}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a worktree. `earlier` is the run whose steps it takes over, `resumed` says that a dead daemon had
    begun this very run."""

    home: Home
    source: Source
    wanted: Worktree
    task_id: str
    run: int
    earlier: int | None = None
    resumed: bool = False

    @property
    def folder(self) -> str:
        return f"{self.home.worktrees}/{self.task_id}"


async def enter(git: Git, asked: Asked) -> Record:
    """The worktree of a run, durably on record; in state `setup` where its setup is still to be run.

    Raises TaskError that says what is wrong, OSError where the machine is short of something: it may be called again.
    """
    found = await asyncio.to_thread(_take, asked)
    if found is not None and found.state in ("open", "setup"):
        return found
    if found is not None and asked.run in found.runs and found.makings >= MOST_MAKINGS:
        raise TaskError(
            "worktree_failed", f"{found.name} was begun {found.makings} times, and the daemon died each time"
        )
    half = found if found is not None and found.state in ("making", "removing") else None
    if half is not None and half.number == asked.run:
        await unmake(git, asked.home, half)
    new = await _planned(git, asked, half)
    await asyncio.to_thread(records.write, asked.home, new)
    failpoint.reach("worktree.recorded")
    try:
        await _add(git, asked, new)
        failpoint.reach("worktree.made")
        copied = await _copy(git, asked, new)
    except TaskError:
        await unmake(replace(git, cancelled=None), asked.home, new)
        await asyncio.to_thread(records.remove, asked.home, new)
        raise
    new = replace(new, state="setup", copied=copied)
    await asyncio.to_thread(records.write, asked.home, new)
    failpoint.reach("worktree.filled")
    return new


def _take(asked: Asked) -> Record | None:
    """The worktree to go on in, taken for this run if it can be; else what is known of the one to make anew."""
    home = asked.home
    with records.guarded(home):
        found = records.of_run(home, asked.task_id, asked.run) if asked.resumed else None
        if found is None and asked.earlier is not None:
            found = records.of_run(home, asked.task_id, asked.earlier)
        if found is None and not asked.resumed:
            found = records.to_go_on(home, asked.task_id)
        if found is None or found.common != asked.source.common:
            return None
        if found.state not in ("making", "removing") and os.path.isdir(path := found.path(home)):
            if not is_whole(home, found):
                sentence = f"{path} does not lead to {found.repo} any more: what is in it is left for you to look at"
                raise TaskError("worktree_failed", sentence)
            state: records.State = "open" if found.set_up else "setup"
            runs = (*found.runs, asked.run) if asked.run not in found.runs else found.runs
            found = replace(found, state=state, runs=runs, why="", lost="", wanted=False, goes_on=False)
            records.write(home, found)
        return found


def is_whole(home: Home, record: Record) -> bool:
    """Whether it is there, and its repository knows it."""
    path = record.path(home)
    repository = find_repository(path, path) if os.path.isdir(path) else None
    return repository is not None and repository.folder == record.common


async def _planned(git: Git, asked: Asked, half: Record | None) -> Record:
    """What is to be made. `half` is what a dead daemon had begun to make or to remove."""
    source = asked.source
    new = Record(
        asked.task_id, asked.run, (asked.run,), source.folder, source.common, "", "", "making",
        to_second(utc_now()), asked.wanted.keep,
    )  # fmt: skip
    if half is not None and half.number == asked.run:
        new = replace(new, makings=half.makings + 1)
    else:
        new = replace(new, number=_free_number(asked))
    if (before := _account_before(asked)) is not None:
        base, tip = before["base"], before["head"]
        if (await git.ask("cat-file", "-e", f"{tip}^{{commit}}", at=source.folder)).code != 0:
            raise _refused(f"the worktree of run {asked.earlier} is gone, and its last commit {tip} too: start anew")
    else:
        base = tip = await _base(git, asked)
    return replace(new, branch=await _free_branch(git, asked), base=base, tip=tip)


def _free_number(asked: Asked) -> int:
    """The run's own, unless what was kept of an earlier life of this task has it: numbers begin anew without runs."""
    taken = {record.number for record in records.of_task(asked.home, asked.task_id)}
    number = asked.run
    while number in taken or os.path.lexists(f"{asked.folder}/{number}"):
        number += 1
    return number


def _account_before(asked: Asked) -> dict[str, Any] | None:
    """What the result of the run that this one goes on with says of its worktree, which is gone, with nothing lost."""
    if asked.earlier is None:
        return None
    folder = f"{asked.home.runs}/{asked.task_id}/{asked.earlier}"
    told = (runs.read_result(f"{folder}/{runs.RESULT}") or {}).get("worktree")
    return told if isinstance(told, dict) and told.get("head") and told.get("base") else None


async def _base(git: Git, asked: Asked) -> str:
    base, folder = asked.wanted.base, asked.source.folder
    answer = await git.ask("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}", at=folder)
    if answer.code == 0:
        return answer.line
    if "dubious ownership" in answer.err:
        raise _refused(f"git does not trust {folder}, because it belongs to another user: {answer.err}")
    if base == "HEAD":
        raise _refused(f"{folder} has no commit yet: commit something, then there is something to start from")
    raise _refused(f"workspace.worktree.base is {base}, which names no commit in {folder}")


async def _free_branch(git: Git, asked: Asked) -> str:
    """The branch to make. One that is there is never taken: it is somebody's."""
    if (wanted := asked.wanted.branch) is not None:
        if (where := await _branch(git, asked.source, wanted)) is None:
            return wanted
        at = f", checked out in {where}" if where else ""
        raise _refused(
            f"the branch {wanted} exists already{at}: name another one, or leave `branch` out; "
            f"`base: {wanted}` starts from it"
        )
    stem = f"orchestrator/{_NOT_IN_A_REF.sub('-', asked.task_id)}-{asked.run}"
    name, count = stem, 1
    while await _branch(git, asked.source, name) is not None:
        count += 1
        name = f"{stem}-{count}"
    return name


async def _branch(git: Git, source: Source, name: str) -> str | None:
    """Where a branch is checked out, "" for nowhere; None if there is no such branch."""
    wanted = f"refs/heads/{name}"
    form = "--format=%(refname)%00%(worktreepath)%00"
    parts = (await git.do("for-each-ref", form, wanted, at=source.folder)).out.split(b"\0")
    for ref, where in zip(parts[::2], parts[1::2], strict=False):
        if os.fsdecode(ref.lstrip(b"\n")) == wanted:
            return os.fsdecode(where)
    return None


async def _add(git: Git, asked: Asked, new: Record) -> None:
    path = new.path(asked.home)
    os.makedirs(f"{new.common}/logs", exist_ok=True)  # a bare repository has none, and could get none later
    words = ("worktree", "add", "--no-track", "-b", new.branch, path, new.tip)
    async with alone(new.common):
        await git.do(*words, at=new.common, write=(asked.folder,), env={"GIT_DIR": new.common})


async def _copy(git: Git, asked: Asked, new: Record) -> tuple[tuple[str, int, int], ...]:
    """Copy what is asked for; the answer is those of it that git would show as new files."""
    if not asked.wanted.copy_:
        return ()
    names = await _listed(git, asked)
    path, cancelled = new.path(asked.home), git.cancelled
    goes_on = (lambda: True) if cancelled is None else (lambda: not cancelled.is_set())
    await asyncio.to_thread(copy_files, asked.source.folder, path, names, goes_on)
    among = set(names)
    shown = [name for name, state in (await entries_of(git, path)).items() if state == "??" and name in among]
    if len(shown) > _MOST_COPIED:
        raise _refused(
            f"workspace.worktree.copy: {len(shown)} of the files are not ignored by git: name them in .gitignore, "
            "so that none of them is taken for the task's work"
        )
    return tuple(
        (name, status.st_size, status.st_mtime_ns) for name in shown for status in [os.lstat(f"{path}/{name}")]
    )


async def _listed(git: Git, asked: Asked) -> list[str]:
    """The untracked files that the globs mean; what is tracked comes with the checkout."""
    folder, globs = asked.source.folder, [f":(glob){glob.rstrip('/')}" for glob in asked.wanted.copy_]
    if asked.source.is_bare:
        raise _refused(f"workspace.worktree.copy: {folder} is a bare repository, which has no files to copy")
    answer = await git.ask(
        "ls-files", "-z", "-t", "--cached", "--others", "--error-unmatch", "--", *globs, at=folder
    )  # fmt: skip
    if answer.code != 0:
        raise _refused(f"workspace.worktree.copy: {answer.err.replace(':(glob)', '')} (globs are relative to {folder})")
    found = [os.fsdecode(entry[2:]) for entry in answer.out.split(b"\0") if entry[:2] == b"? "]
    names = [name for name in found if not is_under(f"{folder}/{name}".rstrip("/"), asked.home.state)]
    if inner := [name for name in names if name.endswith("/")]:
        raise _refused(f"workspace.worktree.copy: {inner[0]} is a repository of its own")
    return names


async def unmake(git: Git, home: Home, record: Record) -> None:
    """Take away what was half made, or half removed: whatever is there of it holds nothing that would be lost. Of one
    whose folder somebody else removed the branch stays.

    A branch goes only where it still stands at the commit that it is known to have had."""
    path, folder = record.path(home), f"{home.worktrees}/{record.id}"
    await asyncio.to_thread(_remove_folder, path)
    if not is_bare(record.common):
        return  # the repository is gone, and all that it knew
    env = {"GIT_DIR": record.common}
    async with alone(record.common):
        await git.ask("worktree", "remove", "--force", path, at=record.common, write=(folder,), env=env)
        if record.state in ("making", "removing"):
            await git.ask("update-ref", "-d", f"refs/heads/{record.branch}", record.tip, at=record.common, env=env)


def _remove_folder(path: str) -> None:
    folder, stem = os.path.split(path)
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if re.fullmatch(rf"{re.escape(stem)}(\.\d+)?", name):
                remove_tree(f"{folder}/{name}")


def _refused(message: str) -> TaskError:
    return TaskError("worktree_refused", message)
