"""The folder of a run: `state/runs/<id>/<n>/` with `spec.json`, the steps' output, `result.json`.

A step's output is `<step>-<skill>.out` and `.err`; that of a later attempt `<step>-<skill>.<attempt>.out`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import orjson

from orchestrator.home import Home
from orchestrator.outcome import Outcome
from orchestrator.spool import files, names

RESULT = "result.json"
SPEC = "spec.json"
BEFORE = "before.json"
"""How the files that an `updated` rule names were before the first step."""
OUTPUT = re.compile(r"(?P<step>\d+)-(?P<skill>[A-Za-z0-9_-]+)(?:\.(?P<attempt>\d+))?\.(?P<stream>out|err)")


def name_of(task_id: str, number: int) -> str:
    """One word for a run."""
    return f"{task_id}.{number}"


def output_stem(step: int, skill: str, attempt: int) -> str:
    """What the names of the output files of one attempt begin with; each attempt keeps its own."""
    return f"{step}-{skill}" if attempt == 1 else f"{step}-{skill}.{attempt}"


def create(runs: str, task_id: str, last: Callable[[], int] = lambda: 0) -> tuple[int, str]:
    """Make the folder of the next run of a task; returns its number (from 1) and its path.

    `last` is asked where no run has a folder: retention may have taken them, and no number is given out twice while
    something shows it."""
    parent = f"{runs}/{task_id}"
    before = 0
    try:
        os.mkdir(parent, 0o700)
    except FileExistsError:
        before = max(numbers(parent), default=0)
    except FileNotFoundError:  # someone removed all runs
        os.makedirs(parent, mode=0o700, exist_ok=True)
    number = (before or last()) + 1
    while True:
        folder = f"{parent}/{number}"
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            number += 1
        except FileNotFoundError:  # retention took the empty folder away this very moment
            os.makedirs(parent, mode=0o700, exist_ok=True)
        else:
            return number, folder


def numbers(parent: str) -> list[int]:
    """The runs that a task has had, in no order; empty where there were none."""
    try:
        return [int(name) for name in os.listdir(parent) if name.isdigit()]
    except FileNotFoundError:
        return []


def result_bytes(outcome: Outcome | dict[str, Any]) -> bytes:
    """`result.json` as it is written."""
    return orjson.dumps(outcome, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_result(path: str) -> dict[str, Any] | None:
    """A result as it is written; None if there is none, or a torn one."""
    if not os.access(path, os.F_OK):  # asked for each run, and mostly so: an exception would cost six times as much
        return None
    try:
        with open(path, "rb") as handle:
            value = orjson.loads(handle.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None


def shown(home: Home, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What done/ and failed/ show under a file's name in the queue: the folder, and the result there."""
    for folder in (home.done, home.failed):
        if (result := read_result(f"{folder}/{names.result_name(names.stem_of(name))}")) is not None:
            yield folder, result


def write_result(folder: str, data: bytes) -> str:
    """Write the run's result, over one that a crash cut short. Returns its path."""
    path = f"{folder}/{RESULT}"
    try:
        files.write_new(path, data)
    except FileExistsError:
        files.replace_file(path, data)
    except FileNotFoundError:  # someone removed the run's folder while it ran; the result still has to land
        os.makedirs(folder, mode=0o700, exist_ok=True)
        files.write_new(path, data)
    return path


def discard(runs: str, task_id: str, number: int) -> None:
    """Remove the folder of a run that started nothing."""
    shutil.rmtree(f"{runs}/{task_id}/{number}", ignore_errors=True)


def take_over(earlier: str, folder: str, names: Iterable[str]) -> None:
    """Give a run these files of an earlier one too, by links where there are links. What is gone is left out."""
    for name in names:
        with suppress(FileNotFoundError):
            if not files.link_new(f"{earlier}/{name}", f"{folder}/{name}"):
                files.copy(f"{earlier}/{name}", f"{folder}/{name}")
