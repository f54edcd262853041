"""The order in which waiting tasks run."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.spec import LEVEL

READY = Ready(prepared=None, spec=b"")  # type: ignore[arg-type]


def waiting(name, priority="medium", arrived=0.0, task_id=None):
    return Waiting(name, name, task_id or name, priority, arrived, (1, 1, 1), "")


def order(backlog):
    names = []
    while (taken := backlog.pop()) is not None:
        names.append(taken.name)
        backlog.free(taken)
    return names


def filled(*entries, ageing_s=900.0):
    backlog = Backlog(ageing_s)
    for entry in entries:
        backlog.add(entry, READY)
    return backlog


def test_urgent_goes_first_then_high_medium_low():
    backlog = filled(*(waiting(p, p, arrived=1.0) for p in ("low", "urgent", "medium", "high")))
    assert order(backlog) == ["urgent", "high", "medium", "low"]


def test_within_a_priority_who_came_first_goes_first():
    backlog = filled(waiting("late", arrived=3), waiting("early", arrived=1), waiting("middle", arrived=2))
    assert order(backlog) == ["early", "middle", "late"]


def test_a_low_task_that_waited_long_enough_overtakes_a_new_urgent_one():
    backlog = filled(waiting("old", "low", arrived=0), waiting("new", "urgent", arrived=3 * 900 + 1))
    assert order(backlog) == ["old", "new"]


@given(st.lists(st.tuples(st.sampled_from(list(LEVEL)), st.floats(0, 10_000)), max_size=50))
def test_everything_that_was_added_is_popped_once_in_the_documented_order(entries):
    tasks = [waiting(str(i), priority, arrived) for i, (priority, arrived) in enumerate(entries)]
    expected = sorted(tasks, key=lambda task: task.arrived - LEVEL[task.priority] * 900.0)
    assert order(filled(*tasks)) == [task.name for task in expected]


def test_two_files_of_one_id_never_run_at_the_same_time():
    backlog = filled(waiting("a", task_id="same", arrived=1), waiting("b", task_id="same", arrived=2))
    first = backlog.pop()
    assert first.name == "a"
    assert backlog.pop() is None
    backlog.free(first)
    assert backlog.pop().name == "b"


def test_a_name_that_runs_holds_back_a_file_dropped_again_under_it():
    backlog = filled(waiting("a", task_id="one"))
    first = backlog.pop()
    backlog.add(waiting("a", task_id="two"), READY)
    assert backlog.pop() is None
    assert len(backlog) == 1
    backlog.free(first)
    assert backlog.pop().id == "two"


def test_a_spec_that_was_taken_out_of_inbox_is_never_popped():
    backlog = filled(waiting("a"), waiting("b"))
    backlog.remove("a")
    assert order(backlog) == ["b"]


def test_a_new_version_of_a_waiting_file_replaces_the_old_one():
    backlog = filled(waiting("a", "low"), waiting("b", "medium"))
    backlog.add(waiting("a", "high"), READY)
    assert order(backlog) == ["a", "b"]
