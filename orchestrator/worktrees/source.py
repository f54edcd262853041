"""The repository that a task wants a worktree of, and whether it may have one.

Rule: only repositories in the workspace, or in a folder that the configuration gives to every step. A `.git` file
may name any folder; what it names must lie there too, or name it back (`sandbox.repository`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from orchestrator.errors import TaskError
from orchestrator.sandbox.reach import is_under
from orchestrator.sandbox.repository import find_repository
from orchestrator.settings import Settings
from orchestrator.spec import Worktree


@dataclass(frozen=True, slots=True)
class Source:
    """A repository: `folder` is its top, `common` holds its objects and refs. Real paths."""

    folder: str
    common: str

    @property
    def is_bare(self) -> bool:
        return self.folder == self.common


def check_place(folder: str, workspace: str, settings: Settings) -> None:
    """A spec may not take any folder for its work, since a task can queue one. Raises TaskError."""
    if not any(is_under(folder, place) for place in _places(workspace, settings)):
        raise TaskError(
            "workspace_refused",
            f"workspace.dir is {folder}, which is not in the workspace ({workspace}): take a folder there, or name "
            "this one in `sandbox.write` of the config",
        )


def _places(workspace: str, settings: Settings) -> list[str]:
    return [workspace, *(os.path.realpath(os.path.expanduser(path)) for path in settings.sandbox.write)]


def source_of(wanted: Worktree, workspace: str, settings: Settings) -> Source:
    """Look at a few folders. Raises TaskError("worktree_refused") that says what is wrong."""
    folder = os.path.realpath(os.path.join(workspace, os.path.expanduser(wanted.repo)))
    if not os.path.isdir(folder):
        raise _refused(f"workspace.worktree.repo is {folder}, which is not a folder")
    allowed = _places(workspace, settings)
    if not any(is_under(folder, place) for place in allowed):
        raise _refused(
            f"workspace.worktree.repo is {folder}, which is not in the workspace ({workspace}): take one from there, "
            "or name its folder in `sandbox.write` of the config"
        )
    found = find_repository(folder, folder)
    if found is None:
        raise _refused(_no_repository(folder, workspace))
    common = os.path.realpath(found.folder)
    if not any(is_under(common, place) for place in allowed) and not (found.own and is_under(folder, workspace)):
        raise _refused(f"the repository {folder} keeps its objects in {common}, which is not in the workspace")
    return Source(folder, common)


def _no_repository(folder: str, workspace: str) -> str:
    sentence = f"{folder} is not the top of a git repository"
    above = find_repository(os.path.dirname(folder), workspace) if is_under(folder, workspace) else None
    if above is not None and folder != workspace:
        return f"{sentence}: that is {os.path.dirname(above.marker)}; name this one, and the folder in the steps"
    if os.path.isfile(f"{folder}/.git"):
        return f"{sentence}: its .git names a folder that does not name it back (a submodule? take its superproject)"
    return f"{sentence}: `git init` makes it one"


def _refused(message: str) -> TaskError:
    return TaskError("worktree_refused", message)
