"""Run a prepared task's steps, one after another, and conclude."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeVar

from orchestrator import checks, failpoint
from orchestrator.bus import Bus
from orchestrator.errors import TaskError, is_shortage
from orchestrator.event import Notice, StepFinished, StepStarted, utc_now
from orchestrator.execution import outcomes, outputs, required, retrying
from orchestrator.execution.again import judge_again
from orchestrator.execution.late import acceptance as rendered_acceptance
from orchestrator.execution.late import checked, made_ready, previewed
from orchestrator.execution.prepare import Prepared, Tools
from orchestrator.journal import runs
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.journal.past import FRESH, Past, attempt_of, spent_ms, went_well, why_not_again
from orchestrator.outcome import Call, CheckResult, Outcome, StepResult
from orchestrator.runners.finished import Finished, Runner

StopReason = Literal["cancelled", "interrupted"]
RETRY_S = 1.0
T = TypeVar("T")


class _OverError(Exception):
    """The task ends while it waits for the machine to have room."""

    def __init__(self, ending: outcomes.Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


@dataclass(slots=True)
class Stop:
    """Ends a running task from outside. The first reason given stands.

    `rest` is set as well where the daemon is about to end: what only waits then is left to the next one.
    """

    event: asyncio.Event = field(default_factory=asyncio.Event)
    rest: asyncio.Event = field(default_factory=asyncio.Event)
    reason: StopReason | None = None

    def set(self, reason: StopReason) -> None:
        if self.reason is None:
            self.reason = reason
            self.event.set()
            self.rest.set()


@dataclass(slots=True)
class Execution:
    """One run of one task, from where its `prepared.past` ends. `go` returns its outcome, or None where the run stays
    open; every process that it started is gone by then.

    `short` is told what the machine is short of: what met that waits, and is done again. `tools` gives those of now.
    `on_record` says that the first start was journaled with the claim.
    """

    prepared: Prepared
    run: Run
    runners: Mapping[str, Runner]
    ledger: Ledger
    bus: Bus
    sha256: str
    short: Callable[[OSError], None]
    tools: Callable[[], Tools]
    stop: Stop = field(default_factory=Stop)
    began_at: str = field(default_factory=utc_now)
    on_record: bool = True
    results: list[StepResult] = field(default_factory=list)
    files: tuple[str, ...] = ()
    """Those that the task was to make, and has made."""
    draw: retrying.Draw = retrying.draw
    _hidden: required.Hidden = required.NOTHING_HIDDEN
    _open: int | None = None
    """The step whose start is on record and which has not ended."""
    _here: Past = FRESH
    """The attempts at the step that was begun last."""

    async def go(self) -> Outcome | None:
        """Run to the end. None: the daemon was stopped, and the next one may go on with this run."""
        task, past = self.prepared.task, self.prepared.past
        self.results += past.results
        self._here = past
        if self.on_record:
            self._open = past.step
        begun = time.monotonic() - spent_ms(past) / 1000
        deadline = begun + task.timeout / 1000 if task.timeout else None
        acceptance: tuple[CheckResult, ...] = ()
        try:
            before = await self._with_room(partial(required.baseline, self.prepared, self.run.folder), deadline)
            codes: dict[int, int | None] = {}
            ending = (
                await self._equip(deadline)
                or await self._steps(deadline)
                or await self._look_what_was_made(deadline)
                or await self._check_commands(codes, deadline)
            )
            if ending is None:
                acceptance = await self._with_room(partial(self._check, before, codes), deadline)
                ending = self._stopped() or outcomes.judge(acceptance)
        except _OverError as over:
            ending = over.ending
        except Exception as error:  # noqa: BLE001 - a mistake of ours fails this task, and is told in its result
            ending = outcomes.internal(error)
        if ending.status == "interrupted":
            if (why := self._why_not_again()) is None:
                await self._leave_open()
                return None
            ending = outcomes.cut_off(task, self._open or 0, why)
        if self._here.failed is not None:  # the last attempt, after which no other one came
            self.results.append(self._here.failed)
        await self._discard_tmp()
        return outcomes.conclude(
            self.prepared,
            self.run,
            ending,
            tuple(self.results),
            acceptance,
            self.sha256,
            self.began_at,
            begun,
            self.files,
        )

    async def _equip(self, deadline: float | None) -> outcomes.Ending | None:
        """See that all is there before the first step; why it may not start, where something is not."""
        hidden = await required.secrets_of(self.prepared)
        if isinstance(hidden, outcomes.Ending):
            return hidden
        self._hidden = hidden
        return await self._with_room(partial(required.inputs_of, self.prepared), deadline)

    async def _look_what_was_made(self, deadline: float | None) -> outcomes.Ending | None:
        """After the last step."""
        made = await self._with_room(partial(required.made_by, self.prepared), deadline)
        if isinstance(made, outcomes.Ending):
            return made
        self.files = made
        return None

    async def _steps(self, deadline: float | None) -> outcomes.Ending | None:
        """Run the steps until one ends the task; None if all went well."""
        past, failed = self.prepared.past, None
        for before in past.results:  # the daemon may have died between a step's end and the task's
            failed = failed or (None if went_well(before) else outcomes.after_step(before, None, None))
        for call in self.prepared.calls[past.step :]:
            if failed is not None and call.index > self._last_after_failure():
                break
            ready = await self._made_ready(call, deadline, failed=failed is not None)
            if isinstance(ready, StepResult):
                failed = failed or (None if went_well(ready) else outcomes.after_step(ready, None, None))
                continue
            result = await self._attempts(ready, deadline)
            if isinstance(result, outcomes.Ending):
                return result if failed is None or result.status == "interrupted" else failed
            if result.status != "ok" and not (result.optional and self.stop.reason is None):
                ending = outcomes.after_step(result, self.stop.reason, deadline)
                if ending.status == "interrupted":
                    return ending
                failed = failed or ending
                if self.stop.reason is not None:
                    break
        return failed

    def _last_after_failure(self) -> int:
        """The last step that may start although one before has failed; -1 for none."""
        return -1 if self.prepared.rendered is None else self.prepared.rendered.last

    async def _made_ready(self, call: Call, deadline: float | None, *, failed: bool) -> Call | StepResult:
        """A call with its late values; or the result of a step that does not start, which then is noted."""
        if self.prepared.rendered is None:
            return call
        work = partial(made_ready, self.prepared, call, tuple(self.results), self.run.folder, failed=failed)
        ready = await self._with_room(partial(asyncio.to_thread, work), deadline)
        if isinstance(ready, StepResult):
            self._open = None
            self.results.append(ready)
            self.ledger.end_step(self.run, ready)
        return ready

    async def _attempts(self, call: Call, deadline: float | None) -> StepResult | outcomes.Ending:
        """Attempt a step as often as its spec lets it fail; why it does not start, or not again."""
        result = None
        while result is None:
            ending = await self._wait(call.index) or await self._start(call, deadline)
            if ending is not None:
                return ending
            if self._here.failed is not None:
                self._here = replace(self._here, failed=None)
            result = await self._step(call, deadline)
        return result

    async def _wait(self, step: int) -> outcomes.Ending | None:
        """Wait until the next attempt is due. However the clock is set, that is no longer than it was to be."""
        at = self._at(step)
        if at.failed is None:
            return None
        seconds = min(at.due - time.time(), (at.earlier[-1].wait_ms or 0.0) / 1000)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.rest.wait(), max(0.0, seconds))
        if self.stop.rest.is_set():
            return self._stopped() or outcomes.stopped("interrupted")
        return None

    async def _start(self, call: Call, deadline: float | None) -> outcomes.Ending | None:
        """Make sure that a call may start, and that its start is durable; else why it does not."""
        if (refused := await self._with_room(partial(self._judge_again, call), deadline)) is not None:
            return refused
        if call.index != self._open:  # else it is durable since the claim
            await self._record_start(call.index, deadline)
        if (ending := self._stopped()) is not None:
            return ending
        return outcomes.TASK_TIMED_OUT if deadline is not None and time.monotonic() >= deadline else None

    async def _judge_again(self, call: Call) -> outcomes.Ending | None:
        """The gate's word on a call right before it starts. What it is sure to remember costs no thread."""
        tools, prepared = self.tools(), self.prepared
        if prepared.rendered is not None and call.index in prepared.rendered.late:
            return await asyncio.to_thread(judge_again, call, prepared, tools, previewed(prepared, call))
        if prepared.settled and tools is prepared.tools:
            return judge_again(call, prepared, tools)
        return await asyncio.to_thread(judge_again, call, prepared, tools)

    def _stopped(self) -> outcomes.Ending | None:
        return None if self.stop.reason is None else outcomes.stopped(self.stop.reason)

    async def _record_start(self, step: int, deadline: float | None) -> None:
        """Make the start durable."""
        attempt, reruns = self._counted(step)
        if self.stop.reason is None:
            await self._with_room(partial(self.ledger.start_step, self.run, step, attempt, reruns), deadline)
            self._open = step

    async def _with_room(self, work: Callable[[], Awaitable[T]], deadline: float | None) -> T:
        """Do what begins nothing unless it succeeds, as often as it takes until the machine has room for it.

        Raises _OverError where the task ends before."""
        while True:
            try:
                return await work()
            except OSError as error:
                if not is_shortage(error):
                    raise
                self.short(error)
            await asyncio.sleep(RETRY_S)
            if (ending := self._stopped()) is not None:
                raise _OverError(ending)
            if deadline is not None and time.monotonic() >= deadline:
                raise _OverError(outcomes.TASK_TIMED_OUT)

    def _counted(self, step: int) -> tuple[int, int]:
        """The number of this attempt at a step, and how many before it came to no end."""
        at = self._at(step)
        return at.attempt, at.reruns

    def _at(self, step: int) -> Past:
        """The attempts at a step so far."""
        return self._here if min(step, len(self.prepared.calls)) == self._here.step else Past(step=step)

    def _why_not_again(self) -> str | None:
        """Why what was cut off by the daemon's end may not be run again by the next one; None if it may."""
        if self._open is None:
            return None
        return why_not_again(self.prepared.task, self._open, self._counted(self._open)[1] + 1)

    async def _leave_open(self) -> None:
        """The next daemon finds the run as after a crash, but with the ends of all steps on record."""
        with suppress(OSError):  # a full disk: then it finds it as after a crash
            await self.ledger.note_ends(self.run)
        message = f"{self.run.id} stays in running/: the next start goes on with it"
        self.bus.emit(Notice(level="info", message=message))

    async def _step(self, call: Call, deadline: float | None) -> StepResult | None:
        """Make one attempt; None if another one is to follow."""
        task_id, number = self.run.id, self.run.number
        at = self._at(call.index)
        attempt, args = at.attempt, self._hidden.told(call.args)
        self.bus.emit(
            StepStarted(id=task_id, run=number, step=call.index, skill=call.skill, args=args, attempt=attempt)
        )
        failpoint.reach("step.starts")
        notes = outputs.file_name(call.index, attempt)
        finished = await self._with_room(partial(self._spawn, call, deadline, notes), deadline)
        failpoint.reach("step.ended")
        named, wrong = await self._outputs(call, finished, attempt)
        result = outcomes.step_result(call, finished, attempt, at.earlier, self.stop.reason, named, wrong)
        result = self._hidden.told(result)
        wait_ms = self._wait_after(result, deadline)
        if wait_ms is not None:
            await self._put_off(result, wait_ms, deadline)
        if result.status != "interrupted":
            self._open = None
        if wait_ms is None and (self._open is None or self._why_not_again()):
            # else it has no end: it is started again, by this daemon or the next one
            self.results.append(result)
            self.ledger.end_step(self.run, result)
        self.bus.emit(
            StepFinished(
                id=task_id,
                run=number,
                step=call.index,
                skill=call.skill,
                status=result.status,
                code=result.code,
                duration_ms=result.duration_ms,
                attempt=attempt,
                wait_ms=wait_ms,
            )
        )
        return result if wait_ms is None else None

    def _wait_after(self, result: StepResult, deadline: float | None) -> float | None:
        """How long to wait before the next attempt, in milliseconds; None if there is to be none."""
        if result.failure is None or self.stop.reason is not None:
            return None
        failures = 1 + sum(attempt.status != "interrupted" for attempt in result.earlier)
        retry = self.prepared.task.steps[result.step].retry
        wait_ms = retrying.wait_ms(retry, failures, result.failure, result.code, self.draw)
        if wait_ms is None or (deadline is not None and time.monotonic() + wait_ms / 1000 >= deadline):
            return None
        return wait_ms

    async def _put_off(self, failed: StepResult, wait_ms: float, deadline: float | None) -> None:
        """Make it durable that an attempt failed, and when the next one is due."""
        due = time.time() + wait_ms / 1000
        earlier = (*failed.earlier, attempt_of(failed, wait_ms))
        self._here = Past(step=failed.step, attempt=failed.attempts + 1, earlier=earlier, failed=failed, due=due)
        await self._with_room(partial(self.ledger.wait_for_attempt, self.run, failed, wait_ms, due), deadline)

    async def _outputs(self, call: Call, finished: Finished, attempt: int) -> tuple[dict[str, str], str]:
        """What a step that ended names for others, and what is wrong with that; empty where nothing is."""
        path = self.prepared.tools.wall.notes_path(self._run_name(), outputs.file_name(call.index, attempt))
        pointers = self.prepared.task.steps[call.index].outputs if finished.status == "ok" else {}
        printed = f"{self.run.folder}/{runs.output_stem(call.index, call.skill, attempt)}.out"
        while True:
            try:
                named = outputs.noted(path) if call.runner == "process" else {}
                if pointers:
                    named |= await asyncio.to_thread(outputs.pointed, pointers, finished, printed)
                if named:
                    outputs.check_total(self.results, named)
            except outputs.OutputsError as error:
                return {}, str(error)
            except OSError as error:
                if not is_shortage(error) or self.stop.reason is not None:
                    return {}, f"its outputs can't be read: {error.strerror or error}"
                self.short(error)
            else:
                return named, ""
            await asyncio.sleep(RETRY_S)

    async def _spawn(self, call: Call, deadline: float | None, notes: str = "") -> Finished:
        try:
            call = self.prepared.tools.wall.confine(self._hidden.into(call), self._run_name(), notes)
        except (TaskError, OSError) as error:
            if is_shortage(error):
                raise
            return Finished("failed", 126, error=f"the sandbox could not be set up: {error}")
        timeout_ms: float = call.timeout_ms
        if deadline is not None:
            timeout_ms = min(timeout_ms, max(1.0, (deadline - time.monotonic()) * 1000))
        attempt, _ = self._counted(call.index)
        stem = f"{self.run.folder}/{runs.output_stem(call.index, call.skill, attempt)}"
        return await self.runners[call.runner].run(
            call,
            out_path=f"{stem}.out",
            err_path=f"{stem}.err",
            mark=f"{self.run.id}/{self.run.number}/{call.index}",
            timeout_ms=timeout_ms,
            cancelled=self.stop.event,
        )

    def _run_name(self) -> str:
        return runs.name_of(self.run.id, self.run.number)

    async def _discard_tmp(self) -> None:
        try:
            if (work := self.prepared.tools.wall.discard(self._run_name())) is not None:
                await asyncio.to_thread(work)
        except OSError as error:
            message = f"{self._run_name()}: its temporary folder can't be removed before the next start: {error}"
            self.bus.emit(Notice(level="warning", message=message))

    async def _check_commands(self, codes: dict[int, int | None], deadline: float | None) -> outcomes.Ending | None:
        """Run the commands among the acceptance rules as the steps were run, judged and journaled; None if all ran."""
        past, steps = self.prepared.past, len(self.prepared.calls)
        if past.step == steps and not self.prepared.check_calls and past.reruns:
            await self._record_start(
                steps, deadline
            )  # counted, so that checks that end the daemon do not do so for ever
        for rule, bound in self.prepared.check_calls.items():
            call = await self._rendered(partial(checked, self.prepared, rule, bound), deadline)
            if (ending := await self._start(call, deadline)) is not None:
                return ending
            codes[rule] = (await self._with_room(partial(self._spawn, call, deadline), deadline)).code
            if (ending := self._stopped()) is not None:
                return ending
            self._open = None
        return None

    async def _rendered(self, work: Callable[[tuple[StepResult, ...], str], T], deadline: float | None) -> T:
        """What comes after the steps, with what these tell. Raises _OverError where a value is missing."""
        if self.prepared.rendered is None:
            return work((), "")
        try:
            look = partial(asyncio.to_thread, work, tuple(self.results), self.run.folder)
            return await self._with_room(look, deadline)
        except TaskError as error:
            raise _OverError(outcomes.Ending("failed", f"{error.reason}: {error.message}")) from error

    async def _check(self, before: checks.Baseline, codes: dict[int, int | None]) -> tuple[CheckResult, ...]:
        """Judge the acceptance rules. `codes` are the exit codes of the commands among them."""
        results = tuple(self.results)
        acceptance = await self._rendered(partial(rendered_acceptance, self.prepared), None)

        def evaluate() -> tuple[CheckResult, ...]:
            return checks.evaluate(
                acceptance,
                results,
                workspace=self.prepared.workspace,
                run_dir=self.run.folder,
                baseline=before,
                command_codes=codes,
            )

        if checks.is_instant(acceptance, results):
            return evaluate()
        self.ledger.note_ends(self.run).add_done_callback(lambda noted: noted.exception())
        return await asyncio.to_thread(evaluate)
