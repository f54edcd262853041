"""One question put to one server, until it is answered or will not be.

Three clocks: until the first token (the server may have to load a model), between two of them, and over all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain, repeat
from time import monotonic
from typing import Any, cast

import httpx

from orchestrator.runners.model.answer import Answer, Dialect, ModelProblem, Question, Trouble
from orchestrator.runners.model.dialect import Survey, count, mapping
from orchestrator.runners.model.events import NotEvents, read_events
from orchestrator.runners.model.server import Server, read_reply, without_key
from orchestrator.runners.model.thinking import split_reasoning
from orchestrator.runners.model.tokens import estimate
from orchestrator.runners.model.troubles import advice, error_of, of_words
from orchestrator.settings import ModelSettings

MAX_ANSWER = 4 * 1024 * 1024
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # between two looks at a server that loads
# Spaces and rules of one character are one token each to most models, however long.
_RUN = re.compile(r"(.)\1+", re.DOTALL)
_FEWEST = 512  # below so many tokens no server cuts


@dataclass(slots=True)
class Stream:
    """What has come so far. Of the texts the pieces: an answer is many, and each small."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    size: int = 0
    finish: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    served: str = ""
    first_token: float | None = None

    def take(self, event: dict[str, Any]) -> None:
        """Whatever is not as it should be is left out: what is lacking is seen at the end."""
        if isinstance(served := event.get("model"), str):
            self.served = served
        self.usage = mapping(event.get("usage")) or self.usage
        choices = event.get("choices")
        for choice in map(mapping, choices if isinstance(choices, list) else ()):
            delta = mapping(choice.get("delta"))
            self._add(self.content, delta.get("content"))
            self._add(self.reasoning, delta.get("reasoning_content") or delta.get("reasoning"))
            if isinstance(finish := choice.get("finish_reason"), str):
                self.finish = finish

    def tokens(self, key: str) -> int:
        """As the server counted them; 0 where it did not."""
        return count(self.usage.get(key)) or 0

    def _add(self, pieces: list[str], piece: object) -> None:
        if isinstance(piece, str) and piece:
            pieces.append(piece)
            self.size += len(piece)
            self.first_token = self.first_token or monotonic()


