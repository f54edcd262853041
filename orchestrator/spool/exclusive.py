"""The kernel's rename that refuses to overwrite.

Apart from `files` because it needs ctypes, which costs `submit` a fifth of its time; `submit` does without it.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # macOS sys/stdio.h


@functools.cache
def _no_replace_call() -> Callable[[bytes, bytes], int] | None:
    """The system call, which returns an errno; None on a system that has none."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        renamex = library.renamex_np
        return lambda old, new: 0 if renamex(old, new, _RENAME_EXCL) == 0 else ctypes.get_errno()
    if not hasattr(library, "renameat2"):
        return None
    renameat2 = library.renameat2
    flags = _RENAME_NOREPLACE
    return lambda old, new: 0 if renameat2(_AT_FDCWD, old, _AT_FDCWD, new, flags) == 0 else ctypes.get_errno()


def rename(old: str, new: str) -> None:
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
