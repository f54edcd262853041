"""Memory: what tasks leave behind for later ones, searched with `insights.recall`.

A task that ends ok leaves the text of its own `memory`, if it has one. A task that fails after a step was started
leaves a memory of kind `failure`: its title, why, and the last it said. What is told again and again is one memory
that counts how often it was seen, so that a check every minute does not bury the rest.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.event import Event, TaskFinished
from orchestrator.outcome import Outcome
from orchestrator.sinks.memory.importance import importance
from orchestrator.sinks.memory.store import Record, inode_of, is_corrupt, move_aside, open_store, record
from orchestrator.sinks.wording import because

STDERR_KEPT = 500
# Cancelled, blocked, denied and refused tasks teach nothing about the work itself.
_FAILED = frozenset({"failed", "timed_out", "over_budget", "interrupted"})
_VARYING = re.compile(r"0x[0-9a-f]+|[0-9]+")


class MemorySink:
    """Writes each batch in one transaction. `report`, or the log, hears of a damaged database moved aside."""

    name = "memory"
    wants = (TaskFinished,)

    def __init__(self, path: str, report: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._report = report
        self._database: sqlite3.Connection | None = None
        self._inode: int | None = None

    def write(self, batch: Sequence[Event]) -> None:
        records = [item for event in batch if isinstance(event, TaskFinished) and (item := record_of(event))]
        if not records:
            return
        try:
            record(self._open(), records)
        except sqlite3.DatabaseError as error:
            inode = self._inode
            self.close()
            if inode is None or not is_corrupt(error):
                raise
            move_aside(self._path, inode, error, self._report)
            record(self._open(), records)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = self._inode = None

    def _open(self) -> sqlite3.Connection:
        if self._database is not None and inode_of(self._path) != self._inode:
            self.close()  # someone removed it or moved it aside: what is written here would be lost
        if self._database is None:
            self._database = open_store(self._path, self._report)
            self._inode = inode_of(self._path)
        return self._database


def record_of(event: TaskFinished) -> Record | None:
    """What a finished task leaves behind, if anything."""
    outcome = event.outcome
    wish = _wish(event.memory)
    if outcome.ok and wish is not None:
        return _success(outcome, *wish)
    started = any(step.status != "not_started" for step in outcome.results)
    if outcome.status in _FAILED and started:
        return _failure(outcome, wish)
    return None


def _success(outcome: Outcome, kind: str, text: str) -> Record:
    return _record(outcome, kind=kind, text=text, explicit=True, meta={})


def _failure(outcome: Outcome, wish: tuple[str, str] | None) -> Record:
    why = f"{outcome.title}: {because(outcome)}"
    step = next((result for result in reversed(outcome.results) if result.status not in ("ok", "skipped")), None)
    said = step.stderr.strip()[-STDERR_KEPT:] if step else ""
    meta: dict[str, Any] = {"reason": outcome.reason}
    if step is not None:
        meta["step"] = {"step": step.step, "skill": step.skill, "code": step.code}
    if wish is not None:
        meta["memory"] = {"kind": wish[0], "text": wish[1]}
    # Numbers vary from run to run (times, process ids) where the failure is the same.
    same_as = f"{outcome.id}\n{_VARYING.sub('0', why)}"
    return _record(
        outcome, kind="failure", text=f"{why}\n{said}" if said else why, explicit=False, meta=meta, same_as=same_as
    )


def _record(
    outcome: Outcome, *, kind: str, text: str, explicit: bool, meta: dict[str, Any], same_as: str | None = None
) -> Record:
    facts = {"priority": outcome.priority, "risk": outcome.risk, "labels": outcome.labels}
    return Record(
        kind=kind,
        text=text,
        title=outcome.title,
        meta={**facts, **meta},
        importance=importance(failed=not outcome.ok, priority=outcome.priority, risk=outcome.risk, explicit=explicit),
        task=outcome.id,
        run=outcome.run,
        status=outcome.status,
        same_as=same_as,
    )


def _wish(memory: Any) -> tuple[str, str] | None:
    """Kind and text of a spec's `memory`: the model, or a mapping read back from a run's `spec.json`."""
    if memory is None:
        return None
    if isinstance(memory, Mapping):
        return str(memory.get("kind", "solution")), str(memory.get("text", ""))
    return memory.kind, memory.text
