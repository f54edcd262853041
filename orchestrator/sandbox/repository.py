"""Where the git repository of a workspace keeps what git runs by itself: its hooks and its config.

Rule: the workspace is not believed. A `.git` file may name any folder; it counts only if that folder names it back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repository:
    """`folder` holds objects and refs; `hooks` and `config` lie in it. `marker` is the `.git` of the workspace."""

    marker: str
    folder: str

    @property
    def hooks(self) -> str:
        return f"{self.folder}/hooks"

    @property
    def config(self) -> str:
        return f"{self.folder}/config"


def find_repository(workspace: str, top: str) -> Repository | None:
    """The repository of a workspace; looked for upwards as far as `top`, where that is above the workspace."""
    folder = workspace
    while True:
        marker = f"{folder}/.git"
        if os.path.isdir(marker):
            return Repository(marker, marker)
        if os.path.isfile(marker):
            common = _common_folder(marker)
            return Repository(marker, common) if common else None
        if folder == top or not folder.startswith(f"{top}/"):
            return None
        folder = os.path.dirname(folder)


def _common_folder(marker: str) -> str:
    """The main repository's folder of a linked worktree; empty if it does not know this worktree."""
    named = _first_line(marker)
    if not named.startswith("gitdir: "):
        return ""
    own = os.path.realpath(os.path.join(os.path.dirname(marker), named.removeprefix("gitdir: ")))
    back = os.path.realpath(os.path.join(own, _first_line(f"{own}/gitdir") or "."))
    if back != os.path.realpath(marker) or os.path.basename(os.path.dirname(own)) != "worktrees":
        return ""
    return os.path.dirname(os.path.dirname(own))


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.readline(4096).rstrip("\n")
    except OSError:
        return ""
