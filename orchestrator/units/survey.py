"""From a home and a person's wishes to the service that would be written now, and why it can't be.

Rule: what would only fail after the service is installed is found here, and said with what to do.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass

from orchestrator.configuration import load_settings
from orchestrator.errors import FatalError
from orchestrator.execution.prepare import workspace_of
from orchestrator.home import Home
from orchestrator.sandbox.host import ORDER, probe
from orchestrator.sandbox.reach import expand, is_under
from orchestrator.settings import SandboxSettings
from orchestrator.skills import load_skills
from orchestrator.skills.access import access_of
from orchestrator.units import obstacles
from orchestrator.units.service import NAME, ManagerName, Scope, Service

_PATIENCE_S = 30
_FOLDERS: dict[tuple[ManagerName, Scope], str] = {
    ("systemd", "system"): "/etc/systemd/system",
    ("launchd", "user"): "~/Library/LaunchAgents",
    ("launchd", "system"): "/Library/LaunchDaemons",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person can choose. `path` is the PATH to give the service."""

    manager: ManagerName
    scope: Scope
    name: str
    path: str
    schedule: str = ""
    strict: bool = False


def this_manager() -> ManagerName:
    return "launchd" if sys.platform == "darwin" else "systemd"


def folder_of(manager: ManagerName, scope: Scope) -> str:
    """Where a manager looks for what people install."""
    if (manager, scope) == ("systemd", "user"):
        config = os.environ.get("XDG_CONFIG_HOME", "")
        return f"{config if os.path.isabs(config) else os.path.expanduser('~/.config')}/systemd/user"
    return os.path.expanduser(_FOLDERS[manager, scope])


@dataclass(frozen=True, slots=True)
class Survey:
    """The service as it would be written now, and why it would not work so, with what to do."""

    service: Service
    obstacles: tuple[str, ...]


def survey(home: Home, wishes: Wishes) -> Survey:
    """Raises FatalError where no service can be written at all: a bad name, a broken configuration."""
    if not NAME.fullmatch(wishes.name):
        raise FatalError(f"--name {wishes.name!r}: letters, digits, `_`, `.` and `-`, at most 64", exit_code=2)
    settings = load_settings(home)
    workspace = workspace_of(home, settings)
    owner, no_owner = obstacles.owner_of(home) if wishes.scope == "system" else ("", ())
    user_home = _home_folder(owner)
    service = Service(
        manager=wishes.manager,
        scope=wishes.scope,
        name=wishes.name,
        files=folder_of(wishes.manager, wishes.scope),
        home=home.root,
        python=sys.executable,
        path=wishes.path,
        kill=shutil.which("kill") or "/bin/kill",
        user=owner,
        schedule=wishes.schedule,
        strict=wishes.strict,
        sandbox="" if wishes.manager == "launchd" else _sandbox(settings.sandbox, strict=wishes.strict),
        writable=_writable(home, settings.sandbox, workspace, user_home),
    )
    return Survey(service, (*no_owner, *obstacles.of(service, settings.sandbox, workspace)))


def _home_folder(user: str) -> str:
    """A user's home folder; "" is who asks. Of one who is still to be made it is the usual one."""
    folder = os.path.expanduser(f"~{user}")
    return folder if os.path.isabs(folder) else f"/home/{user}"


def leave_overrides(environ: MutableMapping[str, str]) -> list[str]:
    """Take this shell's own settings out of the environment: the service will not have them. Returns their names."""
    names = sorted(name for name in environ if name.startswith("ORCHESTRATOR_") and "__" in name)
    for name in names:
        del environ[name]
    return names


def search_path(inherited: str, standard: str) -> str:
    """A PATH for the service: the folders of this one that are there and that not everybody can write, then the
    standard ones."""
    found = [folder for folder in inherited.split(os.pathsep) if os.path.isabs(folder) and _is_safe(folder)]
    return os.pathsep.join(dict.fromkeys([*found, *standard.split(os.pathsep)]))


def check_start(service: Service) -> None:
    """Start the program as the service would be started, for its version. Raises FatalError where that fails."""
    command = [service.python, "-P", "-m", "orchestrator", "--version"]
    run = functools.partial(
        subprocess.run, command, env={"PATH": service.path}, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=_PATIENCE_S,
    )  # fmt: skip
    try:
        if service.user and os.geteuid() == 0:
            entry = pwd.getpwnam(service.user)
            done = run(user=entry.pw_uid, group=entry.pw_gid, extra_groups=())
        else:
            done = run()
    except OSError as error:
        raise _no_start(service, error.strerror or str(error)) from error
    if done.returncode != 0:
        raise _no_start(service, (done.stderr.strip().splitlines() or [f"it exited with {done.returncode}"])[-1])


def _no_start(service: Service, why: str) -> FatalError:
    whom = f" as {service.user}" if service.user else ""
    return FatalError(
        f"the service could not start: `{service.python} -P -m orchestrator`{whom}: {why}\n"
        f"Install local-orchestrator where{whom or ' this user'} can run it without PYTHONPATH (a venv of its own), "
        "and install the service from there.",
        exit_code=2,
    )


def _writable(home: Home, settings: SandboxSettings, workspace: str, user_home: str) -> tuple[str, ...]:
    """What steps may write beside the home: the workspace, and what the configuration and the skills name."""
    named = [expand(path, user_home) for path in settings.write]
    skills = load_skills(home.skills)
    for name in skills:
        named += access_of(skills.get(name), workspace, {"HOME": user_home}).write
    wanted = [path for path in (workspace, *named) if path and not is_under(path, home.root)]
    outermost: list[str] = []
    for path in sorted(set(wanted)):
        if not (outermost and is_under(path, outermost[-1])):
            outermost.append(path)
    return tuple(outermost)


def _sandbox(settings: SandboxSettings, *, strict: bool) -> str:
    """The level that the service must not start below: what works on this host now, if the configuration wants it.

    Without it a line too much in a unit would take the steps' walls away, and nobody would notice.
    """
    if settings.level in ("landlock", "none"):
        return ""
    best = "landlock" if strict else probe().best
    return best if ORDER.index(best) > ORDER.index(settings.require) else ""


def _is_safe(folder: str) -> bool:
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and not mode & stat.S_IWOTH and folder.isprintable()
