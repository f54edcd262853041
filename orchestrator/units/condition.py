"""How a service is: what its files say, what its manager says, and what to do about the difference."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from orchestrator.errors import FatalError
from orchestrator.home import Home
from orchestrator.units import units_of
from orchestrator.units.installed import Installed, drop_ins
from orchestrator.units.managers import Manager, State
from orchestrator.units.service import ManagerName, Scope
from orchestrator.units.survey import Wishes, folder_of, survey, this_manager

FileState = Literal[
    "as it would be written now", "differs from what would be written now", "changed by hand", "not ours"
]


@dataclass(frozen=True, slots=True)
class File:
    path: str
    state: FileState


@dataclass(frozen=True, slots=True)
class Condition:
    """`serves`: the daemon runs, or the timer waits. `age_s` is how long it has, in seconds; 0 where it does not."""

    name: str
    manager: ManagerName
    scope: Scope
    home: str
    installed: bool
    scheduled: bool
    serves: bool
    files: tuple[File, ...]
    drop_ins: tuple[str, ...]
    manager_says: State
    age_s: float
    advice: tuple[str, ...]


def condition(home: Home, there: Installed, scope: Scope, name: str, manager: Manager) -> Condition:
    """Raises OSError for files that can't be read."""
    service = there.service
    scheduled = bool(service and service.schedule)
    lack = manager.lack()
    state = State() if lack else manager.state(name, scheduled=scheduled)
    texts, trouble = _wanted(there, scope, name)
    files = tuple(File(path, _state(found.state, found.text == texts.get(path))) for path, found in there.there)
    ours = there.is_ours()
    return Condition(
        name=name,
        manager=this_manager(),
        scope=scope,
        home=service.home if service else home.root,
        installed=ours,
        scheduled=scheduled,
        serves=ours and (state.enabled and bool(state.next) if scheduled else state.running),
        files=files,
        drop_ins=tuple(drop_ins(folder_of(this_manager(), scope), name)),
        manager_says=state,
        age_s=_age(state.since),
        advice=(
            *_about_files(home, there, files, trouble),
            *([lack] if lack else _about_manager(there, state, manager)),
        ),
    )


def lingers() -> bool:
    """Whether this user's services go on when the user has logged out."""
    return os.path.exists(f"/var/lib/systemd/linger/{getpass.getuser()}")


def _wanted(there: Installed, scope: Scope, name: str) -> tuple[dict[str, str], str]:
    """The files as they would be written now, with the wishes that the present ones were written from; and what is
    wrong with that."""
    service = there.service
    if service is None:
        return {}, ""
    wishes = Wishes(this_manager(), scope, name, service.path, schedule=service.schedule, strict=service.strict)
    try:
        wanted = survey(Home(service.home), wishes)
        return {unit.path: unit.text for unit in units_of(wanted.service)}, " ".join(wanted.obstacles)
    except (FatalError, OSError) as error:
        return {}, f"it could not be written now: {error}"


def _state(stamp: str, same: bool) -> FileState:
    if stamp == "foreign":
        return "not ours"
    if stamp == "edited":
        return "changed by hand"
    return "as it would be written now" if same else "differs from what would be written now"


def _about_files(home: Home, there: Installed, files: tuple[File, ...], trouble: str) -> Iterator[str]:
    service = there.service
    if not there.is_ours():
        yield "not installed: `orchestrator service install`"
    if service is not None and service.home != home.root:
        yield f"it serves another home than {home.root}: `orchestrator service install --name NAME` gives that its own"
    if trouble:
        yield trouble
    elif any(file.state.startswith("differs") for file in files):
        yield "the files are not as this version and this configuration would have them: install again"


def _about_manager(there: Installed, state: State, manager: Manager) -> Iterator[str]:
    service = there.service
    if service is None:
        return
    if not state.reloaded:
        yield "systemd has not read the files as they are now: `systemctl daemon-reload`, then restart it"
    if not state.enabled:
        yield "it is not enabled, so it won't start by itself: install again"
    if not state.running and not service.schedule:
        yield f"it does not run: `{manager.log(service.name)}` says why"
    if (service.manager, service.scope) == ("systemd", "user") and not lingers():
        yield "it ends when you log out; `loginctl enable-linger` has it run all the same"


def _age(since: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else 0.0
