"""`models`: which model servers answer, what they are and have; and those on this machine that the config lacks."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import note, paint, printable, say, say_json
from orchestrator.errors import FatalError

if TYPE_CHECKING:
    from orchestrator.home import Home
    from orchestrator.runners.model.models import Models, ServerState
    from orchestrator.settings import Settings

WELL_KNOWN = {"lmstudio": 1234, "ollama": 11434, "llamacpp": 8080, "vllm": 8000}
"""The ports that model servers have if nobody says otherwise."""

_CALLED = {"lmstudio": "LM Studio", "ollama": "Ollama", "vllm": "vLLM", "openai": "OpenAI-compatible"}
_TEST = "Reply with the single word: ready"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a test question; durations in ms."""

    ok: bool
    answer: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    measured: bool = False
    first_token_ms: float = 0.0
    duration_ms: float = 0.0


def models_(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A model of the config alone.", autocompletion=completion.model),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Ask each a short question; a model may load first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """The model servers of the config, and others on this machine. Exits 75 if none of the config could be asked.

    \b
    Example:
      orchestrator models
      orchestrator models default --test
    """
    settings = _settings(house.found(ctx))
    names = [_known(name, settings)] if name else list(settings.models)
    states, found, tried = asyncio.run(_look(house.found(ctx), settings, names, others=name is None, test=test))
    if as_json:
        told = [asdict(state) | ({"test": asdict(tried[state.name])} if test else {}) for state in states]
        say_json({"models": told, "found": [asdict(state) for state in found]})
    else:
        _print(states, found, tried)
    for state in states:
        if sentence := no_room(state, settings):
            note(sentence)
    if unread := house.unread(house.found(ctx)):
        note("; ".join(unread))
    if not any(tried[state.name].ok if test else state.problem is None for state in states):
        raise typer.Exit(exits.BUSY)


def no_room(state: ServerState, settings: Settings) -> str:
    """What is wrong with a model whose answers may fill its whole context; empty if nothing."""
    model = settings.models[state.name]
    context = model.context or state.context or 0
    if not context or model.max_tokens < context:
        return ""
    return (
        f"no code task fits {state.name}: its context has {context:,} tokens, and `max_tokens` in "
        f"[models.{state.name}] keeps {model.max_tokens:,} of them for the answer; lower that, or give it more context"
    )


def look(home: Home, settings: Settings) -> list[ServerState]:
    """What the servers of the config say of themselves."""
    return asyncio.run(_look(home, settings, list(settings.models), others=False, test=False))[0]


def told(state: ServerState) -> str:
    """In a line: what a server is, where, and which model would be asked."""
    return f"{_kind(state)} at {state.base_url}, {state.health}, with {state.model}"


async def _look(
    home: Home, settings: Settings, names: list[str], *, others: bool, test: bool
) -> tuple[list[ServerState], list[ServerState], dict[str, Tried]]:
    from orchestrator.runners.model.models import Models
    from orchestrator.secrets import Secrets

    beside = _unconfigured(settings) if others else {}
    both = settings.model_copy(update={"models": settings.models | beside})
    models = Models(lambda: both, Secrets(settings.secrets, home, os.environ).for_config)
    try:
        states = await asyncio.gather(*map(models.inspect, (*names, *beside)))
        configured, found = states[: len(names)], states[len(names) :]
        tried = {state.name: await _try(models, state) for state in configured} if test else {}
    finally:
        await models.close()
    return configured, [state for state in found if state.health != "down"], tried


async def _try(models: Models, state: ServerState) -> Tried:
    from orchestrator.runners.model.answer import ModelProblem, Question

    if state.problem is not None:
        return Tried(False, state.problem)
    note(f"asking {state.name} …")
    try:
        answer = await models.ask(state.name, Question(_TEST))
    except ModelProblem as problem:
        return Tried(False, str(problem))
    counted = (answer.prompt_tokens, answer.completion_tokens, answer.measured)
    return Tried(True, answer.text.strip(), *counted, answer.first_token_ms, answer.duration_ms)


def _unconfigured(settings: Settings) -> dict[str, Any]:
    """Models that would be at the well-known ports of this machine where the config has none."""
    from urllib.parse import urlsplit

    from orchestrator.hosts import is_local, parse
    from orchestrator.settings import ModelSettings

    urls = [model.base_url for model in settings.models.values()]
    taken = {urlsplit(url).port for url in urls if is_local(parse(url))}
    return {
        f"{name}-{port}" if name in settings.models else name: ModelSettings(
            base_url=f"http://127.0.0.1:{port}/v1", connect_timeout=500
        )
        for name, port in WELL_KNOWN.items()
        if port not in taken
    }


def _print(states: list[ServerState], found: list[ServerState], tried: dict[str, Tried]) -> None:
    width = max((len(state.name) for state in states), default=0)
    for state in states:
        # A server may be well, and yet have no model that the config could ask.
        health = "unfit" if state.health == "ready" and state.problem is not None else state.health
        colour = {"ready": "ok", "loading": "warn", "unfit": "warn", "down": "failed"}[health]
        first, *more = _lines(state, tried.get(state.name))
        say(f"{state.name:<{width}}  {paint(colour, f'{health:<7}')}  {printable(first)}")
        for line in more:
            say(f"{'':<{width + 11}}{printable(line)}")
    for state in found:
        where = f"{_kind(state)} at {state.base_url}"
        say(f"\n{printable(where)} answers, too, and has {_listed(state)}. To use it, add to config/local.toml:\n")
        say(f'[models.{state.name}]\nbase_url = "{state.base_url}"')
        if state.model is None and state.models:
            say(f"model = {json.dumps(state.models[0])}")
    if not found and all(state.health == "down" for state in states):
        note("No model server answers. docs/models.md says how to start one.")


def _lines(state: ServerState, tried: Tried | None) -> Iterator[str]:
    if state.dialect is None:
        yield state.problem or ""
        return
    yield f"{_kind(state)} at {state.base_url}"
    if state.problem is not None:
        yield state.problem
    else:
        context = f"context {state.context} tokens" if state.context else "context unknown"
        slots = f", {state.slots} slots" if state.slots else ""
        yield f"asks {state.model} ({context}{slots}); it has {_listed(state)}"
    if tried is not None and tried.ok:
        counted = "counted by the server" if tried.measured else "estimated"
        tokens = f"{tried.prompt_tokens} tokens in, {tried.completion_tokens} out, {counted}"
        yield f"answered “{_short(tried.answer)}” in {tried.duration_ms / 1000:.2f} s ({tokens})"
    elif tried is not None and tried.answer != state.problem:
        yield f"gave no answer: {tried.answer}"


def _kind(state: ServerState) -> str:
    called = _CALLED.get(state.dialect or "", state.dialect or "")
    return f"{called} {state.version}".strip()


def _listed(state: ServerState) -> str:
    more = f" and {len(state.models) - _SHOWN} more" if len(state.models) > _SHOWN else ""
    return printable(", ".join(state.models[:_SHOWN]) or "no model") + more


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _settings(home: Home) -> Settings:
    from orchestrator.configuration import load_settings

    return load_settings(home)


def _known(name: str, settings: Settings) -> str:
    from orchestrator.intake.problem import nearest

    if name in settings.models:
        return name
    near = nearest(name, settings.models)
    meant = f" Did you mean {near!r}?" if near else ""
    there = ", ".join(settings.models) or "none"
    raise FatalError(f"no model {printable(name)!r} in the config.{meant} There are: {there}.", exit_code=exits.USAGE)
