"""How a step with a model ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.outcome import Failure


@dataclass(frozen=True, slots=True)
class Ended:
    """What the step prints, what is told beside it, and why it failed, if it did."""

    output: bytes = b""
    report: dict[str, Any] | None = None
    failure: Failure | None = None
    error: str | None = None
