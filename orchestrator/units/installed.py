"""The files of services on this machine: what stands there, writing them, removing them.

Rule: what we did not write, or a person changed, is touched only where that person says so; what we did not write is
never removed.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import FatalError
from orchestrator.spool.files import replace_file, sync_folder
from orchestrator.units.launchd import label
from orchestrator.units.service import ManagerName, Service, Unit
from orchestrator.units.stamp import Found, look

_USUAL_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Installed:
    """What stands at each path that a service of this name may have."""

    files: tuple[tuple[str, Found], ...]

    @property
    def service(self) -> Service | None:
        """What the first of our files was written from."""
        return next((found.service for _, found in self.files if found.service is not None), None)

    @property
    def there(self) -> tuple[tuple[str, Found], ...]:
        return tuple((path, found) for path, found in self.files if found.state != "absent")

    def is_ours(self) -> bool:
        return any(found.state in ("ours", "edited") for _, found in self.files)


def installed(manager: ManagerName, folder: str, name: str) -> Installed:
    """Raises OSError for what can't be read."""
    if manager == "launchd":
        paths = [f"{folder}/{label(name)}.plist"]
    else:
        paths = [f"{folder}/{name}.service", f"{folder}/{name}.timer"]
    return Installed(tuple((path, look(path)) for path in paths))


def drop_ins(folder: str, name: str) -> list[str]:
    """What a person added with `systemctl edit`; it stays theirs."""
    return sorted(glob.glob(f"{glob.escape(f'{folder}/{name}')}.*.d/*.conf"))


def check_ours(there: Installed, home: str, *, force: bool) -> None:
    """Raises FatalError for a file that may not be written over."""
    for path, found in there.there:
        if force:
            continue
        if found.state == "foreign":
            raise FatalError(
                f"{path} stands there already, and `orchestrator service install` did not write it: move it away, "
                "choose another --name, or have it replaced with --force",
                exit_code=2,
            )
        if found.state == "edited":
            raise FatalError(
                f"{path} was changed by hand since it was written: keep your lines in a drop-in (`systemctl edit`), "
                "then have the file replaced with --force",
                exit_code=2,
            )
        check_home(path, found.service, home)


def check_home(path: str, service: Service | None, home: str) -> None:
    """Raises FatalError for the service of another home."""
    if service is not None and service.home != home:
        raise FatalError(
            f"{path} serves another home, {service.home}: choose another --name for {home}, or name that home with "
            "--home",
            exit_code=2,
        )


def write(units: Sequence[Unit], there: Installed) -> list[str]:
    """Write the files that differ, remove those that are no longer wanted. Returns the paths of both.

    Raises OSError. A file that is there is replaced in one step.
    """
    texts = {unit.path: unit.text for unit in units}
    changed = [path for path, found in there.files if found.text != texts.get(path, "")]
    for path in changed:
        if path not in texts:
            os.unlink(path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_file(path, texts[path].encode())
        os.chmod(path, _USUAL_MODE)
    for folder in {os.path.dirname(path) for path in changed}:
        sync_folder(folder)
    return changed


def check_removable(there: Installed, home: str, *, force: bool) -> None:
    """Raises FatalError for a file of ours that a person changed, or that serves another home."""
    for path, found in there.there:
        check_home(path, found.service, home)
        if found.state == "edited" and not force:
            raise FatalError(f"{path} was changed by hand since it was written: --force removes it", exit_code=2)


def remove(there: Installed) -> list[str]:
    """Remove our files; returns their paths. Raises OSError."""
    ours = [path for path, found in there.there if found.state != "foreign"]
    for path in ours:
        os.unlink(path)
    return ours
