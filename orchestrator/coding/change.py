"""The one file that a code task changes: how it is changed, kept, and taken back.

Rule: what is to be done is on disk before it is done. A change is noted in the run's folder with the digests of the
file before and after, beside a backup, both synced; then the new file takes its name in one rename. A note that is
still open when a daemon starts is of one that died: `settle` takes such a change back. So at every moment the file is
the old one or the new one, whole, and after a start it is the old one unless the new one was verified.
A file that is neither, because somebody else changed it meanwhile, is never touched: then the backup is named.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Literal

import orjson

from orchestrator import failpoint
from orchestrator.home import Home
from orchestrator.runners.fence import Fence
from orchestrator.spool import files

NOTE = ".change.json"
State = Literal["open", "kept", "taken_back", "left"]
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class MeddledError(Exception):
    """Somebody else changed the file meanwhile; it was left as it is."""


@dataclass(frozen=True, slots=True)
class Before:
    """A file as it was: `data` is None where there was none, `mode` its permissions."""

    data: bytes | None = None
    mode: int = 0

    @property
    def sha256(self) -> str | None:
        return None if self.data is None else digest(self.data)

    @property
    def text(self) -> str | None:
        """As a model and the gates read it; bytes that are no text are replaced."""
        return None if self.data is None else self.data.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one file, as it is noted. `path` is relative to the workspace, `note` and `backup` are absolute;
    `temporary` is the name under which the new file is written; `made` are folders that were made for it."""

    workspace: str
    path: str
    before: str | None
    after: str
    mode: int
    note: str
    backup: str | None
    temporary: str
    made: tuple[str, ...] = ()
    state: State = "open"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def look(fence: Fence, path: str) -> Before:
    """The file as it stands. Raises OSError, also where it is no plain file."""
    try:
        descriptor = fence.open_file(path)
    except FileNotFoundError:
        return Before()
    with open(descriptor, "rb") as handle:
        return Before(handle.read(), stat.S_IMODE(os.fstat(handle.fileno()).st_mode))


def begin(fence: Fence, workspace: str, path: str, seen: Before, new: bytes, stem: str) -> Change:
    """Put `new` in the place of the file that was `seen`; the change is open until `keep` or `take_back`. `stem` is
    where its note and backup go, in the run's folder.

    Raises MeddledError where the file is not what was seen any more, OSError where it can't be changed."""
    if look(fence, path).sha256 != seen.sha256:
        raise MeddledError(f"{path} was changed by somebody else while the model wrote it: it was left as it is")
    backup = None
    if seen.data is not None:
        backup = f"{stem}.before"
        files.replace_file(backup, seen.data, sync=True)
    temporary = f".{os.path.basename(path)[:200]}.{secrets.token_hex(4)}.part"
    change = Change(workspace, path, seen.sha256, digest(new), seen.mode, f"{stem}{NOTE}", backup, temporary)
    _note(replace(change, made=_missing(workspace, path)))
    failpoint.reach("change.noted")
    made: list[str] = []
    folder, name = fence.folder_of(path, made)
    change = replace(change, made=tuple(made))
    try:
        _put(folder, name, temporary, new, seen.mode)
    finally:
        os.close(folder)
    failpoint.reach("change.written")
    return change


def keep(change: Change) -> Change:
    """It was verified: from now on it is the user's. Raises OSError."""
    return _note(replace(change, state="kept"))


def take_back(fence: Fence, change: Change) -> Change:
    """Put the old file back, byte for byte, or remove the new one where there was none; what was done already is not
    done twice. Raises MeddledError, and OSError where the disk does not let it."""
    now = look(fence, change.path).sha256
    if now not in (change.before, change.after):
        _note(replace(change, state="left"))
        where = f"; the file before it all is {change.backup}" if change.backup else ""
        raise MeddledError(f"{change.path} was changed by somebody else since: it was left as it is{where}")
    with suppress(FileNotFoundError):  # its folder was never made
        _undo(fence, change, now)
    failpoint.reach("change.undone")
    for made in reversed(change.made):
        if not _remove_empty(fence, made):
            break
    return _note(replace(change, state="taken_back"))


def open_changes(folder: str) -> list[Change]:
    """The changes of a run that are neither kept nor taken back; `folder` is the run's. Raises OSError."""
    return [change for change in _changes(folder) if change.state == "open"]


def kept_changes(folder: str) -> list[Change]:
    """Those that were verified. Raises OSError."""
    return [change for change in _changes(folder) if change.state == "kept"]


def settle(home: Home, folder: str) -> list[str]:
    """Take back what a run that did not end has changed without verifying it: a sentence for each, for people."""
    told = []
    for change in open_changes(folder):
        try:
            take_back(Fence(change.workspace, home), change)
            told.append(f"{change.path} is as it was before: what a model had written there was not verified yet")
        except (MeddledError, OSError) as error:
            where = f" (the old one is {change.backup})" if change.backup else ""
            told.append(f"{change.path} can't be put back{where}: {error}")
    return told


def _undo(fence: Fence, change: Change, now: str | None) -> None:
    folder, name = fence.folder_of(change.path)
    try:
        with suppress(FileNotFoundError):
            os.unlink(change.temporary, dir_fd=folder)
        if now != change.before:
            _restore(folder, name, change)
    finally:
        os.close(folder)


def _restore(folder: int, name: str, change: Change) -> None:
    if change.backup is None:
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)
        return
    with open(change.backup, "rb") as handle:
        old = handle.read()
    if digest(old) != change.before:
        raise OSError(f"its backup {change.backup} is not what the file was")
    _put(folder, name, change.temporary, old, change.mode)


def _put(folder: int, name: str, temporary: str, data: bytes, mode: int) -> None:
    """Give a name to a whole, durable file, in the place of what stood there."""
    descriptor = os.open(temporary, _WRITE, 0o666, dir_fd=folder)
    try:
        files.write_all(descriptor, data)
        if mode:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)
    os.fsync(folder)


def _missing(workspace: str, path: str) -> tuple[str, ...]:
    """The folders on the way to a file that are not there yet, the outermost first."""
    folders = path.split("/")[:-1]
    ways = ("/".join(folders[: depth + 1]) for depth in range(len(folders)))
    return tuple(way for way in ways if not os.path.lexists(f"{workspace}/{way}"))


def _remove_empty(fence: Fence, path: str) -> bool:
    """Whether a folder is gone that was made for the file: one in which something else lies now stays."""
    try:
        parent, name = fence.folder_of(path)
    except FileNotFoundError:
        return True
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        os.close(parent)
    return True


def _note(change: Change) -> Change:
    files.replace_file(change.note, orjson.dumps(asdict(change)), sync=True)
    files.sync_folder(os.path.dirname(change.note))
    return change


def _changes(folder: str) -> list[Change]:
    with suppress(FileNotFoundError):
        notes = sorted(name for name in os.listdir(folder) if name.endswith(NOTE))
        return [change for name in notes if (change := _read(f"{folder}/{name}"))]
    return []


def _read(path: str) -> Change | None:
    """A note; None for one that a power cut tore, before which nothing was changed."""
    with open(path, "rb") as handle:
        data = handle.read()
    try:
        known = orjson.loads(data)
    except ValueError:
        return None
    return Change(**{**known, "made": tuple(known["made"])})
