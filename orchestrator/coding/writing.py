"""One code task, from its description to a verified file or to the reason why no model here could do it.

Rule: a model's answer is nothing but text until one file was extracted from it; that file is nothing but text until it
stood its gates; and in the workspace it is a guest until its test has passed. Each answer is an attempt. A model gets a
second one, with what was wrong with the first; then it is the next model's turn. The report is durable before the new
file is said to be kept: a start that finds both says what they say, and asks nobody again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import orjson

from orchestrator.coding import change as changes
from orchestrator.coding.asking import failure_of
from orchestrator.coding.attempt import Attempt, FailedAtError, Job, surely
from orchestrator.coding.change import Before, Change, MeddledError
from orchestrator.coding.classify import classify, facts_of
from orchestrator.coding.diff import diff_of
from orchestrator.coding.ended import Ended
from orchestrator.coding.gates.verdicts import verdicts
from orchestrator.coding.report import CodeAttempt, CodeReport, ContextFile, Tokens, TokensFrom, brief
from orchestrator.coding.second import classifier_of, second_opinion
from orchestrator.coding.trial import NO_PROGRAM, HindranceError, Trial
from orchestrator.errors import TaskError, is_shortage
from orchestrator.home import Home
from orchestrator.outcome import Call, Failure
from orchestrator.runners.fence import Fence, why
from orchestrator.runners.finished import Beside
from orchestrator.runners.model.answer import ModelProblem
from orchestrator.settings import Settings
from orchestrator.skills.model_request import ModelRequest
from orchestrator.spool import files

if TYPE_CHECKING:
    from orchestrator.runners.model.models import Models

_ADVICE = "Write the file yourself, split the task, or name a larger model in `models`"
_IN_THE_WAY = "No other answer would help: see to that and let the task be tried again, or write the file yourself"
_OWN_WAY = "Write the file yourself, or split the task or word it differently"
TRIES = 2
"""How often one model is asked. Published results of small models rise with one retry, and hardly with more."""
REPORT = ".report.json"
_UNANSWERED = ("model", "context")
"""Gates of attempts that came to no answer: the one after them is the first."""


class Writing:
    """One run of one code task. `chain` are the models in the order in which they are tried."""

    def __init__(
        self,
        call: Call,
        request: ModelRequest,
        chain: Sequence[str],
        stem: str,
        home: Home,
        settings: Settings,
        models: Models,
        beside: Beside | None,
        say: Callable[[str], None],
    ) -> None:
        path, fence = request.output_file or "", Fence(call.cwd, home)
        self.job = Job(request, path, call, stem, home, fence, settings, models, Trial(call, beside), say)
        self.target = os.path.realpath(os.path.join(call.cwd, path))
        self._chain = chain
        self._attempts: list[CodeAttempt] = []
        self._last: Attempt | None = None
        self._problems: list[ModelProblem] = []
        self._rolled_back = 0
        self._category = ""
        self._begun = monotonic()

    async def go(self) -> Ended:
        """Raises OSError for a shortage of this machine's: then nothing is in the workspace that was not verified."""
        if (before := await asyncio.to_thread(self._kept_before)) is not None:
            return before
        try:
            await surely(self._settle)
            seen = await asyncio.to_thread(self._look)
            if (refusal := await self._refusal(seen)) is not None:
                return self._failed("escalated", refusal, _OWN_WAY)
            for model in self._chain:
                if (done := await self._by(model, seen)) is not None:
                    return done
        except (MeddledError, HindranceError, FailedAtError, TaskError) as error:
            return self._failed("escalated", str(error), _IN_THE_WAY)
        return self._gave_up()

    def _settle(self) -> None:
        """Take back what an earlier start of this run has left open. Raises OSError for a shortage, HindranceError."""
        for change in changes.open_changes(os.path.dirname(self.job.stem)):
            try:
                changes.take_back(Fence(change.workspace, self.job.home), change)
            except MeddledError as error:
                self.job.say(str(error))
            except OSError as error:
                if is_shortage(error):
                    raise
                raise HindranceError(f"{change.path} can't be put back: {why(error)}") from error

    def _look(self) -> Before:
        try:
            return changes.look(self.job.fence, self.job.path)
        except OSError as error:
            if is_shortage(error):
                raise
            raise HindranceError(f"{self.job.path} can't be written: {why(error)}") from error

    async def _refusal(self, seen: Before) -> str | None:
        """Why no model is asked; None where one is."""
        if self.job.settings.coding.classify == "off":
            return None
        facts = facts_of(seen.text)
        found = classify(self.job.request, facts)
        if self.job.settings.coding.classify == "model":
            ask = partial(self.job.models.ask, classifier_of(self.job.settings.coding))
            found = await second_opinion(ask, self.job.request, facts, found)
            self.job.say(f"classified {found.verdict}: {'; '.join(found.reasons)}")
        self._category = found.category
        return None if found.verdict == "local" else "; ".join(found.reasons)

    async def _by(self, model: str, seen: Before) -> Ended | None:
        """Let one model try; None where it is the next one's turn."""
        failure = ""
        for _ in range(TRIES):
            attempt = self._last = Attempt(self.job, len(self._attempts) + 1, model, seen, failure)
            try:
                self._attempts.append(await attempt.go())
            finally:
                self._rolled_back += attempt.rolled_back
            fallen = attempt.fallen
            if fallen is None:
                return await self._kept(attempt)
            if fallen.problem is not None:
                self._problems.append(fallen.problem)
            if fallen.next == "nobody":
                return self._failed("escalated", str(fallen), _IN_THE_WAY)
            if fallen.next == "other":
                return None
            failure = str(fallen)
        return None

    async def _kept(self, attempt: Attempt) -> Ended:
        """The file passed everything: report it, then let it stay. Who is stopped meanwhile has not done it."""
        change = attempt.change
        if change is None:
            raise RuntimeError("there is nothing to keep")
        try:
            return await surely(partial(self._keep, attempt, change))
        except MeddledError as error:
            self._attempts[-1] = replace(self._attempts[-1], failed_at="write", error=str(error))
            raise
        except BaseException:
            await attempt.take_back()
            raise

    def _keep(self, attempt: Attempt, change: Change) -> Ended:
        job = self.job
        diff, stats = diff_of(attempt.seen.data, attempt.data, job.path)
        diff_path, mask = f"{job.stem}.diff", job.call.mask
        files.replace_file(diff_path, diff if mask is None else mask.whole(diff))
        report = replace(
            self._report("success"),
            model=attempt.model,
            server=attempt.answer.server if attempt.answer else None,
            first_pass=all(before.failed_at in _UNANSWERED for before in self._attempts[:-1]),
            tested=job.trial.has_test,
            lines=len(attempt.data.splitlines()),
            diff=stats,
            diff_path=os.path.basename(diff_path),
            backup=os.path.basename(change.backup) if change.backup else None,
            file_bytes=len(attempt.data),
        )
        told = _told(report)
        told = told if mask is None else mask.deep(told)
        files.replace_file(f"{job.stem}.{attempt.number}{REPORT}", orjson.dumps(told), sync=True)
        changes.keep(job.fence, change)
        return Ended(_line(told), told)

    def _kept_before(self) -> Ended | None:
        """What an earlier start of this step had finished when the daemon died; None where there is no such thing."""
        folder, own = os.path.dirname(self.job.stem), f"{self.job.call.index}-"
        for note in changes.kept_changes(folder):
            ours = os.path.basename(note.note).startswith(own) and note.path == self.job.path
            report = note.note.removesuffix(changes.NOTE) + REPORT
            if ours and os.path.exists(report) and changes.is_as_kept(self.job.fence, note):
                with open(report, "rb") as handle:
                    told = orjson.loads(handle.read())
                self.job.say("an earlier start of this step had finished it, and the file is as it left it")
                return Ended(_line(told), told)
        return None

    def _gave_up(self) -> Ended:
        """No model of the chain did it."""
        no_answer = len(self._problems) == len(self._attempts)
        if no_answer and failure_of(self._problems) == "model_unavailable":
            return self._failed("model_unavailable", "; ".join(map(str, self._problems)))
        tried = " and ".join(f"`{model}`" for model in dict.fromkeys(attempt.model for attempt in self._attempts))
        last = self._attempts[-1]
        if all(attempt.failed_at == "context" for attempt in self._attempts):
            return self._failed("escalated", f"at the gate `context`: {last.error}", _IN_THE_WAY)
        times = len(self._attempts)
        count = "once, at" if times == 1 else f"{times} times, at last at"
        error = f"{tried} failed {count} the gate `{last.failed_at}`: {last.error}"
        return self._failed("escalated", error, _IN_THE_WAY if self._lacks_its_test() else _ADVICE)

    def _lacks_its_test(self) -> bool:
        """Whether the shell found no program to test with: nothing that a model writes would change that."""
        last = self._attempts[-1]
        return last.failed_at == "test" and str(last.error).startswith(NO_PROGRAM)

    def _failed(self, failure: Failure, error: str, advice: str = _ADVICE) -> Ended:
        escalate = f"{error.rstrip('.')}. {advice}" if failure == "escalated" else None
        told = _told(replace(self._report("failed"), error=f"{failure}: {error}", escalate=escalate))
        self.job.say(f"{failure}: {error}")
        return Ended(_line(told), told, failure, error)

    def _report(self, status: Literal["success", "failed"]) -> CodeReport:
        job, last = self.job, self._last
        counted = [attempt.tokens for attempt in self._attempts if attempt.tokens.source != "unknown"]
        return CodeReport(
            status,
            job.path,
            kind=job.request.kind,
            category=self._category,
            tested=False,
            rolled_back=self._rolled_back,
            attempts=tuple(self._attempts),
            gates=verdicts(last.gates) if last else {},
            tokens=Tokens(sum(t.prompt for t in counted), sum(t.completion for t in counted), _source(counted)),
            context=tuple(ContextFile(s.path, s.tokens, s.shown) for s in last.context) if last else (),
            spec_bytes=len(orjson.dumps(dict(job.call.inputs))),
            duration_ms=round((monotonic() - self._begun) * 1000, 3),
        )


def _source(counted: Sequence[Tokens]) -> TokensFrom:
    if not counted:
        return "unknown"
    return "measured" if all(tokens.source == "measured" for tokens in counted) else "estimated"


def _told(report: CodeReport) -> dict[str, Any]:
    """As it stands in results; orjson knows dataclasses, and the rest of the daemon plain values."""
    told: dict[str, Any] = orjson.loads(orjson.dumps(report))
    return told


def _line(told: dict[str, Any]) -> bytes:
    return orjson.dumps(brief(told)) + b"\n"
