"""Landlock, by its system calls: a thread gives up rights, and what it starts has them no more.

For hosts where no namespace can be had. It is an allow-list of folders and nothing else: what lies inside a writable
folder can't be protected, and a hidden one is hidden by allowing everything around it. docs/sandbox.md says the rest.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_BENEATH = 1
_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# How many of the rights, from the first on, each version of Landlock knows.
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_KNOWN = 16
SCOPES_SINCE = 6
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")


@dataclass(frozen=True, slots=True)
class Landlock:
    """Rights of one call: everything may be read but `hidden`, and only `writable` be written. Calling it restricts the
    calling thread, for good. Raises OSError."""

    abi: int
    writable: tuple[str, ...]
    hidden: tuple[str, ...]

    def __call__(self) -> None:
        try:
            self._restrict()
        except OSError as error:
            raise OSError(errno.EPERM, f"the sandbox (Landlock) could not be set up: {error}") from error

    def _restrict(self) -> None:
        handled = (1 << _KNOWN.get(self.abi, _ALL_KNOWN)) - 1
        # A kernel takes as many of the fields as it knows: rights on files, on ports, scopes.
        fields = [handled, 0, _ABSTRACT_SOCKETS | _SIGNALS] if self.abi >= SCOPES_SINCE else [handled]
        ruleset = _ruleset(fields)
        try:
            for path in around(self.hidden):
                _allow(ruleset, path, _READ & handled)
            for path in (*self.writable, *_DEVICES):
                _allow(ruleset, path, handled)
            _enter(ruleset)
        finally:
            os.close(ruleset)


def close_abstract_sockets() -> None:
    """Those that others listen at have no path, and so no mount hides them. It takes nothing else from the calling
    thread and what it starts, but for more rights by a set-uid program. Needs `SCOPES_SINCE`. Raises OSError."""
    ruleset = _ruleset([0, 0, _ABSTRACT_SOCKETS])
    try:
        _enter(ruleset)
    finally:
        os.close(ruleset)


def _ruleset(fields: list[int]) -> int:
    size = ctypes.c_size_t(8 * len(fields))
    return _call(_CREATE_RULESET, (ctypes.c_uint64 * len(fields))(*fields), size, ctypes.c_uint(0))


def _enter(ruleset: int) -> None:
    _check(ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))


def abi() -> int:
    """The kernel's version of Landlock; 0 where it has none, or has it switched off."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    except OSError:
        return 0  # not built in, not switched on, or forbidden by a container's filter: all the same to us


def around(hidden: Iterable[str]) -> Iterator[str]:
    """The fewest paths that hold everything but the hidden ones. Links are left out: what counts is where they lead."""
    closed = set(hidden)
    on_the_way = {folder for path in closed for folder in _above(path)} | {"/"}
    pending = ["/"]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.path in on_the_way and entry.path not in closed:
                        pending.append(entry.path)
                    elif entry.path not in closed and not entry.is_symlink():
                        yield entry.path
        except PermissionError:
            continue  # closed to this user anyway


def _above(path: str) -> Iterator[str]:
    while (path := os.path.dirname(path)) != "/":
        yield path


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return  # gone meanwhile, or a device that this host lacks
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        # Packed: eight bytes of rights, four of descriptor.
        rule = rights.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_BENEATH), ctypes.c_char_p(rule), ctypes.c_uint(0))
    finally:
        os.close(fd)


def _call(number: int, *arguments: object) -> int:
    return _check(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))


def _check(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
