"""What this process asks of the kernel before it starts any program.

Everything here is process-wide and done once, by `prepare_process`. None of it is undone: a daemon that stops
being the reaper of its orphans would lose them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
# CPython ignores these two for itself and restores them in each child.
_RESTORED_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


def prepare_process() -> None:
    """Adopt orphans, close our memory and environment to our children, and clean what children inherit.

    Raises OSError where the kernel refuses. Outside Linux only the signals are cleaned.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_DUMPABLE, 0)
    _close_inherited_on_exec()
    if threading.current_thread() is threading.main_thread():
        _let_children_have_default_signals()


def _close_inherited_on_exec() -> None:
    """Python marks what it opens itself; what a shell or a supervisor handed us must not reach a step either."""
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the listing's own descriptor is gone by now
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {value}): {os.strerror(number)}")


def _let_children_have_default_signals() -> None:
    """A handler is reset by exec, "ignored" is not: so what nohup or a shell's & made us ignore, we handle by
    doing nothing, which is the same for us and leaves our children the default."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - _RESTORED_BY_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:
            # With SIGCHLD ignored the kernel reaps behind our back and every exit code is lost.
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else _do_nothing)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Stands in for SIG_IGN."""
