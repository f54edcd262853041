"""What tasks share: slots of pools, locks, skills that only so many may use at once. Who holds them, who may start.

Pure: knows names, numbers and an order, no files. The rules: a task takes all that it asks for at once, when it starts,
and gives it back when it has ended; so nobody holds one thing while waiting for another, and there is no deadlock. And
nobody overtakes on a resource: of two that ask for the same one, the earlier starts first, even if the later would fit
in before; so nobody starves. Whoever asks for none of it passes.
"""

from __future__ import annotations

import difflib
import heapq
import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Wants = Mapping[str, int]
"""By name, how many slots a task asks for."""
NOTHING: Wants = {}

_SKILL = "skill "  # no pool's name has a space in it
_NEAR = 0.8
_NAMED = 3  # holders that a sentence names

Item = TypeVar("Item", bound=Hashable)


def wants_of(resources: Mapping[str, int], skills: Iterable[str], sizes: Mapping[str, int]) -> Wants:
    """What a task asks for: its resources, and one slot of each of its skills that has a size."""
    if not sizes:
        return resources
    limited = {name: 1 for skill in skills if (name := of_skill(skill)) in sizes}
    return {**resources, **limited} if limited else resources


def of_skill(skill: str) -> str:
    """The name under which a skill's own slots are kept."""
    return _SKILL + skill


def too_much(name: str, number: int, sizes: Mapping[str, int]) -> str:
    """Why a task can never have so many slots, and what to do; empty where it can."""
    size = sizes.get(name, 1)
    if number <= size:
        return ""
    if name in sizes:
        return f"asks for {number}, but the pool has {size}: ask for less, or give it more under [pools] in the config"
    return (
        f"asks for {number}, but there is no pool of this name, so that it is a lock, which one task holds at a time: "
        f"ask for 1, or set its size under [pools] in the config"
    )


def suspicions(resources: Mapping[str, int], sizes: Mapping[str, int]) -> list[str]:
    """What is said about locks whose names are nearly those of pools: they were probably meant."""
    by_folded = {name.lower(): name for name in sizes if not name.startswith(_SKILL)}
    found = []
    for name in resources.keys() - sizes.keys():
        for near in difflib.get_close_matches(name.lower(), by_folded, 1, _NEAR):
            meant = f"did you mean the pool {by_folded[near]!r}?"
            found.append(f"resources.{name}: there is no pool of this name, so that it is a lock of its own; {meant}")
    return found


@dataclass(frozen=True, slots=True)
class Lack(Generic[Item]):
    """What a waiting task lacks: so many slots of `name`. It waits for `holders` to end, or, where it is not the next
    one there, for `before` to start."""

    name: str
    number: int
    holders: tuple[Item, ...] = ()
    before: Item | None = None

    def sentence(self, sizes: Mapping[str, int]) -> str:
        """`waits for 2 gpu (held by a, b)`."""
        what = f"{self.number} {self.name}" if self.name in sizes else f"lock {self.name}"
        what = self.name if self.name.startswith(_SKILL) else what
        return f"waits for {what} ({self._whom()})"

    def _whom(self) -> str:
        if self.before is not None:
            return f"after {self.before}"
        more = len(self.holders) - _NAMED
        return f"held by {', '.join(map(str, self.holders[:_NAMED]))}" + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, eq=False)
class _Place(Generic[Item]):
    """Where a task waits: the same in the queue of everything that it asks for."""

    order: float
    number: int
    item: Item
    wants: Wants

    def __lt__(self, other: _Place[Item]) -> bool:
        return (self.order, self.number) < (other.order, other.number)


class Pools(Generic[Item]):
    """Who holds what, and who waits for it. `sizes` are the slots by name; a name without a size is a lock: 1.

    To start or to look whose turn it is costs the same however many wait.
    """

    def __init__(self, sizes: Mapping[str, int] = NOTHING) -> None:
        self.sizes = dict(sizes)
        self._held: dict[Item, Wants] = {}
        self._used: Counter[str] = Counter()
        self._places: dict[Item, _Place[Item]] = {}
        self._queues: dict[str, list[_Place[Item]]] = {}
        self._changed: set[str] = set()
        self._numbers = itertools.count()

    def start(self, item: Item, order: float, wants: Wants) -> bool:
        """Take all that it asks for, if its turn has come; else it waits at its place in the order.

        One that asks for more than there is waits for nothing and gets nothing: what is left of it is to be refused.
        """
        if any(number > self._size(name) for name, number in wants.items()):
            self.leave(item)
            return True
        self.enter(item, order, wants)
        if self.lack(item) is not None:
            return False
        self.leave(item)
        self.hold(item, wants)
        return True

    def hold(self, item: Item, wants: Wants) -> None:
        """It has this already, whether or not there is so much: it was started before."""
        self._held[item] = wants
        self._used.update(wants)

    def give_back(self, item: Item) -> None:
        """It has ended: whatever it held is free."""
        wants = self._held.pop(item, NOTHING)
        if not wants:
            return
        self._used.subtract(wants)
        self._changed.update(wants)
        for name in wants:
            if not self._used[name]:
                del self._used[name]

    def enter(self, item: Item, order: float, wants: Wants) -> None:
        """It waits from now on, behind all of a lower order; nothing if it waits already."""
        if item not in self._places:
            place = self._places[item] = _Place(order, next(self._numbers), item, wants)
            for name in wants:
                heapq.heappush(self._queues.setdefault(name, []), place)

    def leave(self, item: Item) -> None:
        """It waits no more, if it did."""
        if (place := self._places.pop(item, None)) is not None:
            self._changed.update(place.wants)

    def resize(self, sizes: Mapping[str, int]) -> list[Item]:
        """From now on there is so much. Nobody waits any more; returns, in their order, those who did."""
        waited = [place.item for place in sorted(self._places.values())]
        self.sizes = dict(sizes)
        self._places.clear()
        self._queues.clear()
        self._changed.clear()
        return waited

    def called(self) -> Iterator[Item]:
        """Those whose turn may have come by what changed since the last call: whoever is next for something."""
        while self._changed:
            place = self._next(self._changed.pop())
            if place is not None:
                yield place.item

    def lack(self, item: Item) -> Lack[Item] | None:
        """What keeps a waiting one from starting; None if nothing does."""
        place = self._places[item]
        for name, number in place.wants.items():
            first = self._next(name)
            if first is not None and first is not place:
                return Lack(name, number, before=first.item)
            if self._used[name] + number > self._size(name):
                return Lack(name, number, tuple(one for one, _ in self.holders(name)))
        return None

    def names(self) -> list[str]:
        """Everything that has a size, is held, or is waited for."""
        return sorted({*self.sizes, *self._used, *self._queues})

    def holders(self, name: str) -> list[tuple[Item, int]]:
        """Who holds how much of it."""
        return [(item, wants[name]) for item, wants in self._held.items() if name in wants]

    def waiters(self, name: str) -> list[tuple[Item, int]]:
        """Who waits for how much of it, the next one first."""
        places = sorted(place for place in self._queues.get(name, ()) if self._places.get(place.item) is place)
        return [(place.item, place.wants[name]) for place in places]

    def _next(self, name: str) -> _Place[Item] | None:
        queue = self._queues.get(name, [])
        while queue and self._places.get(queue[0].item) is not queue[0]:
            heapq.heappop(queue)
        if not queue:
            self._queues.pop(name, None)
            return None
        return queue[0]

    def _size(self, name: str) -> int:
        return self.sizes.get(name, 1)
