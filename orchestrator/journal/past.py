"""What a run has behind it when it begins or goes on, and whether it may go on at all.

Rule: a step that has ended is never started again. One that was started and has not ended may have done anything; it
is started again only where the spec says that this does no harm (`idempotent`, or `on_interrupt: retry`), and not for
ever. Pure: no file is read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.outcome import Attempt, StepResult
from orchestrator.spec import Check, Task

RERUNS = 3
CHECKS = "checks"
"""The word for what comes after the last step."""


@dataclass(frozen=True, slots=True)
class Past:
    """Where a run stands before it starts anything. `tried` counts the attempts at the task that failed before it,
    where it follows them by itself. `step` is the first one to be started, counted from 0; the number
    of steps stands for the checks. `attempt` is the number of that start, `reruns` how many starts before it came to
    no end. `results` are those of the steps before. `source` is the earlier run whose steps it takes over. `earlier`
    are the attempts at `step` so far; `failed` is how the last of them ended, where the next is due at `due`, in
    seconds since the epoch."""

    results: tuple[StepResult, ...] = ()
    step: int = 0
    attempt: int = 1
    reruns: int = 0
    source: int | None = None
    earlier: tuple[Attempt, ...] = ()
    failed: StepResult | None = None
    due: float = 0.0
    tried: int = 0
    follows: int = 0
    """The run of which this one is the next attempt; 0 for none."""

    @property
    def begins(self) -> bool:
        """Whether nothing of the run has been started."""
        return self.step == 0 and self.attempt == 1 and self.source is None


FRESH = Past()


class CannotGoOn(Exception):
    """Why a task can't be taken up at a step, as a sentence for people."""


def result_of(value: Mapping[str, Any]) -> StepResult:
    """A step's result as it was, from what was written of it."""
    earlier = tuple(Attempt(**attempt) for attempt in value.get("earlier", ()))
    return StepResult(**{**value, "args": tuple(value["args"]), "earlier": earlier})


def attempt_of(result: StepResult, wait_ms: float | None) -> Attempt:
    """What is kept of an attempt after which another one was made."""
    return Attempt(
        result.attempts, result.status, result.code, result.failure, result.error, result.duration_ms, wait_ms,
        result.cpu_ms, result.stdout_path, result.stderr_path,
    )  # fmt: skip


def spent_ms(past: Past) -> float:
    """How long a run has been at work, as far as that is known: attempts and the waits between them."""
    own = [result for result in past.results if result.run is None]
    attempts = [*past.earlier, *(attempt for result in own for attempt in result.earlier)]
    waits = [attempt.wait_ms or 0.0 for attempt in attempts]
    if past.failed is not None:
        waits[len(past.earlier) - 1] = 0.0  # which is not over
    return sum(result.duration_ms for result in own) + sum(each.duration_ms for each in attempts) + sum(waits)


def went_well(result: StepResult) -> bool:
    """Whether the steps after it may start."""
    return result.status in ("ok", "skipped") or result.optional


def go_on(
    ended: Iterable[StepResult],
    started: Mapping[str, Any] | None,
    waits: Mapping[str, Any] | None,
    steps: int,
    source: int | None,
    tried: int = 0,
) -> Past:
    """The past of a run that was cut off. `started` is the record of the start that came to no end, if there is one,
    `waits` that of the last failed attempt after which another one was to be made; `steps` is how many the task has,
    `source` the earlier run that this one had gone on with, `tried` as in Past."""
    last = {result.step: result for result in ended}
    failed = result_of(waits["result"]) if waits and waits["step"] not in last else None
    earlier = (*failed.earlier, attempt_of(failed, waits["wait_ms"])) if waits and failed else ()
    if started is None and waits and failed:
        step = failed.step
        return Past(tuple(last.values()), step, failed.attempts + 1, 0, source, earlier, failed, waits["due"], tried)
    if started is None:
        checks_alone = len(last) == steps
        return Past(tuple(last.values()), len(last), reruns=int(checks_alone), source=source, tried=tried)
    step = min(int(started["step"]), steps)
    return Past(
        tuple(result for result in last.values() if result.step < step),
        step,
        int(started["attempt"]) + 1,
        int(started.get("reruns", 0)) + 1,
        source,
        earlier if failed and failed.step == step else (),
        tried=tried,
    )


def taken_over(task: Task, result: Mapping[str, Any], step: int) -> Past:
    """The past of a new run that takes over what an earlier one did before `step`. `result` is the earlier one's.

    Raises CannotGoOn where a step before has not gone well in it.
    """
    run = result["run"]
    found = {each["step"]: result_of(each) for each in result.get("results") or ()}
    for before in range(step):
        if (known := found.get(before)) is None or not went_well(known):
            how = "did not start" if known is None else f"is {known.status}"
            raise CannotGoOn(
                f"{place(task, before)} {how} in run {run}, and what comes after needs it: "
                f"--from {word_for(task, before)} is the furthest"
            )
    results = (replace(found[before], run=found[before].run or run) for before in range(step))
    return Past(tuple(results), step, source=run)


def why_not_again(task: Task, step: int, reruns: int) -> str | None:
    """Why a step that was started and has not ended may not be started for the `reruns`-th time again; None if it may.

    Past the last step: the checks, of which only commands do anything.
    """
    if reruns > RERUNS:
        return f"it was run again {RERUNS} times already"
    if task.on_interrupt == "retry":
        return None
    if step < len(task.steps):
        return None if task.steps[step].idempotent else "nothing says that it may be run again"
    commands = any(isinstance(check, Check) and check.command is not None for check in task.acceptance)
    return "nothing says that its commands may be run again" if commands else None


def place(task: Task, step: int) -> str:
    """`step 1 (bash) `build``, or `the checks`."""
    if step >= len(task.steps):
        return "the checks"
    found = task.steps[step]
    return f"step {step} ({found.skill})" + (f" `{found.id}`" if found.id else "")


def word_for(task: Task, step: int) -> str:
    """What a person gives to `retry --from` for it. Digits are always a number."""
    if step >= len(task.steps):
        return CHECKS
    name = task.steps[step].id
    return name if name and not name.isdigit() else str(step)


def step_of(task: Task, word: str) -> int:
    """The step that a person names by number or id, or by `checks`. Raises CannotGoOn for one that is not there."""
    if word.isdigit():
        step = int(word)
        known = step < len(task.steps)
    else:
        names = [each.id for each in task.steps]
        step = names.index(word) if word in names else len(task.steps)
        known = word in names or (word == CHECKS and bool(task.acceptance))
    if not known:
        words = ", ".join(word_for(task, each) for each in range(len(task.steps) + bool(task.acceptance)))
        raise CannotGoOn(f"{task.id} has no step {word}; there are {words}")
    return step


def advice(task: Task, step: int) -> str:
    """What a person can do about a run that was cut off there."""
    retry = f"`orchestrator retry {task.id} --from {word_for(task, step)}`"
    return f"see in its output how far it came, then {retry} goes on from there"
