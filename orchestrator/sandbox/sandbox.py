"""One sandbox for all calls of a home, as its configuration wants it and the host allows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib.machinery import all_suffixes
from weakref import WeakKeyDictionary

from orchestrator.errors import FatalError, TaskError
from orchestrator.home import Home
from orchestrator.outcome import Access, Call, Confinement
from orchestrator.sandbox import bwrap, limits
from orchestrator.sandbox.exchange import exchangeable, look
from orchestrator.sandbox.host import ORDER, Host, Level
from orchestrator.sandbox.landlock import Landlock, close_abstract_sockets
from orchestrator.sandbox.places import CACHES, HIDDEN_BY_VARIABLE, IMPORTED_AT_START, MOVED_BY_VARIABLE
from orchestrator.sandbox.reach import COVERED, Reach, World, expand, is_under, work_out
from orchestrator.sandbox.scratch import remove_tree
from orchestrator.settings import SandboxSettings

OUTPUT = "ORCHESTRATOR_OUTPUT"
"""The variable that names the file for a step's outputs. It lies in the run's /tmp, so that no wall needs a hole."""
NOTES = ".output."
"""The names of such files begin so."""
_NOWHERE = "/dev/null"
_live: WeakKeyDictionary[Confinement, tuple[str, Reach]] = WeakKeyDictionary()
"""The walls of what runs: a runner keeps a call, and so its confinement, until nothing of it is alive."""
_SUFFIXES = ("", *all_suffixes())


@dataclass(frozen=True, slots=True)
class _Known:
    """A reach, and the arguments of bwrap that come before and after the mount of /tmp."""

    reach: Reach
    stamps: tuple[tuple[str, int], ...]
    before: tuple[str, ...]
    after: tuple[str, ...]

    def is_fresh(self) -> bool:
        return all(_stamp(folder) == stamp for folder, stamp in self.stamps)


class Sandbox:
    """Confines calls. `level` is what steps get. Used from one thread."""

    def __init__(
        self, settings: SandboxSettings, host: Host, home: Home, workspace: str, path: str, environ: Mapping[str, str]
    ) -> None:
        self.level: Level = choose(settings, host)
        self._host = host
        self._world = _world(settings, home, workspace, path, environ)
        self._empty = f"{home.scratch}/empty"
        self._known: dict[tuple[Access, str], _Known] = {}
        self._settings, self._path = settings, path
        self._limits: tuple[str, ...] = ()

    def wipe(self, keep: Collection[str] = ()) -> None:
        """Remove what a dead daemon's tasks left in /tmp, but for these runs. For the start only. Raises OSError."""
        folder = self._world.home.scratch
        kept = [name for name in keep if os.path.isdir(f"{folder}/{name}")]
        if not kept:
            remove_tree(folder)
            return
        for name in os.listdir(folder):
            if name not in kept and os.path.isdir(f"{folder}/{name}"):
                remove_tree(f"{folder}/{name}")
            elif name.startswith("."):
                os.unlink(f"{folder}/{name}")
        for name in kept:
            _remove_notes(f"{folder}/{name}")

    def prepare(self) -> None:
        """Make the folders that it needs. Raises OSError, or FatalError for a limit that can't be set here."""
        home = self._world.home
        self._limits = limits.prefix(self._settings, self._path)
        os.makedirs(home.scratch, mode=0o700, exist_ok=True)
        if self.level == "none":
            return
        os.makedirs(home.caches, mode=0o700, exist_ok=True)
        # A device in its place would be closed inside, and programs stumble over a file that they may not read.
        os.close(os.open(self._empty, os.O_CREAT | os.O_CLOEXEC, 0o444))
        for place in CACHES:
            os.makedirs(f"{home.caches}/{place.removeprefix('~/.')}", mode=0o700, exist_ok=True)
            if self._world.user_home and os.access(self._world.user_home, os.W_OK):
                os.makedirs(expand(place, self._world.user_home), mode=0o700, exist_ok=True)

    def confine(self, call: Call, run: str, notes: str = "") -> Call:
        """The call with walls around it. `run` names the run whose steps share a /tmp; `notes` is the name of the file
        there that the call may name its outputs in, empty where nobody asks for them.

        Raises TaskError("sandbox_refused") where they can't be built as the skill asks, OSError where the disk refuses.
        """
        if call.runner != "process":
            return call
        if self.level != "bwrap" and not call.access.network:
            raise _no_network(call.skill, self.level)
        if self.level == "bwrap":
            return self._in_bwrap(call, run, f"{bwrap.TMP}/{notes}" if notes else _NOWHERE)
        path = self.notes_path(run, notes) if notes else _NOWHERE
        if self.level == "landlock":
            return self._under_landlock(call, self._scratch(run), path)
        return replace(call, argv=(*self._limits, *call.argv), env={**call.env, OUTPUT: path})

    def notes_path(self, run: str, notes: str) -> str:
        """Where such a file of a call's lies, seen from outside."""
        scratch = self._scratch_of(run)
        # Without walls a run has no folder of its own. No id begins with a dot, so that no run's folder is called so.
        return f"{scratch}/{notes}" if self.level != "none" else f"{self._world.home.scratch}/.{run}{notes}"

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

    def _in_bwrap(self, call: Call, run: str, notes: str) -> Call:
        known = self._reach(call)
        kept, env = bwrap.kept_from_bwrap({**call.env, OUTPUT: notes})
        tmp = bwrap.private_tmp(self._scratch(run))
        first = _look_first(run, known.reach)
        if first and kept:
            raise _two_at_once(kept[1])
        words = (*known.before, *tmp, *known.after, *kept, "--chdir", call.cwd, "--", *first, *self._limits)
        # Without a network there are none.
        within = close_abstract_sockets if self._host.scopes and known.reach.network else None
        wall = Confinement("bwrap", words, bwrap.STATUS_FD, within=within, absent=known.reach.absent)
        _live[wall] = (run, known.reach)
        return replace(call, env=env, confinement=wall)

    def _under_landlock(self, call: Call, scratch: str, notes: str) -> Call:
        reach = self._reach(call).reach
        caches = self._world.home.caches
        own = {"TMPDIR": scratch, "XDG_CACHE_HOME": f"{caches}/cache", "npm_config_cache": f"{caches}/npm"}
        writable = (*reach.writable, *reach.reopened, scratch, caches)
        restrict = Landlock(self._host.abi, writable, reach.hidden)
        wall = Confinement("landlock", self._limits, restrict=restrict)
        return replace(call, env={**own, **call.env, OUTPUT: notes}, confinement=wall)

    def _reach(self, call: Call) -> _Known:
        """Worked out once for a skill and a workspace, and again when a folder on the way there has changed: what is
        hidden must stay so when it is made, or made anew, while the daemon runs."""
        key = (call.access, call.cwd)
        if (known := self._known.get(key)) is None or not known.is_fresh():
            reach = work_out(call.access, call.cwd, self._world)
            stamps = tuple((folder, _stamp(folder)) for folder in reach.guesses)
            before, after = bwrap.arguments(self._host.bwrap, reach, self._empty)
            known = self._known[key] = _Known(reach, stamps, before, after)
        for path in known.reach.absent:
            if os.path.lexists(path):
                raise _planted(path)
        return known

    def _scratch_of(self, run: str) -> str:
        return f"{self._world.home.scratch}/{run}"

    def _scratch(self, run: str) -> str:
        folder = self._scratch_of(run)
        try:
            os.mkdir(folder)
        except FileExistsError:
            return folder
        os.chmod(folder, 0o1777)  # as programs expect of a /tmp; the folder above it is closed
        return folder


