"""The one file that a code task changes: how it is changed, kept, and taken back.

Rule: what is to be done is on disk before it is done. A change is noted in the run's folder with the digests of the
file before and after, beside a backup, both synced; then the new file takes its name in one rename. A note that is
still open when a daemon starts is of one that died: `settle` takes such a change back. So at every moment the file is
the old one or the new one, whole, and after a start it is the old one unless the new one was verified.
A file that is neither, because somebody else changed it meanwhile, is never touched: then the backup is named.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Literal

import orjson

from orchestrator import failpoint
from orchestrator.coding.reading import MAX_BYTES
from orchestrator.errors import is_shortage
from orchestrator.home import Home
from orchestrator.runners.fence import Fence, why
from orchestrator.spool import files

NOTE = ".change.json"
State = Literal["open", "kept", "taken_back", "left"]
_PERMISSIONS = 0o777  # what a model wrote runs as nobody else
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
    """The file as it stands. Raises OSError, also where it is no plain file, or larger than any model is shown."""
    try:
        descriptor = fence.open_file(path)
    except FileNotFoundError:
        return Before()
    with open(descriptor, "rb") as handle:
        data = handle.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES // 1024:,} KiB")
        return Before(data, stat.S_IMODE(os.fstat(handle.fileno()).st_mode))


def begin(fence: Fence, workspace: str, path: str, seen: Before, new: bytes, stem: str) -> Change:
    """Put `new` in the place of the file that was `seen`; the change is open until `keep` or `take_back`. `stem` is
    where its note and backup go, in the run's folder.

    Raises MeddledError where the file is not what was seen any more, OSError where it can't be changed; then it is
    the old one."""
    if len(new) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES // 1024:,} KiB")
    _sure(fence, path, seen.sha256)
    backup = None
    if seen.data is not None:
        backup = f"{stem}.before"
        files.replace_file(backup, seen.data, sync=True)
    temporary = f".{secrets.token_hex(8)}.part"  # a name as long as a file system allows has no room for more
    change = Change(workspace, path, seen.sha256, digest(new), seen.mode, f"{stem}{NOTE}", backup, temporary)
    change = replace(change, made=_missing(workspace, path))
    try:
        return _begin(fence, _note(change), new)
    except (OSError, MeddledError):
        with suppress(OSError, MeddledError):  # else it stays open, and is settled later
            take_back(fence, change)
        raise


def _begin(fence: Fence, change: Change, new: bytes) -> Change:
    failpoint.reach("change.noted")
    made: list[str] = []
    folder, name = fence.folder_of(change.path, made)
    sure = partial(_sure, fence, change.path, change.before)
    try:
        _put(folder, name, change.temporary, new, change.mode & _PERMISSIONS, sure)
    finally:
        os.close(folder)
    failpoint.reach("change.written")
    return replace(change, made=tuple(made))


def is_as_kept(fence: Fence, change: Change) -> bool:
    """Whether the new file stands there still. Raises OSError for a shortage."""
    return _digest_now(fence, change.path) == change.after


def keep(fence: Fence, change: Change) -> Change:
    """It was verified: from now on it is the user's. Raises MeddledError where it is not what was verified any more,
    and OSError."""
    if not is_as_kept(fence, change):
        raise _left(change, "while its test ran")
    return _note(replace(change, state="kept"))


def take_back(fence: Fence, change: Change) -> Change:
    """Put the old file back, byte for byte, or remove the new one where there was none; what was done already is not
    done twice. Raises MeddledError, and OSError where the disk does not let it."""
    now = _digest_now(fence, change.path)
    if now not in (change.before, change.after):
        raise _left(change, "since")
    try:
        _undo(fence, change, now)
    except MeddledError:
        raise _left(change, "since") from None
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
        except MeddledError as error:
            told.append(str(error))
        except OSError as error:
            where = f" (the old one is {change.backup})" if change.backup else ""
            told.append(f"{change.path} can't be put back{where}: {why(error)}")
    return told


def _digest_now(fence: Fence, path: str) -> str | None:
    """None where there is no file; empty for what is none that was ever looked at. Raises OSError for a shortage."""
    try:
        return look(fence, path).sha256
    except OSError as error:
        if is_shortage(error):
            raise
        return ""


def _sure(fence: Fence, path: str, expected: str | None) -> None:
    """Raises MeddledError where the file is another one by now, and OSError."""
    if look(fence, path).sha256 != expected:
        raise MeddledError(f"{path} was changed by somebody else while the model wrote it: it was left as it is")


def _left(change: Change, when: str) -> MeddledError:
    """Note that the file is somebody else's; the error that says so."""
    _note(replace(change, state="left"))
    where = f"; the file before it all is {change.backup}" if change.backup else ""
    return MeddledError(f"{change.path} was changed by somebody else {when}: it was left as it is{where}")


def _undo(fence: Fence, change: Change, now: str | None) -> None:
    try:
        folder, name = fence.folder_of(change.path)
    except FileNotFoundError:  # it was never made
        return
    try:
        with suppress(FileNotFoundError):
            os.unlink(change.temporary, dir_fd=folder)
        if now != change.before:
            _restore(folder, name, change, partial(_sure, fence, change.path, now))
    finally:
        os.close(folder)


def _restore(folder: int, name: str, change: Change, sure: Callable[[], None]) -> None:
    if change.backup is None:
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)
        return
    with open(change.backup, "rb") as handle:
        old = handle.read()
    if digest(old) != change.before:
        raise OSError(f"its backup {change.backup} is not what the file was")
    _put(folder, name, change.temporary, old, change.mode, sure)


def _put(folder: int, name: str, temporary: str, data: bytes, mode: int, sure: Callable[[], None]) -> None:
    """Give a name to a whole, durable file, in the place of what stood there; `sure` is asked right before."""
    descriptor = os.open(temporary, _WRITE, 0o666, dir_fd=folder)
    try:
        files.write_all(descriptor, data)
        if mode:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        sure()
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except (OSError, MeddledError):
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
    """A note; None for one that a power cut tore, before which nothing was changed, and for what is none of ours."""
    with open(path, "rb") as handle:
        data = handle.read()
    try:
        known = orjson.loads(data)
        return Change(**{**known, "made": tuple(known["made"])})
    except (ValueError, TypeError, KeyError):
        return None
