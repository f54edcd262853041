"""What git says about a worktree, and what would be lost with it.

Rule: what can't be told counts as lost. Names are bytes to git, and may hold anything but NUL.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from orchestrator.errors import TaskError
from orchestrator.home import Home
from orchestrator.sandbox.repository import find_repository
from orchestrator.worktrees.git import Git, GitFailed
from orchestrator.worktrees.record import Record

_STATUS = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none")
_DIFF = ("diff", "--raw", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
_REPOSITORY = b"160000"
_UNDER_WAY = {
    "rebase-merge": "a rebase", "rebase-apply": "a rebase", "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert", "BISECT_LOG": "a bisection",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """How a worktree is. `files` are those with uncommitted changes; `commits` counts those on no other branch, remote
    branch or tag; `unclear` says what else could be lost. `head` is its commit, `changed` all that differs from the
    base."""

    files: tuple[str, ...] = ()
    commits: int = 0
    unclear: tuple[str, ...] = ()
    head: str = ""
    changed: tuple[str, ...] = ()

    @property
    def lost(self) -> str:
        """What would be lost with it, in words that a person can type; empty if nothing would."""
        parts = [_count(len(self.files), "uncommitted file"), _count(self.commits, "unpushed commit"), *self.unclear]
        return ", ".join(filter(None, parts))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""


async def look(git: Git, home: Home, record: Record) -> Found:
    """Ask git all of it. Raises GitFailed where it can't be asked, OSError where the machine is short of something."""
    path = record.path(home)
    repository = find_repository(path, path)
    if repository is None or repository.folder != record.common or not repository.own:
        raise GitFailed("worktree_failed", f"{path} is no worktree of {record.repo} any more")
    entries = await entries_of(git, path)
    files = [name for name, state in entries.items() if not (state == "??" and _is_as_copied(path, name, record))]
    head = await git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}", at=path)
    unclear = _under_way(repository.own)
    if head.code != 0:
        return Found(tuple(files), 0, (*unclear, "a branch without a commit"))
    changed, inner = await _changed(git, path, record.base)
    unclear += ["repositories inside"] if inner or _has_modules(repository.own) else []
    untracked = [name for name in files if entries[name] == "??"]
    return Found(
        tuple(sorted(files)),
        await _unpushed(git, path, record),
        tuple(unclear),
        head.line,
        tuple(sorted({*changed, *untracked})),
    )


async def look_kindly(git: Git, home: Home, record: Record) -> Found:
    """The same, where a failure is an answer: it can't be told, so all of it might be lost."""
    try:
        return await look(git, home, record)
    except TaskError as error:
        return Found(unclear=(f"nobody knows what ({error.message})",))


async def entries_of(git: Git, path: str) -> dict[str, str]:
    """Each file that is not as it was committed, with its two letters; ignored ones are not among them."""
    out = (await git.do(*_STATUS, at=path)).out
    return {os.fsdecode(entry[3:]): entry[:2].decode() for entry in out.split(b"\0") if entry}


def _under_way(own: str) -> list[str]:
    """What was begun in a worktree and not brought to its end."""
    begun = (what for name, what in _UNDER_WAY.items() if os.path.lexists(f"{own}/{name}"))
    return [f"{what} under way" for what in dict.fromkeys(begun)]


def _has_modules(own: str) -> bool:
    return os.path.isdir(f"{own}/modules")


def _is_as_copied(path: str, name: str, record: Record) -> bool:
    """Whether it is a file that we copied here, and nobody has changed since."""
    try:
        status = os.lstat(f"{path}/{name}")
    except OSError:
        return False
    return (name, status.st_size, status.st_mtime_ns) in record.copied


async def _changed(git: Git, path: str, base: str) -> tuple[list[str], bool]:
    """Tracked files that differ from the base, and whether one of them stands for a repository."""
    out = (await git.do(*_DIFF, base, "--", at=path)).out
    parts = out.split(b"\0")[:-1]
    inner = any(facts[1:].split()[1] == _REPOSITORY for facts in parts[::2])
    return [os.fsdecode(name) for name in parts[1::2]], inner


async def _unpushed(git: Git, path: str, record: Record) -> int:
    """How many commits of the worktree, or of the branch that was made for it, would be reachable from nowhere else."""
    own = f"refs/heads/{record.branch}"
    out = await git.do(
        "rev-list", "--count", "--ignore-missing", "HEAD", own,
        "--not", f"--exclude={record.branch}", "--branches", "--remotes", "--tags", at=path,
    )  # fmt: skip
    return int(out.line)
