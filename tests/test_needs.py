"""Tasks that need others: what runs when, what is skipped and why, and that none of it is lost with a daemon."""

import asyncio
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import House, smoke, until
from scheduler_stage import scheduling

from orchestrator.insights.holds import Outlook

HIGH = {"risk": "high"}


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path / "home")
    yield house
    house.stop(signal.SIGKILL)


@pytest.fixture
async def scheduler(house):
    async with scheduling(house) as scheduler:
        yield scheduler


async def drain(scheduler):
    await scheduler.scan()
    await asyncio.wait_for(scheduler.drained(), 60)


def needy(house, task_id, *needs, script="true", **fields):
    """A task that writes its id down when it runs."""
    house.drop(smoke(task_id, f"echo {task_id} >> {house.root}/ran; {script}", needs=list(needs), **fields))


def ran(house):
    file = house.root / "ran"
    return file.read_text().split() if file.exists() else []


def reason(house, task_id):
    result = house.result(task_id)
    return result["status"], result["reason"]


async def test_a_diamond_runs_from_its_first_to_its_last_whatever_order_it_came_in(house, scheduler):
    for task_id, *needs in ("last", "left", "right"), ("right", "first"), ("left", "first"), ("first",):
        needy(house, task_id, *needs)
        await scheduler.scan()
    await drain(scheduler)
    order = ran(house)
    assert (order[0], sorted(order[1:3]), order[3:]) == ("first", ["left", "right"], ["last"])


async def test_a_failure_skips_all_that_needs_it_and_names_the_chain(house, scheduler):
    needy(house, "deploy", "test", "lint")
    needy(house, "test", "build")
    needy(house, "lint")
    needy(house, "build", script="exit 3")
    await drain(scheduler)
    assert reason(house, "test") == ("skipped", "needs_failed: build failed (test ← build: failed)")
    assert reason(house, "deploy") == ("skipped", "needs_failed: test skipped (deploy ← test ← build: failed)")
    assert sorted(ran(house)) == ["build", "lint"]
    assert house.result("test")["results"] == []


async def test_when_says_how_the_needs_must_end(house, scheduler):
    needy(house, "good")
    needy(house, "bad", script="exit 1")
    needy(house, "any", "good", "bad", when="always")
    needy(house, "alarm", "good", "bad", when="failure")
    needy(house, "calm", "good", when="failure")
    needy(house, "after_calm", "calm")
    await drain(scheduler)
    assert sorted(ran(house)) == ["alarm", "any", "bad", "good"]
    assert reason(house, "calm") == ("skipped", "needs_succeeded: nothing failed of what it is for (good)")
    assert reason(house, "after_calm")[1] == "needs_failed: calm skipped (after_calm ← calm: skipped)"


async def test_a_circle_ends_as_failed_and_what_needs_it_is_skipped(house, scheduler):
    needy(house, "a", "b")
    needy(house, "b", "c")
    needy(house, "outside", "c")
    await scheduler.scan()
    needy(house, "c", "a")
    await drain(scheduler)
    ends = {reason(house, task_id) for task_id in "abc"}
    assert len(ends) == 1
    ((status, why),) = ends
    assert status == "failed"
    assert why in {"needs_cycle: a → b → c → a", "needs_cycle: b → c → a → b", "needs_cycle: c → a → b → c"}
    assert reason(house, "outside")[1] == "needs_failed: c failed (outside ← c: failed)"
    assert ran(house) == []


async def test_a_task_that_is_there_again_counts_before_its_earlier_end(house, scheduler):
    needy(house, "build", script="exit 1")
    await drain(scheduler)
    needy(house, "build")
    needy(house, "test", "build")
    await scheduler._look(["test.json", "build.json"])  # whatever is read first
    await drain(scheduler)
    assert reason(house, "test") == ("ok", None)
    needy(house, "later", "build", "test")
    await drain(scheduler)
    assert ran(house) == ["build", "build", "test", "later"]


async def test_a_file_that_is_still_being_written_counts_before_an_earlier_end_of_its_name(house, scheduler):
    settings = scheduler.tools.settings
    soon = settings.model_copy(update={"daemon": settings.daemon.model_copy(update={"settle": 300})})
    scheduler.use(replace(scheduler.tools, settings=soon))
    needy(house, "build")
    await drain(scheduler)
    again = json.dumps(smoke("build", f"echo again >> {house.root}/ran"))
    house.drop(again, "build.yaml")  # YAML, and nothing in it says that it is whole
    needy(house, "test", "build")
    await drain(scheduler)
    assert ran(house) == ["build", "again", "test"]


