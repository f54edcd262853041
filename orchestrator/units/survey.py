"""From a home and a person's wishes to the service that would be written now, and why it can't be.

Rule: what would only fail after the service is installed is refused here, with what to do.
"""

from __future__ import annotations

import functools
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass

from orchestrator.errors import FatalError
from orchestrator.execution.prepare import workspace_of
from orchestrator.home import Home
from orchestrator.sandbox.host import probe
from orchestrator.sandbox.reach import PRIVATE, expand, is_under
from orchestrator.seed import seed_root
from orchestrator.settings import SandboxSettings, load_settings
from orchestrator.skills import load_skills
from orchestrator.skills.access import access_of
from orchestrator.units.service import NAME, ManagerName, Scope, Service

_PLAIN_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
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


def survey(home: Home, wishes: Wishes) -> Service:
    """The service as it would be written now. Raises FatalError where it would not work, with what to do."""
    if not NAME.fullmatch(wishes.name):
        raise FatalError(f"--name {wishes.name!r}: letters, digits, `_`, `.` and `-`, at most 64", exit_code=2)
    owner = _owner(home) if wishes.scope == "system" else None
    user_home = owner.pw_dir if owner else os.path.expanduser("~")
    settings = load_settings(home)
    workspace = workspace_of(home, settings)
    if owner is not None:
        _check_visible((home.root, workspace, sys.prefix, os.path.realpath(seed_root())))
    if wishes.strict:
        _check_strict(home, settings.sandbox, workspace, wishes.manager)
    return Service(
        manager=wishes.manager,
        scope=wishes.scope,
        name=wishes.name,
        files=folder_of(wishes.manager, wishes.scope),
        home=home.root,
        python=sys.executable,
        path=wishes.path,
        kill=shutil.which("kill") or "/bin/kill",
        user=owner.pw_name if owner else "",
        schedule=wishes.schedule,
        strict=wishes.strict,
        sandbox="" if wishes.manager == "launchd" else _sandbox(settings.sandbox, strict=wishes.strict),
        writable=_writable(home, settings.sandbox, workspace, user_home),
    )


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
    best = probe().best if not strict else "landlock"
    return "" if best == "none" else best


def _owner(home: Home) -> pwd.struct_passwd:
    """Whom a system's service of this home runs as."""
    number = os.stat(home.root).st_uid
    if number == 0:
        raise FatalError(
            f"{home.root} belongs to root, and a system's service runs as the owner of its home: tasks would have all "
            f"of root's rights. Make a user for it: `useradd --create-home orchestrator`, then "
            f"`chown -R orchestrator: {home.root}`",
            exit_code=2,
        )
    try:
        owner = pwd.getpwuid(number)
    except KeyError as error:
        raise FatalError(
            f"{home.root} belongs to user {number}, whom this machine does not know", exit_code=2
        ) from error
    if not _PLAIN_USER.fullmatch(owner.pw_name):
        raise FatalError(f"systemd takes no user name like {owner.pw_name!r}: give the home to another", exit_code=2)
    return owner


def _check_visible(needed: tuple[str, ...]) -> None:
    for path in needed:
        if any(is_under(path, private) for private in PRIVATE):
            raise FatalError(
                f"{path}: a system's service has a /tmp of its own and would not see it: use another place", exit_code=2
            )


def _check_strict(home: Home, settings: SandboxSettings, workspace: str, manager: ManagerName) -> None:
    if manager != "systemd":
        raise FatalError("--strict: only systemd can do that", exit_code=2)
    if "bwrap" in (settings.require, settings.level):
        raise FatalError(
            "--strict leaves no namespaces, and the configuration wants the sandbox bwrap, which is built from them: "
            "leave out --strict, or change sandbox.level and sandbox.require",
            exit_code=2,
        )
    if not probe().abi:
        raise FatalError("--strict: steps would run under Landlock, which this kernel does not have", exit_code=2)
    if is_under(home.root, workspace):
        raise FatalError(
            f"--strict: steps run under Landlock, which protects nothing inside of the workspace, and the workspace "
            f"holds the home ({home.root}): a task could approve itself. Set workspace.root to another folder",
            exit_code=2,
        )


def _is_safe(folder: str) -> bool:
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and not mode & stat.S_IWOTH and folder.isprintable()
