"""The one place where a program is started.

On Linux this calls the function under `subprocess.Popen` directly: the same vfork, the same closing of file
descriptors, a third of the time, because one error pipe serves all starts. With vfork the parent sleeps until
the child has either become the program or failed, so a failure is in that pipe when the call returns. Where
that is not known to hold (another platform, a Python whose signature was not checked) Popen does the work.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
from collections.abc import Sequence

_CHECKED_PYTHONS = frozenset({(3, 11), (3, 12), (3, 13)})


class Launcher:
    """Starts programs in a session of their own, stdin empty, default signals. One thread may use it."""

    __slots__ = ("_error_read", "_error_write", "_errors", "_null", "start")

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._error_read, self._error_write = os.pipe()
        self._errors = select.poll()
        self._errors.register(self._error_read, select.POLLIN)
        self.start = self._start_by_vfork if vfork_is_direct() else self._start_by_popen

    def close(self) -> None:
        for fd in (self._null, self._error_read, self._error_write):
            os.close(fd)

    def _start_by_vfork(self, argv: Sequence[str], env: dict[str, str], cwd: str, stdout: int, stderr: int) -> int:
        """The pid. Raises OSError (filename is `cwd` if that was the trouble) or ValueError (a NUL byte)."""
        import _posixsubprocess

        pid: int = _posixsubprocess.fork_exec(
            argv,
            (os.fsencode(argv[0]),),
            True,  # close_fds
            (self._error_write,),
            cwd,
            [f"{key}={value}".encode("utf-8", "surrogateescape") for key, value in env.items()],
            self._null, -1, -1, stdout, -1, stderr,
            self._error_read, self._error_write,
            True,  # restore_signals
            True,  # start_new_session
            -1, None, None, None, -1, None,  # type: ignore[arg-type]  # the stubs forbid "no preexec_fn"
            True,  # allow_vfork
        )  # fmt: skip
        if not self._errors.poll(0):
            return pid
        os.waitpid(pid, 0)
        raise _start_error(os.read(self._error_read, 4096), argv[0], cwd)

    def _start_by_popen(self, argv: Sequence[str], env: dict[str, str], cwd: str, stdout: int, stderr: int) -> int:
        """The same contract as `_start_by_vfork`."""
        process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=self._null, stdout=stdout, stderr=stderr, start_new_session=True
        )
        process.returncode = 0  # The exit is waited for by us: Popen shall neither warn nor wait.
        return process.pid


def vfork_is_direct() -> bool:
    return sys.platform == "linux" and sys.version_info[:2] in _CHECKED_PYTHONS and subprocess._USE_VFORK


def _start_error(report: bytes, program: str, cwd: str) -> OSError:
    """The child wrote `OSError:<errno in hex>:`, and behind it "noexec…" if it failed before exec."""
    _, number, stage = report.split(b":", 2)
    code = int(number, 16)
    return OSError(code, os.strerror(code), cwd if stage.startswith(b"noexec") else program)


def explain(error: OSError | ValueError, argv: Sequence[str], cwd: str) -> tuple[int, str]:
    """The exit code that a shell would give, and a sentence for the person who wrote the step."""
    if not isinstance(error, OSError):
        return (
            126,
            f"{argv[0]} can't be started: its arguments, environment or folder hold a NUL byte or bad text",
        )
    reason = error.strerror or str(error)
    if error.filename == cwd:
        return 126, f"the step's folder {cwd} can't be entered: {reason}"
    if error.errno == errno.ENOENT:
        return 127, _explain_missing(argv[0])
    if error.errno == errno.E2BIG:
        size = sum(len(os.fsencode(argument)) + 1 for argument in argv)
        return 126, (
            f"{argv[0]} can't be started: its arguments ({size} bytes) and environment are larger than this "
            "system allows; put long text into a file and name the file instead"
        )
    if error.errno == errno.EACCES:
        return (
            126,
            f"{argv[0]} can't be started: it is not executable, or a folder above it is closed to this user",
        )
    if error.errno == errno.ENOEXEC:
        return 126, f"{argv[0]} can't be started: it is neither a program nor a script with a #! line"
    if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
        return (
            126,
            f"{argv[0]} can't be started now: this system is at a limit ({reason}); run fewer tasks at once",
        )
    return 126, f"{argv[0]} can't be started: {reason}"


def _explain_missing(program: str) -> str:
    if os.path.lexists(program):
        return f"{program} is there, but what it needs to start (its #! line, its link or its loader) is missing"
    return f"{program} does not exist; install it, or name another program in the skill"
