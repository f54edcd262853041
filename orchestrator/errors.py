"""Errors, split by what they cost.

`TaskError` ends one task and the daemon goes on. `FatalError` stops the daemon, because going on would be
unsafe (a broken rule file, a second daemon). Nothing else is raised on purpose across rooms.
"""


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
