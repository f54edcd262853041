"""The graph of needs and what follows from how tasks end: pure, so any graph will do."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan import ends
from orchestrator.plan.ends import Stand
from orchestrator.plan.graph import arrows, circle_in, circles, ordered

NODE = st.integers(0, 9).map(str)
GRAPH = st.dictionaries(NODE, st.lists(NODE, max_size=4, unique=True), max_size=10)


def reached(graph, start):
    """All that a node needs, and what these need."""
    found, left = set(), list(graph.get(start, ()))
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += graph.get(node, ())
    return found


@given(GRAPH)
def test_in_order_each_key_stands_behind_what_it_needs_except_within_a_circle(graph):
    order = ordered(graph)
    assert sorted(order) == sorted(graph)
    place = {node: number for number, node in enumerate(order)}
    for node, needs in graph.items():
        for need in needs:
            assert need not in graph or need == node or place[need] < place[node] or node in reached(graph, need)


@given(st.lists(NODE, unique=True))
def test_what_needs_nothing_keeps_its_order(nodes):
    assert ordered(dict.fromkeys(nodes, ())) == nodes


@given(GRAPH, st.lists(NODE, max_size=10))
def test_the_circles_are_just_those_that_reach_themselves(graph, starts):
    groups = circles(starts, lambda node: graph.get(node, ()))
    seen = {node for start in starts for node in {start} | reached(graph, start)}
    in_circles = {node for node in seen if node in reached(graph, node)}
    assert sorted(node for group in groups for node in group) == sorted(in_circles)
    for group in groups:
        assert all(other in reached(graph, node) for node in group for other in group)
        way = circle_in(group, lambda node: graph.get(node, ()))
        assert way[0] == way[-1]
        assert all(after in graph[before] for before, after in pairwise(way))


def test_a_chain_as_long_as_a_full_queue_is_no_burden():
    chain = {str(number): [str(number + 1)] for number in range(50_000)}
    assert ordered(chain)[0] == "49999"
    assert circles(chain, lambda node: chain.get(node, ())) == []
    closed = chain | {"49999": ["0"]}
    (group,) = circles(closed, lambda node: closed.get(node, ()))
    assert len(circle_in(group, lambda node: closed[node])) == 50_001


def test_of_a_long_way_the_ends_are_shown():
    assert arrows("abc", "→") == "a → b → c"
    assert arrows(map(str, range(100)), "→") == "0 → 1 → 2 → 3 → … → 96 → 97 → 98 → 99"


@pytest.mark.parametrize(
    ("status", "over", "failed"),
    [
        ("ok", True, False), ("failed", True, True), ("skipped", True, True), ("cancelled", True, True),
        ("blocked", False, False), ("waiting", False, False), ("running", False, False), ("unknown", False, False),
    ],
)  # fmt: skip
def test_what_is_blocked_waiting_running_or_unknown_is_not_over(status, over, failed):
    assert (Stand(status).over, Stand(status).failed) == (over, failed)


def test_a_skipped_task_names_the_chain_back_to_what_failed():
    first = ends.skipped_for("test", "build", Stand("failed", "step_failed: step 0 (bash) exited with 1"))
    assert first == "needs_failed: build failed (test ← build: failed)"
    second = ends.skipped_for("deploy", "test", Stand("skipped", first))
    assert second == "needs_failed: test skipped (deploy ← test ← build: failed)"
    reason = second
    for number in range(50):
        reason = ends.skipped_for(f"t{number}", f"t{number - 1}", Stand("skipped", reason))
    assert reason.startswith("needs_failed: t48 skipped (t49 ← t48 ← ")
    assert reason.endswith(" ← test ← build: failed)")
    assert len(reason) < 200


def test_what_a_task_waits_for_is_said_with_how_that_stands():
    stands = {"a": ends.RUNNING, "b": Stand("ok"), "c": ends.UNKNOWN, "d": Stand("blocked"), "e": ends.WAITING}
    assert ends.waits_for(stands) == "waits for a (running), c (unknown), d (blocked) and 1 more"