async def test_a_need_that_is_blocked_keeps_the_needy_waiting_until_it_is_approved(house, scheduler):
    needy(house, "deploy", **HIGH)
    needy(house, "tell", "deploy")
    await drain(scheduler)
    assert (house.names("inbox"), house.result("deploy")["status"]) == (["tell.json"], "blocked")
    assert house.run("approve", "deploy").returncode == 0
    await drain(scheduler)
    assert ran(house) == ["deploy", "tell"]


async def test_a_need_that_is_rejected_skips_the_needy(house, scheduler):
    needy(house, "deploy", **HIGH)
    needy(house, "tell", "deploy")
    await drain(scheduler)
    assert house.run("reject", "deploy", "--why", "not today").returncode == 0
    await drain(scheduler)
    assert reason(house, "tell") == ("skipped", "needs_failed: deploy denied (tell ← deploy: denied)")


async def test_a_needy_task_is_blocked_before_its_needs_have_ended_but_not_for_a_script_still_to_come(house, scheduler):
    script = house.root / "made.sh"
    house.drop(smoke("make", f"echo 'echo made' > {script}"))
    house.drop(smoke("use", needs=["make"], steps=[{"skill": "bash", "args": [str(script)]}]))
    needy(house, "high", "nobody", **HIGH)
    await drain(scheduler)
    assert house.result("high")["status"] == "blocked"
    assert house.result("use")["results"][0]["stdout"] == "made\n"


async def test_what_nobody_ever_saw_is_waited_for_so_long_and_no_longer(house, scheduler):
    needy(house, "needy", "nobody")
    needy(house, "next", "needy")
    await drain(scheduler)
    assert house.names("inbox") == ["needy.json", "next.json"]
    settings = scheduler.tools.settings
    short = settings.model_copy(update={"daemon": settings.daemon.model_copy(update={"needs_timeout": 1})})
    scheduler.use(replace(scheduler.tools, settings=short))
    needy(house, "late", "nothing")
    await drain(scheduler)
    while "late.json" not in house.names("failed"):
        await asyncio.sleep(0.01)
    assert reason(house, "late") == ("skipped", "needs_timeout: after 1 ms there is still no task nothing")
    assert house.names("inbox") == ["needy.json", "next.json"]
    needy(house, "nobody")
    await drain(scheduler)
    assert ran(house) == ["nobody", "needy", "next"]


async def test_a_need_that_is_refused_cancelled_or_taken_away_is_noticed(house, scheduler):
    needy(house, "after_bad", "bad")
    needy(house, "after_gone", "gone")
    needy(house, "gone", "bad2")
    needy(house, "after_cancelled", "cancelled")
    needy(house, "cancelled", "bad2")
    await scheduler.scan()
    house.drop("{", "bad.json")
    (Path(house.home.inbox) / "gone.json").unlink()
    house.run("cancel", "cancelled")
    await drain(scheduler)
    assert reason(house, "after_bad")[1] == "needs_failed: bad invalid (after_bad ← bad: invalid)"
    assert reason(house, "after_cancelled")[1].startswith("needs_failed: cancelled cancelled ")
    assert house.names("inbox") == ["after_gone.json"]
    needy(house, "gone")
    await drain(scheduler)
    assert reason(house, "after_gone") == ("ok", None)


async def test_a_held_task_whose_namesake_runs_is_cancelled_when_that_is_over(house, scheduler):
    gate = house.root / "gate"
    needy(house, "x", script=f"while [ ! -e {gate} ]; do sleep 0.02; done")
    await scheduler.scan()
    while not ran(house):
        await asyncio.sleep(0.01)
    house.drop(smoke("x", needs=["nobody"]), "second.json")
    await scheduler.scan()
    assert scheduler.cancel("second")
    gate.touch()
    await drain(scheduler)
    assert (house.names("inbox"), house.result("second")["status"]) == ([], "cancelled")


