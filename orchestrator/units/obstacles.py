"""Why a service would not work once it is installed, or be less safe than it looks: sentences with what to do."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Iterator

from orchestrator.home import Home
from orchestrator.sandbox.host import probe
from orchestrator.sandbox.reach import PRIVATE, is_under
from orchestrator.seed import seed_root
from orchestrator.settings import SandboxSettings
from orchestrator.units.service import Service

USUAL_USER = "orchestrator"
_PLAIN_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def owner_of(home: Home) -> tuple[str, tuple[str, ...]]:
    """Whom a system's service of this home runs as; where that is nobody, whom it should, and why."""
    number = os.stat(home.root).st_uid
    give_away = f"`chown -R {USUAL_USER}: {home.root}`"
    if number == 0:
        sentence = (
            f"{home.root} belongs to root, and a system's service runs as the owner of its home: tasks would have all "
            f"of root's rights. Make a user for it: `useradd --create-home {USUAL_USER}`, then {give_away}"
        )
        return USUAL_USER, (sentence,)
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        return USUAL_USER, (f"{home.root} belongs to user {number}, whom this machine does not know: {give_away}",)
    if not _PLAIN_USER.fullmatch(name):
        return USUAL_USER, (f"no service can be told a user name like {name!r}: {give_away}",)
    return name, ()


def of(service: Service, settings: SandboxSettings, workspace: str) -> Iterator[str]:
    """All that stands in the way of a service, but for its owner."""
    if service.scope == "system":
        yield from _unseen((service.home, workspace, sys.prefix, seed_root()))
    if service.strict:
        yield from _not_strict(service, settings, workspace)


def _unseen(needed: tuple[str, ...]) -> Iterator[str]:
    for path in dict.fromkeys(map(os.path.realpath, needed)):
        if any(is_under(path, private) for private in PRIVATE):
            yield f"{path}: a system's service has a /tmp of its own and would not see it: use another place"


def _not_strict(service: Service, settings: SandboxSettings, workspace: str) -> Iterator[str]:
    if service.manager != "systemd":
        yield "--strict: only systemd can do that"
    if "bwrap" in (settings.require, settings.level):
        yield (
            "--strict leaves no namespaces, and the configuration wants the sandbox bwrap, which is built from them: "
            "leave out --strict, or change sandbox.level and sandbox.require"
        )
    if not probe().abi:
        yield "--strict: steps would run under Landlock, which this kernel does not have"
    if is_under(service.home, workspace):
        yield (
            f"--strict: steps run under Landlock, which protects nothing inside of the workspace, and the workspace "
            f"holds the home ({service.home}): a task could approve itself. Set workspace.root to another folder"
        )
