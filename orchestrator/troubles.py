"""What is wrong with the machine just now: said once, again every minute, and when it is over.

For what lasts and is met again and again (a full disk, a watch that the kernel does not give): a line for each time
would bury the log. Whoever meets it tries again before long; so what is met no more is over. `publish` is told all of
it at each change, so that `doctor` can say it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.bus import Bus
from orchestrator.event import Notice

Level = Literal["info", "warning", "error"]

SAY_AGAIN_S = 60.0
LASTS_S = 2.5  # most try again every second
_LONGEST = 300  # characters of a sentence that is published


@dataclass(slots=True)
class _Trouble:
    sentence: str
    said: dict[str, float] = field(default_factory=dict)
    """When each sentence about it was last said."""
    end: asyncio.TimerHandle | None = field(default=None, repr=False)


class Troubles:
    """Used in the event loop alone. A trouble has a short name, which is its place."""

    def __init__(self, bus: Bus, publish: Callable[[Mapping[str, str]], None] | None = None) -> None:
        self._bus = bus
        self._publish = publish
        self._known: dict[str, _Trouble] = {}

    def meet(
        self,
        name: str,
        sentence: str,
        afterwards: str,
        *,
        lasts_s: float = LASTS_S,
        level: Level = "error",
        over: Callable[[], None] | None = None,
    ) -> None:
        """It is there, or still there. Not met for `lasts_s` seconds it is over: then `afterwards` is said, and `over`
        is called."""
        loop = asyncio.get_running_loop()
        trouble = self._known.setdefault(name, _Trouble(""))
        if trouble.end is not None:
            trouble.end.cancel()
        trouble.end = loop.call_later(lasts_s, self._end, name, afterwards, over)
        if loop.time() - trouble.said.get(sentence, float("-inf")) >= SAY_AGAIN_S:
            trouble.said[sentence] = loop.time()
            self._say(level, sentence, name)
        if trouble.sentence != sentence[:_LONGEST]:
            trouble.sentence = sentence[:_LONGEST]
            self._tell()

    def close(self) -> None:
        """Nothing more is said."""
        for trouble in self._known.values():
            if trouble.end is not None:
                trouble.end.cancel()

    def _end(self, name: str, afterwards: str, over: Callable[[], None] | None) -> None:
        del self._known[name]
        self._say("info", afterwards, name)
        self._tell()
        if over is not None:
            over()

    def _say(self, level: Level, sentence: str, name: str) -> None:
        self._bus.emit(Notice(level=level, message=sentence, trouble=name))

    def _tell(self) -> None:
        if self._publish is not None:
            self._publish({name: trouble.sentence for name, trouble in self._known.items()})
