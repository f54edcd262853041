"""What waits, in the order in which it will run. Pure: knows names and times, no files.

Urgent first, first come within a priority, and ageing: each priority level is worth `ageing` seconds of waiting, so
a low task that has waited three times that long overtakes an urgent one that has just come. Because all age alike,
the order between two tasks never changes while they wait, and a heap is enough. A task whose turn has come, and whose
resources have not, waits for them in `pools`, in the same order.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.execution.outcomes import Ending
from orchestrator.execution.prepare import Prepared
from orchestrator.outcome import Hold, HoldKind
from orchestrator.pools import NOTHING, Pools, Wants, wants_of
from orchestrator.spec import LEVEL
from orchestrator.spool.reading import Signature

KEPT_PREPARED = 1_000
UNLABELLED: Mapping[str, str] = {}  # one for all of them: many may wait


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
    resources: Wants = field(default_factory=lambda: NOTHING)
    skills: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: UNLABELLED)
    withdrawn: bool = False
    ending: Ending | None = None
    """How it ends at its turn, unrun."""
    holds: tuple[Hold, ...] = ()
    """Why it may not start yet, one of a kind at most: while there is one, it has no place in the order."""
    queued: bool = False
    """Whether it has a place in the order."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A waiting spec with what it takes to run it: the prepared task and the bytes for the run's folder."""

    prepared: Prepared
    spec: bytes


