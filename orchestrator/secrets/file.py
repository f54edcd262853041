"""The secrets file: `NAME=value` lines that nobody else can read.

Rule: a file that others can read is refused as a whole, because what is in it is no secret any more. It is replaced in
one step, and never lies anywhere under another mode.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from orchestrator import failpoint
from orchestrator.named_values import Entry, block, entries
from orchestrator.spool import files

MAX_BYTES = 1024 * 1024


class FileRefused(Exception):
    """Why the secrets file counts for nothing, and what to do; nothing of what is in it."""


def read(path: str) -> dict[str, str]:
    """Names and values; none where there is no file. Raises FileRefused."""
    return {entry.name: entry.value for entry in _entries(path, _content(path))}


def put(path: str, name: str, value: str) -> bool:
    """Give a name this value, durably; whether it had another before. All other lines stay as they are.

    Raises FileRefused or OSError."""
    lines, kept, known = _without(path, name)
    plain = value.strip() == value and "\n" not in value and "\r" not in value and value[:1] not in "\"'"
    _replace(path, [*lines[:kept], f"{name}={value}\n" if plain else block(name, value), *lines[kept:]])
    return known


def remove(path: str, name: str) -> bool:
    """Forget a name, durably; False where it was not there. Raises FileRefused or OSError."""
    lines, _, known = _without(path, name)
    if known:
        _replace(path, lines)
    return known


def places(path: str) -> tuple[str, str]:
    """Where secrets lie: the file itself, whatever links lead to it, and the one that takes its place next. Its name
    never changes, so that what a crash leaves of it can be kept from steps too."""
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    return real, f"{folder}/.{name}.tmp"


def _without(path: str, name: str) -> tuple[list[str], int, bool]:
    """The lines of the file without those of this name, where they stood, and whether there were any."""
    data = _content(path)
    found = [entry for entry in _entries(path, data) if entry.name == name]
    lines = [f"{line}\n" for line in data.decode().removesuffix("\n").split("\n")] if data else []
    taken = {at for entry in found for at in range(entry.first, entry.after)}
    kept = [line for at, line in enumerate(lines) if at not in taken]
    return kept, found[0].first if found else len(kept), bool(found)


def _replace(path: str, lines: list[str]) -> None:
    path, temporary = places(path)
    with suppress(FileNotFoundError):  # of one that was killed here
        os.unlink(temporary)
    files.write_new(temporary, "".join(lines).encode(), sync=True)
    failpoint.reach("secret.written")
    os.rename(temporary, path)
    files.sync_folder(os.path.dirname(path))


def _entries(path: str, data: bytes) -> list[Entry]:
    try:
        return entries(data, secret=True)
    except ValueError as error:
        raise FileRefused(f"{path}, {error}") from None


def _content(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise FileRefused(f"{path} can't be read: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise FileRefused(f"{path} is not a file")
        if status.st_uid != os.geteuid():
            raise FileRefused(f"{path} belongs to another user (uid {status.st_uid}), who can read and change it")
        if status.st_mode & 0o077:
            mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
            raise FileRefused(f"{path} is open to others ({mode}): `chmod 600 {path}`, and think of new secrets")
        data = b""
        while len(data) <= MAX_BYTES and (more := os.read(fd, MAX_BYTES + 1 - len(data))):
            data += more
    finally:
        os.close(fd)
    if len(data) > MAX_BYTES:
        raise FileRefused(f"{path} is larger than {MAX_BYTES // 1024} KiB")
    return data
