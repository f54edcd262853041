"""`tail`: telemetry, readable."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from orchestrator.cli import house
from orchestrator.cli.display import duration, note, paint, printable, say
from orchestrator.event import to_second
from orchestrator.home import Home
from orchestrator.sinks.wording import call_line


def tail_(
    ctx: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, metavar="N", help="The last N.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they stand in the file.")] = False,
) -> None:
    """Print the last telemetry lines, for people; --json prints them as they are.

    \b
    Example:
      orchestrator tail -n 20 -f
    """
    home = house.opened(ctx)
    if follow:
        import asyncio

        asyncio.run(_follow(home, lines, as_json=as_json))
        return
    from orchestrator.insights.telemetry import telemetry_lines

    found = telemetry_lines(home, lines)
    for line in found:
        _print(line, as_json=as_json)
    if not found:
        note("no telemetry yet")


async def _follow(home: Home, lines: int, *, as_json: bool) -> None:
    from orchestrator.insights.follow import follow_telemetry

    async for line in follow_telemetry(home, last=lines):
        _print(line, as_json=as_json)
        sys.stdout.flush()


def _print(line: bytes, *, as_json: bool) -> None:
    say(line.decode("utf-8", "replace") if as_json else readable(line))


def readable(line: bytes) -> str:
    """A telemetry line for people: time, event, and what matters about it."""
    import orjson

    try:
        fact = orjson.loads(line)
        return f"{fact['ts'][:19].replace('T', ' ')}  {_words(fact)}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"(not readable) {printable(line.decode('utf-8', 'replace'))}"


def _words(fact: dict[str, Any]) -> str:
    event = fact["event"]
    who = printable(f"{fact.get('id') or fact.get('name')} run {fact['run']}") if fact.get("run") is not None else ""
    match event:
        case "task_started":
            return f"{who}: started after {duration(fact['waited_ms'])} of waiting: {printable(fact['title'])}"
        case "step_started":
            return f"{who}: step {fact['step']}: {call_line([fact['skill'], *fact['args']])}"
        case "step_finished":
            wait = fact.get("wait_ms")
            again = "" if wait is None else f", attempt {fact['attempt'] + 1} in {duration(wait)}"
            return f"{who}: step {fact['step']} {paint(fact['status'])} ({duration(fact['duration_ms'])}{again})"
        case "task_retrying":
            reason = f" - {printable(fact['reason'])}" if fact.get("reason") else ""
            status, at = paint(fact["status"], fact["status"].upper()), to_second(fact["at"])
            return f"{who}: {status}{reason}; attempt {fact['attempt']} of {fact['of']} at {at}"
        case "task_finished":
            who = who or printable(str(fact.get("name")))
            reason = f" - {printable(fact['reason'])}" if fact.get("reason") else ""
            return f"{who}: {paint(fact['status'], fact['status'].upper())}{reason} ({duration(fact['duration_ms'])})"
        case "daemon_started":
            return f"daemon started, pid {fact['pid']}, version {fact['version']}"
        case "daemon_stopped":
            return f"daemon stopped: {fact['reason']}"
        case "notice":
            return f"{fact['level']}: {printable(fact['message'])}"
        case _:
            return printable(f"{event} {who}")