def _look_first(run: str, reach: Reach) -> tuple[str, ...]:
    """What looks at the mounts before a program starts; nothing where no step of another run is in the way."""
    rivals = [other for name, other in _live.values() if name != run and other is not reach]
    suspects = exchangeable(reach, rivals)
    return look(suspects) if suspects else ()


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

    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    # In a checkout the templates of services lie beside the package; root may install what they say.
    templates = (f"{os.path.dirname(package)}/{folder}" for folder in ("systemd", "launchd"))
    own_code = (package, os.path.realpath(sys.prefix), *templates)
    started = [f"{os.path.dirname(package)}/{name}{suffix}" for name in IMPORTED_AT_START for suffix in _SUFFIXES]
    return World(
        home=home,
        workspace=workspace,
        user_home=user_home,
        own_code=own_code,
        programs=_programs(home, path),
        absent=tuple(one for one in started if not any(is_under(one, own) for own in own_code)),
        write=paths(settings.write),
        hide=paths(settings.hide),
        show=paths(settings.show),
        variables=tuple(
            (name, environ[name]) for name in (*HIDDEN_BY_VARIABLE, *MOVED_BY_VARIABLE.values()) if environ.get(name)
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


def _two_at_once(variable: str) -> TaskError:
    return TaskError(
        "sandbox_refused",
        f"{variable} is set, and a step of another task may write a folder above: what the variable names could "
        "deceive the look at the sandbox; run one after the other",
    )


def _planted(path: str) -> TaskError:
    return TaskError(
        "sandbox_refused",
        f"{path} is there, which makes git or Python run what a task may have put there, outside of the sandbox; look "
        "at it, and remove it",
    )


def _remove_notes(scratch: str) -> None:
    """What cut-off steps had noted: their next attempts begin anew, and nobody reads it any more."""
    for name in os.listdir(scratch):
        if name.startswith(NOTES) and not os.path.isdir(f"{scratch}/{name}"):
            os.unlink(f"{scratch}/{name}")


def _stamp(folder: str) -> int:
    """Its inode's time, since a step may set that of its content back."""
    try:
        return os.stat(folder).st_ctime_ns
    except OSError:
        return -1
