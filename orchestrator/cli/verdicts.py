"""`accept` and `revise`: a reviewer's word on the file that a code task has made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import complain, printable, say, say_json
from orchestrator.errors import FatalError

if TYPE_CHECKING:
    from orchestrator.home import Home

Tasks = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.ended_task)
]
Json = Annotated[bool, typer.Option("--json", help="Print what was written down as JSON.")]


def accept_(
    ctx: typer.Context,
    tasks: Tasks,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Kept beside the verdict.")] = "",
    as_json: Json = False,
) -> None:
    """Say that the file which the latest run of a code task has made is good. `savings` counts it.

    A later verdict on the same run replaces an earlier one. No daemon is needed. Exits 2 if that run made no file, 5
    if there is no such task.

    \b
    Example:
      orchestrator accept T-001
    """
    _speak(ctx, tasks, "accepted", note, as_json=as_json)


def revise_(
    ctx: typer.Context,
    tasks: Tasks,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What is wrong with it.")],
    as_json: Json = False,
) -> None:
    """Say that the file which the latest run of a code task has made is not good enough. `savings` counts it.

    Nothing is changed or run: describe it better and submit it again, or write it yourself. A later verdict on the
    same run replaces an earlier one.

    \b
    Example:
      orchestrator revise T-001 --note 'negative numbers are not rounded'
    """
    if not note.strip():
        raise FatalError("--note: say what is wrong with it", exit_code=exits.USAGE)
    _speak(ctx, tasks, "revise", note, as_json=as_json)


def _speak(
    ctx: typer.Context, tasks: list[str], verdict: Literal["accepted", "revise"], note: str, *, as_json: bool
) -> None:
    home = house.opened(ctx)
    from orchestrator import verdicts
    from orchestrator.event import CodeVerdict
    from orchestrator.person import person
    from orchestrator.runners.process.marks import VARIABLE

    if VARIABLE in os.environ:
        raise FatalError("this is a step of a task: no task reviews what tasks have made", exit_code=exits.DENIED)
    by, via = person()
    accounts: list[dict[str, Any]] = []
    codes: list[int] = []
    for wanted in dict.fromkeys(tasks):
        try:
            task_id, run, file = _made(home, wanted)
        except FatalError as error:
            complain(str(error))
            codes.append(error.exit_code)
            accounts.append({"task": wanted, "verdict": None, "error": str(error)})
            continue
        given = CodeVerdict(id=task_id, run=run, verdict=verdict, note=note, by=by, via=via)
        verdicts.give(home, given)
        codes.append(exits.OK)
        accounts.append({"task": wanted, "id": task_id, "run": run, "file": file, "verdict": verdict, "note": note})
        if not as_json:
            said = f" ({printable(note)})" if note else ""
            word = "accepted" if verdict == "accepted" else "to be revised"
            say(f"{printable(task_id)} run {run}, {printable(file)}: {word}{said}")
    if as_json:
        say_json(accounts)
    raise typer.Exit(exits.worst(codes))


def _made(home: Home, wanted: str) -> tuple[str, int, str]:
    """Id and number of the latest run, and the file that it made. Raises FatalError where there is none to judge."""
    from orchestrator.insights.entries import find, latest_run, read_json
    from orchestrator.insights.runs import task_id_of
    from orchestrator.journal.runs import RESULT

    shown = printable(wanted)
    task_id = task_id_of(home, wanted, find(home, wanted))
    run = latest_run(home, task_id) if task_id else None
    if task_id is None:
        raise FatalError(
            f"no such task: {shown}; `orchestrator list` shows what there is", exit_code=exits.NO_SUCH_TASK
        )
    if run is None:
        raise FatalError(f"{shown} has not run yet: there is nothing to review", exit_code=exits.USAGE)
    result = read_json(f"{home.runs}/{task_id}/{run}/{RESULT}")
    if result is None:
        raise FatalError(f"run {run} of {shown} is not over: `orchestrator wait {shown}`", exit_code=exits.USAGE)
    reports = [report for step in result.get("results") or () if (report := step.get("report"))]
    if not reports:
        raise FatalError(
            f"run {run} of {shown} made no file: it is no code task, or ended before a model was asked",
            exit_code=exits.USAGE,
        )
    files = [str(report["file"]) for report in reports if report.get("status") == "success"]
    if not files:
        why = printable(str(reports[-1].get("error") or "it failed"))
        raise FatalError(
            f"run {run} of {shown} made no file, so there is nothing to review: {why}", exit_code=exits.USAGE
        )
    return task_id, run, ", ".join(files)
