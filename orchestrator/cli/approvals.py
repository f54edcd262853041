"""`approvals`: what waits for a person's word, and which words were given and not used yet."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import house, summary
from orchestrator.cli.display import age, note, paint, printable, say, say_json
from orchestrator.event import to_second
from orchestrator.sinks.wording import call_line
from orchestrator.spool.names import stem_of

if TYPE_CHECKING:
    from orchestrator.insights.approvals import Blocked, Given


def approvals_(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print both lists as JSON.")] = False,
) -> None:
    """List the tasks that wait for approval, with each reason and what they would run, the longest waiting first; then
    the approvals and rejections that no run has used: unused, expired or void.

    \b
    Example:
      orchestrator approvals
    """
    home = house.opened(ctx)
    from orchestrator.insights.approvals import blocked, given

    waiting, answers = blocked(home), given(home)
    if as_json:
        say_json({"waiting": waiting, "given": answers})
        return
    for task in waiting:
        _print_blocked(task)
    for answer in answers:
        _print_given(answer)
    if not waiting:
        note("nothing waits for approval")


def _print_blocked(task: Blocked) -> None:
    name = shlex.quote(printable(stem_of(task.name)))
    score = "" if task.score is None else f", score {task.score}"
    say(f"{printable(task.name)}: {paint('blocked')} {age(task.age_s)} ago{score}: {printable(task.title or '')}")
    if task.reason and task.reason != "approval_required":
        say(f"  why       {printable(task.reason.partition(': ')[2])}")
    for line in summary.reasons({"reasons": task.reasons}):
        say(line)
    for run in task.runs:
        say(f"  runs      {call_line((run['skill'], *run['args']))}")
        for variable, value in run["env"].items():
            say(f"    with    {call_line((f'{variable}={value}',))}")
    if task.where:
        say(f"  in        {printable(task.where)}")
    for path, digest in task.files:
        say(f"  script    {printable(path)}  sha256 {digest[:16]}…")
    if not task.runs:
        say("  runs      (its file is no spec any more)")
    say(f"  → `orchestrator approve {name}`, or `orchestrator reject {name} --why TEXT`")
    say()


def _print_given(given: Given) -> None:
    answer = given.answer
    why = f": {printable(given.why)}" if given.why else f", good until {to_second(answer.until)}"
    said = f" ({printable(answer.text)})" if answer.text else ""
    say(f"{printable(answer.name)}: {answer.called}{said}: {given.state}{why}")
