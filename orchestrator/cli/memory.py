"""`recall` and `remember`: the memory, asked and written by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import exits, house
from orchestrator.cli.display import note, printable, say, say_json
from orchestrator.errors import FatalError


def recall_(
    ctx: typer.Context,
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Words to look for.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=1000, metavar="N", help="At most so many.")] = 5,
    kind: Annotated[str | None, typer.Option(metavar="WORD", help="Only memories of this kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the memories as JSON.")] = False,
) -> None:
    """Search what earlier tasks and people wrote down, best first.

    \b
    Example:
      orchestrator recall "smoke test" --top-k 1
    """
    home = house.opened(ctx)
    from orchestrator.insights.recall import recall

    found = recall(home, " ".join(text), top_k, kind=kind)
    if as_json:
        say_json(found)
        return
    for memory in found:
        origin = f"task {memory.task} run {memory.run}, {memory.status}" if memory.task else "by hand"
        first, *more = memory.text.strip().split("\n")
        say(f"{memory.score:.2f}  {memory.kind}: {printable(first)}")
        for line in more:
            say(f"      {printable(line)}")
        say(f"      {origin}, {memory.updated_at[:10]}")
    if not found:
        note("nothing is remembered about that")


def remember_(
    ctx: typer.Context,
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="The sentence.")],
    kind: Annotated[
        str, typer.Option(metavar="WORD", help="A word to group memories by: solution, fact, incident, …")
    ] = "fact",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a sentence into memory.

    \b
    Example:
      orchestrator remember --kind fact "The staging database lives on host b"
    """
    home = house.opened(ctx)
    import sqlite3

    from orchestrator.sinks.memory.store import remember

    sentence = " ".join(text)
    try:
        remember(home.memory, kind, sentence)
    except ValueError as error:
        raise FatalError(str(error), exit_code=exits.USAGE) from error
    except sqlite3.Error as error:
        raise FatalError(f"{home.memory} cannot be written: {error}") from error
    if as_json:
        say_json({"kind": kind, "text": sentence})
    else:
        say(f"remembered as {kind}")
