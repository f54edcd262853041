"""The code tasks of the last days, from telemetry, each with its reviewer's verdict where one was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import orjson

from orchestrator import verdicts
from orchestrator.event import CodeVerdict
from orchestrator.home import Home
from orchestrator.insights.telemetry import lines_with

Tag = Literal["measured", "estimated", "unknown"]
End = Literal["passed", "escalated", "infrastructure"]
State = Literal["accepted", "sent_back", "unreviewed", "escalated", "infrastructure"]
Checked = Literal["tests", "syntax", "nothing"]
_MARK = b'"code_finished"'
_NO_ANSWER = frozenset(("classified", "context", "model", "write"))
"""Gates that say nothing about an answer: none came, or it could not be put in its place."""
_STATE_OF: dict[str | None, State] = {"accepted": "accepted", "revise": "sent_back", None: "unreviewed"}


@dataclass(frozen=True, slots=True)
class Answered:
    """One attempt. `judged` says that an answer came and was put before the gates."""

    model: str
    judged: bool
    passed: bool
    prompt_tokens: int
    completion_tokens: int
    tokens: Tag


@dataclass(frozen=True, slots=True)
class CodeRun:
    """How one run of one code task ended. `infrastructure`: no model could be asked, or something else than an answer
    was in the way. Sizes are in bytes: `result_bytes` of the original system's three fields, `report_bytes` of all that
    is told. `checked` says what had looked at the last answer; `duration_ms` tells one report from the next."""

    id: str
    run: int
    step: int
    ts: str = field(compare=False)
    file: str
    kind: str
    end: End
    checked: Checked
    rolled_back: int
    attempts: tuple[Answered, ...]
    spec_bytes: int
    file_bytes: int
    diff_bytes: int
    is_new: bool
    result_bytes: int
    report_bytes: int
    duration_ms: float
    verdict: Literal["accepted", "revise"] | None

    @property
    def judged(self) -> list[Answered]:
        return [attempt for attempt in self.attempts if attempt.judged]

    @property
    def first_pass(self) -> bool:
        """Whether the first answer passed all gates; a model of the chain that gave none does not count."""
        judged = self.judged
        return bool(judged) and judged[0].passed


@dataclass(frozen=True)
class CodeTask:
    """All runs of one code task in the window, oldest first; at least one."""

    runs: tuple[CodeRun, ...]

    @cached_property
    def last(self) -> CodeRun:
        """The run that speaks for it: the latest that failed for no reason of the infrastructure, if there is one."""
        return next((run for run in reversed(self.runs) if run.end != "infrastructure"), self.runs[-1])

    @cached_property
    def first(self) -> CodeRun | None:
        """The earliest run in which a model answered, and that was not stopped by something else; None without one."""
        return next((run for run in self.runs if run.judged and run.end != "infrastructure"), None)

    @cached_property
    def state(self) -> State:
        last = self.last
        if last.end != "passed":
            return last.end
        return _STATE_OF[last.verdict]


def code_tasks(home: Home, since: str) -> tuple[list[CodeTask], int]:
    """The tasks of which a run ended at `since` (UTC, ISO 8601) or later, and how many lines could not be read."""
    given, torn = verdicts.latest(home, since[:10])
    runs: dict[tuple[str, int, str], list[CodeRun]] = {}
    for line in lines_with(home, since[:10], _MARK):
        try:
            run = _read(line, given)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
            torn += 1
            continue
        if run is not None and run.ts >= since:
            of_task = runs.setdefault((run.id, run.step, run.file), [])
            if run not in of_task:  # a daemon that died right after it told a report has its successor tell it again
                of_task.append(run)
    return [CodeTask(tuple(found)) for found in runs.values()], torn


def _read(line: bytes, given: Mapping[tuple[str, int], CodeVerdict]) -> CodeRun | None:
    """None for another kind of line, which has the word in its text. Raises what a line without its keys raises."""
    fact: dict[str, Any] = orjson.loads(line)
    if fact["event"] != "code_finished":
        return None
    status, gates, diff = fact["status"], fact["gates"], fact["diff"]
    told = {"status": status, "file": fact["file"], "error": fact["error"]}
    verdict = given.get((fact["id"], fact["run"]))
    return CodeRun(
        id=fact["id"],
        run=fact["run"],
        step=fact["step"],
        ts=fact["ts"],
        file=fact["file"],
        kind=fact["kind"],
        end="passed" if status == "success" else "escalated" if fact["escalate"] else "infrastructure",
        checked="tests" if fact["tested"] else "syntax" if gates.get("syntax") == "passed" else "nothing",
        rolled_back=int(fact["rolled_back"]),
        attempts=tuple(_attempts(fact["attempts"])),
        spec_bytes=int(fact["spec_bytes"]),
        file_bytes=int(fact["file_bytes"]),
        diff_bytes=int(diff["bytes"]),
        is_new=not diff["removed"] and diff["added"] >= fact["lines"],
        result_bytes=len(orjson.dumps(told)),
        report_bytes=len(line),
        duration_ms=float(fact["duration_ms"]),
        verdict=verdict.verdict if verdict else None,
    )


def _is_untested(attempt: dict[str, Any]) -> bool:
    """Whether it ended at a test that could not be started."""
    verdicts = [gate["verdict"] for gate in attempt["gates"] if gate["gate"] == "test"]
    return attempt["failed_at"] == "test" and verdicts == ["not_checked"]


def _attempts(found: Iterable[dict[str, Any]]) -> Iterable[Answered]:
    for attempt in found:
        failed_at, tokens = attempt["failed_at"], attempt["tokens"]
        yield Answered(
            attempt["model"],
            failed_at not in _NO_ANSWER and not _is_untested(attempt),
            failed_at is None,
            int(tokens["prompt"]),
            int(tokens["completion"]),
            tokens["source"],
        )