class Asking:
    """`answer` raises ModelProblem; OSError where this machine is at a limit."""

    def __init__(self, server: Server, name: str, settings: ModelSettings, question: Question) -> None:
        self._server, self._name, self._settings, self._question = server, name, settings, question
        self._stream = Stream()
        self._loading = False
        self._max_tokens = question.max_tokens or settings.max_tokens

    async def answer(self, timeout_ms: float | None) -> Answer:
        settings = self._settings
        started = monotonic()
        total = min(settings.timeout, timeout_ms if timeout_ms is not None else settings.timeout) / 1000
        try:
            async with asyncio.timeout(total), asyncio.timeout(settings.first_token_timeout / 1000) as clock:
                survey = await self._server.survey(self._name, settings)
                served = await self._model(survey)
                await self._listen(served, clock)
                survey = await self._look_again(survey)
        except TimeoutError as error:
            self._server.forget()
            raise self._late(monotonic() - started >= total, total) from error
        return self._judge(survey, served, started)

    async def _model(self, survey: Survey) -> str:
        """The server's name of the model. It may have come or gone since the server was last looked at."""
        try:
            return survey.meant(self._name, self._settings)
        except ModelProblem:
            fresh = await self._server.survey(self._name, self._settings, anew=True)
            return fresh.meant(self._name, self._settings)

    async def _listen(self, served: str, clock: asyncio.Timeout) -> None:
        """Ask, again and again while the model is being loaded, and take the answer in."""
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            async with self._server.chat(self._name, self._settings, self._body(served)) as response:
                if response.status_code == 200 and "event-stream" in response.headers.get("content-type", ""):
                    await self._take_in(response, clock)
                    return
                problem = await self._server.refusal(self._name, self._settings, await read_reply(response))
            if problem.trouble != "loading":
                raise problem
            self._loading = True
            await asyncio.sleep(pause)

    async def _take_in(self, response: httpx.Response, clock: asyncio.Timeout) -> None:
        self._loading = False
        loop = asyncio.get_running_loop()
        stream = self._stream
        try:
            async with aclosing(_events(response)) as events:
                async for event in events:
                    if said := error_of(event):
                        kind = of_words(said) or "broken"
                        raise self._problem(kind, f"broke off with “{said}”; {advice(kind, self._name)}")
                    stream.take(event)
                    if stream.size > MAX_ANSWER:
                        raise self._problem("broken", f"answered with more than {MAX_ANSWER} characters")
                    if stream.first_token is not None:
                        clock.reschedule(loop.time() + self._settings.idle_timeout / 1000)
        except NotEvents as error:
            raise self._problem("broken", f"sent what is no answer: {error}") from error
        clock.reschedule(None)

    def _body(self, served: str) -> dict[str, Any]:
        question, settings = self._question, self._settings
        messages = [{"role": "system", "content": question.system}] if question.system else []
        body: dict[str, Any] = {
            "model": served,
            "messages": [*messages, {"role": "user", "content": question.user}],
            "max_tokens": self._max_tokens,
            "temperature": settings.temperature if question.temperature is None else question.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if question.schema is not None:
            named = {"name": "answer", "strict": True, "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    async def _look_again(self, survey: Survey) -> Survey:
        """Ollama tells how much context a model has only while it is loaded, as it is right after an answer."""
        if survey.dialect != "ollama" or self._settings.context:
            return survey
        return await self._server.survey(self._name, self._settings, anew=True)

    def _late(self, over: bool, total: float) -> ModelProblem:
        if self._loading:
            return self._problem("loading", "still loads its model: try again later, or raise `first_token_timeout`")
        if over:
            return self._problem("timed_out", f"had not answered after {total:g} s (`timeout`)")
        if self._stream.first_token is None:
            seconds = self._settings.first_token_timeout / 1000
            return self._problem(
                "timed_out",
                f"sent no token within {seconds:g} s: it may still load the model, or be busy with other questions "
                "(`first_token_timeout`)",
            )
        seconds = self._settings.idle_timeout / 1000
        return self._problem("stalled", f"stopped in mid-answer, and was silent for {seconds:g} s (`idle_timeout`)")

    def _judge(self, survey: Survey, served: str, started: float) -> Answer:
        """The answer, if it is one."""
        stream = self._stream
        context = self._settings.context or survey.contexts.get(served)
        text, thought = split_reasoning("".join(stream.content))
        reasoning = "\n".join(filter(None, ("".join(stream.reasoning), thought)))
        estimated = estimate(self._question.system + self._question.user)
        prompt, completion = stream.tokens("prompt_tokens"), stream.tokens("completion_tokens")
        if stream.finish is None and (stream.size or survey.dialect != "lmstudio"):
            raise self._problem("broken", "ended its answer in the middle: it may have crashed; look into its log")
        if not text.strip():
            raise self._nothing(survey.dialect, bool(reasoning), context, prompt or estimated)
        if prompt and self._was_cut(survey.dialect, prompt, context):
            raise self._problem(
                "prompt_cut",
                f"read only {prompt} tokens of a question of about {estimated}"
                + (f" (its context is {context})" if context else "")
                + ", and did not say so: give it less, or start the server with a larger context",
            )
        now = monotonic()
        return Answer(
            text=text,
            reasoning=reasoning,
            complete=stream.finish != "length",
            prompt_tokens=prompt or estimated,
            completion_tokens=completion or estimate(text + reasoning),
            measured=bool(prompt and completion),
            model=self._name,
            served=stream.served or served,
            server=self._server.base_url,
            dialect=survey.dialect,
            first_token_ms=((stream.first_token or now) - started) * 1000,
            duration_ms=(now - started) * 1000,
        )

    def _nothing(self, dialect: Dialect, reasoned: bool, context: int | None, tokens: int) -> ModelProblem:
        if reasoned:
            return self._problem(
                "empty",
                f"only reasoned, and had no answer within {self._max_tokens} tokens: raise `max_tokens` in "
                f"[models.{self._name}], or turn its reasoning off",
            )
        # LM Studio's only sign that a question was too long. Estimates may be a quarter too low.
        if dialect == "lmstudio" and context is not None and tokens * 5 // 4 >= context:
            return self._problem(
                "overflow",
                f"answered nothing to a question of about {tokens} tokens, and has a context of {context}: give it "
                "less, or load the model with a larger context",
            )
        return self._problem(
            "empty", "answered nothing at all: it may lack slots (`slots`) or context; look into its log"
        )

    def _was_cut(self, dialect: Dialect, prompt: int, context: int | None) -> bool:
        if dialect == "ollama" and context is not None and prompt >= context - 1:
            return True
        told = _RUN.sub(r"\1", self._question.system + self._question.user)
        fewest = len(told.encode()) / 10
        return fewest > _FEWEST and prompt < fewest

    def _problem(self, trouble: Trouble, what: str) -> ModelProblem:
        return ModelProblem(trouble, self._name, without_key(f"{self._server.base_url} {what}", self._settings))


def _events(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    return cast(AsyncGenerator[dict[str, Any], None], read_events(response.aiter_bytes()))
