"""Run a prepared task's steps, one after another, and conclude."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from orchestrator import checks, failpoint
from orchestrator.bus import Bus
from orchestrator.errors import TaskError, is_shortage
from orchestrator.event import CodeFinished, Notice, StepFinished, StepStarted, utc_now
from orchestrator.execution import outcomes, outputs, required
from orchestrator.execution.again import judge_again
from orchestrator.execution.attempts import Attempts, Stop
from orchestrator.execution.late import acceptance as rendered_acceptance
from orchestrator.execution.late import checked, made_ready, previewed
from orchestrator.execution.place import Place, why_not
from orchestrator.execution.prepare import Prepared, Tools
from orchestrator.journal import runs
from orchestrator.journal.ledger import Ledger, Run
from orchestrator.journal.past import spent_ms, went_well, why_not_again
from orchestrator.outcome import Call, CheckResult, Outcome, StepResult
from orchestrator.runners.finished import Finished, Runner
from orchestrator.spec import Worktree

RETRY_S = 1.0
T = TypeVar("T")


class _OverError(Exception):
    """The task ends before its first step, or while it waits for the machine to have room."""

    def __init__(self, ending: outcomes.Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


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
    _hidden: required.Hidden = required.NOTHING_HIDDEN
    _place: Place | None = None
    _open: int | None = None
    """The step whose start is on record and which has not ended."""
    _attempts: Attempts = field(init=False)

    def __post_init__(self) -> None:
        self._attempts = Attempts(self.prepared.task, self.stop, self.prepared.past)

    async def go(self) -> Outcome | None:
        """Run to the end. None: the daemon was stopped, and the next one may go on with this run."""
        task, past = self.prepared.task, self.prepared.past
        self.results += past.results
        if self.on_record:
            self._open = past.step
        begun = time.monotonic() - spent_ms(past) / 1000
        deadline = begun + task.timeout / 1000 if task.timeout else None
        acceptance: tuple[CheckResult, ...] = ()
        try:
            if task.workspace is not None and task.workspace.worktree is not None:
                await self._enter(task.workspace.worktree, deadline)
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
        if self._attempts.failed is not None:
            self.results.append(self._attempts.failed)
        worktree = None
        if self._place is not None:
            stopping = self.stop.reason == "interrupted"
            ending, worktree = await self._place.leave(self.prepared, ending, tuple(self.results), stopping=stopping)
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
            worktree,
        )

    async def _enter(self, wanted: Worktree, deadline: float | None) -> None:
        """Go to the task's own worktree and make it ready. Raises _OverError where that ends the task."""
        again = not self.on_record
        place = self._place = Place(wanted, self.run, self.runners["process"], self.stop.event, deadline, again)
        try:
            self.prepared = await self._with_room(lambda: place.enter(self.prepared), deadline)
            ending = outcomes.refusal_of(self.prepared) or await self._take_secrets()
            if ending is None and place.needs_setup:
                ending = await place.set_up(
                    self.prepared,
                    lambda call: self._with_room(partial(self._judge_again, call), deadline),
                    lambda call: self._with_room(partial(self._spawn, call, deadline), deadline),
                ) or await self._with_room(lambda: place.ready(self.prepared), deadline)
        except TaskError as error:
            ending = why_not(error)
        if ending is not None:
            raise _OverError(self._stopped() or ending)

    async def _take_secrets(self) -> outcomes.Ending | None:
        hidden = await required.secrets_of(self.prepared)
        if isinstance(hidden, outcomes.Ending):
            return hidden
        self._hidden = hidden
        return None

    async def _equip(self, deadline: float | None) -> outcomes.Ending | None:
        """See that all is there before the first step; why it may not start, where something is not."""
        if self._place is None and (ending := await self._take_secrets()) is not None:  # else `_enter` did
            return ending
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
            result = await self._attempt(ready, deadline)
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

    async def _attempt(self, call: Call, deadline: float | None) -> StepResult | outcomes.Ending:
        """Attempt a step as often as its spec lets it fail; why it does not start, or not again."""
        result = None
        while result is None:
            await self._attempts.wait(call.index)
            if self._attempts.failed is not None and self.stop.rest.is_set():
                return outcomes.stopped(self.stop.reason or "interrupted")
            if (ending := await self._start(call, deadline)) is not None:
                return ending
            self._attempts.begin()
            result = await self._step(call, deadline)
        return result

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
        at = self._attempts.at(step)
        if self.stop.reason is None:
            await self._with_room(partial(self.ledger.start_step, self.run, step, at.attempt, at.reruns), deadline)
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

    def _why_not_again(self) -> str | None:
        """Why what was cut off by the daemon's end may not be run again by the next one; None if it may."""
        if self._open is None:
            return None
        return why_not_again(self.prepared.task, self._open, self._attempts.at(self._open).reruns + 1)

    async def _leave_open(self) -> None:
        """The next daemon finds the run as after a crash, but with the ends of all steps on record."""
        with suppress(OSError):  # a full disk: then it finds it as after a crash
            await self.ledger.note_ends(self.run)
        message = f"{self.run.id} stays in running/: the next start goes on with it"
        self.bus.emit(Notice(level="info", message=message))

    async def _step(self, call: Call, deadline: float | None) -> StepResult | None:
        """Make one attempt; None if another one is to follow."""
        task_id, number = self.run.id, self.run.number
        at = self._attempts.at(call.index)
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
        if (wait_ms := self._attempts.wait_after(result, deadline)) is not None:
            due = self._attempts.put_off(result, wait_ms)
            await self._with_room(partial(self.ledger.wait_for_attempt, self.run, result, wait_ms, due), deadline)
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
        if wait_ms is None:
            return result
        if (report := result.code_report) is not None:  # that of the last attempt is told with the run's end
            self.bus.emit(CodeFinished(id=task_id, run=number, step=call.index, report=report))
        return None

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

    async def _spawn(self, call: Call, deadline: float | None, notes: str = "", word: str = "") -> Finished:
        try:
            call = self.prepared.tools.wall.confine(self._hidden.into(call), self._run_name(), notes)
        except (TaskError, OSError) as error:
            if is_shortage(error):
                raise
            return Finished("failed", 126, error=f"the sandbox could not be set up: {error}")
        timeout_ms: float = call.timeout_ms
        if deadline is not None:
            timeout_ms = min(timeout_ms, max(1.0, (deadline - time.monotonic()) * 1000))
        attempt = self._attempts.at(call.index).attempt
        stem = f"{self.run.folder}/{runs.output_stem(call.index, call.skill, attempt)}" + (f".{word}" if word else "")
        return await self.runners[call.runner].run(
            call,
            out_path=f"{stem}.out",
            err_path=f"{stem}.err",
            mark=f"{self.run.id}/{self.run.number}/{call.index}",
            timeout_ms=timeout_ms,
            cancelled=self.stop.event,
            beside=partial(self._beside, deadline=deadline) if call.runner == "model" else None,
        )

    async def _beside(self, call: Call, word: str, *, deadline: float | None) -> Finished:
        """What a step's runner starts while the step runs. It is judged once more, as a step is: the file that a model
        has just written may be the script that it runs. It holds no templates, and so no late values."""
        judge = partial(asyncio.to_thread, judge_again, call, self.prepared, self.tools())
        if (refused := await self._with_room(judge, deadline)) is not None:
            return Finished("failed", 126, error=refused.reason)
        return await self._with_room(partial(self._spawn, call, deadline, word=word), deadline)

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
