"""`show`: everything about one task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from orchestrator.cli import completion, exits, house, summary
from orchestrator.cli.display import complain, duration, no_such_task, printable, say, say_json
from orchestrator.event import to_second
from orchestrator.home import Home


def show_(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="ID", help="An id or name.", autocompletion=completion.any_task)],
    run: Annotated[int | None, typer.Option("--run", min=1, metavar="N", help="That run; default: the latest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show one task: steps, ends of outputs, acceptance, what the gate said, earlier runs.

    \b
    Example:
      orchestrator show tsk_smoke --run 1
    """
    home = house.opened(ctx)
    from orchestrator.insights.runs import show

    found = show(home, task, run)
    if found is None:
        _complain(home, task, run)
        raise typer.Exit(exits.NO_SUCH_TASK)
    if as_json:
        say_json(found)
        return
    for line in _lines(found):
        say(line)


def _complain(home: Home, task: str, run: int | None) -> None:
    from orchestrator.insights.runs import show

    if run is not None and (known := show(home, task)) is not None:
        numbers = ", ".join(str(each["run"]) for each in known["runs"]) or "none yet"
        complain(f"{printable(task)} has no run {run}; its runs: {numbers}")
    else:
        no_such_task(task)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    result, entry, spec = found["result"], found["entry"], found["spec"] or {}
    title = (result or {}).get("title") or spec.get("title") or (entry.title if entry else "") or ""
    if result is None:
        when = f", {printable(entry.reason or '')}" if entry and entry.state == "scheduled" else ""
        yield f"{printable(str(found['name']))}: {found['status']}{when}"
    else:
        yield from summary.of_result(result, outputs=True)
        yield from (line for line in summary.acceptance(result) if line.lstrip().startswith("✓"))
        yield from summary.outputs(result)
        yield from _gate(result.get("policy") or {})
    yield f"  title     {printable(title)}"
    for hold in found["holds"]:
        yield f"  waits     {printable(hold.why)}"
    if found["state"]:
        yield f"  queue     {found['state']}/{printable(str(found['name']))}"
    if found["run"]:
        continues = f", goes on with run {result['continues']}" if result and result.get("continues") else ""
        yield f"  run       {found['run']} of {len(found['runs'])}{continues}, in {found['folder']}"
    if (verdict := found["verdict"]) is not None:
        word = "accepted" if verdict.verdict == "accepted" else "to be revised"
        said = f": {printable(verdict.note)}" if verdict.note else ""
        yield f"  review    {word} by {printable(verdict.by)}, {to_second(verdict.ts)}{said}"
    if result is not None and (worktree := result.get("worktree")):
        kept = f"kept: {worktree['why']}" if worktree["kept"] else "removed, nothing is lost with it"
        yield f"  worktree  {printable(worktree['path'])}, on branch {printable(worktree['branch'])}, {printable(kept)}"
    if result is not None and result.get("started_at"):
        yield f"  time      {result['started_at']} to {result['finished_at']}"
    for each in found["runs"]:
        if each["run"] != found["run"]:
            reason = f" - {printable(each['reason'])}" if each["reason"] else ""
            yield f"  earlier   run {each['run']}: {each['status']}{reason} ({duration(each['duration_ms'])})"


def _gate(policy: dict[str, Any]) -> Iterator[str]:
    if "verdict" in policy:
        yield f"  gate      {policy['verdict']}, score {policy.get('score')}"
    yield from summary.reasons(policy)
    yield from summary.answer(policy)
