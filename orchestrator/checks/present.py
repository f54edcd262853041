"""The files that a task says it needs before, or makes: are they there?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

from orchestrator.checks.workspace import RefusedError, UndecidedError, matches

MAX_FILES = 100
"""So many files of one pattern are told; more may be there."""


class MissingError(Exception):
    """Says which of the patterns name nothing, and where nothing was found."""


def present(patterns: Iterable[str], workspace: str) -> tuple[str, ...]:
    """The files (relative to the workspace) that these paths and globs name. Every pattern must name one.

    Raises MissingError, or OSError where a folder could not be read.
    """
    found: dict[str, None] = {}
    missing: list[str] = []
    for pattern in patterns:
        try:
            paths = [os.path.relpath(path, workspace) for path in islice(matches(pattern, workspace), MAX_FILES)]
        except (RefusedError, UndecidedError) as error:
            missing.append(str(error))
            continue
        found |= dict.fromkeys(sorted(paths))
        missing += [] if paths else [pattern]
    if missing:
        raise MissingError(f"{', '.join(missing)} (looked for in {workspace})")
    return tuple(found)
