"""Run a prepared task's steps, one after another, and conclude."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

from orchestrator import checks, failpoint
from orchestrator.bus import Bus
from orchestrator.errors import TaskError, is_shortage
from orchestrator.event import Notice, StepFinished, StepStarted, utc_now
from orchestrator.execution import outcomes
from orchestrator.execution.again import judge_again
from orchestrator.execution.prepare import Prepared, Tools
from orchestrator.journal.ledger import Ledger, Run
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
    """Ends a running task from outside. The first reason given stands."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    reason: StopReason | None = None

    def set(self, reason: StopReason) -> None:
        if self.reason is None:
            self.reason = reason
            self.event.set()


@dataclass(slots=True)
class Execution:
    """One run of one task. `go` returns its outcome; every process that it started is gone by then.

    `short` is told what the machine is short of: what met that waits, and is done again. `tools` gives those of now.
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
    results: list[StepResult] = field(default_factory=list)

    async def go(self) -> Outcome:
        task = self.prepared.task
        begun, began_at = time.monotonic(), utc_now()
        deadline = begun + task.timeout / 1000 if task.timeout else None
        acceptance: tuple[CheckResult, ...] = ()
        try:
            before = await self._with_room(self._baseline, deadline)
            codes: dict[int, int | None] = {}
            ending = await self._steps(deadline) or await self._check_commands(codes, deadline)
            if ending is None:
                acceptance = await self._with_room(partial(self._check, before, codes), deadline)
                ending = self._stopped() or outcomes.judge(acceptance)
        except _OverError as over:
            ending = over.ending
        except Exception as error:  # noqa: BLE001 - a mistake of ours fails this task, and is told in its result
            ending = outcomes.internal(error)
        finally:
            await self._discard_tmp()
        return outcomes.conclude(
            self.prepared, self.run, ending, tuple(self.results), acceptance, self.sha256, began_at, begun
        )

    async def _steps(self, deadline: float | None) -> outcomes.Ending | None:
        """Run the steps until one ends the task; None if all went well."""
        for call in self.prepared.calls:
            if (refused := await self._with_room(partial(self._judge_again, call), deadline)) is not None:
                return refused
            if call.index > 0:  # the first start is durable since the claim
                await self._record_start(call, deadline)
            if (ending := self._stopped()) is not None:
                return ending
            if deadline is not None and time.monotonic() >= deadline:
                return outcomes.TASK_TIMED_OUT
            result = await self._step(call, deadline)
            if result.status != "ok" and not (result.optional and self.stop.reason is None):
                return outcomes.after_step(result, self.stop.reason, deadline)
        return None

    async def _judge_again(self, call: Call) -> outcomes.Ending | None:
        """The gate's word on a call right before it starts. What it is sure to remember costs no thread."""
        tools = self.tools()
        if self.prepared.settled and tools is self.prepared.tools:
            return judge_again(call, self.prepared, tools)
        return await asyncio.to_thread(judge_again, call, self.prepared, tools)

    def _stopped(self) -> outcomes.Ending | None:
        return None if self.stop.reason is None else outcomes.stopped(self.stop.reason)

    async def _record_start(self, call: Call, deadline: float | None) -> None:
        """Make the start durable."""
        if self.stop.reason is None:
            await self._with_room(partial(self.ledger.start_step, self.run, call.index, 1), deadline)

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

    async def _step(self, call: Call, deadline: float | None) -> StepResult:
        task_id, number = self.run.id, self.run.number
        self.bus.emit(StepStarted(id=task_id, run=number, step=call.index, skill=call.skill, args=call.args))
        failpoint.reach("step.starts")
        finished = await self._with_room(partial(self._spawn, call, deadline), deadline)
        failpoint.reach("step.ended")
        result = outcomes.step_result(call, finished, self.stop.reason)
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
            )
        )
        return result

    async def _spawn(self, call: Call, deadline: float | None) -> Finished:
        try:
            call = self.prepared.tools.wall.confine(call, self._run_name())
        except (TaskError, OSError) as error:
            if is_shortage(error):
                raise
            return Finished("failed", 126, error=f"the sandbox could not be set up: {error}")
        timeout_ms: float = call.timeout_ms
        if deadline is not None:
            timeout_ms = min(timeout_ms, max(1.0, (deadline - time.monotonic()) * 1000))
        stem = f"{self.run.folder}/{call.index}-{call.skill}"
        return await self.runners[call.runner].run(
            call,
            out_path=f"{stem}.out",
            err_path=f"{stem}.err",
            mark=f"{self.run.id}/{self.run.number}/{call.index}",
            timeout_ms=timeout_ms,
            cancelled=self.stop.event,
        )

    def _run_name(self) -> str:
        return f"{self.run.id}.{self.run.number}"

    async def _discard_tmp(self) -> None:
        try:
            if (work := self.prepared.tools.wall.discard(self._run_name())) is not None:
                await asyncio.to_thread(work)
        except OSError as error:
            message = f"{self._run_name()}: its temporary folder can't be removed before the next start: {error}"
            self.bus.emit(Notice(level="warning", message=message))

    async def _baseline(self) -> checks.Baseline:
        acceptance = self.prepared.task.acceptance
        if not checks.needs_baseline(acceptance):
            return checks.Baseline()
        return await asyncio.to_thread(checks.baseline, acceptance, self.prepared.workspace)

    async def _check_commands(self, codes: dict[int, int | None], deadline: float | None) -> outcomes.Ending | None:
        """Run the commands among the acceptance rules as the steps were run, judged and journaled; None if all ran."""
        for rule, call in self.prepared.check_calls.items():
            if (refused := await self._with_room(partial(self._judge_again, call), deadline)) is not None:
                return refused
            await self._record_start(call, deadline)
            if (ending := self._stopped()) is not None:
                return ending
            codes[rule] = (await self._with_room(partial(self._spawn, call, deadline), deadline)).code
        return None

    async def _check(self, before: checks.Baseline, codes: dict[int, int | None]) -> tuple[CheckResult, ...]:
        """Judge the acceptance rules. `codes` are the exit codes of the commands among them."""
        acceptance, results = self.prepared.task.acceptance, tuple(self.results)

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
        return await asyncio.to_thread(evaluate)
