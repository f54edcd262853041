"""What a dead daemon had begun, as the scheduler takes it up: busy at once, judged again before it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from orchestrator.execution import outcomes
from orchestrator.execution.answered import answered_before
from orchestrator.execution.place import left_in_place
from orchestrator.execution.prepare import Prepared, Tools, prepare
from orchestrator.home import Home
from orchestrator.journal.ledger import Run
from orchestrator.journal.past import place
from orchestrator.journal.recovery import Left, interrupted
from orchestrator.outcome import Outcome
from orchestrator.scheduler.backlog import Waiting
from orchestrator.spool import names


@dataclass(frozen=True, slots=True)
class Leftover:
    """One run that a dead daemon left, with what stands for it among those that wait."""

    left: Left
    run: Run
    waiting: Waiting

    def judged_again(self, tools: Tools) -> Prepared | Outcome:
        """The task as it may go on now, or its end where the gate no longer lets it. Reads files."""
        left = self.left
        if left.task is None:
            return interrupted(left, "its spec can't be read any more")
        prepared = replace(answered_before(prepare(left.task, tools), left.folder), past=left.past)
        refused = outcomes.refusal_of(prepared)
        if refused is None:
            return prepared
        return left_in_place(tools.home, left.task, interrupted(left, f"it may not go on ({refused.reason})"))

    def told(self) -> str:
        """What is said when it goes on."""
        where = place(self.left.task, self.left.past.step) if self.left.task else "its end"
        return f"{self.run.id} goes on with {where}: the daemon that had begun it ended before"


def leftovers(home: Home, left: Iterable[Left], taken: Iterable[Run]) -> Iterator[Leftover]:
    """What recovery found, with the runs that the ledger made of it."""
    now = time.monotonic()
    for each, run in zip(left, taken, strict=True):
        priority = each.task.priority if each.task else "medium"
        waiting = Waiting(run.name, names.stem_of(run.name), run.id, priority, now, (0, 0, 0), each.told.sha256)
        if each.task:
            waiting.resources, waiting.skills, waiting.labels = each.task.resources, each.task.skills, each.task.labels
        if each.outcome is not None and each.told.result is None:
            each = replace(each, outcome=left_in_place(home, each.task, each.outcome))
        yield Leftover(each, run, waiting)
