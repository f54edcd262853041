"""Pause and resume: what a request asks for counts at once, is made durable, and only then is the request removed.

Paused means that nothing new is started; what runs goes on, also what a dead daemon had begun.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Literal

from orchestrator import pauses
from orchestrator.bus import Bus
from orchestrator.event import Notice, utc_now
from orchestrator.outcome import Hold
from orchestrator.pauses import ALL, Pause, Request
from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.spool import names
from orchestrator.spool.queue import Spool
from orchestrator.troubles import Troubles

_LOOK_S = 30.0  # the wall clock may be set, and a machine that slept does not count


class Pausing:
    """Keeps waiting tasks from starting. `do` looks after a job, `go_on` is called when something may start again."""

    def __init__(
        self,
        spool: Spool,
        backlog: Backlog,
        bus: Bus,
        troubles: Troubles,
        do: Callable[[Coroutine[None, None, None]], None],
        go_on: Callable[[], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._home = spool.home
        self._backlog = backlog
        self._bus = bus
        self._troubles = troubles
        self._do = do
        self._go_on = go_on
        self._now = now
        self._paused: dict[str, Pause] = {}
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def everything(self) -> bool:
        return ALL in self._paused

    @property
    def in_short(self) -> str:
        """What is paused, for a status line; empty if nothing is."""
        return f"paused: {', '.join(map(names.readable, self._paused))}" if self._paused else ""

    def begin(self) -> None:
        """Take up what stands, and the requests that came while no daemon ran, before anything is started."""
        try:
            self._paused = pauses.read(self._home)
        except ValueError as error:
            self._paused = {ALL: Pause(ALL, utc_now(self._now()))}
            self._say("error", f"{error}: nothing is started until `orchestrator resume`")
        self.ask(self._spool.waiting_names(), quietly=True)
        self._wind()
        for pause in self._paused.values():
            how = "" if pause.what == ALL else f" --label {names.readable(pause.what)}"
            self._say("warning", f"{pause.sentence()}: `orchestrator resume{how}` lets them start")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def stops(self, waiting: Waiting) -> bool:
        """Whether it must not start at present."""
        return bool(self._paused) and any(pause.covers(waiting.labels) for pause in self._paused.values())

    def keep(self, waiting: Waiting) -> None:
        """Hold a task that is new here back, if one of its labels is paused."""
        if self._paused and (hold := self._hold(waiting)) is not None:
            waiting.holds = (*waiting.holds, hold)

    def put_back(self, waiting: Waiting, ready: Ready) -> None:
        """It was taken out to start, and must not: it waits on, unless another version of it waits already."""
        if waiting.name not in self._backlog:
            again = replace(waiting, withdrawn=False)
            self.keep(again)
            self._backlog.add(again, ready)

    def ask(self, found: list[str], *, quietly: bool = False) -> None:
        """Fulfil the requests among these names of inbox."""
        requests = pauses.in_order(self._home, found)
        for request in requests:
            self._paused = pauses.after(self._paused, request)
        for pause in [pause for pause in self._paused.values() if pause.left_s(self._now()) == 0]:
            del self._paused[pause.what]
        if requests:
            self._changed()
            self._do(self._settle(requests, quietly))
        for name in set(found).difference(request.name for request in requests):
            if name.endswith((names.PAUSE_SUFFIX, names.RESUME_SUFFIX)) and not names.is_temporary(name):
                self._refuse(name)

    async def _settle(self, requests: list[Request], quietly: bool) -> None:
        """Of a request that can't be fulfilled durably at present the file stays, and is looked at again."""
        async with self._turn:
            if not await self._written():
                return
            for request in requests:
                if pauses.still_there(self._home, request):
                    self._spool.remove_request(request.name)
                    if not quietly:
                        self._say("info", self._told(request))

    def _told(self, request: Request) -> str:
        if (pause := self._paused.get(request.what)) is not None:
            return pause.sentence()
        what = "everything" if request.what == ALL else f"tasks with {names.readable(request.what)}"
        return f"{what} may start again"

    def _refuse(self, name: str) -> None:
        self._say("warning", f"{names.readable(name)} asks for nothing: all.pause, KEY=VALUE.pause, and .resume do")
        self._spool.remove_request(name)

    async def _written(self) -> bool:
        try:
            await asyncio.to_thread(pauses.write, self._home, list(self._paused.values()))
        except OSError as error:
            sentence = f"what is paused can't be written down: {error.strerror or error}"
            self._troubles.meet("pauses", sentence, "what is paused is written down")
            return False
        return True

    def _changed(self) -> None:
        for waiting in self._backlog:
            hold = None if waiting.ending is not None else self._hold(waiting)
            if hold is not None:
                self._backlog.hold(waiting, hold)
            elif any(other.kind == "paused" for other in waiting.holds):
                self._backlog.release(waiting, "paused")
        self._wind()
        self._go_on()

    def _hold(self, waiting: Waiting) -> Hold | None:
        for pause in self._paused.values():
            if pause.what != ALL and pause.covers(waiting.labels):
                return Hold("paused", f"paused ({names.readable(pause.what)})")
        return None

    def _wind(self) -> None:
        self.close()
        left = [left for pause in self._paused.values() if (left := pause.left_s(self._now())) is not None]
        if left:
            self._timer = asyncio.get_running_loop().call_later(min([*left, _LOOK_S]), self._ring)

    def _ring(self) -> None:
        over = [pause for pause in self._paused.values() if pause.left_s(self._now()) == 0]
        for pause in over:
            del self._paused[pause.what]
            self._say("info", f"{pause.sentence()}: that is over")
        self._changed()
        if over:
            self._do(self._forget())

    async def _forget(self) -> None:
        async with self._turn:
            await self._written()  # else the next start finds it, and that it is over

    def _say(self, level: Literal["info", "warning", "error"], message: str) -> None:
        self._bus.emit(Notice(level=level, message=message))
