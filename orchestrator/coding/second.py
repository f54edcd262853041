"""A model's own word on whether it should try, after the rules have let a task pass.

Rule: it may only say no. What the rules escalate no model is asked about, and where it can't be asked, or its answer
can't be read, the rules' verdict stands, with a sentence that says so.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.coding.classify import MOST_IMPORTS, MOST_LINES, Classification, Facts
from orchestrator.runners.model.answer import Answer, ModelProblem, Question
from orchestrator.settings import CodingSettings
from orchestrator.skills.model_request import ModelRequest

_LONGEST_REASON = 300
_MAX_TOKENS = 512
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": _LONGEST_REASON},
        "verdict": {"type": "string", "enum": ["local", "escalate"]},
    },
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
"""The reason comes first, so that the verdict follows from it."""
_SYSTEM = (
    "You judge whether a small language model can write one file in one go. Answer in JSON: first `reason`, one short "
    f"sentence, then `verdict`. Say `local` for at most {MOST_LINES} lines with at most {MOST_IMPORTS} imports in one "
    "file without state. Say `escalate` for anything that needs other files changed, a bug found, or knowledge of the "
    "whole project."
)


class _Opinion(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    verdict: Literal["local", "escalate"]
    reason: str = ""


def classifier_of(coding: CodingSettings) -> str:
    """The name of the model that is asked."""
    return coding.classifier or next(iter(coding.models), "default")


async def second_opinion(
    ask: Callable[[Question], Awaitable[Answer]], request: ModelRequest, facts: Facts, before: Classification
) -> Classification:
    """The verdict after a model was asked; `before` is that of the rules."""
    if before.verdict == "escalate":
        return before
    try:
        answer = await ask(question(request, facts))
    except ModelProblem as problem:
        return _beside(before, f"no second verdict: {problem}")
    return with_opinion(before, answer.text)


def question(request: ModelRequest, facts: Facts) -> Question:
    """What the model is asked."""
    lines = f"{facts.lines} lines now" if facts.exists else "new"
    told = {
        "description": request.description,
        "output_file": f"{request.output_file} ({lines})",
        "kind": request.kind,
        "context_files": request.context_files,
        "constraints": request.constraints,
        "has_test": request.test_command is not None,
    }
    user = f"The task:\n\n{json.dumps(told, ensure_ascii=False, indent=2)}"
    return Question(user, _SYSTEM, max_tokens=_MAX_TOKENS, temperature=0, schema=SCHEMA)


def with_opinion(before: Classification, answer: str) -> Classification:
    """The verdict of the rules with what the model answered."""
    try:
        opinion = _Opinion.model_validate_json(answer)
    except ValidationError:
        return _beside(before, "no second verdict: the model's answer was not the JSON that was asked for")
    why = " ".join(opinion.reason.split())[:_LONGEST_REASON] or "no reason given"
    if opinion.verdict == "local":
        return replace(before, reasons=(*before.reasons, f"a model agrees: {why}"), by="model")
    return replace(before, verdict="escalate", reasons=(f"a model would not try: {why}",), by="model")


def _beside(before: Classification, note: str) -> Classification:
    return replace(before, reasons=(*before.reasons, note))
