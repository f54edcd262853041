"""Renames that never overwrite, writes that are complete, folders that are synced.

Errors are plain OSError; `FileExistsError` means that the name is taken.
"""

from __future__ import annotations

import errno
import os
import sys

from orchestrator import failpoint


def rename_no_replace(old: str, new: str) -> None:
    """Atomic rename that fails with FileExistsError where the new name is taken."""
    from orchestrator.spool import exclusive

    exclusive.rename(old, new)


def write_all(fd: int, data: bytes) -> None:
    """Write everything. A full disk can cut a write short without an error; the rest then raises ENOSPC."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def write_new(path: str, data: bytes, *, sync: bool = False) -> None:
    """Make a file of mode 0600 that must not exist; what could not be written whole is removed again."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    except OSError:
        try:  # noqa: SIM105 - contextlib alone would cost `submit` a tenth of its time
            os.unlink(path)
        except OSError:
            pass
        raise
    finally:
        os.close(fd)


def replace_file(path: str, data: bytes, *, sync: bool = False) -> None:
    """Put `data` at `path` in one step, over what stands there. `sync` makes the content durable, not the name."""
    folder, name = os.path.split(path)
    # A name as long as a file system allows has no room for more, so not with the name in it.
    temporary = f"{folder}/.{os.getpid()}.{hash(name) & 0xFFFFFFFF:08x}.tmp"
    _remove(temporary)
    write_new(temporary, data, sync=sync)
    os.rename(temporary, path)


def link_new(existing: str, path: str) -> bool:
    """Make `path` another name of a file; False if the name is taken or this file system has no links."""
    try:
        os.link(existing, path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
            return False
        raise
    return True


def copy(existing: str, path: str) -> None:
    """A new file with the same content; what stands at `path` is replaced."""
    with open(existing, "rb") as handle:
        replace_file(path, handle.read())


def sync_folder(path: str) -> None:
    """Make the folder's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: str) -> None:
    """Make a file's content durable. One that is gone needs no syncing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_data(fd: int) -> None:
    """Make the content of an open file durable; macOS can do so only with all else that is known about the file."""
    getattr(os, "fdatasync", os.fsync)(fd)


def sync_file_systems(*paths: str) -> None:
    """Make all durable that was written to the file systems of these paths, by whomever: where many files are meant,
    this costs one flush for each file system instead of one for each file."""
    if sys.platform != "linux":
        os.sync()
        return
    for path in {os.stat(path).st_dev: path for path in paths}.values():
        _sync_file_system(path)


def _sync_file_system(path: str) -> None:
    import ctypes

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(fd)


def place(folder: str, name: str, data: bytes) -> None:
    """Put a new file into a folder, whole and durable, under a name that must be free.

    A hard link takes the name without overwriting and needs no ctypes; where links are not to be had, the
    kernel's rename does it.
    """
    temporary = f"{folder}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    write_new(temporary, data, sync=True)
    failpoint.reach("place.written")
    try:
        try:
            os.link(temporary, f"{folder}/{name}")
        except PermissionError:
            rename_no_replace(temporary, f"{folder}/{name}")
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                raise
            rename_no_replace(temporary, f"{folder}/{name}")
        failpoint.reach("place.named")
        sync_folder(folder)
    finally:
        _remove(temporary)
