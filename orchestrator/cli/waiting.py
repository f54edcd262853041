"""Waiting for tasks to end, by looking at the queue's folders.

A name that is submitted again still has its earlier result beside it until the new run ends; and between two
folders a task can be missed for an instant. So an end counts only if it is another than the one that stood
there before, and if a second look finds the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cli import exits
from orchestrator.cli.display import no_such_task, note, printable, say, say_json
from orchestrator.cli.progress import Progress
from orchestrator.home import Home, daemon_runs
from orchestrator.insights.entries import Entry, find
from orchestrator.insights.runs import show

_POLL_S = 0.03
_SECOND_LOOK_S = 0.02
_STUCK_LOOK_S = 1.0
_DAEMON_GRACE_S = 5.0
"""How long a daemon may be away while it is restarted before waiting ends."""


@dataclass(slots=True)
class Awaited:
    """A task that is waited for. `earlier` is when the result that does not count came to stand there. A recurring task
    never ends: it `is_kept` when the daemon has taken it, which is all that can be waited for unless `to_its_end`."""

    wanted: str
    earlier: float | None = None
    entry: Entry | None = None
    to_its_end: bool = False

    @property
    def is_kept(self) -> bool:
        return self.entry is not None and self.entry.state == "scheduled" and not self.to_its_end

    @property
    def ended(self) -> bool:
        return self.entry is not None and self.entry.state in ("done", "failed") and self.entry.since != self.earlier

    def look(self, home: Home) -> None:
        if not self.ended:
            self._find(home)
            if self.entry is None or self.ended:
                time.sleep(_SECOND_LOOK_S)
                self._find(home)

    def _find(self, home: Home) -> None:
        # Its file's name is found at once; an id may have to be looked for in many files.
        self.entry = find(home, self.entry.name if self.entry else self.wanted)


@dataclass(slots=True)
class Wait:
    """How a wait went: `code` is the reason why it ended early, None if all have ended."""

    awaited: list[Awaited] = field(default_factory=list)
    code: int | None = None


def before_submitting(home: Home, stems: Iterable[str]) -> list[Awaited]:
    """What to wait for after these names have been queued."""
    found = {stem: find(home, stem) for stem in stems}
    return [Awaited(stem, entry.since if entry else None) for stem, entry in found.items()]


def wait_for(home: Home, awaited: list[Awaited], *, timeout_s: float | None = None, for_people: bool = True) -> Wait:
    """Wait until all have ended, one is unknown, the time is up, or no daemon is there to end them. Without
    `for_people` also only until what is left needs what a person must approve first."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    daemon_seen = time.monotonic() if daemon_runs(home) else float("-inf")
    next_look = 0.0
    with Progress(home, [task.wanted for task in awaited]) as progress:
        while True:
            now = time.monotonic()
            for task in awaited:
                task.look(home)
            if any(task.entry is None for task in awaited):
                return Wait(awaited, exits.NO_SUCH_TASK)
            if all(task.ended or task.is_kept for task in awaited):
                return Wait(awaited)
            daemon_seen = now if daemon_runs(home) else daemon_seen
            if now - daemon_seen > _DAEMON_GRACE_S:
                return Wait(awaited, exits.BUSY)
            if deadline is not None and now >= deadline:
                return Wait(awaited, exits.TIMED_OUT)
            if not for_people and now >= next_look:
                next_look = now + _STUCK_LOOK_S
                if all(task.ended or is_stuck for task, is_stuck in _stuck(home, awaited)):
                    return Wait(awaited, exits.NEEDS_APPROVAL)
            progress.show([task.entry for task in awaited if task.entry and not task.ended])
            time.sleep(_POLL_S)


def _stuck(home: Home, awaited: list[Awaited]) -> list[tuple[Awaited, bool]]:
    """Each with whether it waits, itself or through others, for what is blocked."""
    waiting = [task for task in awaited if task.entry and task.entry.state == "inbox"]
    if not waiting:
        return [(task, False) for task in awaited]
    from orchestrator.insights.holds import Outlook

    outlook = Outlook(home)
    return [(task, bool(task in waiting and task.entry and outlook.blocked_by(task.entry.name))) for task in awaited]


def result_of(home: Home, entry: Entry) -> dict[str, Any]:
    """The result that belongs to an ended entry."""
    found = show(home, entry.name, entry.run) or show(home, entry.name)
    result = found and found["result"]
    return result or {"id": entry.id, "name": entry.name, "status": entry.status, "reason": entry.reason}


def report(home: Home, wait: Wait, *, as_json: bool, outputs: bool) -> int:
    """Say how the tasks ended, and why waiting ended early if it did; returns the exit code of the worst."""
    from orchestrator.cli import summary

    ended = [task.entry for task in wait.awaited if task.ended and task.entry]
    kept = [task.entry for task in wait.awaited if task.is_kept and task.entry]
    results = [result_of(home, entry) for entry in (*ended, *kept)]
    if as_json:
        say_json(results[0] if len(wait.awaited) == 1 and results else results)
    else:
        for result in results[: len(ended)]:
            for line in summary.of_result(result, outputs=outputs):
                say(line)
        for entry in kept:
            say(f"{printable(entry.stem)}: {entry.status}, {printable(entry.reason or '')}")
    if wait.code is not None:
        say_why(wait)
    codes = [exits.of_end(entry.status, entry.reason) for entry in ended]
    return wait.code if wait.code is not None else exits.worst(codes)


def say_why(wait: Wait) -> None:
    """Say why waiting ended early."""
    open_ones = [task.wanted for task in wait.awaited if not (task.ended or task.is_kept)]
    if wait.code == exits.NO_SUCH_TASK:
        unknown = [task.wanted for task in wait.awaited if task.entry is None]
        no_such_task(*unknown)
    elif wait.code == exits.BUSY:
        note(
            f"accepted, but no daemon runs for this home: {', '.join(open_ones)} waits until one does. "
            f"Start it with `orchestrator run`, then `orchestrator wait {' '.join(open_ones)}`."
        )
    elif wait.code == exits.NEEDS_APPROVAL:
        note(f"not ended, because what they need is blocked: {', '.join(open_ones)}; `orchestrator approvals` shows it")
    else:
        note(f"the time is up, and not ended yet: {', '.join(open_ones)}")


def see_through(home: Home, awaited: Sequence[Awaited], *, as_json: bool) -> int:
    """Wait for what was just queued, and say how it ended; returns the exit code."""
    return report(home, wait_for_queued(home, awaited), as_json=as_json, outputs=True)


def wait_for_queued(home: Home, awaited: Sequence[Awaited]) -> Wait:
    """Wait for what was just queued. An interrupt leaves the tasks as they are."""
    try:
        return wait_for(home, list(awaited), for_people=False)
    except KeyboardInterrupt:
        names = " ".join(task.wanted for task in awaited)
        note(f"no longer waiting; the tasks go on. `orchestrator wait {names}`, or `orchestrator cancel {names}`")
        raise
