"""`logs`: what the steps of a task printed, whole, or live while they run.

The bytes go out as the steps wrote them. Where more than one stream is shown, a line says whose comes next.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import complain, no_such_task, note, say_json_line
from orchestrator.errors import FatalError
from orchestrator.home import Home

if TYPE_CHECKING:
    from orchestrator.insights.follow import Chunk
    from orchestrator.insights.runs import Channel

_BLOCK = 256 * 1024


def logs_(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="ID", help="An id or name.", autocompletion=completion.any_task)],
    step: Annotated[int | None, typer.Option("--step", min=0, metavar="N", help="This step alone, from 0.")] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Only what went to stdout.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only what went to stderr.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task ends.")] = False,
    run: Annotated[int | None, typer.Option("--run", min=1, metavar="N", help="That run; default: the latest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each piece of output.")] = False,
) -> None:
    """Print the output of a task's steps; with -f also what is still to come.

    \b
    Example:
      orchestrator logs tsk_smoke --stdout
      orchestrator logs tsk_build -f
    """
    home = house.opened(ctx)
    from orchestrator.insights.entries import find, latest_run
    from orchestrator.insights.runs import run_numbers, task_id_of

    if stdout and stderr:
        raise FatalError("--stdout or --stderr; both are shown where neither is given", exit_code=exits.USAGE)
    entry = find(home, task)
    task_id = task_id_of(home, task, entry)
    if entry is None and task_id is None:
        no_such_task(task)
        raise typer.Exit(exits.NO_SUCH_TASK)
    if run is not None and (task_id is None or run not in run_numbers(home, task_id)):
        complain(f"{task} has no run {run}")
        raise typer.Exit(exits.NO_SUCH_TASK)
    stream: Channel | None = "out" if stdout else "err" if stderr else None
    printer = _Printer(labelled=stream is None or step is None, as_json=as_json)
    if follow:
        import asyncio

        from orchestrator.insights.follow import follow as following

        asyncio.run(_follow(following(home, task, run=run, step=step, stream=stream), printer))
    else:
        number = run or (latest_run(home, task_id) if task_id else None)
        chunks = _written(home, task_id, number, step, stream) if task_id and number else iter(())
        for chunk in chunks:
            printer.print(chunk)
    printer.close()
    if not printer.printed:
        note("nothing was printed yet" if entry and entry.state in ("inbox", "running") else "nothing was printed")


def _written(home: Home, task_id: str, run: int, step: int | None, stream: Channel | None) -> Iterator[Chunk]:
    from orchestrator.insights.follow import Chunk
    from orchestrator.insights.runs import output_files

    for file in output_files(home, task_id, run, step, stream):
        with open(file.path, "rb") as opened:
            while data := opened.read(_BLOCK):
                yield Chunk(file.step, file.skill, file.stream, data, attempt=file.attempt)


async def _follow(chunks: AsyncIterator[Chunk], printer: _Printer) -> None:
    async for chunk in chunks:
        printer.print(chunk)
        sys.stdout.flush()


class _Printer:
    """Writes chunks; a heading where the source changes, unless there can be but one."""

    def __init__(self, *, labelled: bool, as_json: bool) -> None:
        self._labelled = labelled
        self._as_json = as_json
        self._source: tuple[int, int, str] | None = None
        self._mid_line = False
        self.printed = False

    def print(self, chunk: Chunk) -> None:
        self.printed = True
        if chunk.cut:
            note(f"{chunk.cut:,} bytes of step {chunk.step} were left out: more was printed than is kept")
        if self._as_json:
            text = chunk.data.decode("utf-8", "replace")
            facts = {"step": chunk.step, "skill": chunk.skill, "attempt": chunk.attempt}
            say_json_line(facts | {"stream": f"std{chunk.stream}", "text": text})
            return
        source = (chunk.step, chunk.attempt, chunk.stream)
        if (self._labelled or chunk.attempt > 1) and source != self._source:
            self._write(b"\n" if self._mid_line else b"")
            which = f", attempt {chunk.attempt}" if chunk.attempt > 1 else ""
            self._write(f"==> step {chunk.step} {chunk.skill} std{chunk.stream}{which} <==\n".encode())
        self._source = source
        self._write(chunk.data)

    def close(self) -> None:
        """A terminal's prompt begins on a line of its own."""
        if self._mid_line and sys.stdout.isatty():
            self._write(b"\n")

    def _write(self, data: bytes) -> None:
        if data:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            self._mid_line = not data.endswith(b"\n")
