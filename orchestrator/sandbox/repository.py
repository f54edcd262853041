"""Where the git repository of a workspace keeps what git runs by itself: its hooks and its config.

Rule: the workspace is not believed. A `.git` file may name any folder; it counts only if that folder names it back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repository:
    """`folder` holds objects and refs; `hooks` and `config` lie in it. `marker` is the `.git` of the workspace, or
    `folder` itself where that is bare. `own` is what a linked worktree has in `folder` for itself; empty for others."""

    marker: str
    folder: str
    own: str = ""

    @property
    def hooks(self) -> str:
        return f"{self.folder}/hooks"

    @property
    def config(self) -> str:
        return f"{self.folder}/config"

    def not_for_one_worktree(self) -> list[str]:
        """What lies in the shared folder and belongs to others: the main checkout, other worktrees, submodules."""
        names = ("HEAD", "config.worktree", "index", "info", "modules", "worktrees")
        paths = [f"{self.folder}/{name}" for name in names]
        return [path for path in paths if os.path.exists(path) and not os.path.islink(path)]


def find_repository(workspace: str, top: str) -> Repository | None:
    """The repository of a workspace; looked for upwards as far as `top`, where that is above the workspace."""
    folder = workspace
    while True:
        marker = f"{folder}/.git"
        if os.path.isdir(marker):
            return Repository(marker, marker)
        if os.path.isfile(marker):
            own = _own_folder(marker)
            return Repository(marker, os.path.dirname(os.path.dirname(own)), own) if own else None
        if is_bare(folder):
            return Repository(folder, folder)
        if folder == top or not folder.startswith(f"{top}/"):
            return None
        folder = os.path.dirname(folder)


def is_bare(folder: str) -> bool:
    """Whether a folder is itself what `.git` is elsewhere, by what git looks for in it."""
    return os.path.isfile(f"{folder}/HEAD") and all(os.path.isdir(f"{folder}/{name}") for name in ("objects", "refs"))


def _own_folder(marker: str) -> str:
    """What the main repository keeps of a linked worktree; empty if it does not know this worktree."""
    named = _first_line(marker)
    if not named.startswith("gitdir: "):
        return ""
    own = os.path.realpath(os.path.join(os.path.dirname(marker), named.removeprefix("gitdir: ")))
    back = os.path.realpath(os.path.join(own, _first_line(f"{own}/gitdir") or "."))
    if back != os.path.realpath(marker) or os.path.basename(os.path.dirname(own)) != "worktrees":
        return ""
    return own


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.readline(4096).rstrip("\n")
    except OSError:
        return ""
