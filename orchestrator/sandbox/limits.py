"""What a step may use up: open files, processes. Core dumps are off for the daemon, and so for all that it starts.

Set by util-linux' `prlimit`, which runs inside the sandbox right before the step's own program: there the number of
processes counts this step's alone (for an ordinary user), not all that the user runs.
"""

from __future__ import annotations

import resource
import shutil

from orchestrator.errors import FatalError
from orchestrator.settings import SandboxSettings

# As this process was started, before it raised its own.
_ORDINARY, _MOST = resource.getrlimit(resource.RLIMIT_NOFILE)


def forbid_core_dumps() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def prefix(settings: SandboxSettings, path: str) -> tuple[str, ...]:
    """What goes before a step's argv; nothing where it may have what it inherits. `path` is a PATH to look on.

    Raises FatalError where a limit is asked for and `prlimit` is not there."""
    asked = settings.open_files or settings.processes
    raised = resource.getrlimit(resource.RLIMIT_NOFILE)[0] != _ORDINARY
    if not (asked or raised):
        return ()
    program = shutil.which("prlimit", path=path)
    if program is None:
        if asked:
            raise FatalError("sandbox.open_files and sandbox.processes need the program prlimit: install util-linux")
        return ()  # macOS: the daemon's own limit does no harm but to old programs that use select(2)
    soft = settings.open_files or _ORDINARY
    # Inheriting a larger soft limit is what breaks programs; the hard one stays, so that they may raise it again.
    words = [program, f"--nofile={soft}:{_MOST if _MOST >= 0 else ''}"]
    if settings.processes:
        words.append(f"--nproc={settings.processes}")
    return (*words, "--")
