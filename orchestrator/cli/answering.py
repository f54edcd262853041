"""`approve` and `reject`: a person's word on a task that the gate holds back.

Rule: whoever answers sees what they answer about, judged anew by the daemon's own code. The answer goes into state/,
then the spec back into inbox; the daemon does the rest, as with any file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import complain, note, printable, say, say_json
from orchestrator.cli.front import WAITS_FOR_DAEMON
from orchestrator.errors import FatalError, TaskError
from orchestrator.home import Home, daemon_runs

if TYPE_CHECKING:
    from orchestrator.approvals import Answer
    from orchestrator.execution.prepare import Prepared, Tools
    from orchestrator.insights.entries import Entry

_REJECTION_LASTS_S = _STANDING_LASTS_S = 366 * 86_400.0
_APPROVAL_LASTS_S = 86_400.0


class Refused(Exception):
    """It cannot be answered so. The message says why; `code` is the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Word:
    """What the person says, of whichever task; it is good for so many seconds, or as long as such words are."""

    verdict: Literal["approved", "rejected"]
    seconds: float | None
    text: str


def approve_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.blocked_task)
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="The run must begin within this time: 30m, 24h, 7d. Default: 24h; of a recurring task 366d.",
        ),
    ] = None,
    note_: Annotated[str, typer.Option("--note", metavar="TEXT", help="Kept in the result, beside your name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was approved as JSON.")] = False,
) -> None:
    """Let blocked tasks run, once each, and print what that is: every step, every reason, the scripts that were read.
    A recurring task is approved for all its firings, until then or until you `reject` it.

    Good for the spec and the scripts as they are now; a later change voids it. Exits 2 if a task needs no approval,
    4 if the gate denies it (nothing lifts a deny), 5 if there is no such task.

    \b
    Example:
      orchestrator approve tsk_deploy --expires 2h --note 'asked for in the stand-up'
    """
    seconds = None if expires is None else _seconds(expires)
    _speak(ctx, tasks, Word("approved", seconds, note_), as_json=as_json)


def reject_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.blocked_task)
    ],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The submitter reads it in the result.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each as JSON.")] = False,
) -> None:
    """End blocked tasks as denied, with your reason; also one that is approved and has not begun yet, or recurs.

    \b
    Example:
      orchestrator reject tsk_deploy --why 'not on a Friday'
    """
    if not why.strip():
        raise FatalError("--why: the submitter needs a reason", exit_code=exits.USAGE)
    _speak(ctx, tasks, Word("rejected", _REJECTION_LASTS_S, why), as_json=as_json)


def _seconds(text: str) -> float:
    from orchestrator.spec import parse_duration

    try:
        milliseconds = parse_duration(text)
    except ValueError:
        milliseconds = None
    if not isinstance(milliseconds, int):
        raise FatalError(f"--expires {text}: write 30m, 24h, 7d, at most 366d", exit_code=exits.USAGE)
    return milliseconds / 1000


def _speak(ctx: typer.Context, tasks: Sequence[str], word: Word, *, as_json: bool) -> None:
    home = house.opened(ctx)
    from orchestrator.execution.prepare import Tools
    from orchestrator.runners.process.marks import VARIABLE

    if VARIABLE in os.environ:
        raise FatalError("this is a step of a task: only a person approves or rejects", exit_code=exits.DENIED)
    tools = Tools.load(home)
    codes: list[int] = []
    accounts: list[dict[str, Any]] = []
    for task in dict.fromkeys(tasks):
        try:
            account = answer(home, tools, task, word)
        except Refused as refused:
            codes.append(refused.code)
            accounts.append({"task": task, word.verdict: False, "error": str(refused)})
            complain(str(refused))
        else:
            codes.append(exits.OK)
            accounts.append({"task": task, word.verdict: True, **account})
            if not as_json:
                _print(account)
    if as_json:
        say_json(accounts)
    if exits.OK in codes and not daemon_runs(home):
        note(WAITS_FOR_DAEMON.rstrip())
    raise typer.Exit(exits.worst(codes))


