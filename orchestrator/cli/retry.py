"""`retry`: ended tasks go back into the queue, whole, or from the step on at which a person wants to go on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, exits, house, sets
from orchestrator.cli.display import complain, note, printable, say, say_json
from orchestrator.cli.front import WAITS_FOR_DAEMON
from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_runs

if TYPE_CHECKING:
    from orchestrator.insights.entries import Entry
    from orchestrator.journal.past import Past
    from orchestrator.spec import Task


class Refused(Exception):
    """It can't be put back. The text says why, and what can be done instead."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Account:
    """What was done, as `--json` prints it. `continues` is the run whose first steps count as done."""

    task: str
    queued: bool
    why: str | None = None
    continues: int | None = None
    taken_over: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


def retry_(
    ctx: typer.Context,
    tasks: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids or names.", autocompletion=completion.ended_task)
    ],
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Go on there: a step's number (from 0) or id, or `checks`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each as JSON.")] = False,
) -> None:
    """Put ended tasks back into the queue, as they are; the earlier runs stay in state/runs.

    Where a task waits for its next attempt by itself, that starts now; `cancel` ends it.

    With --from, the next run goes on at that step: the results of the steps before, which must have gone well, are
    taken over from the latest run. What needed approval needs it again. Of several, what others need goes first.

    Exits 5 if there is no such task, 2 if it can't be put back so.

    \b
    Example:
      orchestrator retry tsk_smoke
      orchestrator retry tsk_deploy --from migrate
    """
    home = house.opened(ctx)
    if start is not None and len(tasks) > 1:
        raise FatalError("--from names a step of one task: give one ID", exit_code=exits.USAGE)
    accounts, codes = [], []
    for task in sets.needed_first(home, tasks):
        try:
            accounts.append(_put_back(home, task, start))
            codes.append(exits.OK)
        except Refused as refused:
            complain(str(refused))
            accounts.append(Account(task, queued=False, why=str(refused)))
            codes.append(refused.code)
    if as_json:
        say_json([asdict(account) for account in accounts])
    else:
        _tell(accounts)
    if exits.OK in codes and not daemon_runs(home):
        note(WAITS_FOR_DAEMON.rstrip())
    raise typer.Exit(exits.worst(codes))


def _tell(accounts: list[Account]) -> None:
    for account in accounts:
        if account.queued:
            say(account.task)
            if account.continues is not None:
                note(f"  taken over from run {account.continues}: {', '.join(account.taken_over)}")
                note(f"  to be run: {', '.join(account.runs)}")
            if account.why:
                note(f"  {account.why}")


def _put_back(home: Home, wanted: str, start: str | None) -> Account:
    from orchestrator import approvals
    from orchestrator.insights.entries import find
    from orchestrator.journal import retries
    from orchestrator.spool.queue import NameTaken, Spool

    with approvals.locked(home):  # approve and reject put back too
        entry = find(home, wanted)
        if entry is None:
            raise Refused(
                exits.NO_SUCH_TASK, f"no such task: {printable(wanted)}; `orchestrator list` shows what there is"
            )
        if entry.state == "inbox" and entry.id is not None:
            return _start_now(home, entry, wanted, start)
        if entry.state not in ("done", "failed"):
            raise Refused(exits.USAGE, f"{wanted} has not ended: it is in {entry.state}")
        if entry.state == "done":
            _refuse_once_only(home, entry, wanted)
        inode = _inode(f"{home.queue}/{entry.state}/{entry.name}")
        if entry.id is not None:
            retries.withdraw(home, entry.id, inode)  # an earlier wish: this is the one that counts
        account = Account(wanted, queued=True) if start is None else _go_on(home, entry, wanted, start)
        try:
            Spool(home).put_back(entry.name, "done" if entry.state == "done" else "failed")
        except (NameTaken, FileNotFoundError) as error:
            if entry.id is not None:
                retries.withdraw(home, entry.id, inode)
            taken = isinstance(error, NameTaken)
            raise Refused(exits.USAGE, str(error) if taken else f"{wanted} was moved meanwhile: look again") from error
    return account


