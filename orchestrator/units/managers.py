"""What the service managers are asked, by their own programs: to take a service up, to let it go, how it is.

Only these are used, not their sockets, so that a person can repeat by hand whatever we do.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from orchestrator.errors import FatalError
from orchestrator.units.launchd import label
from orchestrator.units.service import ManagerName, Scope, Service, Unit

_PATIENCE_S = 300  # a start waits until the daemon has recovered, a stop until it has drained


@dataclass(frozen=True, slots=True)
class State:
    """How a service is, as its manager tells it. `since` and `next` are ISO 8601 in UTC, "" where there is none;
    `line` is what the daemon itself says; `reloaded` is False where the manager has not read the files as they are."""

    known: bool = False
    enabled: bool = False
    running: bool = False
    word: str = "unknown"
    since: str = ""
    pid: int = 0
    restarts: int = 0
    line: str = ""
    next: str = ""
    reloaded: bool = True


class Manager(Protocol):
    """Raises FatalError with the program's own words where it refuses."""

    def lack(self) -> str:
        """Why it can't be asked here, and what to do; "" if it can."""

    def take_up(self, service: Service, units: Sequence[Unit], *, changed: bool) -> None:
        """Read the files, start the service now (again, if they changed) and at each boot (a user's: at each login)."""

    def let_go(self, name: str) -> None:
        """Stop it, and start it no more."""

    def forget(self) -> None:
        """Notice that files are gone."""

    def state(self, name: str, *, scheduled: bool) -> State: ...

    def by_hand(self, service: Service, units: Sequence[Unit]) -> str:
        """The command that takes a service up."""

    def log(self, name: str) -> str:
        """The command that shows what a service said."""


def manager_of(name: ManagerName, scope: Scope) -> Manager:
    return Launchd(scope) if name == "launchd" else Systemd(scope)


