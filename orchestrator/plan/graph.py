"""The graph of needs: an order in which everything comes after what it needs, and the circles that have none.

Nothing here recurses: a chain may be as long as the queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

Needs = Callable[[str], Iterable[str]]
_SHOWN = 8


def ordered(needs: Mapping[str, Collection[str]]) -> list[str]:
    """The keys, each behind those that it needs, else as they stand; needs that are no keys do not count.

    In a circle nobody can be first: there one comes before what it needs.
    """
    done: dict[str, None] = {}
    begun: set[str] = set()
    for first in needs:
        stack = [(first, iter(needs[first]))] if first not in begun else []
        begun.add(first)
        while stack:
            node, rest = stack[-1]
            following = next((need for need in rest if need in needs and need not in begun), None)
            if following is None:
                done[node] = None
                stack.pop()
            else:
                begun.add(following)
                stack.append((following, iter(needs[following])))
    return list(done)


def circles(starts: Iterable[str], needs: Needs) -> list[list[str]]:
    """Groups of ids that all wait for one another, among what `starts` lead to. Each id is in one group at most."""
    return [group for group in _knots(starts, needs) if len(group) > 1 or group[0] in needs(group[0])]


def _knots(starts: Iterable[str], needs: Needs) -> Iterator[list[str]]:
    """The strongly connected components (Tarjan, 1972), with a stack of our own instead of recursion."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}
    for start in starts:
        if start in number:
            continue
        stack = [(start, iter(needs(start)))]
        number[start] = low[start] = len(number)
        open_[start] = None
        while stack:
            node, rest = stack[-1]
            for need in rest:
                if need not in number:
                    number[need] = low[need] = len(number)
                    open_[need] = None
                    stack.append((need, iter(needs(need))))
                    break
                if need in open_:
                    low[node] = min(low[node], number[need])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == number[node]:
                    yield _taken_off(open_, node)


def _taken_off(open_: dict[str, None], last: str) -> list[str]:
    group: list[str] = []
    while not group or group[-1] != last:
        group.append(open_.popitem()[0])
    return group[::-1]


def circle_in(group: Collection[str], needs: Needs) -> list[str]:
    """The shortest way from the first id of such a group back to it: `[a, b, a]`."""
    members, first = set(group), next(iter(group))
    came_from: dict[str, str] = {}
    waiting = deque([first])
    while waiting:
        node = waiting.popleft()
        for need in needs(node):
            if need == first:
                way = [first, node]
                while way[-1] != first:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if need in members and need not in came_from:
                came_from[need] = node
                waiting.append(need)
    raise ValueError(f"{first} is in no circle of {members}")


def arrows(way: Iterable[str], arrow: str) -> str:
    """`a → b → a`; of a long way the ends."""
    steps = list(way)
    if len(steps) > _SHOWN + 1:
        steps[_SHOWN // 2 : -_SHOWN // 2] = ["…"]
    return f" {arrow} ".join(steps)
