"""Landlock, by its system calls: a thread gives up rights, and what it starts has them no more."""

from __future__ import annotations

import ctypes
import errno

_CREATE_RULESET = 444  # the same number on every architecture
_VERSION = 1


def abi() -> int:
    """The kernel's version of Landlock; 0 where it has none, or has it switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION)))
    if answer < 0 and ctypes.get_errno() not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
        return 0
    return max(answer, 0)