class Backlog:
    """All waiting tasks. One whose id or name is busy waits until that is free again; one that is held, until no hold
    is left on it; one whose resources are not free, until they are its own."""

    def __init__(self, ageing_s: float, sizes: Mapping[str, int] = NOTHING) -> None:
        self._ageing_s = ageing_s
        self._pools: Pools[Waiting] = Pools(sizes)
        self._heap: list[tuple[float, int, Waiting]] = []
        self._tie = itertools.count()
        self._by_name: dict[str, Waiting] = {}
        self._held: dict[str, list[Waiting]] = {}
        self._busy: set[str] = set()
        self._kept_back = 0
        self._ready: OrderedDict[str, Ready] = OrderedDict()
        self._waiting_ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._by_name.values())

    def names(self) -> Iterable[str]:
        return self._by_name.keys()

    @property
    def startable(self) -> int:
        """How many will start as soon as there is room for them, or when a retry's delay is over."""
        return len(self._by_name) - self._kept_back

    def kept_back(self) -> Iterator[Waiting]:
        """All that wait for something else than room, in the order in which they came."""
        return (waiting for waiting in self._by_name.values() if _is_kept_back(waiting))

    def use(self, ageing_s: float, sizes: Mapping[str, int]) -> None:
        """What a priority level is worth from now on, in seconds of waiting, and how many slots there are of what."""
        if (ageing_s, sizes) != (self._ageing_s, self._pools.sizes):
            self._ageing_s = ageing_s
            for _, _, waiting in self._heap:
                waiting.queued = False
            ordered = [waiting for _, _, waiting in sorted(self._heap, key=lambda item: item[1])]
            self._heap = []
            for waiting in [*self._pools.resize(sizes), *ordered]:
                self._push(waiting)

    def add(self, waiting: Waiting, ready: Ready) -> Waiting | None:
        """A new one, or a new version of one that waited under this name, which is returned."""
        earlier = self.remove(waiting.name)
        self._by_name[waiting.name] = waiting
        self._waiting_ids[waiting.id] = self._waiting_ids.get(waiting.id, 0) + 1
        self._kept_back += _is_kept_back(waiting)
        # Beyond so many a spec is read again when its turn comes; so is one that is held back, for then it may mean
        # something else.
        if len(self._ready) < KEPT_PREPARED and not waiting.holds:
            self._ready[waiting.name] = ready
        self._push(waiting)
        return earlier

    def hold(self, waiting: Waiting, hold: Hold) -> None:
        """Keep it back until `release`; a hold of this kind that it has already gives way."""
        self._set_holds(waiting, (*(other for other in waiting.holds if other.kind != hold.kind), hold))
        self._pools.leave(waiting)

    def release(self, waiting: Waiting, *kinds: HoldKind) -> None:
        """Nothing of these kinds keeps it back any more; without kinds, nothing at all."""
        self._set_holds(waiting, tuple(hold for hold in waiting.holds if kinds and hold.kind not in kinds))
        if not waiting.withdrawn:
            self._push(waiting)

    def _set_holds(self, waiting: Waiting, holds: tuple[Hold, ...]) -> None:
        counts = self._by_name.get(waiting.name) is waiting
        self._kept_back -= counts and _is_kept_back(waiting)
        waiting.holds = holds
        self._kept_back += counts and _is_kept_back(waiting)

    def remove(self, name: str) -> Waiting | None:
        """It is gone from inbox, or about to be."""
        waiting = self._by_name.pop(name, None)
        self._ready.pop(name, None)
        if waiting is not None:
            self._leave(waiting)
            self._pools.leave(waiting)
        return waiting

    def _leave(self, waiting: Waiting) -> None:
        waiting.withdrawn = True
        self._kept_back -= _is_kept_back(waiting)
        if self._waiting_ids[waiting.id] == 1:
            del self._waiting_ids[waiting.id]
        else:
            self._waiting_ids[waiting.id] -= 1

    def take_ready(self, waiting: Waiting) -> Ready | None:
        """What was prepared for it, once; None if it must be read again."""
        return self._ready.pop(waiting.name, None)

    def pop(self) -> Waiting | None:
        """The next one to run, taken out; its id and name are busy until `free`, its resources until `give_back`."""
        for called in self._pools.called():
            self._push(called)
        while self._heap:
            _, _, waiting = heapq.heappop(self._heap)
            waiting.queued = False
            if waiting.withdrawn or waiting.holds:
                continue
            blocker = next((key for key in _keys(waiting) if key in self._busy), None)
            if blocker is not None:
                self._held.setdefault(blocker, []).append(waiting)
                self._pools.leave(waiting)
                continue
            wants = self._wants(waiting)
            if wants and not self._pools.start(waiting, self._order(waiting), wants):
                continue
            del self._by_name[waiting.name]
            self._leave(waiting)
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

    def hold_slots(self, waiting: Waiting) -> None:
        """What such a one asks for is its own until `give_back`, whether or not there is so much."""
        self._pools.hold(waiting, self._wants(waiting))

    def give_back(self, waiting: Waiting) -> None:
        """It runs no more: whoever waited for its resources may have them."""
        self._pools.give_back(waiting)

    def ids(self) -> set[str]:
        """The ids of all tasks that wait or are not concluded."""
        return {waiting.id for waiting in self._by_name.values()} | {key[3:] for key in self._busy if key[:3] == "id:"}

    def waits(self, task_id: str) -> bool:
        """Whether a task of this id waits."""
        return task_id in self._waiting_ids

    def runs(self, task_id: str) -> bool:
        """Whether a run of this id is not concluded."""
        return f"id:{task_id}" in self._busy

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
        if waiting.holds or waiting.queued:
            return
        waiting.queued = True
        heapq.heappush(self._heap, (self._order(waiting), next(self._tie), waiting))

    def _order(self, waiting: Waiting) -> float:
        return waiting.arrived - LEVEL[waiting.priority] * self._ageing_s

    def _wants(self, waiting: Waiting) -> Wants:
        if waiting.ending is not None:  # it will not run
            return NOTHING
        return wants_of(waiting.resources, waiting.skills, self._pools.sizes)


def _is_kept_back(waiting: Waiting) -> bool:
    """Whether it waits for what only others, or a time that it named, can bring. A retry comes by itself."""
    return any(hold.kind not in ("retry", "resources") for hold in waiting.holds)


def _keys(waiting: Waiting) -> tuple[str, str]:
    return f"id:{waiting.id}", f"name:{waiting.stem}"
