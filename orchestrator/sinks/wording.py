"""How an outcome is said in one line, wherever it is said: on the console, in the log, in a notification.

Text that comes from specs and file names never reaches a terminal or a log with its control characters.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from orchestrator.event import TaskRetrying, to_second
from orchestrator.outcome import Outcome, StepResult

_NEXT = {
    "blocked": (
        "`orchestrator approvals` says why and what it would run; `orchestrator approve` lets it run once, "
        "`orchestrator reject` ends it"
    ),
    "denied": "`orchestrator explain` names the rule and the safer way; no approval lifts a deny",
    "rejected": "change what the person asks for, or `orchestrator retry` it to ask again",
    "invalid": "correct the file and drop it again; `orchestrator validate` lists everything that is wrong",
}


_ALIVE_IN_QUOTES = frozenset('"$`\\!')


def printable(text: str) -> str:
    """One line, with control characters and what no encoding takes shown as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def call_line(words: Iterable[str]) -> str:
    """A command line on one printable line, for reading: bash would take it so, in the quotes that read best."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if shlex.quote(word) == word:
        return word
    if word.isprintable():
        if "'" not in word:
            return f"'{word}'"
        if _ALIVE_IN_QUOTES.isdisjoint(word):
            return f'"{word}"'
    quotable = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(quotable)}'"


def verdict(outcome: Outcome) -> str:
    """The status in capitals, and why: `OK`, `FAILED - step 0 (bash) exited with 3`."""
    word = outcome.status.upper()
    if outcome.ok:
        count = outcome.warnings
        return f"{word} - {count} warning{'s' if count > 1 else ''}" if count else word
    why = because(outcome)
    return f"{word} - {why}" if why else word


def because(outcome: Outcome) -> str:
    """Why, for people: the first problem of a refused file, else the reason without its stable word."""
    if outcome.errors:
        first = outcome.errors[0]
        place = f"line {first['line']}: " if first.get("line") else ""
        more = f" (and {len(outcome.errors) - 1} more)" if len(outcome.errors) > 1 else ""
        return printable(f"{place}{first.get('message', '')}{more}")
    word, _, rest = (outcome.reason or "").partition(": ")
    return printable(rest or word)


def retrying(event: TaskRetrying) -> str:
    """`FAILED - step 0 (bash) exited with 3; attempt 2 of 4 at 2026-01-31T12:00:00Z`."""
    word, _, rest = (event.reason or "").partition(": ")
    why = f" - {printable(rest or word)}" if word else ""
    return f"{event.status.upper()}{why}; attempt {event.attempt} of {event.of} at {to_second(event.at)}"


def advice(outcome: Outcome) -> str | None:
    """What a person could do next, where there is something to do."""
    return _NEXT.get((outcome.reason or "").partition(":")[0]) or _NEXT.get(outcome.status)


def duration(ms: float) -> str:
    """`12 ms`, `3.4 s`, `5m 10s`, `2h 03m`."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.1f} s"
    minutes, seconds = divmod(int(ms / 1_000), 60)
    return f"{minutes}m {seconds:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def step_ending(step: StepResult) -> str:
    """How a step ended, and how long it took: `exited with 0 (12 ms)`."""
    if step.status == "skipped":
        return "skipped"
    if step.status == "timed_out":
        how = "ran into its timeout"
    elif step.code is None:
        how = step.error or step.status.replace("_", " ")
    elif step.code < 0:
        how = f"was killed by signal {-step.code}"
    else:
        how = f"exited with {step.code}"
    return f"{printable(how)} ({duration(step.duration_ms)})"
