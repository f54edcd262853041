"""Named points at which a test can kill this process: `ORCHESTRATOR_FAILPOINT=journal.synced:3`.

The process dies by SIGKILL at the third passing, as a power switch would end it: nothing is flushed or said. Every
transition has one, right behind it; docs/protocol.md says what follows from a death there. `submit` passes some, so
this imports nothing but what Python has imported already.
"""

from __future__ import annotations

import os

_SIGKILL = 9

_name, _, _count = os.environ.get("ORCHESTRATOR_FAILPOINT", "").partition(":")
_left = int(_count) if _count.isdigit() else 1


def reach(name: str) -> None:
    """A transition happens here."""
    global _left
    if name == _name:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), _SIGKILL)
