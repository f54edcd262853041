"""Which of the shapes that people write a value is, told by its keys alone; and what a file of several tasks holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.intake.problem import Path

if TYPE_CHECKING:
    from orchestrator.spec import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """One task of a backlog: its place there, and the spec that it is by itself, JSON in the shape that it had."""

    path: Path
    task: Task
    data: bytes

    @property
    def name(self) -> str:
        """Its file's name in the queue."""
        return f"{self.task.id}.json"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Several tasks in one file, in its order. No two have one id, and they don't wait for one another in a circle."""

    entries: tuple[Entry, ...]


def is_instance(value: Any) -> bool:
    """A spec that names a template."""
    return isinstance(value, dict) and "template" in value and "steps" not in value


def is_code_task(value: Any) -> bool:
    """A local code task; also one of which a needed key is missing, so that the missing one is told."""
    return isinstance(value, dict) and "steps" not in value and ("task_id" in value or "output_file" in value)


def is_backlog(value: Any) -> bool:
    """A list of tasks, or `{tasks: [..]}`."""
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value)
    return isinstance(value, dict) and value.keys() == {"tasks"} and isinstance(value["tasks"], list)
