"""What the host offers, whatever the home."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress

from orchestrator.cli.doctor.finding import Finding
from orchestrator.errors import FatalError
from orchestrator.home import Home

_WATCHES_NEEDED = 8_192
_INSTANCES_NEEDED = 64
_DESCRIPTORS_NEEDED = 1_024

_PROGRAMS = (
    ("bash", "fail", "the bash skill and most scripts need it: install bash"),
    ("git", "warn", "tasks with the git skill will fail: install git"),
    ("node", "warn", "tasks with the node skill will fail: install Node.js"),
)


def python(home: Home) -> Iterator[Finding]:
    del home
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def programs(home: Home) -> Iterator[Finding]:
    del home
    for name, level, advice in _PROGRAMS:
        path = shutil.which(name)
        yield Finding(name, "ok", path) if path else _missing(name, level, advice)
    beside = os.path.join(os.path.dirname(sys.executable), "shfmt")
    path = beside if os.access(beside, os.X_OK) else shutil.which("shfmt")
    yield (
        Finding("shfmt", "ok", path)
        if path
        else _missing(
            "shfmt", "warn", "the gate asks for approval of every script that it cannot parse: pip install shfmt-py"
        )
    )


def _missing(name: str, level: str, advice: str) -> Finding:
    return Finding(name, "fail" if level == "fail" else "warn", "not found on PATH", advice)


def sandbox(home: Home) -> Iterator[Finding]:
    from orchestrator.configuration import load_settings
    from orchestrator.sandbox import choose, probe
    from orchestrator.settings import SandboxSettings

    host, settings = probe(), SandboxSettings()
    with suppress(FatalError):  # the check of the configuration tells it
        settings = load_settings(home).sandbox
    try:
        level = choose(settings, host)
    except FatalError as error:
        yield Finding("sandbox", "fail", str(error), "the daemon does not start like this")
        return
    if level != "none":
        yield from _open_to_tasks(home)
    if level == "bwrap":
        yield Finding("sandbox", "ok", f"level bwrap: {host.bwrap} works here")
        return
    what = {
        "landlock": f"steps can't write outside of their workspace, but see docs/sandbox.md (Landlock ABI {host.abi})",
        "none": "steps run with this user's own rights; the gate is the one guard",
    }[level]
    why = host.why or f"sandbox.level is {settings.level}"
    yield Finding("sandbox", "warn", f"level {level}: {what} ({why})", host.advice or 'set sandbox.level to "auto"')


def _open_to_tasks(home: Home) -> Iterator[Finding]:
    """What the daemon runs outside of the sandbox, or where it looks for that, and tasks may write."""
    from orchestrator.configuration import load_settings
    from orchestrator.execution.prepare import workspace_of
    from orchestrator.sandbox.reach import is_under

    try:
        settings = load_settings(home)
        places = [workspace_of(home, settings), *map(os.path.expanduser, settings.sandbox.write)]
    except FatalError:
        return  # the check of the configuration tells it
    words = (os.path.join(home.root, word) for channel in settings.channels.values() for word in channel.command)
    found = dict.fromkeys((*filter(os.path.isabs, (*os.get_exec_path(), *sys.path)), *filter(os.path.isfile, words)))
    closed = (os.path.realpath(sys.prefix), home.config, home.policy, home.skills)
    advice = "keep it elsewhere (tasks can't write `config` of the home), or set workspace.root to another folder"
    for entry in found:
        real = os.path.realpath(entry)
        if any(is_under(real, place) for place in places) and not any(is_under(real, folder) for folder in closed):
            yield Finding("sandbox", "warn", f"the daemon runs programs from {entry}, which tasks may write", advice)


def inotify(home: Home) -> Iterator[Finding]:
    del home
    if sys.platform != "linux":
        yield Finding("inotify", "ok", "not Linux: the system's own file events are used")
        return
    for name, needed in (("max_user_watches", _WATCHES_NEEDED), ("max_user_instances", _INSTANCES_NEEDED)):
        value = _number(f"/proc/sys/fs/inotify/{name}")
        if value is None:
            yield Finding(
                "inotify", "warn", f"{name} cannot be read", "the inbox is rescanned every few seconds anyway"
            )
        elif value < needed:
            yield Finding("inotify", "warn", f"{name} is {value}", f"sudo sysctl fs.inotify.{name}={needed}")
        else:
            yield Finding("inotify", "ok", f"{name} is {value}")


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as handle:
            return int(handle.read())
    except (OSError, ValueError):
        return None


def descriptors(home: Home) -> Iterator[Finding]:
    del home
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _DESCRIPTORS_NEEDED:
        advice = f"ulimit -n {_DESCRIPTORS_NEEDED} before `orchestrator run`, or fewer daemon.max_tasks"
        yield Finding("open files", "warn", f"limit {soft}, at most {hard}", advice)
    else:
        yield Finding("open files", "ok", f"limit {'none' if soft == resource.RLIM_INFINITY else soft}")
