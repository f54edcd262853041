"""At start: what a dead daemon left in running/, and what is to become of it, before anything new is claimed.

Everything here may be done twice: a crash in the middle of a recovery is recovered by the next one. By now no
process of the dead daemon lives any more (the caller saw to that).

- the journal holds its result             → it is only to be written down where it belongs;
- all that was started has ended, or may
  be started again (`past`)                → it goes on where it stopped, after the gate has looked again;
- else, a step of it was started           → it is `interrupted`, with all its output, for a person to decide;
- nothing of it was started                → back to inbox.

Only the last is done here. The rest is `Left`, which the scheduler brings to its end as it does with all runs.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator import failpoint
from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.intake.load import SpecError, load_task
from orchestrator.journal import past, runs
from orchestrator.journal.log import Unfinished, read_unfinished
from orchestrator.journal.past import Past
from orchestrator.outcome import Again, Attempt, CheckResult, Outcome, StepResult, outputs_of
from orchestrator.spec import Task
from orchestrator.spool import files, names
from orchestrator.spool.queue import Spool

TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Left:
    """A run that a dead daemon left. Either `outcome` is how it ended, or it goes on from `past`. `told` is what the
    journal knows of it; `task` is None where its spec can't be read any more."""

    told: Unfinished
    folder: str
    task: Task | None
    past: Past
    outcome: Outcome | None = None

    @property
    def run_name(self) -> str:
        return runs.name_of(self.told.id, self.told.run)


@dataclass(slots=True)
class Recovered:
    """What was found. `left` is still to be brought to its end; `requeued` are names that are back in inbox; `ended`
    could not go there; `closed` are runs of which only the last record was missing: of those that are `over` perhaps
    nobody was told."""

    left: list[Left] = field(default_factory=list)
    requeued: list[str] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)
    closed: list[Unfinished] = field(default_factory=list)
    over: list[Unfinished] = field(default_factory=list)
    torn_lines: int = 0

    @property
    def going_on(self) -> list[Left]:
        """Those that do not end here."""
        return [left for left in self.left if left.outcome is None]

    def __len__(self) -> int:
        return len(self.left) + len(self.requeued) + len(self.ended)


def recover(home: Home, spool: Spool) -> Recovered:
    """Look at the queue and set right what needs no end. Raises OSError if the disk does not let it."""
    unfinished, torn = read_unfinished(home.journal)
    found = Recovered(torn_lines=torn)
    running = set(spool.running_names())
    for run in unfinished:
        if run.name in running or (run.name and run.state != "inbox" and _reclaim(spool, run)):
            found.left.append(left_of(home, run))
            running.discard(run.name)
        else:
            found.closed.append(run)
            found.over += [run] if run.result is not None else []
    for name in sorted(running):
        if (outcome := requeue(home, spool, name)) is None:
            found.requeued.append(name)
        else:
            found.ended.append(outcome)
    for folder in (home.running, home.inbox, home.failed):
        files.sync_folder(folder)
    failpoint.reach("recovery.done")
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
        failpoint.reach("recovery.reclaimed")
    return same


def _stands(home: Home, run: Unfinished) -> bool:
    """Whether done/ or failed/ already shows this very run."""
    return any(
        (result.get("id"), result.get("run")) == (run.id, run.run) and os.path.lexists(f"{folder}/{run.name}")
        for folder, result in runs.shown(home, run.name)
    )


def left_of(home: Home, run: Unfinished) -> Left:
    """What is to become of a run whose end is not written, or not told. Reads its spec."""
    folder = f"{home.runs}/{run.id}/{run.run}"
    task = _task(home, folder, run)
    ended = [past.result_of(result) for result in run.ended]
    if run.result is not None:
        return Left(run, folder, task, past.FRESH, _outcome(run.result))
    steps = len(task.steps if task else ended)
    here = past.go_on(ended, run.last_start, run.last_wait, steps, run.source, run.tried)
    left = Left(run, folder, task, here)
    if task and run.last_start and here.step < len(task.steps):
        left = replace(left, past=replace(here, earlier=_with_those_cut_off(folder, task, here)))
    why = _why_not(left)
    return replace(left, outcome=interrupted(left, why)) if why else left


def _why_not(left: Left) -> str | None:
    if left.task is None:
        return "its spec can't be read any more"
    if left.told.last_start is None:
        return None
    return past.why_not_again(left.task, left.past.step, left.past.reruns)


