"""What is told of a code task: the original system's form, and beside it what was measured.

Plain dataclasses, as in `outcome`: orjson writes them as they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

GateVerdict = Literal["passed", "failed", "not_checked"]
TokensFrom = Literal["measured", "estimated", "unknown"]
Gate = Literal["classified", "context", "answer", "complete", "syntax", "constraints", "test", "model", "write"]
"""Where an attempt can end: before a model was asked, at its answer, at what the answer is, at its test."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`source` says whether a server counted them (`measured`), we did from characters (`estimated`), or nobody."""

    prompt: int = 0
    completion: int = 0
    source: TokensFrom = "unknown"


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's word about one answer; `detail` is for people, and for the model that tries again."""

    gate: Gate
    verdict: GateVerdict
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """One answer of one model, and how far it came. `model` is the name in the config, `served` what the server calls
    it; `failed_at` is the gate that it failed at, None where it passed all."""

    number: int
    model: str
    served: str = ""
    server: str = ""
    failed_at: Gate | None = None
    error: str | None = None
    gates: tuple[GateResult, ...] = ()
    tokens: Tokens = Tokens()
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class DiffStats:
    """Lines, as `git diff --numstat` counts them; `bytes` is the size of the diff."""

    added: int = 0
    removed: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One file that the model was shown: whole, or as an outline of it."""

    path: str
    tokens: int
    shown: Literal["whole", "outline"]


@dataclass(frozen=True, slots=True)
class CodeReport:
    """How one code task ended. The first three fields are the original system's. `escalate` says, where no model here
    could do it, why, and what whoever takes over should know. `backup` and `diff_path` are relative to the run's
    folder, None where the file was not there before, or nothing was kept. `first_pass` says that the first answer
    that there was passed all gates. `rolled_back` counts the answers that had been written and were taken back."""

    status: Literal["success", "failed"]
    file: str
    error: str | None = None
    escalate: str | None = None
    kind: str = "code"
    category: str = ""
    model: str | None = None
    server: str | None = None
    first_pass: bool = False
    tested: bool = False
    rolled_back: int = 0
    attempts: tuple[CodeAttempt, ...] = ()
    gates: dict[str, GateVerdict] = field(default_factory=dict)
    tokens: Tokens = Tokens()
    lines: int = 0
    diff: DiffStats = DiffStats()
    diff_path: str | None = None
    backup: str | None = None
    context: tuple[ContextFile, ...] = ()
    spec_bytes: int = 0
    file_bytes: int = 0
    duration_ms: float = 0.0


_BRIEF = ("status", "file", "error", "escalate", "model", "server", "first_pass", "gates", "tokens", "diff", "backup")


def brief(told: dict[str, Any]) -> dict[str, Any]:
    """A report as whoever delegated the task reads it, in a few words: the original system's form and what was
    measured, of the attempts their number alone. What it lacks, because no model was asked, is left out."""
    short = {key: told[key] for key in _BRIEF if told.get(key) is not None or key == "error"}
    return short | ({"attempts": len(told["attempts"])} if "attempts" in told else {})
