"""The environment mark that ties a process to the step that started it.

It reads `ORCHESTRATOR_MARK=<home>:<run>:<number>`. A process inherits it whatever it does to its group,
session or parent, unless it empties its own environment.
"""

from __future__ import annotations

import hashlib
import os
import re

VARIABLE = "ORCHESTRATOR_MARK"
_PATTERN = re.compile(rb"(?:^|\0)ORCHESTRATOR_MARK=([^\0]*)")


def mark_of_home(root: str) -> str:
    """What marks every process that a daemon of this home starts."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def read_mark(pid: int) -> str | None:
    """The mark of a process; None if it has none, is gone, is another user's, or is in the middle of exec."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            found = _PATTERN.search(file.readall())
    except OSError:
        return None
    return found[1].decode("utf-8", "replace") if found else None


def is_under(mark: str | None, prefix: str) -> bool:
    """Is this the mark of `prefix` itself or of something in it?"""
    return mark is not None and (mark == prefix or mark.startswith(f"{prefix}:"))
