"""Which of the shapes that people write a value is, told by its keys alone."""

from __future__ import annotations

from typing import Any


def is_instance(value: Any) -> bool:
    """A spec that names a template."""
    return isinstance(value, dict) and "template" in value and "steps" not in value


def is_code_task(value: Any) -> bool:
    """A local code task; also one of which a needed key is missing, so that the missing one is told."""
    return isinstance(value, dict) and "steps" not in value and ("task_id" in value or "output_file" in value)
