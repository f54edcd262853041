"""What comes into inbox: looked at as soon as someone hints at it, and all of it again every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from time import monotonic

from orchestrator.execution.prepare import Tools
from orchestrator.outcome import Outcome
from orchestrator.scheduler.inbox import Bad, Good, Lain, Later, examine_aside
from orchestrator.scheduler.unpacking import Several
from orchestrator.spool import names
from orchestrator.spool.queue import Spool

BURST_S = 0.005  # so long the loop looks at files in one go, whoever has brought how many
OFTEN = 100
SHORTAGE_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A look that is going on: the names that it has yet to come to."""

    ahead: set[str]
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Arrivals:
    """Reads each new name once and hands it on: a good task, a bad file, a request to cancel.

    `patience_s` ends the wait for a writer that never closes its file (None: wait for ever).
    """

    def __init__(
        self,
        spool: Spool,
        tools: Callable[[], Tools],
        *,
        known: Callable[[], Iterable[str]],
        accept: Callable[[Good], None],
        refuse: Callable[[str, Outcome], None],
        unpack: Callable[[Several], None],
        forget: Callable[[str], object],
        pause: Callable[[list[str]], None],
        cancel: Callable[[str], None],
        retry: Callable[[str], None],
        give_up: Callable[[str], None],
        again: Callable[[set[str]], None],
        unread: Callable[[str, OSError], None],
        between: Callable[[], None],
        patience_s: float | None = None,
    ) -> None:
        self._spool = spool
        self._tools = tools
        self._known = known
        self._accept = accept
        self._refuse = refuse
        self._unpack = unpack
        self._forget = forget
        self._pause = pause
        self._cancel = cancel
        self._retry = retry
        self._give_up = give_up
        self._again = again
        self._unread = unread
        self._between = between
        self._patience_s = patience_s
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._in_hand: set[str] = set()
        self._looks: set[_Look] = set()
        self._waited: dict[str, float] = {}
        self._lain: dict[str, Lain] = {}
        self._turn = asyncio.Lock()
        self._until = 0.0
        self._closed = False
        self._loop = asyncio.get_running_loop()

    @property
    def unsettled(self) -> int:
        """How many files may still be being written."""
        return len(self._timers)

    async def scan(self) -> None:
        """List inbox and look at what is new, and at what seems gone: it may have come while the list was made. What
        others look at in a moment is left to them: a burst may take longer to read than the time between two scans."""
        listed = set(await asyncio.to_thread(self._spool.waiting_names))
        others = list(self._looks)
        await self.look(listed.symmetric_difference(self._known()).difference(*(other.ahead for other in others)))
        for other in others:
            await other.over.wait()

    def is_undecided(self, target: str) -> bool:
        """Whether a file under this name is not judged yet."""
        undecided = (self._timers, self._in_hand, *(look.ahead for look in self._looks))
        return any(target + suffix in some for suffix in ("", *names.SPEC_SUFFIXES) for some in undecided)

    async def look(self, changed: Collection[str]) -> None:
        """Look at these names, specs before the requests about them, but what pauses or resumes before all. Among many,
        `between` is called now and then."""
        if asked := [name for name in changed if name.endswith((names.PAUSE_SUFFIX, names.RESUME_SUFFIX))]:
            self._pause(asked)
        look = _Look(set(changed))
        self._looks.add(look)
        try:
            await self._look_at(changed, look)
        finally:
            self._looks.discard(look)
            look.over.set()

    async def _look_at(self, changed: Collection[str], look: _Look) -> None:
        requests = []
        for count, name in enumerate(changed, 1):
            if self._closed:
                return
            if not name or names.is_temporary(name):
                continue
            if name.endswith((names.CANCEL_SUFFIX, names.RETRY_SUFFIX)):
                requests.append(name)
            elif name.endswith(names.REQUEST_SUFFIXES):
                continue
            else:
                await self._pace()
                look.ahead.discard(name)
                await self._examine(name)
            if count % OFTEN == 0:
                self._between()
        for name in requests:
            (self._retry if name.endswith(names.RETRY_SUFFIX) else self._cancel)(name)

    async def _pace(self) -> None:
        """A burst, or many at once, must not keep what runs from being looked after."""
        if monotonic() < self._until:
            return
        async with self._turn:  # one after another, first come
            await asyncio.sleep(0)
            self._until = monotonic() + BURST_S

    def close(self) -> None:
        """Look at nothing more; what is there stays in inbox."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _examine(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        self._in_hand.add(name)
        try:
            seen = await examine_aside(self._spool.home.inbox, name, self._tools(), self._lain.get(name))
        except OSError as error:  # no file descriptors left, or a bad disk: the file is not to blame
            self._unread(name, error)
            seen = Later(SHORTAGE_S)
        finally:
            self._in_hand.discard(name)
        if isinstance(seen, Later):
            self._remember(name, seen)
            self._look_again(name, seen.seconds)
            return
        self._lain.pop(name, None)
        self._waited.pop(name, None)
        if isinstance(seen, Good):
            self._accept(seen)
        elif isinstance(seen, Bad):
            self._refuse(name, seen.outcome)
        elif isinstance(seen, Several):
            self._unpack(seen)
        else:
            self._forget(name)

    def _remember(self, name: str, seen: Later) -> None:
        known = self._lain.get(name)
        if seen.signature is None:
            self._lain.pop(name, None)
        elif known is None or known.signature != seen.signature:
            self._lain[name] = Lain(seen.signature, monotonic())

    def _look_again(self, name: str, seconds: float) -> None:
        waited = self._waited.get(name, 0.0)
        if self._patience_s is not None and waited > self._patience_s:
            self._give_up(name)
            return
        self._waited[name] = waited + seconds
        self._timers[name] = self._loop.call_later(seconds + 0.01, self._due, name)

    def _due(self, name: str) -> None:
        self._timers.pop(name, None)
        self._again({name})
