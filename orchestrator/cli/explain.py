"""`explain`: what the gate says about a spec, point by point, by the same code that decides in the daemon."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from orchestrator.cli import exits, house
from orchestrator.cli.display import paint, printable, say, say_json, say_json_line
from orchestrator.errors import FatalError
from orchestrator.home import Home

_VERDICTS = {"allow": "allowed", "needs_approval": "needs approval", "deny": "denied"}


def explain_(
    ctx: typer.Context,
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="A spec file; `-` reads it from stdin.")] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Read calls from stdin, one JSON object a line; answer a line for each.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole account as JSON.")] = False,
) -> None:
    """Say what the gate would decide about a spec, and why. Exits 0 allowed, 3 approval required, 4 denied.

    With --jsonl, a line in is {"id", "skill", "args", "risk", "priority"}, a line out {"id", "verdict", "score",
    "reasons"}; the exit code is then 0.

    \b
    Example:
      orchestrator explain queue/examples/tsk_git_deploy.json
      echo '{"id":"1","skill":"bash","args":["-c","rm -rf /"]}' | orchestrator explain --jsonl
    """
    home = house.opened(ctx)
    if jsonl == (file is not None):
        raise FatalError("give one spec FILE, or --jsonl and calls on stdin", exit_code=exits.USAGE)
    if file is None:
        _answer_lines(home)
        return
    account, code = _account(home, file)
    if as_json:
        say_json(account)
    else:
        _print(account)
    raise typer.Exit(code)


def _answer_lines(home: Home) -> None:
    from orchestrator.execution.prepare import Tools
    from orchestrator.policy.decide import Context
    from orchestrator.policy.ledger import judge_line

    tools = Tools.load(home)
    context = Context("medium", "low", tools.approve_high, home.root, tools.workspace)
    for line in sys.stdin.buffer:
        if line.strip():
            say_json_line(judge_line(line, tools.rules, context, tools.skills))
            sys.stdout.flush()


def _account(home: Home, file: str) -> tuple[dict[str, Any], int]:
    """The account of a whole task, and the exit code. Raises SpecError for a file that is no task, TaskError for a
    step that cannot be bound."""
    from orchestrator.cli import sources
    from orchestrator.execution.files import ScriptFiles
    from orchestrator.execution.prepare import Tools, gate_context, prepare
    from orchestrator.insights.holds import Outlook
    from orchestrator.policy.ledger import ledger

    tools = Tools.load(home)
    task = sources.read(file).load(sources.Installed(home, tools.skills))
    prepared = prepare(task, tools)
    if prepared.refusal is not None:
        raise prepared.refusal
    context = gate_context(task, tools, prepared.workspace, ScriptFiles(prepared.workspace))
    decision = prepared.decision
    account: dict[str, Any] = {
        "id": task.id,
        "title": prepared.task.title,
        "verdict": decision.verdict,
        "score": decision.score,
        "approved_by": decision.approved_by,
        "holds": list(Outlook(home).holds_of(task)),
        "reasons": list(decision.reasons),
        "steps": [ledger(call, tools.rules, context) for call in prepared.all_calls()],
    }
    for step in prepared.rendered.never if prepared.rendered is not None else ():
        account["steps"][step]["starts"] = False
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
    for hold in account["holds"]:
        say(f"  it would wait: {printable(hold.why)}")
