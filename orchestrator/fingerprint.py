"""What config, skills and policy consist of: so anybody can tell whether a daemon has read them as they are now.

Rule: only what is read once counts. A code task reads its prompt itself.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from orchestrator.home import Home

Fingerprint = tuple[tuple[str, int, int], ...]
"""Each file's path, size and mtime in ns."""


def fingerprint(home: Home) -> Fingerprint:
    """Of the files as they are now."""
    found = []
    for top in (home.config, home.skills, home.policy):
        for folder, _, names in os.walk(top):
            if folder == f"{home.config}/prompts":
                continue
            for name in names:
                path = f"{folder}/{name}"
                with suppress(FileNotFoundError):  # an editor's temporary file, gone again
                    status = os.stat(path)
                    found.append((path, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))


def mark(of: Fingerprint) -> str:
    """The same in a word."""
    return hashlib.sha256(repr(of).encode()).hexdigest()[:16]
