"""`validate`: everything that is wrong with spec files, without queueing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import exits
from orchestrator.cli.display import note, say, say_json
from orchestrator.home import find_home

if TYPE_CHECKING:
    from orchestrator.cli.sources import Installed
    from orchestrator.intake.load import SpecError


def validate_(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Spec files; `-` reads one from stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Check spec files; says everything that is wrong, one `file:line:column: …` a line. Exits 2 if any is bad.

    Several files are also held against one another: tasks that need each other in a circle could never start.

    Works without a home too; whether the skills are installed is then left open.

    \b
    Example:
      orchestrator validate queue/examples/*.json
    """
    from orchestrator.cli import sets, sources
    from orchestrator.cli.remarks import remarks as remarks_of

    read = [sources.read(file) for file in files]
    installed = _installed(ctx)
    verdicts = []
    checked = [sources.check([source], installed) for source in read]
    circles = {error.file: error for error in sets.without_start([spec for good, _ in checked for spec in good])}
    for source, (good, bad) in zip(read, checked, strict=True):
        error = bad[0] if bad else circles.get(source.name)
        remarks = [remark for spec in good for remark in remarks_of(spec.task, installed)] if installed else []
        ids = [spec.task.id for spec in good]
        verdicts.append(_verdict(source.label, ids, error, remarks))
        if not as_json:
            _print(source.label, error, remarks, len(ids))
    if as_json:
        say_json(verdicts)
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(exits.USAGE)


def _installed(ctx: typer.Context) -> Installed | None:
    home = find_home(ctx.obj)
    if not home.exists():
        note("no home here: whether the skills are installed is not checked")
        return None
    from orchestrator.cli.sources import Installed

    return Installed.of(home)


def _verdict(label: str, ids: list[str], error: SpecError | None, remarks: list[str]) -> dict[str, Any]:
    problems = error.problems if error else ()
    return {
        "file": label,
        "ok": error is None,
        "id": ids[0] if len(ids) == 1 else None,
        "ids": ids,
        "problems": list(problems),
        "more": error.more if error else 0,
        "warnings": remarks,
    }


def _print(label: str, error: SpecError | None, remarks: list[str], count: int) -> None:
    if error is None:
        say(f"{label}: ok" if count == 1 else f"{label}: ok, {count} tasks")
        for remark in remarks:
            say(f"{label}: warning: {remark}")
        return
    for problem in error.problems:
        say(problem.render(error.file))
    if error.more:
        say(f"{label}: and {error.more} more problems")
