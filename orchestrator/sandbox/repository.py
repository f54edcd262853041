"""Where a git repository keeps what git runs by itself, and what leads git there: hooks, config, and what names those.

Rule: the workspace is not believed. A `.git` file may name any folder; it counts only if that folder names it back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.errors import TaskError
from orchestrator.runners.real_folder import open_real_folder

_MOST_INCLUDED = 100
_MOST_WORKTREES = 1000
_LARGEST_CONFIG = 1 << 20


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


@dataclass(frozen=True, slots=True)
class Leads:
    """What leads git to programs: `kept` is there and must stay as it is, `absent` must not come to be. `folders` are
    those whose change may change this answer."""

    kept: tuple[str, ...]
    absent: tuple[str, ...]
    folders: tuple[str, ...]


def leads(repository: Repository, open_config: bool, reachable: Callable[[str], bool]) -> Leads:
    """`open_config` says that a call may write the configuration, `reachable` what else it may. Raises OSError, or
    TaskError("sandbox_refused") where there is too much of it.

    Nothing is said of submodules: whoever may write the index and the files can make a submodule of any folder."""
    folder = repository.folder
    _make_hooks(folder)
    kept = [repository.hooks]
    single = [repository.own] if repository.own else _worktrees_elsewhere(folder, reachable)
    for own in single:
        kept += [f"{own}/commondir", f"{own}/gitdir"]
    if repository.own:
        kept += repository.not_for_one_worktree()
    if not open_config:
        kept += _config_files(repository.config)
        if _has_config_per_worktree(repository.config):
            kept += [f"{own}/config.worktree" for own in (folder, *single)]
    absent = [f"{folder}/commondir", *(path for path in kept if not os.path.lexists(path))]
    above = {os.path.dirname(path) for path in (*kept, *absent)}
    return Leads(tuple(path for path in kept if path not in absent), tuple(absent), tuple(sorted(above)))


def _make_hooks(folder: str) -> None:
    """What is not there can't be kept from being made."""
    fd = open_real_folder(folder)
    try:
        os.mkdir("hooks", dir_fd=fd)
    except FileExistsError:
        return
    finally:
        os.close(fd)


def _worktrees_elsewhere(folder: str, reachable: Callable[[str], bool]) -> list[str]:
    """What is kept of worktrees that a step can't spoil in their own place. Those that are gone may be tidied away."""
    try:
        names = os.listdir(f"{folder}/worktrees")
    except OSError:
        return []
    if len(names) > _MOST_WORKTREES:
        why = f"{folder}/worktrees holds {len(names)} worktrees, more than are looked at ({_MOST_WORKTREES})"
        raise TaskError("sandbox_refused", f"{why}: `git worktree prune` removes those that are gone")
    owns = [f"{folder}/worktrees/{name}" for name in names]
    markers = {own: os.path.join(own, _first_line(f"{own}/gitdir")) for own in owns}
    there = {own: marker for own, marker in markers.items() if _own_folder(marker) == own}
    return [own for own, marker in there.items() if not reachable(os.path.realpath(marker))]


def _has_config_per_worktree(config: str) -> bool:
    return "worktreeconfig" in _text(config).lower()


def _config_files(config: str) -> list[str]:
    """A configuration and what it includes, but for what is named by the user's home."""
    found = [config]
    for file in found:  # which grows meanwhile
        found += [path for path in _included(file) if path not in found][: _MOST_INCLUDED - len(found)]
    return found


def _included(config: str) -> Iterator[str]:
    """Line by line, and each in one go: a step may have written it, to keep us busy."""
    section = ""
    for line in map(str.strip, _text(config).splitlines()):
        if line.startswith("["):
            head, _, line = line[1:].partition("]")
            section = head.split('"')[0].strip().lower()
        key, _, value = line.partition("=")
        path = value.split("#")[0].split(";")[0].strip().strip('"')
        if section in ("include", "includeif") and key.strip().lower() == "path" and path and path[0] not in "~%":
            yield os.path.normpath(os.path.join(os.path.dirname(config), path))


def find_marker(workspace: str, top: str) -> str:
    """The `.git` of a workspace, or the folder that is bare; looked for upwards as far as `top`, where that is above
    the workspace. Empty if there is none."""
    folder = workspace
    while True:
        if os.path.exists(f"{folder}/.git"):
            return f"{folder}/.git"
        if is_bare(folder):
            return folder
        if folder == top or not folder.startswith(f"{top}/"):
            return ""
        folder = os.path.dirname(folder)


def find_repository(workspace: str, top: str) -> Repository | None:
    """The repository of a workspace, looked for as its marker is; None where that is not to be believed."""
    marker = find_marker(workspace, top)
    if not os.path.isfile(marker):
        return Repository(marker, marker) if marker else None
    own = _own_folder(marker)
    return Repository(marker, os.path.dirname(os.path.dirname(own)), own) if own else None


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
    return _text(path, 4096).partition("\n")[0]


def _text(path: str, most: int = _LARGEST_CONFIG) -> str:
    try:
        # A step may have put a FIFO in its place.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, most).decode("utf-8", "replace") if stat.S_ISREG(os.fstat(fd).st_mode) else ""
    finally:
        os.close(fd)
