"""One attempt at a code task: one answer of one model, from the question to the verdict of its test.

Each stage either hands on to the next or raises FailedAtError, which says at which gate the answer fell and who may
try next. What was written and then refused is taken back before anything goes on; what is open when the work is
stopped in the middle, the runner settles by the notes.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeVar

from orchestrator.coding import change as changes
from orchestrator.coding.answer.extract import NotOneFile, as_file, extract
from orchestrator.coding.asking import account, tokens_of
from orchestrator.coding.change import Before, Change, MeddledError
from orchestrator.coding.context import ContextProblem, Shown, current_text, read_context, room_for_context
from orchestrator.coding.gates.verdicts import SyntaxProgram, check, first_failure, syntax_program, with_syntax
from orchestrator.coding.prompt import correction, load_prompt, render_prompt
from orchestrator.coding.report import CodeAttempt, Gate, GateResult, Tokens
from orchestrator.coding.trial import HindranceError, Trial
from orchestrator.errors import is_shortage
from orchestrator.home import Home
from orchestrator.outcome import Call
from orchestrator.runners.fence import Fence, why
from orchestrator.runners.model.answer import Answer, ModelProblem, Question
from orchestrator.runners.model.tokens import estimate
from orchestrator.settings import Settings
from orchestrator.skills.model_request import ModelRequest
from orchestrator.spool import files

if TYPE_CHECKING:
    from orchestrator.runners.model.models import Models

T = TypeVar("T")
Next = Literal["same", "other", "nobody"]


class FailedAtError(Exception):
    """The attempt ends at a gate. `next` says who tries then: the same model, with this as the reason; the next one of
    the chain; or nobody, because no answer would help."""

    def __init__(self, gate: Gate, error: str, *, next: Next = "same", problem: ModelProblem | None = None) -> None:
        super().__init__(error)
        self.gate: Gate = gate
        self.next: Next = next
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Job:
    """What all attempts of a code task share. `stem` begins the names of its files in the run's folder."""

    request: ModelRequest
    path: str
    call: Call
    stem: str
    home: Home
    fence: Fence
    settings: Settings
    models: Models
    trial: Trial
    say: Callable[[str], None]


