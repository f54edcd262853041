"""The orchestrator as a service of the machine: what systemd and launchd are given to read, and what they answer.

Its rule: what is written is told whole by a `Service`, which the file itself carries; so a later look can say whether
a person changed the file, and what would be written today. The templates lie in `systemd/` and `launchd/`.
"""

from __future__ import annotations

from orchestrator.units import launchd, systemd
from orchestrator.units.service import Service, Unit
from orchestrator.units.stamp import stamped

__all__ = ["Service", "Unit", "units_of"]


def units_of(service: Service) -> tuple[Unit, ...]:
    """The files that make a service, stamped. Raises FatalError for what its manager can't be told."""
    render = launchd.render if service.manager == "launchd" else systemd.render
    return tuple(Unit(unit.path, stamped(unit.text, service)) for unit in render(service))
