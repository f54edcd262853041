"""At start: bring what a dead daemon left in running/ to where it belongs, before anything new is claimed.

Everything here may be done twice: a crash in the middle of a recovery is recovered by the next one. By now no
process of the dead daemon lives any more (the caller saw to that).

- the journal holds its result        → the move to done/ or failed/ is finished;
- a step of it was started            → it is `interrupted`: failed/, with all its output, for a person to decide;
- nothing of it was started           → back to inbox.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.journal.log import Unfinished, read_unfinished
from orchestrator.outcome import CheckResult, Outcome, StepResult
from orchestrator.spool import files, names
from orchestrator.spool.queue import End, Spool

TAIL_BYTES = 4096


@dataclass(slots=True)
class Recovered:
    """What was found and done; names as they stand in the queue. `ends` are the outcomes, to be told to the sinks:
    a crash may have come before or just after they heard of them."""

    finished: list[str] = field(default_factory=list)
    requeued: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    ends: list[Outcome] = field(default_factory=list)
    torn_lines: int = 0

    def __len__(self) -> int:
        return len(self.finished) + len(self.requeued) + len(self.interrupted)


def recover(home: Home, spool: Spool) -> Recovered:
    """Set the queue right. Raises OSError if the disk does not let it."""
    unfinished, torn = read_unfinished(home.journal)
    found = Recovered(torn_lines=torn)
    running = set(spool.running_names())
    for run in unfinished:
        if not run.name:
            continue
        if run.name not in running and not _reclaim(spool, run):
            continue
        _end(home, spool, run, found)
        running.discard(run.name)
    for name in sorted(running):
        requeue(home, spool, name, found)
    for folder in (home.running, home.inbox, home.done, home.failed):
        files.sync_folder(folder)
    return found


def _reclaim(spool: Spool, run: Unfinished) -> bool:
    """A power cut can take a claim back though the start is on record: find the spec in inbox by its digest.

    False if it is not there, or is another one: then the run's end was reached, and only the last record is missing.
    """
    if _stands(spool.home, run):
        return False
    path = f"{spool.home.inbox}/{run.name}"
    try:
        with open(path, "rb") as handle:
            same = hashlib.sha256(handle.read()).hexdigest() == run.sha256
    except (FileNotFoundError, IsADirectoryError):
        return False
    if same:
        spool.claim(run.name)
    return same


def _stands(home: Home, run: Unfinished) -> bool:
    """Whether done/ or failed/ already shows this very run."""
    for folder in (home.done, home.failed):
        try:
            with open(f"{folder}/{names.result_name(names.stem_of(run.name))}", "rb") as handle:
                shown = orjson.loads(handle.read())
        except (FileNotFoundError, orjson.JSONDecodeError):
            continue
        if (shown.get("id"), shown.get("run")) == (run.id, run.run) and os.path.lexists(f"{folder}/{run.name}"):
            return True
    return False


def _end(home: Home, spool: Spool, run: Unfinished, found: Recovered) -> None:
    folder = f"{home.runs}/{run.id}/{run.run}"
    if run.result is not None:
        state: End = "done" if run.state == "done" else "failed"
        result = run.result
        found.finished.append(run.name)
    else:
        state, result = "failed", _interrupted(folder, run)
        found.interrupted.append(run.name)
    data = orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = runs.write_result(folder, data)
    files.sync_file(path)
    spool.finish(run.name, state, data, path, f"{folder}/{runs.SPEC}")
    found.ends.append(_outcome(result))


def requeue(home: Home, spool: Spool, name: str, found: Recovered) -> None:
    """Bring a file of running/ of which nothing was started back to inbox."""
    try:
        spool.requeue(name)
        found.requeued.append(name)
    except FileExistsError:
        # The name was dropped again meanwhile. Neither may be lost: the older one ends, never started.
        now = utc_now()
        result: dict[str, Any] = {
            "id": None, "run": 0, "name": names.readable(name), "status": "interrupted", "title": "",
            "reason": "interrupted: it was not started, and a newer file of this name waits",
            "results": [], "acceptance": [], "policy": {}, "started_at": now, "finished_at": now, "duration_ms": 0.0,
        }  # fmt: skip
        data = orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        path = f"{home.failed}/{names.result_name(names.stem_of(name))}"
        files.replace_file(path, data)
        spool.finish(name, "failed", data, path, None)
        found.interrupted.append(name)


def _outcome(result: dict[str, Any]) -> Outcome:
    """A result that was read back, as what it was."""
    parts: dict[str, Any] = {**result, "duration_ms": result["duration_ms"] or 0.0}
    parts["results"] = tuple(
        StepResult(**{**step, "args": tuple(step["args"]), "duration_ms": step["duration_ms"] or 0.0})
        for step in result["results"]
    )
    parts["acceptance"] = tuple(CheckResult(**check) for check in result["acceptance"])
    parts["errors"] = tuple(result["errors"])
    return Outcome(**parts)


def _interrupted(folder: str, run: Unfinished) -> dict[str, Any]:
    """The result of a run that a crash cut short, with whatever its last step had printed."""
    spec = _spec(folder)
    results = list(run.ended)
    if run.last_start is not None:
        results.append(_cut_short(folder, spec, int(run.last_start["step"])))
    where = f"in step {results[-1]['step']} ({results[-1]['skill']})" if results else "before its first step"
    return {
        "id": run.id,
        "run": run.run,
        "name": names.readable(run.name),
        "status": "interrupted",
        "reason": f"interrupted: the daemon died {where}; what it had done stands, `retry {run.id}` runs it again",
        "title": spec.get("title", ""),
        "results": results,
        "acceptance": [],
        "policy": run.policy,
        "outputs": {},
        "usage": {},
        "errors": [],
        "priority": spec.get("priority", "medium"),
        "risk": spec.get("risk", "medium"),
        "labels": spec.get("labels", {}),
        "sha256": run.sha256,
        "started_at": run.started_at,
        "finished_at": utc_now(),
        "duration_ms": None,
    }


def _spec(folder: str) -> dict[str, Any]:
    try:
        with open(f"{folder}/{runs.SPEC}", "rb") as handle:
            spec = orjson.loads(handle.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return spec if isinstance(spec, dict) else {}


def _cut_short(folder: str, spec: dict[str, Any], index: int) -> dict[str, Any]:
    steps = spec.get("steps", [])
    step = steps[index] if index < len(steps) else {"skill": "bash", "args": []}
    stem = f"{index}-{step['skill']}"
    out, out_bytes = _tail(f"{folder}/{stem}.out")
    err, err_bytes = _tail(f"{folder}/{stem}.err")
    return {
        "step": index, "skill": step["skill"], "args": step.get("args", []), "status": "interrupted", "code": None,
        "stdout": out, "stderr": err, "duration_ms": None, "attempts": 1, "truncated": False,
        "optional": step.get("optional", False), "id": step.get("id"),
        "stdout_path": f"{stem}.out" if out_bytes else None, "stderr_path": f"{stem}.err" if err_bytes else None,
        "stdout_bytes": out_bytes, "stderr_bytes": err_bytes, "error": "the daemon died while it ran",
    }  # fmt: skip


def _tail(path: str) -> tuple[str, int]:
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - TAIL_BYTES))
            return handle.read().decode("utf-8", "replace"), size
    except FileNotFoundError:
        return "", 0
