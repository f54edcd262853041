"""`code`: one local code task, from its file to the report about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import code_report, exits, house
from orchestrator.cli.display import note, say, say_json
from orchestrator.cli.submit import queue, say_queued
from orchestrator.errors import FatalError
from orchestrator.home import Home

if TYPE_CHECKING:
    from orchestrator.cli.sources import Checked
    from orchestrator.cli.waiting import Awaited


def code_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="TASK", help="A local code task; `-` reads it from stdin.")],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end, and print its report.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report, in short, as JSON: status, file, error, …")
    ] = False,
) -> None:
    """Queue a local code task: a model on this machine writes its file, which must pass its gates and its test.

    With --wait, exits 0 if the file was written, 1 if no model was up to it (the report says what to do), 75 if no
    model server, or no daemon, is there: then do it another way.

    \b
    Example:
      orchestrator code queue/examples/tsk_code_slugify.json --wait
    """
    home = house.opened(ctx)
    spec = _read(home, file)
    path = output_of(spec)
    if not wait:
        say_queued(home, queue(home, named([spec])), as_json=as_json)
        return
    reports: list[dict[str, Any]] = []
    code = see_through(home, [spec], queued(home, [spec]), reports.append)
    for report in reports or [code_report.waiting(path, spec.task.id, "it is queued, and not over")]:
        if as_json:
            say_json(code_report.for_programs(report))
        elif report["status"] != "waiting":
            for line in code_report.lines(report):
                say(line)
    raise typer.Exit(code)


def output_of(spec: Checked) -> str:
    """The file that a code task is to write; empty for any other task."""
    paths = (step.with_.get("output_file") for step in spec.task.steps)
    return next((path for path in paths if isinstance(path, str)), "")


def queued(home: Home, specs: Sequence[Checked]) -> list[Awaited]:
    """Queue tasks, in this order; what to wait for then."""
    from orchestrator.cli import waiting

    awaited = waiting.before_submitting(home, [spec.task.id for spec in specs])
    queue(home, named(specs))
    return awaited


def see_through(
    home: Home, specs: Sequence[Checked], awaited: Sequence[Awaited], tell: Callable[[dict[str, Any]], None]
) -> int:
    """Wait for tasks that were queued, and hand on the report of each that ended; returns the worst exit code."""
    from orchestrator.cli import waiting

    wait = waiting.wait_for_queued(home, awaited)
    codes = []
    for spec, task in zip(specs, wait.awaited, strict=True):
        if task.ended and task.entry is not None:
            tell(code_report.report_of(waiting.result_of(home, task.entry), output_of(spec)))
            codes.append(exits.of_end(task.entry.status, task.entry.reason))
    if wait.code is not None:
        waiting.say_why(wait)
    if exits.BUSY in codes and (unread := house.unread(home)):
        note("; ".join(unread))
    return exits.worst([*codes, *([wait.code] if wait.code is not None else [])])


def named(specs: Sequence[Checked]) -> dict[str, bytes]:
    """What is to be queued, by file name."""
    return {f"{spec.task.id}{spec.source.ending}": spec.queueable() for spec in specs}


def _read(home: Home, file: str) -> Checked:
    from orchestrator.cli import remarks, sources

    installed = sources.Installed.of(home)
    good, bad = sources.check([sources.read(file)], installed)
    sources.must_be_good(bad, "nothing was queued")
    if len(good) > 1:
        sentence = f"{file} is a backlog of {len(good)} tasks: `orchestrator dispatch run --all {file}`"
        raise FatalError(sentence, exit_code=exits.USAGE)
    if not output_of(good[0]):
        sentence = (
            f"{file} is no local code task (`task_id`, `description`, `output_file`): `orchestrator submit {file}`"
        )
        raise FatalError(sentence, exit_code=exits.USAGE)
    for remark in remarks.remarks(good[0].task, installed):
        note(f"{file}: {remark}")
    return good[0]
