"""Waiting tasks that may not start yet: kept out of the order, woken by an alarm, found again by a start."""

import asyncio
import json
import signal
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from conftest import smoke
from test_backlog import READY, filled, order, waiting

from orchestrator.intake.load import SpecError, load_task
from orchestrator.outcome import Hold
from orchestrator.scheduler.holds import Alarm
from orchestrator.spec import moment_of


def stamp(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat()


def test_a_held_task_has_no_place_in_the_order_until_its_last_hold_is_released():
    first, second = waiting("first", arrived=1), waiting("second", arrived=2)
    backlog = filled(first, second)
    backlog.hold(first, Hold("paused", "paused"))
    backlog.hold(first, Hold("needs", "waits for build"))
    assert (len(backlog), backlog.startable, [each.name for each in backlog.kept_back()]) == (2, 1, ["first"])
    assert order(backlog) == ["second"]
    backlog.release(first, "paused")
    assert backlog.pop() is None
    backlog.release(first, "needs")
    backlog.release(first, "needs")
    assert order(backlog) == ["first"]
    assert (len(backlog), backlog.startable) == (0, 0)


def test_a_hold_that_came_and_went_while_it_waited_gives_no_second_place():
    task = waiting("task")
    backlog = filled(task)
    for _ in range(3):
        backlog.hold(task, Hold("paused", "paused"))
        backlog.release(task, "paused")
    assert order(backlog) == ["task"]


def test_a_held_task_may_be_taken_out_and_a_new_version_of_it_is_held_for_itself():
    held = waiting("held")
    backlog = filled(held)
    backlog.hold(held, Hold("retry", "retry 2 of 3"))
    assert backlog.startable == 1, "a retry comes by itself"
    backlog.hold(held, Hold("not_before", "not before tomorrow"))
    assert backlog.startable == 0
    backlog.add(waiting("held"), READY)
    assert (len(backlog), backlog.startable, order(backlog)) == (1, 1, ["held"])
    backlog.release(held, "not_before", "retry")
    assert order(backlog) == []


async def test_the_alarm_hands_over_who_is_due_and_nobody_else():
    now, due = [1_000.0], []
    alarm = Alarm(lambda task: due.append(task.name), lambda: now[0])
    late, soon, gone = waiting("late"), waiting("soon"), waiting("gone")
    gone.withdrawn = True
    for task, moment in ((late, 5_000.0), (soon, 1_000.01), (gone, 1_000.005)):
        alarm.keep(task, SimpleNamespace(not_before=moment, task=SimpleNamespace(not_before=None, retry=None)))
    assert [hold.kind for hold in soon.holds] == ["retry"]
    now[0] = 2_000.0
    while not due:
        await asyncio.sleep(0.005)
    assert due == ["soon"]
    alarm.close()


@pytest.mark.parametrize("text", ["2026-12-01T07:00:00Z", "2026-12-01T08:00+01:00", "20261201T070000Z"])
def test_a_moment_is_an_iso_8601_time(text):
    assert moment_of(text) == 1_796_108_400


@pytest.mark.parametrize("text", ["", "tomorrow", "07:00", "2026-13-01", "0001-01-01", "now" * 100])
def test_what_is_no_moment_is_refused_with_the_forms(text):
    with pytest.raises(SpecError, match=r"not_before: not an ISO 8601 time: write"):
        load_task(json.dumps(smoke("x", not_before=text)).encode(), "x.json")


def test_a_task_waits_for_its_time_through_kills_and_one_whose_time_is_past_does_not(house):
    ran = house.root / "ran"
    house.start()
    house.drop(smoke("later", f"echo later >> {ran}", not_before=stamp(time.time() + 3600)))
    house.drop(smoke("past", f"echo past >> {ran}", not_before="2001-01-01"))
    house.result("past")
    house.stop(signal.SIGKILL)
    house.drop(smoke("soon", f"echo soon >> {ran}", not_before=stamp(time.time() + 1.5)))
    house.start()
    started = house.result("soon")["started_at"]
    assert datetime.fromisoformat(started).timestamp() >= moment_of(smoke_time(house, "soon"))
    assert house.names("inbox") == ["later.json"]
    house.run("cancel", "later")
    assert house.result("later")["status"] == "cancelled"
    assert ran.read_text().split() == ["past", "soon"]


def smoke_time(house, stem):
    return json.loads((house.root / "queue/done" / f"{stem}.json").read_text())["not_before"]
