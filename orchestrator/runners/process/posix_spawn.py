"""posix_spawn(3) of the C library, called so that it lets other threads run meanwhile.

While a program is being started its parent sleeps (it is a vfork underneath), on a busy machine for a millisecond
and more. Python's own ways to start one hold the interpreter's lock all that time; a call through ctypes does not.
The C library must know `posix_spawn_file_actions_addchdir_np` (glibc 2.29, musl 1.1.24); `available` says.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80  # spawn.h
_OPAQUE = 1024  # bytes: more than any C library's file actions, attributes or signal set
# CPython ignores these two for itself; a child must have them as they were.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)


def available() -> bool:
    """Whether this system's C library can do all that a step needs."""
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "posix_spawn_file_actions_addchdir_np")


class PosixSpawn:
    """Starts programs in a session of their own, with default signals, `stdin` as given. Any thread may call it.

    Nothing but the three standard descriptors reaches the program: glibc 2.34 closes the rest, elsewhere that all of
    ours are marked close-on-exec has to do (`host.prepare_process` marks what was handed to us).
    """

    def __init__(self, stdin: int) -> None:
        # What only fills in a form keeps the interpreter's lock: to let go of it ten times would be to wait for it so
        # often, each time behind the event loop. The start itself lets go.
        libc = ctypes.PyDLL(None)
        pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        self._spawn = ctypes.CDLL(None).posix_spawn
        self._spawn.argtypes = (pointer, text, pointer, pointer, pointer, pointer)
        self._init = libc.posix_spawn_file_actions_init
        self._init.argtypes = (pointer,)
        self._destroy = libc.posix_spawn_file_actions_destroy
        self._destroy.argtypes = (pointer,)
        self._dup = libc.posix_spawn_file_actions_adddup2
        self._dup.argtypes = (pointer, number, number)
        self._chdir = libc.posix_spawn_file_actions_addchdir_np
        self._chdir.argtypes = (pointer, text)
        self._close_from = getattr(libc, "posix_spawn_file_actions_addclosefrom_np", None)
        if self._close_from is not None:
            self._close_from.argtypes = (pointer, number)
        self._stdin = stdin
        self._attributes = ctypes.create_string_buffer(_OPAQUE)
        _check(libc.posix_spawnattr_init(self._attributes))
        flags = ctypes.c_short(_SETSIGDEF | _SETSIGMASK | _SETSID)
        _check(libc.posix_spawnattr_setflags(self._attributes, flags))
        signals = ctypes.create_string_buffer(_OPAQUE)
        libc.sigemptyset(signals)
        _check(libc.posix_spawnattr_setsigmask(self._attributes, signals))
        for one in _RESTORED:
            libc.sigaddset(signals, one)
        _check(libc.posix_spawnattr_setsigdefault(self._attributes, signals))

    def __call__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, stdout: int, stderr: int, extra: int = -1
    ) -> int:
        """The pid. `extra`, if given, becomes the program's descriptor 3.

        Raises OSError (filename is `cwd` if that was the trouble) or ValueError (a NUL byte).
        """
        arguments = [_encoded(argument) for argument in argv]
        environment = [_encoded(f"{name}={value}") for name, value in env.items()]
        folder = _encoded(cwd)
        actions = ctypes.create_string_buffer(_OPAQUE)
        pid = ctypes.c_int()
        _check(self._init(actions))
        try:
            _check(self._dup(actions, self._stdin, 0))
            _check(self._dup(actions, stdout, 1))
            _check(self._dup(actions, stderr, 2))
            if extra >= 0:
                _check(self._dup(actions, extra, 3))
            if self._close_from is not None:
                _check(self._close_from(actions, 4 if extra >= 0 else 3))
            _check(self._chdir(actions, folder))
            code = self._spawn(
                ctypes.byref(pid), arguments[0], actions, self._attributes, _array(arguments), _array(environment)
            )
        finally:
            self._destroy(actions)
        if code:
            raise _start_error(code, argv[0], cwd)
        return pid.value


def _encoded(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    return raw


def _array(items: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(items) + 1))(*items, None)


def _check(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))


def _start_error(code: int, program: str, cwd: str) -> OSError:
    """The C library does not say which of its actions failed; of these only the folder can."""
    folder_is_fine = os.path.isdir(cwd) and os.access(cwd, os.X_OK)
    wrong = cwd if code in (errno.ENOENT, errno.ENOTDIR, errno.EACCES) and not folder_is_fine else program
    return OSError(code, os.strerror(code), wrong)
