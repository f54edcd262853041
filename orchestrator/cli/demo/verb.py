"""The demo's course: a home, a daemon, the drop, the watching, the reckoning."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from orchestrator import seed
from orchestrator.cli import answering, exits
from orchestrator.cli.demo import guest_daemon, guest_service
from orchestrator.cli.demo.board import Board, Row, shown
from orchestrator.cli.demo.specs import pieces
from orchestrator.cli.display import complain, note, say, say_json
from orchestrator.errors import FatalError
from orchestrator.execution.prepare import Tools
from orchestrator.home import Home, daemon_runs
from orchestrator.spool.queue import Spool

PATIENCE_S = 60.0
_TELEMETRY_LINES = 5


def demo_(
    ctx: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the temporary home for you to look at.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only how each task ended, as JSON.")] = False,
) -> None:
    """Run about 30 real tasks on a real daemon: most succeed, some fail, time out or are blocked, as they should.

    Uses a temporary home that is removed at the end, unless --keep or --home is given. Exits 0 if every task
    ended as expected.

    \b
    Example:
      orchestrator demo
      orchestrator demo --keep
    """
    with _home(ctx.obj, keep) as home:
        if not as_json:
            say(f"Home: {home.root}")
        with guest_daemon.running(home), guest_service.serving() as service:
            board = _watch(home, service, quiet=as_json)
        if as_json:
            say_json([_answer(row) for row in board.rows])
        else:
            _reckon(home, board)
        code = exits.OK if all(row.as_expected for row in board.rows) else exits.FAILED
    raise typer.Exit(code)


@contextmanager
def _home(explicit: str | None, keep: bool) -> Iterator[Home]:
    home = Home(explicit or tempfile.mkdtemp(prefix="orchestrator-demo-"))
    if explicit and daemon_runs(home):
        raise FatalError(f"a daemon runs for {home.root}: the demo brings its own", exit_code=exits.BUSY)
    seed.plant(home)
    if any(os.listdir(folder) for folder in (home.inbox, home.running, home.done, home.failed)):
        raise FatalError(f"the queue of {home.root} is not empty: the demo needs a new home", exit_code=exits.USAGE)
    try:
        yield home
    finally:
        if not explicit and not keep:
            shutil.rmtree(home.root)
            note("The home of this demo is removed; `orchestrator demo --keep` leaves one to look around in.")
        elif keep and not explicit:
            note(f"Kept: {home.root}; look with `orchestrator --home {home.root} list`")


def _watch(home: Home, service: str, *, quiet: bool) -> Board:
    chosen, missing = pieces(service)
    for sentence in missing:
        note(sentence)
    board, spool = Board(home, [Row(piece) for piece in chosen]), Spool(home)
    for piece in chosen:
        spool.submit(f"{piece.name}.json", piece.data)
    if not quiet:
        say(f"Dropped {len(chosen)} specs into {home.inbox}\n")
    deadline = time.monotonic() + PATIENCE_S
    with shown(board, quiet=quiet) as update:
        while not board.ended and time.monotonic() < deadline:
            ended = board.look()
            update(ended)
            _approve(home, ended)
            time.sleep(0.05)
    return board


def _approve(home: Home, ended: Sequence[Row]) -> None:
    """Let those run that are only waiting for someone's word, as `orchestrator approve` does."""
    for row in ended:
        if row.awaits_approval:
            word = answering.Word("approved", PATIENCE_S, "the demo says yes")
            answering.answer(home, Tools.load(home), row.piece.name, word)
            row.result = None


def _reckon(home: Home, board: Board) -> None:
    say(f"\nThe last telemetry lines ({os.path.relpath(home.telemetry, home.root)}/):")
    for line in _last_telemetry(home):
        say(f"  {line}")
    say("\nWhere everything landed:")
    for state, folder in (("done", home.done), ("failed", home.failed)):
        results = sum(name.endswith(".result.json") for name in os.listdir(folder))
        say(f"  queue/{state:<7} {results} specs, each with its NAME.result.json")
    say(f"  state/runs    {len(os.listdir(home.runs))} tasks with their whole output")
    wrong = [row for row in board.rows if not row.as_expected]
    if not wrong:
        say(f"\nAll {len(board.rows)} tasks ended as they should have.")
    for row in wrong:
        complain(f"{row.piece.name} should have ended {row.piece.expected}, and is {row.status}")


def _last_telemetry(home: Home) -> list[str]:
    lines: list[str] = []
    for name in sorted(os.listdir(home.telemetry)):
        with open(f"{home.telemetry}/{name}", encoding="utf-8") as handle:
            lines = (lines + [line.strip() for line in handle if '"local_exec"' in line])[-_TELEMETRY_LINES:]
    return lines


def _answer(row: Row) -> dict[str, object]:
    return {"name": row.piece.name, "status": row.status, "expected": row.piece.expected, "ok": row.as_expected}
