"""What earlier steps, and the tasks that this one needs, tell to its templates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from orchestrator.errors import is_shortage
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.outcome import StepResult
from orchestrator.templates.expression import ExpressionError, Later, Names

LONGEST_OUTPUT = 64 * 1024
"""In bytes: so much of a step's output an expression takes in."""


def facts_of_steps(results: Iterable[StepResult], folder: str) -> dict[str, Names]:
    """By id, of the steps that have one. Their output is read when it is asked for, from the run's `folder`."""
    return {result.id: _facts(result, folder) for result in results if result.id is not None}


def _facts(result: StepResult, folder: str) -> Names:
    path = f"steps.{result.id}"
    return Names(
        path,
        {
            "status": result.status,
            "code": result.code,
            "stdout": Later(partial(_output, path, "stdout", folder, result.stdout_path, result.stdout)),
            "stderr": Later(partial(_output, path, "stderr", folder, result.stderr_path, result.stderr)),
            "outputs": Names(f"{path}.outputs", result.outputs),
        },
    )


def _output(step: str, stream: str, folder: str, name: str | None, tail: str) -> str:
    """All that it printed, without the line ends at its end, as `$(…)` gives it. Raises ExpressionError."""
    if name is None:
        return tail.rstrip("\n")
    try:
        with open(f"{folder}/{name}", "rb") as file:
            data = file.read(LONGEST_OUTPUT + 1)
    except OSError as error:
        if is_shortage(error):
            raise
        raise ExpressionError(f"`{step}.{stream}` can't be read any more: {error.strerror}") from error
    if len(data) > LONGEST_OUTPUT:
        raise ExpressionError(
            f"`{step}.{stream}` has more than {LONGEST_OUTPUT // 1024} KiB: have the step write what is needed to "
            "$ORCHESTRATOR_OUTPUT"
        )
    return data.decode("utf-8", "replace").rstrip("\n")


def facts_of_need(home: Home, task_id: str) -> Mapping[str, Any] | None:
    """Status and outputs of the latest run of a task, and in `file` where these stand; None while it has no end."""
    number = max(runs.numbers(f"{home.runs}/{task_id}"), default=None)
    path = f"{home.runs}/{task_id}/{number}/{runs.RESULT}"
    result = runs.read_result(path) if number else None
    if result is None:
        return None
    return {"status": result.get("status"), "outputs": result.get("outputs") or {}, "file": path}


def digest_of_file(path: str) -> str:
    """SHA-256 of a result; empty for one that is gone."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
