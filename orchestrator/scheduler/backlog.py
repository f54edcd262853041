"""What waits, in the order in which it will run. Pure: knows names and times, no files.

Urgent first, first come within a priority, and ageing: each priority level is worth `ageing` seconds of waiting, so
a low task that has waited three times that long overtakes an urgent one that has just come. Because all age alike,
the order between two tasks never changes while they wait, and a heap is enough.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.execution.prepare import Prepared
from orchestrator.spool.reading import Signature

LEVEL = {"low": 0, "medium": 1, "high": 2, "urgent": 3}
KEPT_PREPARED = 1_000


@dataclass(slots=True, eq=False)
class Waiting:
    """A spec in inbox that was read and found good. `arrived` is in seconds of the monotonic clock."""

    name: str
    stem: str
    id: str
    priority: str
    arrived: float
    signature: Signature
    sha256: str
    withdrawn: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """A waiting spec with what it takes to run it: the prepared task and the bytes for the run's folder."""

    prepared: Prepared
    spec: bytes


class Backlog:
    """All waiting tasks. A task whose id or name is busy is held until that is free again."""

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._heap: list[tuple[float, int, Waiting]] = []
        self._tie = itertools.count()
        self._by_name: dict[str, Waiting] = {}
        self._held: dict[str, list[Waiting]] = {}
        self._busy: set[str] = set()
        self._ready: OrderedDict[str, Ready] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def names(self) -> Iterable[str]:
        return self._by_name.keys()

    def age(self, ageing_s: float) -> None:
        """What a priority level is worth from now on, in seconds of waiting."""
        if ageing_s != self._ageing_s:
            self._ageing_s = ageing_s
            heap, self._heap = self._heap, []
            for _, _, waiting in sorted(heap, key=lambda item: item[1]):
                self._push(waiting)

    def add(self, waiting: Waiting, ready: Ready) -> None:
        """A new one, or a new version of one that waited under this name."""
        self.remove(waiting.name)
        self._by_name[waiting.name] = waiting
        if len(self._ready) < KEPT_PREPARED:  # beyond that a spec is read again when its turn comes
            self._ready[waiting.name] = ready
        self._push(waiting)

    def remove(self, name: str) -> Waiting | None:
        """It is gone from inbox, or about to be."""
        waiting = self._by_name.pop(name, None)
        self._ready.pop(name, None)
        if waiting is not None:
            waiting.withdrawn = True
        return waiting

    def take_ready(self, waiting: Waiting) -> Ready | None:
        """What was prepared for it, once; None if it must be read again."""
        return self._ready.pop(waiting.name, None)

    def pop(self) -> Waiting | None:
        """The next one to run, taken out; its id and name are busy until `free`."""
        while self._heap:
            _, _, waiting = heapq.heappop(self._heap)
            if waiting.withdrawn:
                continue
            blocker = next((key for key in _keys(waiting) if key in self._busy), None)
            if blocker is not None:
                self._held.setdefault(blocker, []).append(waiting)
                continue
            del self._by_name[waiting.name]
            waiting.withdrawn = True
            self._busy.update(_keys(waiting))
            return waiting
        return None

    def take(self, waiting: Waiting) -> bool:
        """Take out this one, whatever its place; False if its id or name is busy, or it is gone already."""
        keys = _keys(waiting)
        if waiting.withdrawn or self._by_name.get(waiting.name) is not waiting or not self._busy.isdisjoint(keys):
            return False
        self.remove(waiting.name)
        self._busy.update(keys)
        return True

    def occupy(self, waiting: Waiting) -> None:
        """Its id and name are busy until `free`, though it never waited here: a dead daemon had begun it."""
        self._busy.update(_keys(waiting))

    def ids(self) -> set[str]:
        """The ids of all tasks that wait or are not concluded."""
        return {waiting.id for waiting in self._by_name.values()} | {key[3:] for key in self._busy if key[:3] == "id:"}

    def is_busy(self, stem: str) -> bool:
        """Whether a run of this name is not concluded."""
        return f"name:{stem}" in self._busy

    def free(self, waiting: Waiting) -> None:
        """Its run is over: whoever waited for its id or name may go."""
        for key in _keys(waiting):
            self._busy.discard(key)
            for held in self._held.pop(key, ()):
                if not held.withdrawn:
                    self._push(held)

    def find(self, target: str) -> Iterator[Waiting]:
        """All that wait under an id or a name."""
        return (w for w in self._by_name.values() if target in (w.id, w.stem, w.name))

    def _push(self, waiting: Waiting) -> None:
        order = waiting.arrived - LEVEL[waiting.priority] * self._ageing_s
        heapq.heappush(self._heap, (order, next(self._tie), waiting))


def _keys(waiting: Waiting) -> tuple[str, str]:
    return f"id:{waiting.id}", f"name:{waiting.stem}"
