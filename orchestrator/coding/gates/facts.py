"""The words in which a file's contents are told to the constraints, whatever its language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["function", "class", "value", "type", "default", "all"]


@dataclass(frozen=True, slots=True)
class Found:
    """Something at a line, counted from 1."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Export:
    """A name that other files may import; `default` is the one without a name of its own."""

    name: str
    kind: Kind
    line: int
