"""One sandbox for all calls of a home, as its configuration wants it and the host allows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from orchestrator.errors import FatalError, TaskError
from orchestrator.home import Home
from orchestrator.outcome import Access, Call, Confinement
from orchestrator.sandbox import bwrap
from orchestrator.sandbox.host import ORDER, Host, Level
from orchestrator.sandbox.places import CACHES, HIDDEN_BY_VARIABLE
from orchestrator.sandbox.reach import COVERED, World, expand, work_out
from orchestrator.sandbox.scratch import remove_tree
from orchestrator.settings import SandboxSettings

_Stamps = tuple[tuple[str, int], ...]


class Sandbox:
    """Confines calls. `level` is what steps get. Used from one thread."""

    def __init__(
        self, settings: SandboxSettings, host: Host, home: Home, workspace: str, path: str, environ: Mapping[str, str]
    ) -> None:
        self.level: Level = choose(settings, host)
        self._host = host
        self._world = _world(settings, home, workspace, path, environ)
        self._empty = f"{home.scratch}/empty"
        self._known: dict[tuple[Access, str], tuple[_Stamps, tuple[str, ...], tuple[str, ...]]] = {}

    def prepare(self) -> None:
        """Make the folders that it needs, and remove what a dead daemon's tasks left in /tmp. Raises OSError."""
        home = self._world.home
        remove_tree(home.scratch)
        if self.level == "none":
            return
        for folder in (home.scratch, home.caches):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        # A device in its place would be closed inside, and programs stumble over a file that they may not read.
        os.close(os.open(self._empty, os.O_CREAT | os.O_CLOEXEC, 0o444))
        for place in CACHES:
            os.makedirs(f"{home.caches}/{place.removeprefix('~/.')}", mode=0o700, exist_ok=True)
            if self._world.user_home and os.access(self._world.user_home, os.W_OK):
                os.makedirs(expand(place, self._world.user_home), mode=0o700, exist_ok=True)

    def confine(self, call: Call, run: str) -> Call:
        """The call with walls around it. `run` names the run whose steps share a /tmp.

        Raises TaskError("sandbox_refused") where they can't be built as the skill asks, OSError where the disk refuses.
        """
        if call.runner != "process":
            return call
        if self.level == "none":
            if not call.access.network:
                raise _no_network(call.skill, self.level)
            return call
        return self._in_bwrap(call, self._scratch(run))

    def discard(self, run: str) -> Callable[[], None] | None:
        """Remove a run's /tmp; where that is more than a moment's work, the answer is what does it, for a thread."""
        scratch = self._scratch_of(run)
        try:
            os.rmdir(scratch)
        except FileNotFoundError:
            return None
        except OSError:
            return lambda: remove_tree(scratch)
        return None

    def _in_bwrap(self, call: Call, scratch: str) -> Call:
        before, after = self._arguments(call)
        kept, env = bwrap.kept_from_bwrap(call.env)
        words = (*before, *bwrap.private_tmp(scratch), *after, *kept, "--chdir", call.cwd, "--")
        return replace(call, env=env, confinement=Confinement("bwrap", words, bwrap.STATUS_FD))

    def _arguments(self, call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Worked out once for a skill and a workspace, and again when a folder on the way there has changed: what is
        hidden must stay so when it is made, or made anew, while the daemon runs."""
        key = (call.access, call.cwd)
        if (known := self._known.get(key)) is not None and _are_fresh(known[0]):
            return known[1], known[2]
        reach = work_out(call.access, call.cwd, self._world)
        stamps = tuple((folder, _stamp(folder)) for folder in reach.guesses)
        before, after = bwrap.arguments(self._host.bwrap, reach, self._empty)
        self._known[key] = (stamps, before, after)
        return before, after

    def _scratch_of(self, run: str) -> str:
        return f"{self._world.home.scratch}/{run}"

    def _scratch(self, run: str) -> str:
        folder = self._scratch_of(run)
        with suppress(FileExistsError):
            os.mkdir(folder)
            os.chmod(folder, 0o1777)  # as programs expect of a /tmp; the folder above it is closed
        return folder


def choose(settings: SandboxSettings, host: Host) -> Level:
    """The level of a configuration on a host. Raises FatalError where it must not run so."""
    level: Level = host.best if settings.level == "auto" else settings.level
    have = {"bwrap": bool(host.bwrap), "landlock": host.abi > 0, "none": True}
    advice = f"; {host.advice}" if host.advice else ""
    if not have[level]:
        why = host.why if level == "bwrap" else "this kernel has no Landlock"
        raise FatalError(f"sandbox.level is {level}, but {why}{advice}", exit_code=2)
    if ORDER.index(level) < ORDER.index(settings.require):
        raise FatalError(
            f"sandbox.require is {settings.require}, but this host offers only {level}: "
            f"{host.why or f'sandbox.level is {settings.level}'}{advice}",
            exit_code=2,
        )
    return level


def _world(settings: SandboxSettings, home: Home, workspace: str, path: str, environ: Mapping[str, str]) -> World:
    user_home = environ.get("HOME", "")
    user_home = os.path.realpath(user_home) if os.path.isdir(user_home) else ""

    def paths(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(filter(None, (expand(one, user_home) for one in given)))

    own_code = (os.path.dirname(os.path.dirname(os.path.realpath(__file__))), os.path.realpath(sys.prefix))
    return World(
        home=home,
        workspace=workspace,
        user_home=user_home,
        own_code=own_code,
        programs=_programs(home, path),
        write=paths(settings.write),
        hide=paths(settings.hide),
        show=paths(settings.show),
        variables=tuple(
            (name, environ[name]) for name in (*HIDDEN_BY_VARIABLE, "XDG_CONFIG_HOME") if environ.get(name)
        ),
    )


def _programs(home: Home, path: str) -> tuple[str, ...]:
    """Skills, and what PATH names: with a program's own folder comes what lies beside it."""
    found = [home.skills]
    for entry in path.split(os.pathsep):
        prefix = os.path.dirname(entry) if os.path.basename(entry) in ("bin", "sbin") else entry
        found.append(entry if prefix in COVERED else prefix)
    return tuple(one for one in found if os.path.isabs(one))


def _no_network(skill: str, level: Level) -> TaskError:
    return TaskError(
        "sandbox_refused",
        f"skill `{skill}` says `network = false`, which needs bwrap, but the sandbox is {level} here: "
        "`orchestrator doctor` says how to get it",
    )


def _are_fresh(stamps: _Stamps) -> bool:
    return all(_stamp(folder) == stamp for folder, stamp in stamps)


def _stamp(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return -1
