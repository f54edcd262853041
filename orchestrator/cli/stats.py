"""`stats`: the last days in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import house
from orchestrator.cli.display import duration, paint, printable, say, say_json, table

if TYPE_CHECKING:
    from orchestrator.insights.shares import Part, Share
    from orchestrator.insights.stats import Stats


_NAMED = 5


def stats_(
    ctx: typer.Context,
    days: Annotated[float, typer.Option(min=0.001, max=36_600, metavar="N", help="So many days back.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Counts, success rate, durations and frequent failures of the last days, from telemetry.

    \b
    Example:
      orchestrator stats --days 30
    """
    home = house.opened(ctx)
    from orchestrator.insights.stats import stats

    found = stats(home, days)
    if as_json:
        say_json(found)
    else:
        _print(found)


def _of_share(share: Share) -> list[str]:
    return [share.name, share.kind, f"{share.used}/{share.size}", _parts(share.holders), _parts(share.waiting)]


def _parts(parts: list[Part]) -> str:
    """`train 2, render`: who, and how many slots where it is more than one."""
    shown = [part.task if part.slots == 1 else f"{part.task} {part.slots}" for part in parts[:_NAMED]]
    more = len(parts) - _NAMED
    return (", ".join(shown) + (f", and {more:,} more" if more > 0 else "")) or "-"


def _print(found: Stats) -> None:
    rate = "-" if found.success_rate is None else f"{found.success_rate:.1%}"
    if found.finished:
        say(f"The last {found.days:g} days, tasks that ended: {found.finished:,}; of those that started, ok: {rate}")
        say("  " + ", ".join(f"{paint(status)} {count:,}" for status, count in found.by_status.items()))
    else:
        say(f"The last {found.days:g} days: no task ended")
    if found.p50_ms is not None:
        say(f"  half took at most {duration(found.p50_ms)}, 95 % at most {duration(found.p95_ms)}")
    say("In the queue now: " + ", ".join(f"{state} {count:,}" for state, count in found.queue.items()))
    for pause in found.paused:
        say(f"Now {printable(pause.sentence())}")
    if found.shares:
        say()
        table(("SHARED", "KIND", "USED", "HELD BY", "WAITING"), [_of_share(share) for share in found.shares])
    if found.skills:
        say()
        rows = [
            [name, f"{skill.steps:,}", f"{skill.failed:,}", duration(skill.p50_ms), duration(skill.p95_ms)]
            for name, skill in found.skills.items()
        ]
        table(("SKILL", "STEPS", "FAILED", "P50", "P95"), rows)
    if found.failures:
        say("\nWhat went wrong most often:")
        for reason, count in found.failures:
            say(f"  {count:>5}  {printable(reason)}")
    for sink, count in found.dropped.items():
        say(f"{count:,} events were dropped by {sink}")
    if found.torn:
        say(f"{found.torn:,} telemetry lines could not be read")