def answer(home: Home, tools: Tools, wanted: str, word: Word) -> dict[str, Any]:
    """Give the answer and put the spec back. Returns the account of what was answered; raises Refused."""
    from orchestrator import approvals
    from orchestrator.spool.queue import NameTaken, Spool

    with approvals.locked(home):
        entry = _entry(home, wanted)
        if entry is None:
            sentence = f"no such task: {printable(wanted)}; `orchestrator approvals` shows what waits for an answer"
            raise Refused(exits.NO_SUCH_TASK, sentence)
        _must_be_open(home, entry, wanted, word)
        data = _spec(home, entry, wanted)
        prepared = _judged(tools, entry, data, wanted)
        if word.verdict == "approved":
            _must_be_as_blocked(home, entry, data, prepared, wanted)
        seconds = _lasts_s(prepared, word)
        given = approvals.compose(
            word.verdict, prepared.spec, entry.name, prepared.decision, seconds=seconds, text=word.text
        )
        approvals.give(home, given)
        if word.verdict == "rejected" and entry.state == "scheduled":
            approvals.revoke(home, prepared.spec.id)
        if entry.state == "failed" or (entry.state == "scheduled" and word.verdict == "rejected"):
            try:
                Spool(home).put_back(entry.name, entry.state)
            except (NameTaken, FileNotFoundError) as error:
                approvals.take_back(home, given)
                raise Refused(exits.USAGE, f"{wanted} was moved meanwhile: look again ({error})") from error
    return _account(prepared, given)


def _entry(home: Home, wanted: str) -> Entry | None:
    """What is meant: where a recurring task goes on while a change of it is blocked, the change."""
    from orchestrator.insights.entries import find, find_in

    entry = find(home, wanted)
    if entry is not None and entry.state == "scheduled":
        changed = find_in(home, entry.stem, "failed")
        return changed if changed is not None and changed.status == "blocked" else entry
    return entry


def _lasts_s(prepared: Prepared, word: Word) -> float:
    if word.seconds is not None:
        return word.seconds
    return _APPROVAL_LASTS_S if prepared.spec.schedule is None else _STANDING_LASTS_S


def _must_be_open(home: Home, entry: Entry, wanted: str, word: Word) -> None:
    """Only what was blocked can be answered; and what was approved, until it begins, can still be rejected."""
    if entry.state == "scheduled" or (entry.state == "failed" and entry.status == "blocked"):
        return
    if entry.state == "inbox" and (given := _given(home, entry)) is not None:
        if word.verdict == "rejected" and given.verdict == "approved":
            return
        raise Refused(exits.USAGE, f"{wanted} is {given.verdict} already, by {given.by}, and waits for the daemon")
    if entry.status == "denied":
        why = (entry.reason or "").partition(": ")
        if why[0] == "rejected":
            sentence = f"{wanted} was rejected: {printable(why[2])}; `orchestrator retry {wanted}` asks again"
        else:
            sentence = f"{wanted} is denied, and nothing lifts a deny: {printable(why[2])}"
        raise Refused(exits.DENIED, sentence)
    how = f"it ended {entry.status}" if entry.state in ("done", "failed") else f"it is in {entry.state}"
    raise Refused(exits.USAGE, f"{wanted} does not wait for approval: {how}")


def _given(home: Home, entry: Entry) -> Answer | None:
    from orchestrator import approvals

    answers = [answer for answer in approvals.everything(home) if (answer.id, answer.name) == (entry.id, entry.name)]
    return max(answers, key=lambda answer: answer.at, default=None)


