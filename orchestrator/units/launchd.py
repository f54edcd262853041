"""A service as launchd's property list, from the templates in `launchd/`."""

from __future__ import annotations

import plistlib

from orchestrator.units.moments import calendar_intervals
from orchestrator.units.service import Service, Unit, sayable
from orchestrator.units.templates import template

LOG_FILE = "state/log/daemon.log"


def label(name: str) -> str:
    """What launchd calls the service."""
    return f"local.{name}"


def render(service: Service) -> tuple[Unit, ...]:
    """One property list. Raises FatalError for what it can't hold."""
    which = "once" if service.schedule else "daemon"
    wanted = plistlib.loads(template(f"launchd/{which}.plist").encode())
    home = sayable(service.home, "the home's path")
    python = sayable(service.python, "the path of Python")
    command = [python, "-P", "-X", "faulthandler", "-m", "orchestrator", "--home", home, "run"]
    log = f"{home}/state/service.log"
    wanted |= {
        "Label": label(service.name),
        "ProgramArguments": [*command, "--once"] if service.schedule else command,
        # What is printed before the log is open goes to the file below; only our own log gives way when it is full.
        "EnvironmentVariables": {"PATH": sayable(service.path, "PATH"), "ORCHESTRATOR_LOG__FILE": LOG_FILE},
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    if service.user:
        wanted["UserName"] = service.user
    if service.schedule:
        wanted["StartCalendarInterval"] = calendar_intervals(service.schedule)
    return (Unit(f"{service.files}/{label(service.name)}.plist", plistlib.dumps(wanted).decode()),)
