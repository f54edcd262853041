"""What can be wrong with where a task works although each field's type is right: found now, not when its run begins.

What only the machine can say (is there such a repository, such a commit) `worktrees` says when the run begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from orchestrator.intake.acceptance import of_command, untemplated
from orchestrator.intake.problem import Finding, Path, quote

_EMPTY = "must not be empty"
# What git lets no branch be called, and what would be read as an option.
_NO_BRANCH = re.compile(r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|/\.|\.lock(?:/|$)|^(?:@|HEAD)$")


def of_workspace(task: dict[str, Any], declared: Collection[str]) -> Iterator[Finding]:
    """Everything that is wrong with the workspace of a task; `declared` are the task's skills."""
    workspace = task.get("workspace")
    if not isinstance(workspace, dict):
        return
    if workspace.get("dir") == "":
        yield Finding(("workspace", "dir"), _EMPTY)
    path, worktree = ("workspace", "worktree"), workspace.get("worktree")
    if not isinstance(worktree, dict):
        return
    if workspace.get("dir") is not None:
        yield Finding(
            ("workspace", "dir"), "a task has a `dir` or a `worktree`, not both; steps run at the worktree's top"
        )
    yield from _of_names(worktree, path)
    for index, glob in enumerate(_list(worktree.get("copy"))):
        yield from _of_glob(glob, (*path, "copy", index))
    for index, command in enumerate(_list(worktree.get("setup"))):
        yield from of_command(command, declared, (*path, "setup", index))
        yield from untemplated(command, (*path, "setup", index))


def _of_names(worktree: dict[str, Any], path: Path) -> Iterator[Finding]:
    for key in ("repo", "base"):
        if worktree.get(key) == "":
            yield Finding((*path, key), _EMPTY)
    base, branch = worktree.get("base"), worktree.get("branch")
    if isinstance(base, str) and base.startswith("-"):  # what a template becomes git is asked about
        yield Finding((*path, "base"), "must not begin with `-`: write a branch, a tag or a commit")
    if isinstance(branch, str) and not _has_template(branch) and (branch == "" or _NO_BRANCH.search(branch)):
        yield Finding((*path, "branch"), f"{quote(branch)} is no name that git lets a branch have")


def _of_glob(glob: Any, path: Path) -> Iterator[Finding]:
    if not isinstance(glob, str):
        return
    if glob == "":
        yield Finding(path, _EMPTY)
    elif glob.startswith("/") or ".." in glob.split("/"):
        yield Finding(path, "must stay in the repository: write it relative to the repository's top, without `..`")


def _has_template(value: Any) -> bool:
    return isinstance(value, str) and "${{" in value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
