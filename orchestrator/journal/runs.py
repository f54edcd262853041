"""The folder of a run: `state/runs/<id>/<n>/` with `spec.json`, the steps' output, `result.json`."""

from __future__ import annotations

import os
import shutil

from orchestrator.spool import files

RESULT = "result.json"
SPEC = "spec.json"


def create(runs: str, task_id: str) -> tuple[int, str]:
    """Make the folder of the next run of a task; returns its number (from 1) and its path."""
    parent = f"{runs}/{task_id}"
    try:
        os.mkdir(parent, 0o700)
        number = 1
    except FileExistsError:
        number = max(numbers(parent), default=0) + 1
    except FileNotFoundError:  # someone removed all runs; history begins anew
        os.makedirs(parent, mode=0o700, exist_ok=True)
        number = 1
    while True:
        folder = f"{parent}/{number}"
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            number += 1
        else:
            return number, folder


def numbers(parent: str) -> list[int]:
    """The runs that a task has had, in no order; empty where there were none."""
    try:
        return [int(name) for name in os.listdir(parent) if name.isdigit()]
    except FileNotFoundError:
        return []


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
