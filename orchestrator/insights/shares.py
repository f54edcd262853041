"""Who holds what tasks share, and who waits for it, as the disk tells it: found by the daemon's own rules (`pools`).

What a task holds follows from the specs in running/; and while nobody holds anything, nobody waits for it either, so
that inbox needs no look. The configuration is slow to read, and is read only where it makes a difference.
"""

from __future__ import annotations

import glob
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from orchestrator.home import Home
from orchestrator.pools import Lack, Pools, of_skill, wants_of
from orchestrator.spool import names

if TYPE_CHECKING:
    from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Part:
    """So many slots that a task holds, or waits for."""

    task: str
    slots: int


@dataclass(frozen=True, slots=True)
class Share:
    """One thing that tasks share. The next one that has its turn stands first among those that wait."""

    name: str
    kind: Literal["pool", "lock", "skill"]
    size: int
    used: int
    holders: list[Part]
    waiting: list[Part]


@dataclass(frozen=True, slots=True)
class _Task:
    """A task in the queue; its name alone tells it from others."""

    name: str
    id: str

    def __str__(self) -> str:
        return self.id


def is_anything_held(home: Home) -> bool:
    """Whether a task that runs holds anything that others might wait for."""
    limited = _limited_skills(home)
    return any(wants_of(*_asked(facts), limited) for _, facts in _specs_in(home, home.running))


class Shares:
    """A look at one moment. `is_held(name)` says whether a spec in inbox waits for something else: then it has no place
    in the order. Raises FatalError for a configuration that is not valid."""

    def __init__(self, home: Home, is_held: Callable[[str], bool]) -> None:
        from orchestrator.configuration import load_settings

        settings = load_settings(home)
        self._pools: Pools[_Task] = Pools({**settings.pools, **_limited_skills(home)})
        self._named = frozenset(settings.pools)
        self._tasks: dict[str, _Task] = {}
        held = False
        for task, facts in _specs_in(home, home.running):
            if wants := self._wants(facts):
                self._pools.hold(task, wants)
                held = True
        if held:
            self._line_up(home, settings, is_held)

    def lack(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """What the spec of this file name in inbox lacks, as people read it, and the ids of those who have it."""
        task = self._tasks.get(name)
        lack: Lack[_Task] | None = None if task is None else self._pools.lack(task)
        if lack is None:
            return None
        others = lack.holders if lack.before is None else (lack.before,)
        return lack.sentence(self._pools.sizes), tuple(other.id for other in others)

    def all(self) -> list[Share]:
        """Every pool, and each lock and limited skill that is held."""
        shares = [self._share(name) for name in self._pools.names()]
        return [share for share in shares if share.kind == "pool" or share.holders or share.waiting]

    def _line_up(self, home: Home, settings: Settings, is_held: Callable[[str], bool]) -> None:
        from orchestrator.spec import LEVEL

        for task, facts in _specs_in(home, home.inbox):
            wants = self._wants(facts)
            if wants and not is_held(task.name):
                order = facts["came"] - LEVEL.get(facts.get("priority", "medium"), 1) * settings.daemon.ageing / 1000
                self._tasks[task.name] = task
                self._pools.enter(task, order, wants)

    def _wants(self, facts: dict[str, Any]) -> dict[str, int]:
        return dict(wants_of(*_asked(facts), self._pools.sizes))

    def _share(self, name: str) -> Share:
        holders = [Part(task.id, slots) for task, slots in self._pools.holders(name)]
        waiting = [Part(task.id, slots) for task, slots in self._pools.waiters(name)]
        size, used = self._pools.sizes.get(name, 1), sum(part.slots for part in holders)
        kind: Literal["pool", "lock", "skill"] = "pool" if name in self._named else "lock"
        if (skill := name.removeprefix(of_skill(""))) != name:
            kind = "skill"
        return Share(skill, kind, size, used, holders, waiting)


def _asked(facts: dict[str, Any]) -> tuple[dict[str, int], list[str]]:
    return facts.get("resources") or {}, facts.get("skills") or []


def _limited_skills(home: Home) -> dict[str, int]:
    """The skills whose manifests limit how many tasks use them at once."""
    found = {}
    for manifest in glob.glob("*/skill.toml", root_dir=home.skills):
        try:
            with open(f"{home.skills}/{manifest}", "rb") as file:
                data = file.read()
            limit = tomllib.loads(data.decode()).get("concurrency") if b"concurrency" in data else None
        except (OSError, ValueError):  # no skill: `doctor` says what is wrong with it
            continue
        if isinstance(limit, int):
            found[of_skill(manifest.partition("/")[0])] = limit
    return found


def _specs_in(home: Home, folder: str) -> Iterator[tuple[_Task, dict[str, Any]]]:
    """Each spec, and what it says; `came` is when it came there, in seconds since the epoch."""
    try:
        found = sorted(name for name in os.listdir(folder) if name.endswith(names.SPEC_SUFFIXES))
    except FileNotFoundError:
        return
    for name in found:
        facts = {} if names.is_temporary(name) else _facts(home, f"{folder}/{name}", name)
        if isinstance(facts.get("id"), str):
            yield _Task(name, facts["id"]), facts


def _facts(home: Home, path: str, name: str) -> dict[str, Any]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            data, came = file.read(), os.fstat(fd).st_ctime
    except OSError:  # it has moved on
        return {}
    return _read(home, data, name) | {"came": came}


def _read(home: Home, data: bytes, name: str) -> dict[str, Any]:
    """What a spec says. Quick for JSON; YAML, templates and code tasks need intake."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _by_intake(home, data, name)
    if not isinstance(found, dict):
        return {}
    return found if found.keys().isdisjoint(("template", "task_id")) else _by_intake(home, data, name)


def _by_intake(home: Home, data: bytes, name: str) -> dict[str, Any]:
    from orchestrator.intake.load import SpecError, load_task

    try:
        task = load_task(data, name, templates=home.templates)
    except SpecError:
        return {}
    return task.model_dump(include={"id", "priority", "resources", "skills"})
