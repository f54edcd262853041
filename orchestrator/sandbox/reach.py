"""What one call may reach: from the skill's manifest and the configuration to real paths.

Rule: whoever may write a folder may rename what is in it. So each folder on the way from a writable one down to a
protected one is *pinned* (mounted on itself), because a mount point can't be renamed; and a protected path that is a
symbolic link is refused, because links can't be mounted on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.errors import TaskError
from orchestrator.home import Home
from orchestrator.outcome import Access
from orchestrator.sandbox.places import (
    CACHES,
    HIDDEN,
    HIDDEN_BY_VARIABLE,
    MOVED_BY_VARIABLE,
    RUN_SHOWN,
    SYSTEM,
    TOO_WIDE,
)  # fmt: skip
from orchestrator.sandbox.repository import Leads, Repository, find_marker, find_repository, leads

PRIVATE = ("/tmp", "/var/tmp")  # replaced by a folder of the task's own
COVERED = (*PRIVATE, "/run")


@dataclass(frozen=True, slots=True)
class World:
    """What does not depend on the call. `user_home` is the home folder of steps, "" where they have none; `write`,
    `hide` and `show` are the configuration's; `programs` must be seen even where a private /tmp or an empty /run lies
    over them; `own_code` is what the daemon itself runs from, `absent` what it would run if it were there."""

    home: Home
    workspace: str
    user_home: str
    own_code: tuple[str, ...]
    programs: tuple[str, ...]
    absent: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Real paths that exist, in the order in which they are laid over each other. `absent` are such as do not, and must
    not when the call has ended. `guesses` are the places whose change may change this answer."""

    kept: tuple[str, ...]
    caches: tuple[tuple[str, str], ...]
    writable: tuple[str, ...]
    pinned: tuple[str, ...]
    readonly: tuple[str, ...]
    reopened: tuple[str, ...]
    hidden: tuple[str, ...]
    shown: tuple[str, ...]
    network: bool
    absent: tuple[str, ...]
    guesses: frozenset[str]


def work_out(access: Access, cwd: str, world: World) -> Reach:
    """Raises TaskError("sandbox_refused") where a workspace can't be given to a step."""
    _check_workspace(cwd, world)
    repository = find_repository(cwd, world.workspace)
    wanted_hidden = [*_places_hidden(world), *world.hide, *access.hide]
    kept = [path for path in _real((*world.programs, world.user_home)) if _is_covered(path)]
    shown = _real((*RUN_SHOWN, *world.show, *access.show))
    writable = _writable(access, cwd, world, repository)
    led = _led(access, world, repository, writable)
    # A `.git` that is a file says which repository is this one's: whoever comes later shall not be led to another.
    markers = filter(
        os.path.isfile, (find_marker(cwd, world.workspace), *(find_marker(root, root) for root in writable))
    )
    readonly = _readonly(world, writable, [*markers, *(path for one in led for path in one.kept)])
    there = _real(wanted_hidden)
    # Each mount costs a step time, and a system has many such places that are there for nothing.
    empty = [path for path in there if not _is_in(path, writable) and _is_empty(path)]
    hidden = [
        path
        for path in _outermost([path for path in there if path not in shown and path not in empty])
        if not _is_covered(path) or _is_in(path, (*writable, *kept))
    ]
    return Reach(
        kept=tuple(_outermost(kept)),
        caches=tuple((f"{world.home.caches}/{_plain(place)}", real) for place, real in _caches(world)),
        writable=writable,
        pinned=tuple(_between(writable, [path for path in (*readonly, *hidden) if _is_in(path, writable)])),
        readonly=readonly,
        reopened=_reopened(access, cwd, world, repository, writable),
        hidden=tuple(hidden),
        shown=tuple(path for path in shown if _is_covered(path) or any(is_under(path, over) for over in hidden)),
        network=access.network,
        absent=tuple(
            path for path in (*world.absent, *(path for one in led for path in one.absent)) if _is_in(path, writable)
        ),
        guesses=_folders_of((*wanted_hidden, cwd, f"{cwd}/.git/hooks", *_shared(repository))).union(
            empty, *(one.folders for one in led)
        ),
    )