def _start_now(home: Home, entry: Entry, wanted: str, start: str | None) -> Account:
    """A pending attempt starts without its wait. Raises Refused where none is pending."""
    from orchestrator.intake.load import SpecError, load_task
    from orchestrator.journal import retries
    from orchestrator.journal.past import CannotGoOn, step_of
    from orchestrator.spool.queue import Spool
    from orchestrator.spool.reading import signature_of

    try:
        with open(f"{home.inbox}/{entry.name}", "rb") as file:
            data, status = file.read(), os.fstat(file.fileno())
        task = load_task(data, entry.name, templates=home.templates)
        pending = retries.find(home, task.id, signature_of(status))
        if pending is None or not pending.tried:
            raise Refused(exits.USAGE, f"{wanted} has not ended: it is in inbox")
        step = pending.step if start is None else step_of(task, start)
        retries.past_of(home, task, hashlib.sha256(data).hexdigest(), pending.run, step)
    except FileNotFoundError as error:
        raise Refused(exits.USAGE, f"{wanted} was moved meanwhile: look again") from error
    except (SpecError, CannotGoOn) as error:
        raise Refused(exits.USAGE, str(error)) from error
    try:
        retries.ask(home, retries.now(pending, step))
    except OSError as error:
        raise Refused(exits.FAILED, f"{home.retries} takes no file: {error.strerror or error}") from error
    Spool(home).ask_to_retry(entry.stem)
    return Account(wanted, True, f"attempt {pending.tried + 1} of {pending.of} starts without its wait")


def _refuse_once_only(home: Home, entry: Entry, wanted: str) -> None:
    from orchestrator.intake.load import SpecError, load_task

    try:
        with open(f"{home.done}/{entry.name}", "rb") as file:
            task = load_task(file.read(), entry.name, templates=home.templates)
    except (SpecError, OSError):  # then it is judged when it is back in inbox
        return
    if task.idempotency_key is not None:
        sentence = f"{wanted} has ended ok, and has an idempotency_key: it would be skipped. Submit it with another key"
        raise Refused(exits.USAGE, sentence)


def _inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return 0


def _go_on(home: Home, entry: Entry, wanted: str, start: str) -> Account:
    """Say in state/ at which step it goes on. Raises Refused where it can't."""
    from orchestrator.intake.load import SpecError, load_task
    from orchestrator.journal import retries
    from orchestrator.journal.past import CannotGoOn, step_of

    if entry.state == "done":
        raise Refused(exits.USAGE, f"{wanted} ended ok: there is nothing to go on with; without --from it runs again")
    if entry.id is None or not entry.run:
        raise Refused(exits.USAGE, f"{wanted} has had no run to go on with; without --from it is judged again")
    try:
        with open(f"{home.failed}/{entry.name}", "rb") as file:
            data, status = file.read(), os.fstat(file.fileno())
        task = load_task(data, entry.name, templates=home.templates)
        step = step_of(task, start)
        past = retries.past_of(home, task, hashlib.sha256(data).hexdigest(), entry.run, step)
    except FileNotFoundError as error:
        raise Refused(exits.USAGE, f"{wanted} was moved meanwhile: look again") from error
    except (SpecError, CannotGoOn) as error:
        raise Refused(exits.USAGE, str(error)) from error
    if step == 0:
        return Account(wanted, queued=True, why="step 0 is the first one: the task runs again from the beginning")
    try:
        retries.ask(home, retries.wish(task.id, past, status))
    except OSError as error:
        raise Refused(exits.FAILED, f"{home.retries} takes no file: {error.strerror or error}") from error
    return _account(wanted, task, past, _approval(home, entry))


def _approval(home: Home, entry: Entry) -> str | None:
    from orchestrator.insights.entries import read_json

    policy = (read_json(f"{home.runs}/{entry.id}/{entry.run}/result.json") or {}).get("policy") or {}
    return "it was approved for one run, and needs approval again" if policy.get("approved_at") else None


def _account(wanted: str, task: Task, past: Past, why: str | None) -> Account:
    from orchestrator.journal.past import place

    def named(first: int, last: int) -> tuple[str, ...]:
        return tuple(place(task, step) for step in range(first, last))

    steps = len(task.steps)
    to_run: tuple[Any, ...] = named(past.step, steps + bool(task.acceptance))
    return Account(wanted, True, why, past.source, named(0, past.step), to_run)
