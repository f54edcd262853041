"""The door: models by the names that the config gives them.

Rule: whatever has to be known about servers to put a question well is known below here: their slots, what they are, and
in which of the known ways they fail.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from pydantic import SecretStr

from orchestrator.runners.model.answer import Answer, Dialect, ModelProblem, Question, Trouble
from orchestrator.runners.model.dialect import Survey
from orchestrator.runners.model.slots import Slots
from orchestrator.runners.model.tokens import Count, estimate
from orchestrator.runners.until import until_over
from orchestrator.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from orchestrator.runners.model.server import Server

_NAMED = re.compile(r"\$\{(\w+)\}")
Health = Literal["ready", "loading", "down"]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a configured model's server says of itself. `model` is its own name of the one that would be asked;
    `context` in tokens, None where nobody says; `slots` those of the server; `problem` why no question can succeed."""

    name: str
    base_url: str
    health: Health
    dialect: Dialect | None = None
    version: str = ""
    models: tuple[str, ...] = ()
    loaded: tuple[str, ...] | None = None
    model: str | None = None
    context: int | None = None
    slots: int | None = None
    trouble: Trouble | None = None
    problem: str | None = None


class Models:
    """Used from one event loop. `settings` is asked anew by each question; `secret` for what `${NAME}` as an `api_key`
    stands for. Every method that takes a name raises ModelProblem("no_model") for one that is not in the config, and
    "unauthorized" where its key can't be found."""

    def __init__(self, settings: Callable[[], Settings], secret: Callable[[str], str | None] = os.environ.get) -> None:
        self._settings = settings
        self._secret = secret
        self._servers: dict[str, Server] = {}
        self._slots: dict[str, Slots] = {}
        self._closing = asyncio.Event()
        self._asking: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """End what is being asked; it ends as cancelled."""
        self._closing.set()
        while self._asking:
            await asyncio.wait(self._asking)
        for server in self._servers.values():
            await server.close()
        self._servers.clear()

    async def ask(
        self,
        name: str,
        question: Question,
        *,
        cancelled: asyncio.Event | None = None,
        timeout_ms: float | None = None,
    ) -> Answer:
        """Wait for a slot of the model's server, which takes of no timeout, and put the question to it. `timeout_ms`
        may shorten the model's own. Raises ModelProblem; OSError where this machine is at a limit and nothing was
        sent."""
        settings = self._of(name)
        return await self._unless(self._ask(name, settings, question, timeout_ms), name, cancelled)

    async def _ask(self, name: str, settings: ModelSettings, question: Question, timeout_ms: float | None) -> Answer:
        place = settings.base_url
        async with self._slots.setdefault(place, Slots()).one(self._limit(place)):
            server = await self._server(settings)
            from orchestrator.runners.model.question import Asking  # imported by now, with the server

            return await Asking(server, name, settings, question).answer(timeout_ms)

    def max_tokens(self, name: str) -> int:
        """How long an answer may be."""
        return self._of(name).max_tokens

    async def count(self, name: str, text: str) -> Count:
        """How many tokens a text is to a model: counted by its server where that can, else estimated."""
        settings = self._of(name)
        server = await self._server(settings)
        try:
            tokens = await server.tokens(name, settings, text)
        except ModelProblem:
            tokens = None  # whoever asks the model is told soon enough
        return Count(estimate(text), measured=False) if tokens is None else Count(tokens, measured=True)

    async def context_of(self, name: str) -> int | None:
        """How many tokens question and answer may have together: as the config has it, else as the server says; None
        where neither does, or no server answers."""
        if (settings := self._of(name)).context:
            return settings.context
        return (await self.inspect(name)).context

    async def inspect(self, name: str) -> ServerState:
        """What is there now, without a question to it."""
        settings = self._settings().models.get(name) or self._of(name)
        try:
            settings = self._with_key(name, settings)
            server = await self._server(settings)
            survey = await server.survey(name, settings, anew=True)
        except ModelProblem as problem:
            health: Health = "loading" if problem.trouble == "loading" else "down"
            return ServerState(name, settings.base_url, health, trouble=problem.trouble, problem=str(problem))
        try:
            return _state(name, settings, survey, survey.meant(name, settings), None)
        except ModelProblem as problem:
            return _state(name, settings, survey, None, problem)

    def _of(self, name: str) -> ModelSettings:
        models = self._settings().models
        if name in models:
            return self._with_key(name, models[name])
        near = difflib.get_close_matches(name, models, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        there = ", ".join(sorted(models)) or "none"
        raise ModelProblem("no_model", name, f"the config has no [models.{name}]{meant}; there are: {there}")

    def _with_key(self, name: str, settings: ModelSettings) -> ModelSettings:
        """The same, where the key is the name of a secret with its value."""
        named = _NAMED.fullmatch(settings.api_key.get_secret_value()) if settings.api_key else None
        if named is None:
            return settings
        if not (value := self._secret(named[1])):
            raise ModelProblem(
                "unauthorized",
                name,
                f"`api_key` in [models.{name}] is {named[0]}, and no secret is called so: `orchestrator secrets set "
                f"{named[1]}`, or set it in the environment",
            )
        return settings.model_copy(update={"api_key": SecretStr(value)})

    def _limit(self, place: str) -> int:
        """How many may ask a server at once: what its names say, the least of it where they differ."""
        names = [model for model in self._settings().models.values() if model.base_url == place]
        said = [model.slots for model in names if "slots" in model.model_fields_set]
        return min(said, default=1)

    async def _server(self, settings: ModelSettings) -> Server:
        place = settings.base_url
        if place not in self._servers:
            # The HTTP library takes a while to import, and its certificates to be read.
            made = await asyncio.to_thread(_make, place)
            self._servers.setdefault(place, made)
        return self._servers[place]

    async def _unless(self, work: Coroutine[Any, Any, Result], name: str, cancelled: asyncio.Event | None) -> Result:
        """What the work returns or raises, unless it is cancelled first. It is gone when this returns or raises."""
        stops = [event for event in (self._closing, cancelled) if event is not None]
        over, result = await until_over(work, stops, None, self._asking)
        if over == "ended":
            return cast(Result, result)
        raise ModelProblem("cancelled", name, f"the question to `{name}` was cancelled")


def _state(
    name: str, settings: ModelSettings, survey: Survey, model: str | None, problem: ModelProblem | None
) -> ServerState:
    return ServerState(
        name,
        settings.base_url,
        "loading" if survey.loading else "ready",
        dialect=survey.dialect,
        version=survey.version,
        models=survey.models,
        loaded=survey.loaded,
        model=model,
        context=settings.context or survey.contexts.get(model or ""),
        slots=survey.slots,
        trouble=problem.trouble if problem else None,
        problem=str(problem) if problem else None,
    )


def _make(base_url: str) -> Server:
    """All of the HTTP library is imported here, in a thread."""
    from orchestrator.runners.model import question, server

    del question
    return server.Server(base_url)
