"""Errors, split by what they cost.

`TaskError` ends one task and the daemon goes on. `FatalError` stops the daemon, because going on would be
unsafe (a broken rule file, a second daemon). Nothing else is raised on purpose across rooms.

An OSError that every task would meet just as well is no task's fault: it is waited out, and what met it is done again.
"""

import errno

LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""This machine, or this process, has no more to give at present: descriptors, memory, processes."""

SHORTAGES = LIMITS | {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
"""These, and a disk that takes nothing. Any other error is one file's own, and holds up nobody else."""


def is_limit(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in LIMITS


def is_shortage(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in SHORTAGES


class TaskError(Exception):
    """This task fails; the daemon goes on. `reason` is a short stable word for machines."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class FatalError(Exception):
    """The daemon (or the command) stops. The message says what is wrong and what to do."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
