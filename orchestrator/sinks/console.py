"""What `run --once` says on stdout: a line for each task that ended, as the original system had it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from orchestrator.event import Event, TaskFinished, TaskRetrying
from orchestrator.outcome import CheckResult, Outcome, StepResult
from orchestrator.sinks.wording import call_line, printable, retrying, step_ending, verdict


class ConsoleSink:
    """Prints `✅ NAME: OK` or `❌ NAME: STATUS - why`; with `verbose` each step and check too."""

    name = "console"
    wants = (TaskFinished, TaskRetrying)

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose

    def write(self, batch: Sequence[Event]) -> None:
        text = "".join(f"{line}\n" for event in batch for line in self._told(event))
        # A terminal or pipe that is not UTF-8 gets escapes rather than no line at all.
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()

    def close(self) -> None:
        """The stream is the caller's."""

    def _told(self, event: Event) -> Iterator[str]:
        if isinstance(event, TaskFinished):
            yield from self._lines(event.outcome)
        elif isinstance(event, TaskRetrying):
            yield f"🔁 {printable(event.name)}: {retrying(event)}"

    def _lines(self, outcome: Outcome) -> Iterator[str]:
        if self._verbose:
            yield from (_step_line(step) for step in outcome.results)
            yield from (_check_line(check) for check in outcome.acceptance)
        yield f"{'✅' if outcome.ok else '❌'} {printable(outcome.name)}: {verdict(outcome)}"


def _step_line(step: StepResult) -> str:
    # For reading only: nothing is ever run from a joined line.
    line = call_line((step.skill, *step.args))
    note = ", optional" if step.optional and step.status not in ("ok", "skipped") else ""
    note += f", in run {step.run}" if step.run else ""
    return f"   {line} → {step_ending(step)}{note}"


def _check_line(check: CheckResult) -> str:
    mark = {True: "✓", False: "✗", None: "?"}[check.ok]
    detail = f": {printable(check.detail)}" if check.detail else ""
    return f"   {mark} {printable(check.rule)}{detail}"
