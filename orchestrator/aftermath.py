"""What a start makes of what a dead daemon left, beside the queue itself: it is put right, and then it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator import approvals
from orchestrator.bus import Bus
from orchestrator.coding.change import settle
from orchestrator.event import Notice, to_second
from orchestrator.home import Home
from orchestrator.insights.telemetry import ended_lately
from orchestrator.journal.recovery import Recovered, left_of
from orchestrator.scheduler.ends import Ends


def undo_unverified(home: Home, recovered: Recovered) -> list[str]:
    """Before anything else may read it: no file stays that a model wrote and whose test a dead daemon never saw end."""
    return [sentence for left in recovered.left for sentence in settle(home, left.folder)]


def tell_recovery(bus: Bus, recovered: Recovered, swept: int, undone: Sequence[str]) -> None:
    """`swept` is how many processes were killed, `undone` what was said of files that were put back."""
    for sentence in undone:
        bus.emit(Notice(level="warning", message=sentence))
    if swept:
        bus.emit(Notice(level="warning", message=f"killed {swept} processes that a dead daemon had left"))
    if len(recovered) or recovered.torn_lines:
        bus.emit(
            Notice(
                level="warning",
                message=(
                    f"recovered: {len(recovered.requeued)} back to inbox, {len(recovered.going_on)} go on, "
                    f"{len(recovered.left) - len(recovered.going_on) + len(recovered.ended)} had ended or end here"
                ),
                details={"go_on": [left.told.id for left in recovered.going_on[:100]]},
            )
        )


async def tell_ends(home: Home, ends: Ends, recovered: Recovered) -> None:
    """A crash may have come between the ends of tasks and the news of them; what telemetry has is not told again, but
    to the outbox of notifications, which knows by itself what it has had."""
    told = await asyncio.to_thread(ended_lately, home) if recovered.over else set()
    for left in [left_of(home, run) for run in recovered.over]:
        if left.outcome is not None:
            ends.tell(left.outcome, left.task, only="notify" if (left.told.id, left.told.run) in told else "")
    for outcome in recovered.ended:
        ends.tell(outcome)


def tend_approvals(bus: Bus, home: Home) -> None:
    """Remove answers that have expired and that no task can meet any more; what is no answer a person must see to."""
    for answer in approvals.remove_expired(home):
        message = f"{answer.called} for {answer.id} expired unused at {to_second(answer.until)}: removed"
        bus.emit(Notice(level="info", message=message, details={"id": answer.id}))
    for path in approvals.unreadable(home):
        message = f"{path} is no approval, or could have been written by someone else: it counts for nothing, remove it"
        bus.emit(Notice(level="warning", message=message))