def _spec(home: Home, entry: Entry, wanted: str) -> bytes:
    try:
        with open(f"{home.queue}/{entry.state}/{entry.name}", "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise Refused(exits.USAGE, f"{wanted} was moved meanwhile: look again") from error


def _must_be_as_blocked(home: Home, entry: Entry, data: bytes, prepared: Prepared, wanted: str) -> None:
    """What the person read about it was the blocked run's account: approve nothing that differs from that."""
    from orchestrator.insights.entries import read_json

    if entry.state == "scheduled":
        return  # it was not blocked: what they read is what is printed now
    result = read_json(f"{home.runs}/{entry.id}/{entry.run}/result.json") or {}
    seen = dict((result.get("policy") or {}).get("files") or ())
    changed = [path for path, digest in prepared.decision.files if seen.get(path) != digest]
    if result.get("sha256") != hashlib.sha256(data).hexdigest():
        changed.insert(0, f"queue/{entry.state}/{entry.name}")
    if changed:
        again = f"`orchestrator retry {wanted}` has it judged again, then look again"
        raise Refused(exits.USAGE, f"{printable(changed[0])} was changed since {wanted} was blocked: {again}")


def _judged(tools: Tools, entry: Entry, data: bytes, wanted: str) -> Prepared:
    """The spec as it stands there now, before the gate of now. Raises Refused unless that asks for approval."""
    from orchestrator.execution.prepare import prepare
    from orchestrator.intake.load import load_task

    try:
        prepared = prepare(
            load_task(data, entry.name, skills=tools.skills.names(), templates=tools.home.templates), tools
        )
    except TaskError as error:
        raise Refused(exits.USAGE, f"{wanted} was changed since, and is no task any more: {error.message}") from error
    if prepared.refusal is not None:
        raise Refused(exits.USAGE, f"{wanted} could not run: {prepared.refusal.message}")
    if prepared.decision.verdict == "deny":
        why = "; ".join(reason.why for reason in prepared.decision.reasons if reason.effect == "deny")
        raise Refused(exits.DENIED, f"{wanted} is denied, and nothing lifts a deny: {printable(why)}")
    if prepared.decision.verdict == "allow":
        raise Refused(exits.USAGE, _nothing_to_approve(entry.reason or "", wanted))
    return prepared


def _nothing_to_approve(reason: str, wanted: str) -> str:
    """The spec by itself is allowed: the rules have changed since, or only the run showed what speaks against it."""
    from orchestrator.outcome import JUDGED_AGAIN

    if JUDGED_AGAIN not in reason:
        return f"{wanted} needs no approval any more: `orchestrator retry {wanted}`"
    why = printable(reason.partition(": ")[2])
    return (
        f"{wanted} needs no approval as its spec reads; what its run came to does: {why}. "
        "You approve what you can read: write that into the spec, and submit it"
    )


def _account(prepared: Prepared, answer: Answer) -> dict[str, Any]:
    late = {} if prepared.rendered is None else prepared.rendered.late
    return {
        "id": answer.id,
        "name": answer.name,
        "title": prepared.task.title,
        "runs": [
            {
                "skill": call.skill,
                "args": call.args,
                "argv": call.argv,
                "cwd": call.cwd,
                "env": dict(call.given),
                "late": dict(late.get(call.index, {})),
            }
            for call in prepared.all_calls()
        ],
        "score": prepared.decision.score,
        "reasons": [asdict(reason) for reason in prepared.decision.reasons],
        **answer.told(),
        "until": answer.until,
        "files": [{"path": path, "sha256": digest} for path, digest in answer.files],
        "missing": _missing(prepared),
        "recurs": prepared.spec.schedule is not None,
    }


def _missing(prepared: Prepared) -> list[str]:
    """The scripts that its steps name and that are not there: nobody can have read them."""
    from orchestrator.execution.files import ScriptFiles
    from orchestrator.execution.prepare import gate_context
    from orchestrator.policy.decide import decide

    files = ScriptFiles(prepared.workspace, prepared.repo)
    context = gate_context(prepared.task, prepared.tools, prepared.workspace, files)
    for call in prepared.all_calls():
        decide(call, prepared.tools.rules, context)
    return [path for call in prepared.all_calls() for path in files.missing(call)]


def _print(account: dict[str, Any]) -> None:
    from orchestrator.cli import summary
    from orchestrator.event import to_second
    from orchestrator.sinks.wording import call_line

    say(f"{printable(account['name'])}: {printable(account['title'])}")
    for run in account["runs"]:
        say(f"  runs      {call_line((run['skill'], *run['args']))}")
        for name, value in run["env"].items():
            say(f"    with    {call_line((f'{name}={value}',))}")
        for word, expression in run["late"].items():
            say(f"    unknown {word} stands for {printable(expression)}: judged with its value before the step starts")
    for folder in dict.fromkeys(run["cwd"] for run in account["runs"]):
        say(f"  in        {printable(folder)}")
    for file in account["files"]:
        say(f"  script    {printable(file['path'])}  sha256 {file['sha256'][:16]}…")
    for path in account["missing"]:
        say(f"  missing   {printable(path)} is not there: once it is, it needs an approval of its own")
    say(f"  score     {account['score']}")
    for line in (*summary.reasons(account), *summary.answer(account)):
        say(line)
    if "approved_by" in account:
        until = to_second(account["until"])
        what = "every firing" if account["recurs"] else "one run"
        say(f"  good for  {what} that begins before {until}, of this spec and these scripts")
