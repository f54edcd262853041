"""A file that has been read: its value, what is wrong with its form, and where everything stands in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator.intake.limits import MAX_PROBLEMS
from orchestrator.intake.problem import Finding, Path, Problem, SpecError, nearest, render_path


@dataclass(slots=True)
class Document:
    """`values` and `keys` give the offset, in characters, of every value and of every key. A document that is
    `broken` has no value worth a further look."""

    text: str
    value: Any = None
    broken: bool = False
    values: dict[Path, int] = field(default_factory=dict)
    keys: dict[Path, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def offset(self, finding: Finding) -> int:
        """Where a finding stands; what is missing stands where its container begins."""
        if finding.offset is not None:
            return finding.offset
        path = finding.path
        if finding.at_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, 0)

    def line_and_column(self, offset: int) -> tuple[int, int]:
        line_start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - line_start + 1

    def error(self, file: str, more: list[Finding], unread: int = 0) -> SpecError:
        """Everything that is wrong, in the order of the file. What the form makes wrong at a place is said
        alone: whatever else would be said there only follows from it. `unread` errors are only counted."""
        formal = {finding.path for finding in self.findings if finding.path}
        findings = self.findings + [finding for finding in more if not _within(finding.path, formal)]
        ordered = sorted(dict.fromkeys(findings), key=self.offset)
        shown = [self._locate(finding) for finding in ordered[:MAX_PROBLEMS]]
        return SpecError(file, shown, len(ordered) - len(shown) + unread)

    def _locate(self, finding: Finding) -> Problem:
        line, column = self.line_and_column(self.offset(finding))
        hint = nearest(finding.said, finding.known) if finding.known else ""
        return Problem(finding.message, line, column, render_path(finding.path), hint)


def _within(path: Path, places: set[Path]) -> bool:
    return any(path[:length] in places for length in range(1, len(path) + 1))
