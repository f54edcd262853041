"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do; empty where nothing has to be done."""

    subject: str
    level: Literal["ok", "warn", "fail"]
    text: str
    advice: str = ""