@dataclass(slots=True)
class Attempt:
    """`seen` is the file as it stands, `failure` what was wrong with the answer before. After `go` the rest tells what
    came of it; `change` is still open then, as only the whole task's report closes it."""

    job: Job
    number: int
    model: str
    seen: Before
    failure: str = ""
    answer: Answer | None = None
    context: tuple[Shown, ...] = ()
    gates: list[GateResult] = field(default_factory=list)
    data: bytes = b""
    change: Change | None = None
    rolled_back: bool = False
    fallen: FailedAtError | None = None

    async def go(self) -> CodeAttempt:
        """Make the attempt. Raises OSError for a shortage of this machine's, TaskError for a broken prompt file."""
        begun = monotonic()
        try:
            await self._ask()
            text = await asyncio.to_thread(self._extract)
            await self._judge(text)
            await self._put()
            await self._test()
        except FailedAtError as failed:
            self.fallen = failed
        return self._told((monotonic() - begun) * 1000)

    async def _ask(self) -> None:
        name, models = self.model, self.job.models
        try:
            system, user = await self._question(await models.context_of(name))
            await asyncio.to_thread(self._keep, "prompt", f"# System\n\n{system}\n\n# User\n\n{user}\n")
            self.answer = await models.ask(name, Question(user, system))
        except ContextProblem as problem:
            raise FailedAtError("context", str(problem), next="other") from problem
        except ModelProblem as problem:
            gate: Gate = "context" if problem.trouble in ("overflow", "prompt_cut") else "model"
            gate = "answer" if problem.trouble == "empty" else gate
            then: Next = "same" if gate == "answer" else "other"
            raise FailedAtError(gate, str(problem), next=then, problem=problem) from problem
        self.job.say(account(self.answer))
        thought = f"<think>\n{self.answer.reasoning}\n</think>\n\n" if self.answer.reasoning else ""
        await asyncio.to_thread(self._keep, "answer", f"{thought}{self.answer.text}\n")

    def _keep(self, what: str, text: str) -> None:
        """In the run's folder, for whoever mends a prompt, or takes over where no model was up to it."""
        data, mask = text.encode(errors="replace"), self.job.call.mask
        files.replace_file(f"{self.job.stem}.{self.number}.{what}.md", data if mask is None else mask.whole(data))

    async def _question(self, window: int | None) -> tuple[str, str]:
        """What the model is told. Raises ContextProblem, TaskError for a broken prompt file."""
        job, coding = self.job, self.job.settings.coding
        template = await asyncio.to_thread(load_prompt, job.home.config, job.request.kind)
        current = current_text(job.path, self.seen.data)
        failure = correction(self.failure) if self.failure else ""
        bare = "\n".join(render_prompt(template, job.request, (), current, failure=failure))
        rest = await job.models.count(self.model, bare)
        answer = job.models.max_tokens(self.model)
        budget = room_for_context(window, answer, rest.tokens, measured=rest.measured)
        if budget is not None and budget < 0:
            raise ContextProblem(
                f"the task alone is too long for `{self.model}`: {rest.tokens:,} tokens, and its context has "
                f"{window:,}, of which {answer:,} are kept for the answer "
                f"(`max_tokens` in [models.{self.model}])"
            )
        # To have each file counted would be a question for each: how dense text is, the count of the rest says.
        density = rest.tokens / max(1, len(bare)) if rest.measured else 0.0
        counted = (lambda text: ceil(len(text) * density)) if density else estimate
        self.context = await asyncio.to_thread(
            read_context, job.fence, job.call.cwd, job.request.context_files,
            budget=budget, count=counted, large=coding.large_context,
        )  # fmt: skip
        return render_prompt(template, job.request, self.context, current, failure=failure)

    def _extract(self) -> str:
        if self.answer is None:
            raise RuntimeError("there is no answer to extract a file from")
        try:
            text = extract(self.answer.text, self.job.path, complete=self.answer.complete)
        except NotOneFile as problem:
            self.gates.append(GateResult(problem.gate, "failed", str(problem)))
            raise FailedAtError(problem.gate, str(problem)) from problem
        self.data = as_file(text, self.seen.data)
        return text

    async def _judge(self, text: str) -> None:
        """The gates that need nothing but the text; for some languages an interpreter has to read a copy of it."""
        request, job = self.job.request, self.job
        judge = partial(
            check, text, job.path, request.constraints,
            old=self.seen.text, context=request.context_files, description=request.description or "",
        )  # fmt: skip
        results = await asyncio.to_thread(judge)
        if first_failure(results) is None and (program := syntax_program(text, job.path)) is not None:
            results = with_syntax(results, await self._read_by(program, text))
        self.gates += results
        if (wrong := first_failure(results)) is not None:
            raise FailedAtError(wrong.gate, wrong.detail)

    async def _read_by(self, program: SyntaxProgram, text: str) -> GateResult:
        """An interpreter's word on the syntax of a copy, which lies in the run's folder."""
        located = shutil.which(program.program, path=self.job.call.env.get("PATH"))
        if located is None or not self.job.trial.can_start:
            return program.missing()
        copy = f"{self.job.stem}.{self.number}{program.ending}"
        await asyncio.to_thread(files.replace_file, copy, text.encode())
        argv = (located, *program.argv(copy)[1:])
        try:
            said = await self.job.trial.reads(argv, f"syntax-{self.number}")
        except HindranceError as hindrance:
            return GateResult("syntax", "not_checked", f"{program.program} was not started to read it: {hindrance}")
        return program.verdict(said, copy, self.job.path)

    async def _put(self) -> None:
        """Put the file in place, on trial."""
        job, name = self.job, f"{self.job.stem}.{self.number}"
        work = partial(changes.begin, job.fence, job.call.cwd, job.path, self.seen, self.data, name)
        try:
            self.change = await surely(work)
        except MeddledError as error:
            raise FailedAtError("write", str(error), next="nobody") from error
        except OSError as error:
            if is_shortage(error):
                raise
            raise FailedAtError("write", f"{job.path} can't be written: {why(error)}", next="nobody") from error

    async def _test(self) -> None:
        """Let the test have its word; where it has none, or none that is good, what was written goes."""
        if not self.job.trial.has_test:
            self.gates.append(GateResult("test", "not_checked", "the task has no `test_command`"))
            return
        try:
            wrong = await self.job.trial.test(self.number, self.job.settings.coding.test_timeout)
        except HindranceError as hindrance:
            self.gates.append(GateResult("test", "not_checked", str(hindrance)))
            await self.take_back()
            raise FailedAtError("test", str(hindrance), next="nobody") from hindrance
        self.gates.append(GateResult("test", "failed" if wrong else "passed", wrong))
        if wrong:
            await self.take_back()
            raise FailedAtError("test", wrong)

    async def take_back(self) -> None:
        """Put the old file back. Raises OSError, FailedAtError where somebody else changed it."""
        if self.change is not None:
            try:
                await surely(partial(changes.take_back, self.job.fence, self.change))
            except MeddledError as error:
                raise FailedAtError("write", str(error), next="nobody") from error
            except OSError as error:
                if is_shortage(error):
                    raise
                where = f"; the old one is {self.change.backup}" if self.change.backup else ""
                sentence = f"{self.job.path} can't be put back: {why(error)}{where}"
                raise FailedAtError("write", sentence, next="nobody") from error
            self.change, self.rolled_back = None, True

    def _told(self, duration_ms: float) -> CodeAttempt:
        answer, fallen = self.answer, self.fallen
        outcome = "passed all gates" if fallen is None else f"{fallen.gate}: {fallen}"
        self.job.say(f"attempt {self.number} ({self.model}): {outcome}")
        return CodeAttempt(
            number=self.number,
            model=self.model,
            served=answer.served if answer else "",
            server=answer.server if answer else "",
            failed_at=fallen.gate if fallen else None,
            error=str(fallen) if fallen else None,
            gates=tuple(self.gates),
            tokens=tokens_of(answer) if answer else Tokens(),
            duration_ms=round(duration_ms, 3),
        )


async def surely(work: Callable[[], T]) -> T:
    """Work in a thread to its end. Who is cancelled meanwhile is not gone before that: a file is never left halfway."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        task.exception()  # taken note of: what is open is settled by its note
        raise
