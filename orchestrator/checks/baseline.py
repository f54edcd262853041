"""How the files that an `updated` rule names were before the first step.

"Changed" can only be answered against a look that was taken then; so the look is taken once, by this module,
for exactly the files that a rule will ask about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.checks.rule import rule_of
from orchestrator.checks.workspace import RefusedError, Stamp, UndecidedError, files_beneath, is_folder, matches, stamp
from orchestrator.errors import is_limit
from orchestrator.spec import Check

Acceptance = Iterable[str | Check]


@dataclass(frozen=True, slots=True)
class Baseline:
    """For each pattern of an `updated` rule: the stamps of what it matched, or why that is not known."""

    stamps: Mapping[str, Mapping[str, Stamp] | str] = field(default_factory=dict)


def needs_baseline(acceptance: Acceptance) -> bool:
    """True if `baseline` would read the disk for this task."""
    return any(True for _ in _patterns(acceptance))


def baseline(acceptance: Acceptance, workspace: str) -> Baseline:
    """Look at what the `updated` rules name. Reads the disk; never raises."""
    return Baseline({pattern: _look(pattern, workspace) for pattern in _patterns(acceptance)})


def pack(before: Baseline) -> bytes:
    """For a file beside the run, so that a run that goes on after a crash still knows it."""
    return json.dumps(dict(before.stamps)).encode()  # unlike orjson, it takes names of files that are no UTF-8


def kept(path: str, acceptance: Acceptance) -> Baseline:
    """What `pack` wrote into this file; where that is lost, that it is not known. Never raises for that."""
    try:
        with open(path, "rb") as file:
            known = json.load(file)
    except (OSError, ValueError):
        lost = "the look that was taken before the first step was lost in a crash"
        return Baseline(dict.fromkeys(_patterns(acceptance), lost))
    return Baseline(
        {
            pattern: look if isinstance(look, str) else {name: Stamp(*stamp) for name, stamp in look.items()}
            for pattern, look in known.items()
        }
    )


def watched_files(pattern: str, workspace: str) -> Iterator[str]:
    """The files whose change an `updated` rule means: a folder stands for all that is beneath it."""
    for path in matches(pattern, workspace):
        if is_folder(path):
            yield from files_beneath(path)
        else:
            yield path


def _patterns(acceptance: Acceptance) -> Iterator[str]:
    for entry in acceptance:
        rule = rule_of(entry)
        if rule.kind == "file_updated":
            yield rule.value


def _look(pattern: str, workspace: str) -> Mapping[str, Stamp] | str:
    try:
        found = {os.path.normpath(path): stamp(path) for path in watched_files(pattern, workspace)}
    except (RefusedError, UndecidedError) as error:
        return str(error)
    except OSError as error:
        if is_limit(error):
            raise
        return f"before the first step, {error.filename or pattern} could not be read: {error.strerror}"
    return {path: mark for path, mark in found.items() if mark is not None}
