"""`explain`: what the gate says about a spec, point by point, by the same code that decides in the daemon."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.command_line import TakesCommandLine, command_line
from orchestrator.cli.display import paint, printable, say, say_json, say_json_line
from orchestrator.errors import FatalError
from orchestrator.home import Home

if TYPE_CHECKING:
    from orchestrator.execution.prepare import Tools
    from orchestrator.spec import Task

_VERDICTS = {"allow": "allowed", "needs_approval": "needs approval", "deny": "denied"}
COMMAND = TakesCommandLine


def explain_(
    ctx: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE | ID | -- SKILL [ARGS]...",
            help="A spec file (`-` reads it from stdin), a task in the queue, or a call.",
            autocompletion=completion.blocked_task,
        ),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Judge calls, one JSON object a line, from FILE or stdin; answer each.")
    ] = False,
    priority: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL", help="Of a call: low, medium, high or urgent.", autocompletion=completion.priorities
        ),
    ] = None,
    risk: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="Of a call: low, medium or high.", autocompletion=completion.levels),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole account as JSON.")] = False,
) -> None:
    """Say what the gate would decide, and why. Nothing is run. Exits 0 allowed, 3 approval required, 4 denied.

    With --jsonl, a line in is {"id", "skill", "args", "risk", "priority"}, `with` for a skill's inputs; a line out is
    {"id", "verdict", "score", "reasons"}, verdict allow, needs_approval or deny. Every line that is not blank is
    answered, in order; what cannot be read needs approval. Other keys are passed over. The exit code is then 0.

    \b
    Example:
      orchestrator explain queue/examples/tsk_git_deploy.json
      orchestrator explain --risk low -- git push --force
      echo '{"id":"1","skill":"bash","args":["-c","rm -rf /"]}' | orchestrator explain --jsonl
    """
    home = house.opened(ctx)
    line = command_line(ctx)
    if jsonl:
        if line is not None or as_json or priority or risk:
            raise FatalError("--jsonl goes with a FILE or stdin alone", exit_code=exits.USAGE)
        _answer_lines(home, file)
        return
    if (file is None) == (line is None):
        sentence = "give one spec FILE, the ID of a task, `-- SKILL ARGS`, or --jsonl and calls on stdin"
        raise FatalError(sentence, exit_code=exits.USAGE)
    if file is not None and (priority or risk):
        raise FatalError("--priority and --risk go with a call; a spec has its own", exit_code=exits.USAGE)
    changes = {key: value for key, value in {"priority": priority, "risk": risk}.items() if value is not None}
    account, code = _account(home, file, line, changes)
    if as_json:
        say_json(account)
    else:
        _print(account)
    raise typer.Exit(code)


def _answer_lines(home: Home, file: str | None) -> None:
    from orchestrator.cli.sources import STDIN
    from orchestrator.execution.prepare import Tools
    from orchestrator.policy.decide import Context
    from orchestrator.policy.lines import judge_line, numbered

    tools = Tools.load(home)
    context = Context("medium", "low", tools.approve_high, home.root, tools.workspace)
    hosts = tools.settings.http.trusted_hosts
    with open(file, "rb") if file and file != STDIN else nullcontext(sys.stdin.buffer) as stream:
        for number, line in numbered(stream):
            say_json_line(judge_line(line, tools.rules, context, tools.skills, number=number, trusted_hosts=hosts))
            sys.stdout.flush()


def _task(home: Home, tools: Tools, file: str | None, line: list[str] | None, changes: dict[str, str]) -> Task:
    """Raises SpecError for a file that is no task, FatalError for one that is not there."""
    from orchestrator.cli import sources
    from orchestrator.insights.entries import find

    installed = sources.Installed(home, tools.skills)
    if file is None:
        if not line:
            raise FatalError("after `--` comes a skill, then its arguments", exit_code=exits.USAGE)
        return sources.command_line(line, {"id": "call"} | changes, installed, verb="explain").task
    if file != sources.STDIN and not os.path.lexists(file) and (entry := find(home, file)) is not None:
        file = f"{home.queue}/{entry.state}/{entry.name}"
    return sources.read(file).load(installed)


def _account(
    home: Home, file: str | None, line: list[str] | None, changes: dict[str, str]
) -> tuple[dict[str, Any], int]:
    """The account of a whole task, and the exit code. Raises SpecError for a file that is no task, TaskError for a
    step that cannot be bound."""
    from orchestrator.execution.files import ScriptFiles
    from orchestrator.execution.prepare import Tools, gate_context, prepare
    from orchestrator.insights.holds import Outlook
    from orchestrator.policy.ledger import ledger

    tools = Tools.load(home)
    task = _task(home, tools, file, line, changes)
    prepared = prepare(task, tools)
    if prepared.refusal is not None:
        raise prepared.refusal
    decision, late = prepared.decision, prepared.rendered.late if prepared.rendered is not None else {}
    steps = []
    for call in prepared.all_calls():
        files = ScriptFiles(prepared.workspace, prepared.repo)
        step = ledger(call, tools.rules, gate_context(task, tools, prepared.workspace, files))
        reads = [path for path, _ in files.digests()]
        steps.append(step | {"reads": reads, "missing": list(files.missing(call)), "late": late.get(call.index, {})})
    account: dict[str, Any] = {
        "id": task.id,
        "title": prepared.task.title,
        "verdict": decision.verdict,
        "score": decision.score,
        "approved_by": decision.approved_by,
        "holds": list(Outlook(home).holds_of(task)),
        "reasons": list(decision.reasons),
        "steps": steps,
    }
    for index in prepared.rendered.never if prepared.rendered is not None else ():
        steps[index]["starts"] = False
    if task.secrets and (masker := tools.secrets.masker(task.secrets)) is not None:
        account = masker.deep(account)
    return account, exits.OK if decision.may_run else exits.of_verdict(decision.verdict)


def _print(account: dict[str, Any]) -> None:
    from orchestrator.policy.ledger import explain_lines

    for step in account["steps"]:
        lines = explain_lines(step)
        if not step.get("starts", True):  # what the gate would say of it counts for nothing
            lines = [lines[0], "  note      will not start: its `if` is false"]
        for line in lines:
            for part in line.split("\n"):
                say(printable(part))
        say()
    word = paint(account["verdict"], _VERDICTS[account["verdict"]])
    approved = f", approved by {account['approved_by']}" if account["approved_by"] else ""
    say(f"{account['id']}: {word}{approved} (score {account['score']})")
    for folder in dict.fromkeys(step["cwd"] for step in account["steps"]):
        say(f"  in {printable(folder)}")
    for hold in account["holds"]:
        say(f"  it would wait: {printable(hold.why)}")
