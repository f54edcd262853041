"""What is asked of a model, what comes back, and the closed set of ways in which nothing does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Dialect = Literal["llama.cpp", "lmstudio", "ollama", "vllm", "openai"]
Trouble = Literal[
    "unreachable",  # nothing listens there, or it can't be resolved
    "wrong_url",  # something answers, but it is no OpenAI-compatible server, or not at this path
    "unauthorized",  # 401, 403
    "no_model",  # the server has none, or not the one that was asked for
    "loading",  # still, when the patience for it was over
    "overflow",  # the prompt does not fit its context
    "prompt_cut",  # the server silently left out a part of the prompt
    "empty",  # it answered, with nothing
    "stalled",  # the stream stopped in the middle
    "timed_out",
    "broken",  # the connection or the server died in mid-answer, 5xx, no JSON
    "refused",  # any other 4xx
    "cancelled",
]
UNAVAILABLE: frozenset[Trouble] = frozenset(
    ("unreachable", "wrong_url", "unauthorized", "no_model", "loading", "stalled", "timed_out", "broken")
)
"""Those that say nothing about the question: another server, or the same one later, may answer it."""


@dataclass(frozen=True, slots=True)
class Question:
    """`max_tokens` limits the answer, 0: the model's setting decides; `temperature` likewise where None. With `schema`
    the answer is JSON that fits it."""

    user: str
    system: str = ""
    max_tokens: int = 0
    temperature: float | None = None
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is without the reasoning, which is `reasoning`. `complete` is False where the model ran into its token
    limit. `measured` says that the server counted the tokens; else they are our estimate. Durations in ms."""

    text: str
    reasoning: str
    complete: bool
    prompt_tokens: int
    completion_tokens: int
    measured: bool
    model: str
    served: str
    server: str
    dialect: Dialect
    first_token_ms: float
    duration_ms: float


class ModelProblem(Exception):
    """`what` is for people: which server, what it said, what to do. `model` is the name in the config."""

    def __init__(self, trouble: Trouble, model: str, what: str) -> None:
        super().__init__(what)
        self.trouble: Trouble = trouble
        self.model = model

    @property
    def unavailable(self) -> bool:
        return self.trouble in UNAVAILABLE