def is_under(path: str, folder: str) -> bool:
    """Whether it is that folder, or lies in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _is_covered(path: str) -> bool:
    return any(is_under(path, over) for over in COVERED)


def expand(path: str, user_home: str) -> str:
    """`~` for the home folder of steps; "" where they have none."""
    if path == "~" or path.startswith("~/"):
        return user_home + path[1:] if user_home else ""
    return path


def _check_workspace(cwd: str, world: World) -> None:
    if os.path.realpath(cwd) != cwd:
        raise _refused(f"the workspace {cwd} was replaced by a symbolic link since the task began")
    if cwd in world.write:
        return
    if cwd in TOO_WIDE or any(is_under(cwd, system) for system in SYSTEM):
        raise _refused(f"the workspace {cwd} belongs to the system; use a folder of its own")
    if world.user_home and is_under(world.user_home, cwd):
        raise _refused(
            f"the workspace {cwd} is a whole home folder, and a step could change what starts at the next login; "
            f"use a folder in it, or name it in `sandbox.write` of the configuration"
        )
    for own in _protected(world):
        if is_under(cwd, own) and not world.home.is_worktree(cwd):
            raise _refused(f"the workspace {cwd} lies in {own}, which steps may not change")


def _refused(message: str) -> TaskError:
    return TaskError("sandbox_refused", message)


def _protected(world: World) -> tuple[str, ...]:
    home = world.home
    return (home.config, home.policy, home.skills, home.state, home.queue, *world.own_code)


def _writable(access: Access, cwd: str, world: World, repository: Repository | None) -> tuple[str, ...]:
    """The workspace, what is named beside it, and the repository: the outermost of each, as one mount carries all."""
    named = _real((*world.write, *access.write))
    tops = (world.workspace, world.home.worktrees)
    if repository is not None and any(is_under(repository.marker, top) for top in tops):
        named.append(repository.folder)
    return tuple(_outermost([cwd, *named]))


def _led(access: Access, world: World, repository: Repository | None, writable: tuple[str, ...]) -> list[Leads]:
    """What leads git to programs, in the workspace's repository and in those that may be written as a whole."""
    opened = {*access.write, *world.write}
    own = repository.folder if repository is not None else ""
    others = [find_repository(root, root) for root in writable if root != own]
    found = {one.folder: one for one in (*others, repository) if one is not None and _is_in(one.folder, writable)}
    for folder in found:
        _check_real(folder)
    return [
        # `{workspace}/.git/config` means it in a linked worktree too, where `.git` is a file.
        leads(one, not opened.isdisjoint((one.config, f"{one.marker}/config")), lambda path: _is_in(path, writable))
        for one in found.values()
    ]


def _is_in(path: str, roots: tuple[str, ...]) -> bool:
    return any(is_under(path, root) for root in roots)


def _check_real(path: str) -> None:
    if os.path.realpath(path) != path:
        raise _refused(
            f"{path} is reached through a symbolic link inside the workspace, which can't be kept from being "
            "replaced; make it a real folder, or use another workspace"
        )


def _readonly(world: World, writable: tuple[str, ...], leading: Iterable[str]) -> tuple[str, ...]:
    protected = [path for path in (*_protected(world), *leading) if os.path.lexists(path)]
    inside = [path for path in protected if _is_in(path, writable)]
    for path in inside:
        _check_real(path)
    return tuple(sorted({path for path in inside if os.path.exists(path)}))


def _between(writable: tuple[str, ...], covered: Iterable[str]) -> list[str]:
    """The folders between a writable root and what is protected or hidden in it, outermost first."""
    found = set()
    for path in covered:
        root = max((root for root in writable if is_under(path, root)), key=len)
        folder = os.path.dirname(path)
        while len(folder) > len(root):
            found.add(folder)
            folder = os.path.dirname(folder)
    return sorted(found)


def _reopened(
    access: Access, cwd: str, world: World, repository: Repository | None, writable: tuple[str, ...]
) -> tuple[str, ...]:
    """Inbox, so that tasks may queue tasks; not for those without a network, since what they queue would have one. A
    task's own worktree, and what its repository keeps of that."""
    home = world.home
    reopened = [home.inbox] if access.network and _is_in(home.inbox, writable) else []
    reopened += [path for path in _real((cwd, *access.write)) if is_under(path, home.worktrees)]
    if repository is not None and repository.own and _is_in(repository.own, writable):
        reopened.append(repository.own)
    return tuple(path for path in reopened if os.path.isdir(path))


@lru_cache(maxsize=4)
def _places_hidden(world: World) -> tuple[str, ...]:
    variables = {name: value for name, value in world.variables if os.path.isabs(value)}
    places = [expand(place, world.user_home) for place in HIDDEN]
    for usual, name in MOVED_BY_VARIABLE.items():
        if name in variables:
            places += [f"{variables[name]}/{place.removeprefix(usual)}" for place in HIDDEN if place.startswith(usual)]
    for name in HIDDEN_BY_VARIABLE:
        named = filter(os.path.isabs, variables.get(name, "").split(os.pathsep))
        places += [path for path in named if not _is_wide(os.path.realpath(path), world)]
    return tuple(filter(None, places))


def _is_wide(path: str, world: World) -> bool:
    """Whether to hide it would hide what steps need."""
    needed = (world.user_home, world.workspace, world.home.root)
    return path in TOO_WIDE or _is_in(path, SYSTEM) or any(is_under(one, path) for one in needed if one)


def _shared(repository: Repository | None) -> tuple[str, ...]:
    """Others make and remove files there, of which some are covered."""
    return (f"{repository.folder}/HEAD",) if repository is not None and repository.own else ()


def _caches(world: World) -> Iterator[tuple[str, str]]:
    for place in CACHES:
        real = os.path.realpath(expand(place, world.user_home) or "/nowhere")
        if os.path.isdir(real):
            yield place, real


def _plain(place: str) -> str:
    return os.path.basename(place).lstrip(".")


def _real(paths: Iterable[str]) -> list[str]:
    """Those that exist and can be read at all, links followed: what is closed to this user needs no cover."""
    found = dict.fromkeys(os.path.realpath(path) for path in paths if os.access(path, os.F_OK))
    return [path for path in found if path != "/" and os.access(path, os.R_OK)]


def _is_empty(path: str) -> bool:
    if os.path.isdir(path):
        return not os.listdir(path)
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _outermost(paths: list[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not (kept and is_under(path, kept[-1])):
            kept.append(path)
    return kept


def _folders_of(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(map(_nearest_folder, {os.path.dirname(path) for path in paths}))


def _nearest_folder(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
