"""A service as systemd's units, from the templates in `systemd/`.

Every value that we do not choose ourselves goes through `quoted`. The command has the prefix `:`, so that `$` is a
character like any other in it.
"""

from __future__ import annotations

from orchestrator.errors import FatalError
from orchestrator.units.moments import moments
from orchestrator.units.service import Service, Unit, sayable
from orchestrator.units.templates import filled, template

_NOT_IN_PROGRAMS = "\"'\\"


def render(service: Service) -> tuple[Unit, ...]:
    """The service, and its timer where it has a schedule. Raises FatalError for what systemd can't be told."""
    which = "once" if service.schedule else "daemon"
    units = [
        Unit(f"{service.files}/{service.name}.service", filled(template(f"systemd/{which}.service"), _of(service)))
    ]
    if service.schedule:
        calendar = "\n".join(f"OnCalendar={moment.on_calendar()}" for moment in moments(service.schedule))
        text = filled(template("systemd/once.timer"), {"NAME": service.name, "MOMENTS": calendar})
        units.append(Unit(f"{service.files}/{service.name}.timer", text))
    return tuple(units)


def quoted(text: str, what: str) -> str:
    """One word of a unit's value, whatever it holds. Raises FatalError for what no unit can hold."""
    plain = sayable(text, what).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"'


def _of(service: Service) -> dict[str, str]:
    system = service.scope == "system"
    home = quoted(service.home, "the home's path")
    return {
        "NAME": service.name,
        "COMMAND": _command(service, home),
        "HARDENING": _hardening(service, home),
        "KILL": service.kill,
        "ORDER": f"After=network.target\nRequiresMountsFor={home}" if system else "",
        "PATH": quoted(f"PATH={service.path}", "PATH"),
        "TARGET": "multi-user.target" if system else "default.target",
        "USER": f"User={service.user}" if system else "",
    }


def _command(service: Service, home: str) -> str:
    if any(char in service.python for char in _NOT_IN_PROGRAMS):
        raise FatalError(
            f"the path of Python holds a quote or a backslash, which systemd refuses in a program's path: "
            f"{service.python}; install orchestrator elsewhere",
            exit_code=2,
        )
    # -P: the folder that it is started in must not lend it modules. faulthandler: where it hung, if the watchdog bites.
    return f":{quoted(service.python, 'the path of Python')} -P -X faulthandler -m orchestrator --home {home}"


def _hardening(service: Service, home: str) -> str:
    system = service.scope == "system"
    wanted = {
        "harden-any": True,
        "harden-system": system,
        "allow-namespaces": not service.strict,
        "strict": service.strict,
        "strict-system": service.strict and system,
    }
    text = "\n".join(template(f"systemd/{name}.conf").rstrip("\n") for name, one in wanted.items() if one)
    # What is not there now may come to be: a leading "-" is no error then.
    beside = [quoted(f"-{path}", "a path that steps may write") for path in service.writable]
    fixed = [quoted(f"-{service.home}/{part}", "the home's path") for part in ("config", "policy", "skills")]
    values = {
        "WRITABLE": f"ReadWritePaths={' '.join([home, *beside])}\nReadOnlyPaths={' '.join(fixed)}",
        "SANDBOX": f"Environment=ORCHESTRATOR_SANDBOX__REQUIRE={service.sandbox}" if service.sandbox else "",
    }
    return filled(text, values).rstrip("\n")
