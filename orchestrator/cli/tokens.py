"""`tokens`: what files cost as context of a code task, the largest first, and what to do about it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import note, printable, say, say_json, table
from orchestrator.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.coding.audit import Audit, Cost, Source
    from orchestrator.home import Home
    from orchestrator.runners.model.models import Models


@dataclass(frozen=True, slots=True)
class Room:
    """What counted the tokens, and how much room there is for them. `context` and `room` are in tokens, None where
    nobody knows; `measured` says that the model's server counted."""

    model: str | None = None
    measured: bool = False
    context: int | None = None
    room: int | None = None


def tokens_(
    ctx: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many files, the largest.")] = 30,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Have this model's server count.", autocompletion=completion.model),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all files as JSON.")] = False,
) -> None:
    """What files would cost as `context_files` of a code task: tokens, share, and what to leave out or split.

    Tokens are estimated from the number of characters, unless --model names a model whose server can count them.

    \b
    Example:
      orchestrator tokens src/
      orchestrator tokens src/constants.js src/util.js --model default
    """
    home = house.found(ctx) if model else None
    sources = _sources(paths)
    audit, room = asyncio.run(_measured(home, model, sources)) if home and model else (_estimated(sources), Room())
    if as_json:
        counted = "measured" if room.measured else "estimated"
        say_json({**asdict(audit), "counted": counted, "model": room.model, "context": room.context, "room": room.room})
    else:
        _print(audit, room, top)


def _sources(paths: list[str]) -> Iterator[Source]:
    """One after the other, because together they may be large."""
    from orchestrator.coding.audit import MOST_FILES, files_of, source_of

    for path in paths:
        if not os.path.lexists(path):
            raise FatalError(f"{printable(path)}: there is no such file or folder", exit_code=exits.USAGE)
    files = list(dict.fromkeys(islice(files_of(paths), MOST_FILES + 1)))
    if len(files) > MOST_FILES:
        raise FatalError(f"these are more than {MOST_FILES:,} files: name fewer", exit_code=exits.USAGE)
    return map(source_of, files)


def _estimated(sources: Iterable[Source]) -> Audit:
    from orchestrator.coding.audit import audit, cost_of
    from orchestrator.runners.model.tokens import estimate

    return audit(
        cost_of(one, estimate(one.text), None if one.outline is None else estimate(one.outline)) for one in sources
    )


async def _measured(home: Home, name: str, sources: Iterable[Source]) -> tuple[Audit, Room]:
    """Count with a model's server; with an estimate where it does not answer, and then it is said."""
    from orchestrator.coding.audit import audit
    from orchestrator.configuration import load_settings
    from orchestrator.runners.model.answer import ModelProblem
    from orchestrator.runners.model.models import Models
    from orchestrator.secrets import Secrets

    settings = load_settings(home)
    models = Models(lambda: settings, Secrets(settings.secrets, home, os.environ).for_config)
    try:
        state = await models.inspect(name)
        if state.problem is not None:
            note(f"{printable(state.problem)}; the tokens are estimated")
            return _estimated(sources), Room(name)
        counted = [await _counted(models, name, one) for one in sources]
    except ModelProblem as problem:
        raise FatalError(str(problem), exit_code=exits.USAGE if problem.trouble == "no_model" else exits.BUSY) from None
    finally:
        await models.close()
    room = Room(name, all(measured for _, measured in counted), state.context)
    room = replace(room, room=_room(home, settings.models[name].max_tokens, len(counted), room))
    return audit(cost for cost, _ in counted), room


async def _counted(models: Models, name: str, source: Source) -> tuple[Cost, bool]:
    """What a file costs, and whether the server counted it."""
    from orchestrator.coding.audit import cost_of

    whole = await models.count(name, source.text)
    short = None if source.outline is None else (await models.count(name, source.outline)).tokens
    return cost_of(source, whole.tokens, short), whole.measured


def _room(home: Home, answer: int, files: int, room: Room) -> int | None:
    """What is left for files beside an answer and a task of a few sentences."""
    from orchestrator.coding.context import HEADING, room_for_context
    from orchestrator.coding.prompt import load_prompt
    from orchestrator.runners.model.tokens import estimate

    task = estimate(load_prompt(home.config, "code")) + files * HEADING
    return room_for_context(room.context, answer, task, measured=room.measured)


def _print(audit: Audit, room: Room, top: int) -> None:
    shown = audit.files[:top]
    if shown:
        headers = ("FILE", "TOKENS", "SHARE", "LINES", "OUTLINE", "ADVICE")
        table(headers, [_row(cost) for cost in shown], spare=(3, 4, 2))
    if more := audit.files[top:]:
        say(f"and {len(more):,} smaller ones with {sum(cost.tokens for cost in more):,} tokens; --top shows more")
    say(_summary(audit, room))
    if room.model is not None and room.room is not None:
        say(_fit(audit, room.model, room.room))


def _row(cost: Cost) -> list[str]:
    if cost.problem:
        return [cost.path, "-", "-", "-", "-", cost.advice]
    outline = "-" if cost.outline is None else f"{cost.outline:,}"
    return [cost.path, f"{cost.tokens:,}", f"{cost.share:.1%}", f"{cost.lines:,}", outline, cost.advice]


def _summary(audit: Audit, room: Room) -> str:
    count = len(audit.files)
    how = f"counted by the server of `{room.model}`" if room.measured else "estimated at four characters each"
    less = f"; {audit.smallest:,} with every outline" if audit.smallest < audit.total else ""
    return f"{count:,} file{'' if count == 1 else 's'}, {audit.total:,} tokens, {how}{less}"


def _fit(audit: Audit, model: str, room: int) -> str:
    has = f"`{model}` has room for about {max(room, 0):,} tokens of files beside a short task and its answer"
    if audit.total <= room:
        return f"{has}: they fit"
    return f"{has}: {'they fit as outlines' if audit.smallest <= room else 'they do not fit, outlines or not'}"