async def test_a_chain_of_200_falls_with_its_first_and_a_join_of_200_waits_for_its_last(house, scheduler):
    needy(house, "c0", script="exit 1")
    for number in range(1, 200):
        needy(house, f"c{number}", f"c{number - 1}")
    needy(house, "all", *(f"c{number}" for number in range(200)), when="always")
    await drain(scheduler)
    results = [json.loads((Path(house.home.failed) / f"c{n}.result.json").read_text()) for n in range(200)]
    assert [result["status"] for result in results] == ["failed"] + ["skipped"] * 199
    assert results[199]["reason"] == (
        "needs_failed: c198 skipped (c199 ← c198 ← c197 ← c196 ← … ← c3 ← c2 ← c1 ← c0: failed)"
    )
    assert ran(house) == ["c0", "all"]


async def test_ten_thousand_waiting_tasks_are_not_looked_at_when_another_one_ends(house, scheduler, monkeypatch):
    from orchestrator.scheduler import needs

    looks = []
    real = needs._verdict
    monkeypatch.setattr(needs, "_verdict", lambda task: looks.append(task) or real(task))
    for number in range(300):
        needy(house, f"w{number}", f"nobody{number % 3}")
    await drain(scheduler)
    before = len(looks)
    for number in range(20):
        needy(house, f"t{number}", *([f"t{number - 1}"] if number else []))
    await drain(scheduler)
    assert len(looks) - before < 20 * 5
    assert len(ran(house)) == 20


def test_what_waits_for_others_goes_on_after_kills_wherever_these_were(house):
    gate = house.root / "gate"
    needy(house, "build", script=f"while [ ! -e {gate} ]; do sleep 0.02; done", on_interrupt="retry")
    needy(house, "test", "build")
    needy(house, "deploy", "test")
    needy(house, "cry", "build", when="failure")
    house.start()
    until(lambda: ran(house), "build to start")
    house.stop(signal.SIGKILL)
    house.start({"ORCHESTRATOR_FAILPOINT": "result.journaled:1"})
    gate.touch()
    assert house.process.wait(60) == -signal.SIGKILL, "it dies when the end of the first is on record, and nowhere else"
    assert (house.names("inbox"), house.names("running")) == (["cry.json", "deploy.json", "test.json"], ["build.json"])
    house.start()
    ends = {task_id: house.result(task_id)["status"] for task_id in ("build", "test", "deploy", "cry")}
    assert ends == {"build": "ok", "test": "ok", "deploy": "ok", "cry": "skipped"}
    assert ran(house) == ["build", "build", "test", "deploy"]
    assert os.listdir(house.home.inbox) == []


def test_the_list_says_what_each_task_waits_for_as_the_disk_has_it(house):
    house.home.prepare()
    needy(house, "build")
    needy(house, "deploy", **HIGH)
    house.run("run", "--once")
    needy(house, "test", "build", "deploy", "lint", "nobody")
    needy(house, "lint")
    house.drop(smoke("late", not_before="2999-01-01T00:00Z", needs=["test", "build"]), "another name.json")
    outlook = Outlook(house.home)
    assert [hold.why for hold in outlook.holds("test.json")] == [
        "waits for deploy (blocked), lint (waiting), nobody (unknown)"
    ]
    assert [hold.ids for hold in outlook.holds("test.json")] == [("deploy", "lint", "nobody")]
    waits = ["waits for test (waiting)", "not before 2999-01-01T00:00:00Z"]
    assert [hold.why for hold in outlook.holds("another name.json")] == waits
    assert outlook.holds("lint.json") == outlook.holds("gone.json") == ()
    assert "; ".join(waits) in house.run("list").stdout
    assert json.loads(house.run("show", "late", "--json").stdout)["holds"][0]["ids"] == ["test"]


def test_a_broken_chain_that_is_put_back_runs_again_whatever_order_it_is_named_in(house):
    house.home.prepare()
    needy(house, "deploy", "test")
    needy(house, "test", "build")
    needy(house, "build", script=f"test -e {house.root}/mended")
    assert house.run("run", "--once").returncode == 1
    (house.root / "mended").touch()
    assert house.run("retry", "deploy", "build", "nobody", "test").stdout.split() == ["build", "test", "deploy"]
    assert house.run("run", "--once").returncode == 0
    assert ran(house) == ["build", "build", "test", "deploy"]
