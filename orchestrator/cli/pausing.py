"""`pause`, `resume`, `drain`: whether anything new is started."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, durations, exits, house
from orchestrator.cli.display import note, printable, say, say_json
from orchestrator.cli.labels import pair
from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_runs

if TYPE_CHECKING:
    from orchestrator.insights.entries import Entry
    from orchestrator.pauses import Pause, Verb

_PATIENCE_S = 5.0
_POLL_S = 0.03
_Label = Annotated[
    str | None,
    typer.Option(metavar="K=V", help="Only tasks with this label.", autocompletion=completion.labels),
]
_Json = Annotated[bool, typer.Option("--json", help="Print what stands now as JSON.")]


def pause_(
    ctx: typer.Context,
    label: _Label = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Resume by itself after 30m, 2h, 1d, …")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Start nothing new, or nothing with a label; what runs goes on.

    It lasts until `resume`, also over restarts of the daemon and of the machine. Tasks are still accepted, and judged.

    \b
    Example:
      orchestrator pause
      orchestrator pause --label team=data --for 2h
    """
    home = house.opened(ctx)
    from orchestrator.event import utc_now

    if for_ is not None and for_.isdecimal():
        raise FatalError(f"--for {for_}: write a unit: {for_}m, {for_}h", exit_code=exits.USAGE)
    seconds = durations.seconds(for_, "--for")
    what = _what(label)
    paused = _ask(home, what, "pause", utc_now(time.time() + seconds) if seconds is not None else None)
    if as_json:
        _say_what_stands(home, paused)
        return
    how = "" if label is None else f" --label {label}"
    if what in paused:
        say(printable(f"{paused[what].sentence()}; `orchestrator resume{how}` lets them start again"))
    running = _running(home)
    if running and label is None:
        note(f"{len(running)} still running; `orchestrator drain` waits for them")


def resume_(ctx: typer.Context, label: _Label = None, as_json: _Json = False) -> None:
    """Let what was paused start again.

    Without --label it ends the pause of everything; a paused label stays paused until it is resumed by name.

    \b
    Example:
      orchestrator resume
      orchestrator resume --label team=data
    """
    home = house.opened(ctx)
    from orchestrator import pauses

    what = _what(label)
    was_paused = what in pauses.standing(home)
    paused = _ask(home, what, "resume") if was_paused else pauses.standing(home)
    if as_json:
        _say_what_stands(home, paused)
        return
    name = "everything" if label is None else f"tasks with {label}"
    if not was_paused:
        note(printable(f"{name}: not paused"))
    elif what not in paused:
        say(printable(f"{name} may start again" + ("" if daemon_runs(home) else ", as soon as a daemon runs")))
    for pause in paused.values():
        note(printable(pause.sentence()))


def drain_(
    ctx: typer.Context,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait no longer: 30s, 10m; a bare number is milliseconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what ended, and what still runs, as JSON.")] = False,
) -> None:
    """Pause everything, and wait until nothing runs: before an upgrade, say.

    It stays paused until `resume`. Exits 124 if --timeout is over, 75 if no daemon is there to end what was begun.

    \b
    Example:
      orchestrator drain --timeout 30m && sudo reboot
    """
    home = house.opened(ctx)
    seconds = durations.seconds(timeout, "--timeout")
    _ask(home, "all", "pause")
    code, ended, left = _see_out(home, seconds)
    waiting = _count_waiting(home)
    if as_json:
        facts = [{"task": entry.stem, "status": entry.status} for entry in ended]
        say_json({"drained": code == exits.OK, "ended": facts, "running": left, "waiting": waiting})
    elif code == exits.OK:
        say(f"nothing runs; {waiting} wait until `orchestrator resume`")
    if code == exits.TIMED_OUT:
        note(f"the time is up, and still running: {', '.join(left)}. Everything stays paused")
    elif code == exits.BUSY:
        note(f"no daemon runs, and {', '.join(left)} had begun: the next one goes on with that, and starts nothing new")
    raise typer.Exit(code)


def _what(label: str | None) -> str:
    return "all" if label is None else "=".join(pair(label))


def _ask(home: Home, what: str, verb: Verb, until: str | None = None) -> dict[str, Pause]:
    """Leave the request and wait until the daemon, if one runs, has fulfilled it. Returns what is paused then."""
    from orchestrator import pauses

    try:
        pauses.ask(home, what, verb, until)
    except ValueError as error:
        raise FatalError(str(error), exit_code=exits.USAGE) from error
    deadline = time.monotonic() + _PATIENCE_S
    while pauses.is_asked(home, what, verb) and daemon_runs(home):
        if time.monotonic() > deadline:
            note("the daemon has not heard of it yet: its log says why, if the disk is full, say")
            break
        time.sleep(_POLL_S)
    return pauses.standing(home)


def _see_out(home: Home, seconds: float | None) -> tuple[int, list[Entry], list[str]]:
    """Wait until nothing runs: how that went, what ended meanwhile, what still runs."""
    from orchestrator.cli.progress import Progress
    from orchestrator.insights.entries import find

    begun = _running(home)
    if begun:
        note(f"waiting for {len(begun)} to end: {', '.join(printable(entry.stem) for entry in begun)}")
    code = exits.OK
    with Progress(home, [entry.stem for entry in begun]) as progress:
        over = _deadline(seconds)
        while running := _running(home):
            if over():
                code = exits.TIMED_OUT
                break
            if not daemon_runs(home):
                code = exits.BUSY
                break
            progress.show(running)
            time.sleep(_POLL_S)
    ended = [entry for first in begun if (entry := find(home, first.name)) and entry.state in ("done", "failed")]
    return code, ended, [printable(entry.stem) for entry in running]


def _deadline(seconds: float | None) -> Callable[[], bool]:
    end = None if seconds is None else time.monotonic() + seconds
    return lambda: end is not None and time.monotonic() >= end


def _running(home: Home) -> list[Entry]:
    from orchestrator.insights.entries import queue_entries

    return queue_entries(home, ("running",), limit=None)


def _count_waiting(home: Home) -> int:
    from orchestrator.insights.entries import counts

    return counts(home)["inbox"]


def _say_what_stands(home: Home, paused: dict[str, Pause]) -> None:
    facts: dict[str, Any] = {"paused": list(paused.values()), "running": len(_running(home))}
    say_json(facts | {"waiting": _count_waiting(home), "daemon_runs": daemon_runs(home)})