def _task(home: Home, folder: str, run: Unfinished) -> Task | None:
    """The task as it was run. After a power cut the run's own copy may be torn; then the file is it, if it still is."""
    for path, name in ((f"{folder}/{runs.SPEC}", runs.SPEC), (f"{home.running}/{run.name}", run.name)):
        try:
            with open(path, "rb") as handle:
                data = handle.read()
            if name == runs.SPEC or hashlib.sha256(data).hexdigest() == run.sha256:
                return load_task(data, name)
        except (SpecError, FileNotFoundError):
            continue
    return None


def requeue(home: Home, spool: Spool, name: str) -> Outcome | None:
    """Bring a file of running/ of which nothing was started back to inbox; its end where it can't be there."""
    try:
        spool.requeue(name)
    except FileExistsError:
        # The name was dropped again meanwhile. Neither may be lost: the older one ends, never started.
        reason = "interrupted: it was not started, and a newer file of this name waits"
        now = utc_now()
        outcome = Outcome(
            id=None, run=0, name=names.readable(name), status="interrupted", reason=reason, title="",
            started_at=now, finished_at=now,
        )  # fmt: skip
        path = f"{home.failed}/{names.result_name(names.stem_of(name))}"
        data = runs.result_bytes(outcome)
        files.replace_file(path, data)
        files.sync_file(path)
        spool.finish(name, "failed", data, path, None)
        return outcome
    return None


def interrupted(left: Left, why: str) -> Outcome:
    """How the run ends where it does not go on, and `why`: with whatever its last step had printed."""
    run, task, here = left.told, left.task, left.past
    results = here.results
    cut = run.last_start is not None
    if task and cut and here.step < len(task.steps):
        earlier = tuple(before for before in here.earlier if before.attempt < here.attempt - 1)
        results = (*results, replace(_cut_short(left.folder, task, here, here.attempt - 1), earlier=earlier))
    elif here.failed is not None:
        results = (*results, here.failed)
    where = f"{'in' if cut else 'before'} {past.place(task, here.step)}" if task else "in a step"
    advice = past.advice(task, here.step) if task else "see in its output how far it came"
    return Outcome(
        id=run.id,
        run=run.run,
        name=names.readable(run.name),
        status="interrupted",
        reason=f"interrupted: the daemon died {where}, and {why}: {advice}",
        title=task.title if task else "",
        results=results,
        outputs=outputs_of(results),
        policy=run.policy,
        sandbox=run.sandbox,
        priority=task.priority if task else "medium",
        risk=task.risk if task else "medium",
        labels=task.labels if task else {},
        sha256=run.sha256,
        continues=run.source,
        attempt=run.tried + 1,
        started_at=run.started_at,
        finished_at=utc_now(),
        duration_ms=round(sum(result.duration_ms for result in results if result.run is None), 3),
    )


def _with_those_cut_off(folder: str, task: Task, here: Past) -> tuple[Attempt, ...]:
    """All attempts at the step, those too in which a daemon died."""
    known = {attempt.attempt: attempt for attempt in here.earlier}
    for number in range(1, here.attempt):
        if number not in known:
            known[number] = past.attempt_of(_cut_short(folder, task, here, number), None)
    return tuple(known[number] for number in sorted(known))


def _cut_short(folder: str, task: Task, here: Past, attempt: int) -> StepResult:
    """What is known of an attempt in which the daemon died; how long it took is not."""
    step = task.steps[here.step]
    stem = runs.output_stem(here.step, step.skill, attempt)
    out, out_bytes = _tail(f"{folder}/{stem}.out")
    err, err_bytes = _tail(f"{folder}/{stem}.err")
    return StepResult(
        step=here.step, skill=step.skill, args=step.args, status="interrupted", code=None,
        stdout=out, stderr=err, attempts=attempt, optional=step.optional, id=step.id,
        stdout_path=f"{stem}.out" if out_bytes else None, stderr_path=f"{stem}.err" if err_bytes else None,
        stdout_bytes=out_bytes, stderr_bytes=err_bytes, error="the daemon died while it ran",
    )  # fmt: skip


def _outcome(result: dict[str, Any]) -> Outcome:
    """A result that was read back, as what it was."""
    parts: dict[str, Any] = {**result, "results": tuple(past.result_of(step) for step in result["results"])}
    parts["acceptance"] = tuple(CheckResult(**check) for check in result["acceptance"])
    parts |= {key: tuple(result.get(key, ())) for key in ("errors", "files", "notes")}
    parts["again"] = Again(**result["again"]) if result.get("again") else None
    return Outcome(**parts)


def _tail(path: str) -> tuple[str, int]:
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - TAIL_BYTES))
            return handle.read().decode("utf-8", "replace"), size
    except FileNotFoundError:
        return "", 0
