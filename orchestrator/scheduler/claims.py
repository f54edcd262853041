"""From a spec that waits to a claimed run. What goes wrong on the way costs the spec its turn, never its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orchestrator.bus import Bus
from orchestrator.errors import is_shortage
from orchestrator.event import Notice
from orchestrator.execution.prepare import Tools
from orchestrator.execution.taken_up import take_up
from orchestrator.journal.ledger import Changed, Ledger, Run
from orchestrator.outcome import Outcome
from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.scheduler.ends import Ends
from orchestrator.scheduler.inbox import Bad, Good, Seen, examine
from orchestrator.scheduler.shortage import Shortage
from orchestrator.spool import names
from orchestrator.spool.queue import Spool


class Claims:
    """`look` has these names of inbox looked at again; `refuse` takes what has become no task."""

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        backlog: Backlog,
        ends: Ends,
        shortage: Shortage,
        bus: Bus,
        tools: Callable[[], Tools],
        look: Callable[[set[str]], None],
        refuse: Callable[[str, Outcome], None],
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._backlog = backlog
        self._ends = ends
        self._shortage = shortage
        self._bus = bus
        self._tools = tools
        self._look = look
        self._refuse = refuse

    def ready(self, waiting: Waiting) -> Ready | None:
        """What it takes to run it: as prepared when it came, or read again; None if the file is no longer that task."""
        ready = self._backlog.take_ready(waiting)
        try:
            if ready is not None and ready.prepared.tools is not self._tools():  # the configuration was read again
                ready = self._anew(waiting, ready)
            return self._read_again(waiting) if ready is None else ready
        except OSError as error:
            self._put_back(waiting, error)
            return None

    async def weighed_again(self, waiting: Waiting, ready: Ready) -> Ready | None:
        """The same, with what a person said weighed right before the claim: it may have expired, or a script may have
        changed, since it came."""
        if ready.prepared.answer is None:
            return ready
        try:
            return await asyncio.to_thread(self._anew, waiting, ready)
        except OSError as error:
            self._put_back(waiting, error)
            return None

    async def begin(self, waiting: Waiting, ready: Ready, *, starts: bool) -> Run | None:
        """Claim it, durably; None where that did not come to be: it is looked at again, if it is still there."""
        try:
            return await self._ledger.begin(
                waiting.name,
                waiting.signature,
                waiting.id,
                ready.spec,
                waiting.sha256,
                starts=starts,
                answer=ready.prepared.answer,
                carried=ready.prepared.carried,
                past=ready.prepared.past,
                key=ready.prepared.task.idempotency_key,
                sandbox=self._tools().wall.level,
            )
        except FileNotFoundError:
            return None  # a person took it out of inbox before its turn
        except Changed:
            self._look({waiting.name})
        except FileExistsError:
            self._say("warning", f"running/ holds another {waiting.name}, which this daemon does not run")
            self._clear_running(waiting.name)
        except OSError as error:
            if is_shortage(error):
                self._put_back(waiting, error)
            else:  # it stays in inbox, and is tried again when that is listed
                self._say("error", f"{waiting.name} can't be taken from inbox: {error.strerror or error}")
        return None

    def fetch_strays(self) -> None:
        """A claim that was given up may have found no way back from running/ to inbox."""
        try:
            for name in self._spool.running_names():
                if not self._backlog.is_busy(names.stem_of(name)):
                    self._clear_running(name)
        except OSError as error:
            self._shortage.met(error)

    def _read_again(self, waiting: Waiting) -> Ready | None:
        seen: Seen = examine(self._spool.home.inbox, waiting.name, self._tools())
        if isinstance(seen, Good) and seen.waiting.id == waiting.id:
            waiting.signature, waiting.sha256 = seen.waiting.signature, seen.waiting.sha256
            return seen.ready
        if isinstance(seen, Bad):
            self._refuse(waiting.name, seen.outcome)
        else:
            self._look({waiting.name})
        return None

    def _anew(self, waiting: Waiting, ready: Ready) -> Ready:
        task = ready.prepared.spec
        return Ready(take_up(task, self._tools(), waiting.name, waiting.signature, waiting.sha256), ready.spec)

    def _put_back(self, waiting: Waiting, error: OSError) -> None:
        """It can't be judged, or not be claimed, at present: it waits in inbox, as if it had just come."""
        self._shortage.met(error)
        self._look({waiting.name})

    def _clear_running(self, name: str) -> None:
        if (outcome := self._ledger.clear_running(name)) is not None:
            self._ends.tell(outcome)
        self._look({name})

    def _say(self, level: str, message: str) -> None:
        self._bus.emit(Notice(level=level, message=message))  # type: ignore[arg-type]
