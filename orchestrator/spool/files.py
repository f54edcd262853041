"""Renames that never overwrite, writes that are complete, folders that are synced.

Errors are plain OSError; `FileExistsError` means that the name is taken.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # macOS sys/stdio.h


@functools.cache
def _no_replace_call() -> Callable[[bytes, bytes], int] | None:
    """The kernel's own rename that refuses to overwrite, or None on a system that has none.

    ctypes is imported here, and not above, because `submit` does without it.
    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        renamex = library.renamex_np
        return lambda old, new: 0 if renamex(old, new, _RENAME_EXCL) == 0 else ctypes.get_errno()
    if not hasattr(library, "renameat2"):
        return None
    renameat2 = library.renameat2
    return lambda old, new: 0 if renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) == 0 else ctypes.get_errno()


def rename_no_replace(old: str, new: str) -> None:
    """Atomic rename that fails with FileExistsError where the new name is taken."""
    call = _no_replace_call()
    code = errno.EINVAL if call is None else call(os.fsencode(old), os.fsencode(new))
    if code == 0:
        return
    if code in (errno.EINVAL, errno.ENOSYS):
        _rename_by_reservation(old, new)
        return
    raise OSError(code, os.strerror(code), old, None, new)


def _rename_by_reservation(old: str, new: str) -> None:
    """For file systems without the flag (NFS, some FUSE): take the name exclusively, then rename over it.

    Never two winners; after a crash between the two calls an empty file holds the name, which is refused as an
    empty spec and so is seen.
    """
    if os.path.isdir(old) and not os.path.islink(old):
        os.mkdir(new)
    else:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    os.rename(old, new)


def write_all(fd: int, data: bytes) -> None:
    """Write everything. A full disk can cut a write short without an error; the rest then raises ENOSPC."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def write_new(path: str, data: bytes, *, sync: bool = False) -> None:
    """Make a file of mode 0600 that must not exist; what could not be written whole is removed again."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(fd)


def replace_file(path: str, data: bytes) -> None:
    """Put `data` at `path` in one step, over what stands there. Not synced."""
    folder, name = os.path.split(path)
    temporary = f"{folder}/.{os.getpid()}.{name[:200]}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    write_new(temporary, data)
    os.rename(temporary, path)


def link_over(existing: str, path: str, data: bytes) -> None:
    """Make `path` another name of a file that holds `data`, over what stands there; a copy where links fail."""
    try:
        os.link(existing, path)
    except FileExistsError:
        replace_file(path, data)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.ENOENT):
            raise
        replace_file(path, data)


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


def place(folder: str, name: str, data: bytes) -> None:
    """Put a new file into a folder, whole and durable, under a name that must be free.

    A hard link takes the name without overwriting and needs no ctypes; where links are not to be had, the
    kernel's rename does it.
    """
    temporary = f"{folder}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    write_new(temporary, data, sync=True)
    try:
        try:
            os.link(temporary, f"{folder}/{name}")
        except PermissionError:
            rename_no_replace(temporary, f"{folder}/{name}")
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                raise
            rename_no_replace(temporary, f"{folder}/{name}")
        sync_folder(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
