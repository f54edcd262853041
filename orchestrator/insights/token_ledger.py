"""What one run of a code task was worth, and what it cost, in tokens of whoever delegated it.

Rule: nothing here is a typical value. All sizes are measured, per run; the one assumption is how many bytes make a
token, and it is stated. What a task costs its submitter is always charged, also where nothing came of it; what it is
worth counts only where the file was accepted (in the higher bound also where nobody has said anything yet).
Tokens of local models are another machine's, and are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.insights.code_runs import CodeRun, CodeTask

BYTES_PER_TOKEN = (3, 5)
"""The stated assumption: code and prose have between so many bytes a token."""


@dataclass(frozen=True, slots=True)
class Range:
    """Tokens, from `low` to `high`. A sum or a difference holds whatever its parts are within their bounds."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Range) -> Range:
        return Range(self.low - other.high, self.high - other.low)


NOTHING = Range()


@dataclass(frozen=True, slots=True)
class Ledger:
    """`written` is what need not be written any more; the rest is what was written and read instead."""

    written: Range = NOTHING
    spec: Range = NOTHING
    result: Range = NOTHING
    review: Range = NOTHING

    @property
    def net(self) -> Range:
        return self.written - self.spec - self.result - self.review

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            self.written + other.written,
            self.spec + other.spec,
            self.result + other.result,
            self.review + other.review,
        )


def tokens(smallest: int, largest: int) -> Range:
    """The tokens of a text of so many bytes."""
    dense, sparse = BYTES_PER_TOKEN
    return Range(smallest / sparse, largest / dense)


def ledger_of(task: CodeTask, run: CodeRun) -> Ledger:
    """One run of a task. An agent would have written a new file whole, and a changed one whole or as a diff; and it
    reads once, as the one or the other, what passed."""
    sizes = [run.file_bytes] if run.is_new else [run.file_bytes, run.diff_bytes]
    file = tokens(min(sizes), max(sizes)) if run.end == "passed" else NOTHING
    unreviewed = run.verdict is None and run is task.last
    return Ledger(
        written=file if run.verdict == "accepted" else Range(0, file.high) if unreviewed else NOTHING,
        spec=tokens(run.spec_bytes, run.spec_bytes),
        result=tokens(run.result_bytes, run.report_bytes),
        review=file,
    )


def ledger(tasks: Iterable[CodeTask]) -> Ledger:
    """Of all their runs together."""
    return sum((ledger_of(task, run) for task in tasks for run in task.runs), Ledger())
