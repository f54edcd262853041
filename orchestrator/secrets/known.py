"""Which secrets there are: from the file, the daemon's environment, a keyring. The first that has one wins.

The file is read once, with the rest of the configuration, so that all tasks of one configuration meet the same values.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.home import Home
from orchestrator.masking import MIN_LENGTH, Masker
from orchestrator.secrets import file
from orchestrator.secrets.keyring import KeyringUnusable, password
from orchestrator.settings import SecretsSettings

_TOO_LONG = 64 * 1024  # bytes; the kernel takes 128 KiB for one variable


class SecretError(Exception):
    """Why a task can't have the secrets that it names, as a sentence for people; never a value."""


@dataclass(frozen=True, slots=True)
class Known:
    """A secret's name, and where it comes from."""

    name: str
    source: str


class Secrets:
    """The secrets of one configuration. From any thread."""

    def __init__(self, settings: SecretsSettings, home: Home, environ: Mapping[str, str]) -> None:
        self.path = os.path.join(home.root, os.path.expanduser(settings.file))
        self.refused = ""
        """Why the file counts for nothing; empty where it does count, or there is none."""
        self.places = file.places(self.path) if settings.file else ()
        """Paths that no step may see."""
        self._allowed = settings.env
        self._env = {name: environ[name] for name in settings.env if name in environ}
        self._service = settings.keyring
        self._asked: dict[str, str] = {}
        try:
            self._file = file.read(self.path) if settings.file else {}
        except file.FileRefused as error:
            self._file, self.refused = {}, f"the secrets file is refused: {error}"

    def lacking(self, names: Iterable[str]) -> str:
        """Why these can't be had, as far as it is known without asking a keyring; empty where they can."""
        return next(filter(None, map(self._why_not, names)), "")

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """The values. May ask a keyring, which may take long. Raises SecretError."""
        found = {}
        for name in names:
            if self._service and not self.refused and name not in self._file and name not in self._env:
                self._ask(name)
            if why := self._why_not(name, asked=True):
                raise SecretError(why)
            found[name] = self._value(name) or ""
        return found

    def for_config(self, name: str) -> str | None:
        """What `${NAME}` in the configuration stands for: a person writes that, so that any variable of this process's
        environment may be meant. A keyring, which may wait for a password, is not asked."""
        return value if (value := self._value(name)) is not None else os.environ.get(name)

    def masker(self, names: Collection[str]) -> Masker | None:
        """What masks the values of these, as far as they are known; None where none is."""
        values = [
            value for name in names if (value := self._value(name)) is not None and not why_no_secret(name, value)
        ]
        return _masker(tuple(sorted(values))) if values else None

    def listed(self) -> list[Known]:
        """Every secret that is known by name, and where it comes from; what only a keyring knows is not."""
        return sorted(
            (
                *(Known(name, self.path) for name in self._file),
                *(Known(name, "environment") for name in self._allowed if name not in self._file),
            ),
            key=lambda known: known.name,
        )

    def _value(self, name: str) -> str | None:
        for source in (self._file, self._env, self._asked):
            if (value := source.get(name)) is not None:
                return value
        return None

    def _ask(self, name: str) -> None:
        try:
            value = password(self._service, name)
        except KeyringUnusable as error:
            raise SecretError(f"the secret `{name}` is not known, and the keyring can't be asked: {error}") from error
        if value is not None:
            self._asked[name] = value

    def _why_not(self, name: str, *, asked: bool = False) -> str:
        if self.refused:
            return self.refused
        value = self._value(name)
        if value is None:
            return "" if self._service and not asked else self._nowhere(name)
        return why_no_secret(name, value)

    def _nowhere(self, name: str) -> str:
        there = "" if os.path.lexists(self.path) else " (which is not there)"
        allowed = "where it is not set" if name in self._allowed else "where `[secrets] env` does not allow it"
        places = [f"{self.path}{there}", f"the daemon's environment ({allowed})"]
        places += [f"the keyring, service `{self._service}`"] if self._service else []
        return (
            f"the secret `{name}` is not known; looked for in {', '.join(places)}. "
            f"`orchestrator secrets set {name}` sets it, and a reload (SIGHUP) makes it known"
        )


def why_no_secret(name: str, value: str) -> str:
    """Why this value can't be kept secret; empty where it can."""
    if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > _TOO_LONG:
        return f"the secret `{name}` holds a NUL character, or more than {_TOO_LONG // 1024} KiB"
    if len(value.strip()) < MIN_LENGTH:
        return f"the secret `{name}` has fewer than {MIN_LENGTH} characters: it can't be masked, and is no secret"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"the secret `{name}` is not UTF-8"
    return ""


@lru_cache(maxsize=8)
def _masker(values: tuple[str, ...]) -> Masker:
    """Kept, because a masker of long values takes a moment to make."""
    return Masker(values)
