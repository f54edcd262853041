"""What a service is written from: plain facts, so that a file can carry them and be compared with them."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from orchestrator.errors import FatalError

ManagerName = Literal["systemd", "launchd"]
Scope = Literal["user", "system"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Service:
    """One home's service. Paths are absolute; `files` is the manager's folder. `user` is whom a system's service runs
    as; `schedule` is a cron expression, "" for a daemon; `sandbox` is below what the daemon must not start, "" where it
    takes what it finds; `writable` is what it may write beside its home."""

    manager: ManagerName
    scope: Scope
    name: str
    files: str
    home: str
    python: str
    path: str
    kill: str = ""
    user: str = ""
    schedule: str = ""
    strict: bool = False
    sandbox: str = ""
    writable: tuple[str, ...] = ()

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Service:
        """The service that a file tells of. Raises TypeError for what is none."""
        if set(facts) != {field.name for field in fields(cls)}:
            raise TypeError("written by another version")
        return cls(**{**facts, "writable": tuple(facts["writable"])})

    def facts(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Unit:
    """One file of a service."""

    path: str
    text: str


def sayable(text: str, what: str) -> str:
    """The text, if a unit can hold it. Raises FatalError for control characters, and what is not UTF-8."""
    if _CONTROL.search(text):
        raise FatalError(f"{what} holds a control character, which no service can be told: {text!r}", exit_code=2)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FatalError(f"{what} is not UTF-8, so no service can be told of it: {text!r}", exit_code=2) from error
    return text