class Systemd:
    """systemctl."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._program = ["systemctl", "--user"] if scope == "user" else ["systemctl"]

    def lack(self) -> str:
        if shutil.which("systemctl") is None:
            return (
                "systemctl is not installed: this machine has no systemd. Start `orchestrator run` with what starts "
                "services here (an entry for runit, OpenRC, supervisord, or @reboot in a crontab)"
            )
        asked = _ask([*self._program, "show", "--property=Version"])
        if asked.returncode == 0:
            return ""
        advice = "start the daemon by hand (`orchestrator run`), or with what starts services here"
        if self._scope == "user" and os.path.isdir("/run/systemd/system"):
            advice = (
                "this user has no session of systemd's: log in anew (not with su or sudo), or "
                "`loginctl enable-linger` as this user and set XDG_RUNTIME_DIR=/run/user/$(id -u)"
            )
        return f"{' '.join(self._program)} answers: {_last(asked.stderr)}; {advice}"

    def take_up(self, service: Service, units: Sequence[Unit], *, changed: bool) -> None:
        del service
        self._must("daemon-reload")
        self._must("enable", _started_one(units))
        self._must("restart" if changed else "start", _started_one(units))

    def let_go(self, name: str) -> None:
        for unit in (f"{name}.timer", f"{name}.service"):
            if self._properties(unit, "LoadState").get("LoadState") == "loaded":
                self._must("disable", "--now", unit)

    def forget(self) -> None:
        self._must("daemon-reload")

    def state(self, name: str, *, scheduled: bool) -> State:
        told = self._properties(
            f"{name}.service", "LoadState", "UnitFileState", "ActiveState", "SubState", "ActiveEnterTimestamp",
            "MainPID", "NRestarts", "StatusText", "NeedDaemonReload",
        )  # fmt: skip
        if not told:
            return State()
        timer = self._properties(f"{name}.timer", "UnitFileState", "NextElapseUSecRealtime") if scheduled else {}
        active = told.get("ActiveState", "unknown")
        return State(
            known=told.get("LoadState") == "loaded",
            enabled=(timer if scheduled else told).get("UnitFileState") in ("enabled", "enabled-runtime"),
            running=active in ("active", "reloading", "deactivating") or told.get("SubState") == "start",
            word=f"{active} ({told.get('SubState', '')})",
            since=_iso(told.get("ActiveEnterTimestamp", "")) if active == "active" else "",
            pid=int(told.get("MainPID") or 0),
            restarts=int(told.get("NRestarts") or 0),
            line=told.get("StatusText", ""),
            next=_iso(timer.get("NextElapseUSecRealtime", "")),
            reloaded=told.get("NeedDaemonReload") != "yes",
        )

    def by_hand(self, service: Service, units: Sequence[Unit]) -> str:
        del service
        program = " ".join(self._program)
        return f"{program} daemon-reload && {program} enable --now {_started_one(units)}"

    def log(self, name: str) -> str:
        return f"journalctl {'--user ' if self._scope == 'user' else ''}-u {name} -n 30"

    def _properties(self, unit: str, *names: str) -> Mapping[str, str]:
        asked = _ask([*self._program, "show", "--timestamp=utc", f"--property={','.join(names)}", "--", unit])
        pairs = (line.partition("=") for line in asked.stdout.splitlines())
        return {name: value for name, _, value in pairs} if asked.returncode == 0 else {}

    def _must(self, *words: str) -> None:
        _must([*self._program, *words])


class Launchd:
    """launchctl."""

    def __init__(self, scope: Scope) -> None:
        self._domain = "system" if scope == "system" else f"gui/{os.getuid()}"

    def lack(self) -> str:
        return "" if shutil.which("launchctl") else "launchctl is not installed: services of launchd need macOS"

    def take_up(self, service: Service, units: Sequence[Unit], *, changed: bool) -> None:
        if not changed and self.state(service.name, scheduled=False).known:
            return
        self.let_go(service.name)
        _must(["launchctl", "enable", f"{self._domain}/{label(service.name)}"])
        _must(["launchctl", "bootstrap", self._domain, units[0].path])

    def let_go(self, name: str) -> None:
        if self.state(name, scheduled=False).known:
            _must(["launchctl", "bootout", f"{self._domain}/{label(name)}"])

    def forget(self) -> None:
        """It forgets a service when that is booted out."""

    def state(self, name: str, *, scheduled: bool) -> State:
        del scheduled
        asked = _ask(["launchctl", "print", f"{self._domain}/{label(name)}"])
        if asked.returncode != 0:
            return State(word="not loaded")
        word = re.search(r"^\s*state = (.+)$", asked.stdout, re.MULTILINE)
        pid = re.search(r"^\s*pid = (\d+)$", asked.stdout, re.MULTILINE)
        return State(
            known=True,
            enabled=True,
            running=pid is not None,
            word=word[1] if word else "unknown",
            since=_started(int(pid[1])) if pid else "",
            pid=int(pid[1]) if pid else 0,
        )

    def by_hand(self, service: Service, units: Sequence[Unit]) -> str:
        del service
        return f"launchctl bootstrap {self._domain} {shlex.quote(units[0].path)}"

    def log(self, name: str) -> str:
        return f"launchctl print {self._domain}/{label(name)}"


def _started_one(units: Sequence[Unit]) -> str:
    """The unit that is started and enabled: of a service with a timer, that one."""
    return units[-1].path.rpartition("/")[2]


def _ask(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
            env={**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FatalError(f"`{' '.join(command)}` has not ended after {_PATIENCE_S} s") from error
    except FileNotFoundError as error:
        raise FatalError(f"{command[0]} is not installed") from error


def _must(command: Sequence[str]) -> None:
    asked = _ask(command)
    if asked.returncode != 0:
        raise FatalError(f"`{' '.join(command)}` failed: {asked.stderr.strip() or f'exit {asked.returncode}'}")


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["nothing"])[-1]


def _iso(stamp: str) -> str:
    """`Sat 2026-11-21 08:06:40 UTC` as ISO 8601; "" for what is no time, such as `n/a`."""
    found = re.search(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\S* UTC", stamp)
    return f"{found[1]}T{found[2]}Z" if found else ""


def _started(pid: int) -> str:
    import psutil

    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return ""
    return datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
