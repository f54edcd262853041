"""A question to the models of a chain, one after the other, until one answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.coding.ended import Ended
from orchestrator.coding.report import Tokens
from orchestrator.outcome import Failure
from orchestrator.runners.model.answer import Answer, ModelProblem, Question
from orchestrator.skills.model_request import ModelRequest

if TYPE_CHECKING:
    from orchestrator.runners.model.models import Models


async def answer_of(models: Models, chain: Sequence[str], request: ModelRequest, say: Callable[[str], None]) -> Ended:
    """The answer to a `prompt`, as what the step prints."""
    question = Question(request.prompt or "", request.system or "", schema=request.json_schema)
    problems: list[ModelProblem] = []
    for name in chain:
        try:
            answer = await models.ask(name, question)
        except ModelProblem as problem:
            say(f"{name}: {problem}")
            problems.append(problem)
            continue
        say(account(answer))
        if not answer.complete:
            error = f"the answer of `{name}` was cut off at its limit of tokens (`max_tokens` of the model)"
            return Ended(answer.text.encode(), _report(answer), "escalated", error)
        return Ended(answer.text.encode() + b"\n", _report(answer))
    return Ended(failure=failure_of(problems), error="; ".join(str(problem) for problem in problems))


def failure_of(problems: Sequence[ModelProblem]) -> Failure:
    """What it comes to where no model gave an answer."""
    return "model_unavailable" if all(problem.unavailable for problem in problems) else "escalated"


def account(answer: Answer) -> str:
    """One line about an answer, for people."""
    counted = "" if answer.measured else " (estimated)"
    return (
        f"{answer.model}: {answer.served} on {answer.server} ({answer.dialect}), {answer.prompt_tokens} tokens in, "
        f"{answer.completion_tokens} out{counted}, {answer.duration_ms / 1000:.1f} s"
    )


def tokens_of(answer: Answer) -> Tokens:
    return Tokens(answer.prompt_tokens, answer.completion_tokens, "measured" if answer.measured else "estimated")


def _report(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model,
        "served": answer.served,
        "server": answer.server,
        "tokens": asdict(tokens_of(answer)),
        "complete": answer.complete,
        "duration_ms": round(answer.duration_ms, 3),
    }
