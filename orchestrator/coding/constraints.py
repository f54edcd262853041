"""Constraints as people write them, judged where a machine can."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.coding.report import GateResult


def judge(sentence: str, text: str, output_file: str, context: Sequence[str] = ()) -> GateResult:
    """What a constraint comes to for a text that parses."""
    del text, output_file, context
    return GateResult("constraints", "not_checked", f"{sentence!r}: no rule understands it")
