"""`worktrees`: the git worktrees that tasks have left, why each is kept, and the end of those that hold nothing.

Rule: no option removes work by the way. Who wants to lose something names one worktree and says what is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import complain, note, printable, say, say_json, table
from orchestrator.cli.groups import group
from orchestrator.errors import FatalError
from orchestrator.home import Home

if TYPE_CHECKING:
    from orchestrator.worktrees.git import Git
    from orchestrator.worktrees.record import Record

GROUP = group()
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


@dataclass(frozen=True, slots=True)
class Account:
    """One worktree as it is now. `lost` is what would be lost with it, empty for nothing; `removed` that it is gone, or
    with --dry-run would be."""

    name: str
    path: str
    repo: str
    branch: str
    base: str
    state: str
    since: str
    files_changed: int
    lost: str
    why: str
    removed: bool = False


@GROUP.callback()
def worktrees_() -> None:
    """The git worktrees of tasks: what is in each, and why it is kept.

    \b
    Example:
      orchestrator worktrees list
      orchestrator worktrees clean --dry-run
    """


@GROUP.command(name="list")
def list_(ctx: typer.Context, as_json: _Json = False) -> None:
    """List the worktrees, each looked at as it is now.

    \b
    Example:
      orchestrator worktrees list --json
    """
    home = house.found(ctx)
    accounts = asyncio.run(_look_at_all(home))
    if as_json:
        say_json([asdict(account) for account in accounts])
        return
    rows = [[a.name, a.state, a.branch, str(a.files_changed), a.since, a.why] for a in accounts]
    table(("NAME", "STATE", "BRANCH", "CHANGED", "SINCE", "WHY IT IS KEPT"), rows, spare=(4, 1, 3))
    if not accounts:
        note("no task has a worktree: `workspace.worktree` in a spec gives it one")


@GROUP.command()
def clean(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]", help="As `list` shows them; default: all.", autocompletion=completion.worktree
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    lose: Annotated[
        str, typer.Option("--lose", metavar="TEXT", help="With one NAME: remove it although this is lost.")
    ] = "",
    as_json: _Json = False,
) -> None:
    """Remove the worktrees with which nothing is lost, and their branches; say of the others why they stay.

    Nothing is lost where all is committed and the commits are on another branch, a remote one, or under a tag; ignored
    files do not count. Exits 1 if one that you named stays, 5 if there is no such worktree.

    \b
    Example:
      orchestrator worktrees clean
      orchestrator worktrees clean tsk_fix/1 --lose '2 uncommitted files, 1 unpushed commit'
    """
    home = house.found(ctx)
    from orchestrator.runners.process.marks import VARIABLE

    if lose and (len(names or ()) != 1 or dry_run):
        raise FatalError("--lose is about one worktree: give its NAME, and no --dry-run", exit_code=exits.USAGE)
    if lose and VARIABLE in os.environ:
        raise FatalError("this is a step of a task: only a person gives up work", exit_code=exits.DENIED)
    accounts = asyncio.run(_clean(home, names or (), lose, dry_run=dry_run))
    if as_json:
        say_json([asdict(account) for account in accounts])
    else:
        _tell(accounts, dry_run=dry_run)
    missing = sorted(set(names or ()).difference(account.name for account in accounts))
    if missing:
        complain(f"no such worktree: {', '.join(map(printable, missing))}; `orchestrator worktrees list` shows them")
        raise typer.Exit(exits.NO_SUCH_TASK)
    raise typer.Exit(exits.FAILED if names and not all(account.removed for account in accounts) else exits.OK)


def _tell(accounts: Sequence[Account], *, dry_run: bool) -> None:
    for account in accounts:
        if account.removed:
            say(f"{'would remove' if dry_run else 'removed'}  {account.name}")
        else:
            say(f"kept  {account.name}: {printable(account.why)}")
            if account.lost and account.state == "kept":
                note(f"      it is in {printable(account.path)}, on branch {printable(account.branch)}")
    if not accounts:
        note("no task has a worktree")


async def _look_at_all(home: Home) -> list[Account]:
    from orchestrator.worktrees import record as records

    found = list(records.everything(home))
    if not found:
        return []
    busy = _busy(home)
    async with _git(home) as git:
        return [await _account(git, home, record, busy) for record in found]


async def _clean(home: Home, names: Sequence[str], lose: str, *, dry_run: bool) -> list[Account]:
    from orchestrator.worktrees import record as records

    found = [record for record in records.everything(home) if not names or record.name in names]
    if not found:
        return []
    busy = _busy(home)
    async with _git(home) as git:
        return [await _cleaned(git, home, record, busy, lose, dry_run=dry_run) for record in found]


async def _cleaned(git: Git, home: Home, record: Record, busy: set[str], lose: str, *, dry_run: bool) -> Account:
    from dataclasses import replace

    from orchestrator.worktrees.tidying import remove_anyway, remove_if_safe

    account = await _account(git, home, record, busy)
    if record.state != "kept" or record.id in busy:
        return account
    if account.lost and lose and lose != account.lost:
        return replace(account, why=f"--lose says {lose!r}, but what would be lost is {account.lost!r}")
    if dry_run or (account.lost and not lose):
        return replace(account, removed=not account.lost)
    if account.lost:
        why = await remove_anyway(git, home, record)
    else:
        kept = await remove_if_safe(git, home, record)
        why = kept.why if kept else ""
    return replace(account, removed=not why, why=why or account.why)


async def _account(git: Git, home: Home, record: Record, busy: set[str]) -> Account:
    from orchestrator.worktrees.status import Found, look_kindly
    from orchestrator.worktrees.tidying import is_there

    there = record.state not in ("making", "removing") and is_there(home, record)
    found = await look_kindly(git, home, record) if there else Found()
    why = _why(record, found.lost, busy, there=there)
    return Account(
        record.name, record.path(home), record.repo, record.branch, record.base, record.state, record.since,
        len(found.changed), found.lost, why,
    )  # fmt: skip


def _why(record: Record, lost: str, busy: set[str], *, there: bool) -> str:
    """Why it is kept, as it is now."""
    if record.id in busy:
        used = f"run {record.runs[-1]} of its task works in it" if record.state != "kept" else "its task waits or runs"
        return used + (f"; {lost} would be lost" if lost else "")
    if not there:
        return "its folder is gone: it is forgotten when the daemon tidies, or now by `worktrees clean`"
    if record.state != "kept":
        return "the daemon died while its task ran: the next start looks at it"
    if lost:
        return f"{lost} would be lost"
    return record.why if record.wanted or record.goes_on else "nothing would be lost: `worktrees clean` removes it"


def _busy(home: Home) -> set[str]:
    """The ids of tasks that wait or run."""
    from orchestrator.insights.entries import queue_entries

    return {entry.id for entry in queue_entries(home, ("inbox", "running"), limit=None) if entry.id}


@asynccontextmanager
async def _git(home: Home) -> AsyncIterator[Git]:
    """Git in the sandbox that steps have, as the daemon runs it."""
    from orchestrator.execution.prepare import Tools
    from orchestrator.runners.process import ProcessRunner
    from orchestrator.sandbox import probe
    from orchestrator.worktrees.git import Git

    tools = Tools.load(home, host=probe())
    tools.wall.prepare()
    # A mark of its own: a daemon that starts meanwhile ends what has the home's.
    runner = ProcessRunner(hashlib.sha256(os.fsencode(f"{home.root}\0{os.getpid()}")).hexdigest()[:16])
    await runner.start()
    run = f"worktrees-{os.getpid()}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Git(runner, tools.wall.confine, tools.path, tools.base_env, run, run, folder)
    finally:
        await runner.close()
        if (work := tools.wall.discard(run)) is not None:
            work()
