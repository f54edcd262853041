"""Starting programs: the launcher, what they print, and the end of all their processes.

Rule: when `ProcessRunner.run` returns, nothing that the program started is alive any more, and a program that
can't be started is an answer, never an exception. The whole story is in docs/processes.md.
"""

from __future__ import annotations

from orchestrator.runners.process.runner import ProcessRunner
from orchestrator.runners.process.sweep import sweep

__all__ = ["ProcessRunner", "sweep"]
