"""The scheduler with its real ledger, runner and files, in this process: what goes wrong around a task."""

import asyncio
import json
import os
import shutil
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import House, smoke
from scheduler_stage import scheduling

from orchestrator.execution import run as execution_run
from orchestrator.scheduler import arrivals as arriving
from orchestrator.scheduler import shortage, turns

FULL = OSError(28, "No space left on device")


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "home")


@pytest.fixture
async def scheduler(house, monkeypatch):
    monkeypatch.setattr(shortage, "PAUSE_S", 0.01)
    monkeypatch.setattr(turns, "RETRY_S", 0.01)
    monkeypatch.setattr(execution_run, "RETRY_S", 0.01)
    async with scheduling(house) as scheduler:
        yield scheduler


async def drain(scheduler):
    await scheduler.scan()
    await asyncio.wait_for(scheduler.drained(), 30)


def everywhere(house):
    return {state: house.names(state) for state in ("inbox", "running", "done", "failed")}


async def test_a_disk_that_is_full_at_a_later_step_delays_the_step_and_loses_nothing(house, scheduler, monkeypatch):
    house.drop(smoke("foo", steps=[{"skill": "bash", "args": ["-c", f"echo {n}"]} for n in range(2)]))
    sync, calls = os.fdatasync, []

    def full_for_a_while(fd):
        calls.append(None)
        if 2 <= len(calls) <= 4:
            raise FULL
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", full_for_a_while)
    await drain(scheduler)
    assert house.names("done") == ["foo.json", "foo.result.json"]
    assert [step["stdout"] for step in house.result("foo")["results"]] == ["0\n", "1\n"]


async def test_a_mistake_of_ours_in_a_run_ends_the_task_with_a_result_that_says_so(house, scheduler, monkeypatch):
    async def broken(*args, **options):
        raise RuntimeError("broken")

    monkeypatch.setattr(scheduler._turns._runners["process"], "run", broken)
    house.drop(smoke("foo"))
    await drain(scheduler)
    assert house.result("foo")["reason"].startswith("internal_error: ")
    assert house.names("running") == []


async def test_a_full_disk_does_not_keep_a_daemon_that_must_end_now(house, scheduler, monkeypatch):
    reached = asyncio.Event()

    async def full(*args):
        reached.set()
        raise FULL

    monkeypatch.setattr(scheduler.ends._ledger, "conclude", full)
    house.drop(smoke("foo"))
    await scheduler.scan()
    await reached.wait()
    scheduler.close_door()
    scheduler.stop_all("interrupted")
    await asyncio.wait_for(scheduler.quiet(), 30)
    assert house.names("running") == ["foo.json"]  # the next daemon recovers it


async def test_a_stranger_in_running_holds_up_neither_its_namesake_nor_the_others(house, scheduler):
    (Path(house.home.running) / "foo.json").write_text(json.dumps(smoke("foo", "echo stranger")))
    house.drop(smoke("foo", "echo new"))
    await drain(scheduler)
    assert house.result("foo")["results"][0]["stdout"] == "new\n"
    assert not scheduler._shortage.pauses


async def test_work_goes_on_when_someone_removes_all_runs(house, scheduler):
    shutil.rmtree(house.home.runs)
    house.drop(smoke("foo"))
    await drain(scheduler)
    assert house.result("foo")["status"] == "ok"


async def test_a_file_that_cannot_be_taken_holds_up_nobody_else(house, scheduler, monkeypatch):
    claim = scheduler._spool.claim

    def refuse_one(name):
        if name == "bad.json":
            raise OSError(1, "Operation not permitted")
        return claim(name)

    monkeypatch.setattr(scheduler._spool, "claim", refuse_one)
    house.drop(smoke("bad"))
    house.drop(smoke("good"))
    await drain(scheduler)
    assert everywhere(house)["done"] == ["good.json", "good.result.json"]
    assert not scheduler._shortage.pauses
    assert house.names("inbox") == ["bad.json"]


async def test_a_bad_file_under_a_running_name_waits_for_it_and_is_not_taken_away(house, scheduler, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    house.drop(smoke("foo", f"read x < {gate}"))
    await scheduler.scan()
    while not house.names("running"):
        await asyncio.sleep(0)
    house.drop(smoke("foo") | {"steps": []})
    await scheduler.scan()
    assert house.names("failed") == []
    await asyncio.to_thread(gate.write_text, "go\n")
    await asyncio.wait_for(scheduler.drained(), 30)
    assert everywhere(house)["failed"] == ["foo.json", "foo.result.json"]
    assert house.result("foo")["status"] == "invalid"


async def test_a_name_that_is_not_text_is_refused(house, scheduler):
    with open(os.fsencode(house.home.inbox) + b"/b\xffd.json", "w") as handle:
        json.dump(smoke("foo"), handle)
    await drain(scheduler)
    assert everywhere(house)["running"] == []
    assert sorted(os.listdir(os.fsencode(house.home.failed))) == [b"b\xffd.json", b"b\xffd.result.json"]


async def test_a_task_that_came_while_inbox_was_listed_is_not_forgotten(house, scheduler, monkeypatch):
    monkeypatch.setattr(scheduler._shortage, "_pause", object())  # nothing starts yet
    listing = scheduler._spool.waiting_names

    def list_then_drop():
        names = listing()
        house.drop(smoke("late"))
        asyncio.run_coroutine_threadsafe(scheduler._look({"late.json"}), scheduler.arrivals._loop).result(30)
        return names

    monkeypatch.setattr(scheduler._spool, "waiting_names", list_then_drop)
    await scheduler.scan()
    assert scheduler.waiting == 1


async def test_a_cancel_between_a_tasks_turn_and_its_start_is_heard(house, scheduler):
    house.drop(smoke("foo", "sleep 60"))
    await scheduler.scan()
    assert scheduler.waiting == 0
    assert scheduler.cancel("foo")
    await asyncio.wait_for(scheduler.drained(), 30)
    assert house.result("foo")["status"] == "cancelled"


async def test_a_pause_between_a_tasks_turn_and_its_start_is_heard(house, scheduler):
    house.drop(smoke("foo"))
    house.drop(smoke("labelled", labels={"a": "b"}))
    await scheduler.scan()
    assert scheduler.waiting == 0
    for what in ("all", "a=b"):
        (Path(house.home.inbox) / f"{what}.pause").touch()
    scheduler.pausing.ask(["all.pause", "a=b.pause"])
    await asyncio.wait_for(scheduler.drained(), 30)
    assert (house.names("running"), house.names("inbox")) == ([], ["foo.json", "labelled.json"])
    (Path(house.home.inbox) / "all.resume").touch()
    scheduler.pausing.ask(["all.resume"])
    await asyncio.wait_for(scheduler.drained(), 30)
    assert (house.names("done"), house.names("inbox")) == (["foo.json", "foo.result.json"], ["labelled.json"])


async def test_a_cancel_for_a_file_that_is_still_being_written_is_kept(house, scheduler):
    path = Path(house.home.inbox) / "foo.json"
    with path.open("w") as handle:
        await scheduler.scan()
        scheduler._spool.ask_to_cancel("foo")
        await scheduler.scan()
        assert "foo.cancel" in house.names("inbox")
        json.dump(smoke("foo", "sleep 60"), handle)
    await scheduler.scan()
    await asyncio.wait_for(scheduler.drained(), 30)
    assert house.result("foo")["status"] == "cancelled"


async def test_files_that_seem_to_come_from_the_future_settle_and_run_in_the_order_of_their_coming(
    house, scheduler, monkeypatch
):
    """The clock was set back since they were written, or is set back while they wait."""
    settings = scheduler.tools.settings
    settle = settings.model_copy(update={"daemon": settings.daemon.model_copy(update={"settle": 50, "max_tasks": 1})})
    scheduler.tools = replace(scheduler.tools, settings=settle)
    monkeypatch.setattr(scheduler._shortage, "_pause", object())  # nothing starts yet

    async def drop(name):
        path = Path(house.home.inbox) / f"{name}.yaml"
        path.write_text(
            f"id: {name}\ntitle: T\nrisk: low\nskills: [bash]\nsteps:\n"
            f"  - {{skill: bash, args: ['-c', 'echo {name} >> {house.root}/order']}}\n"
        )
        os.utime(path, (time.time() + 864_000,) * 2)
        await scheduler.scan()
        while scheduler.arrivals.unsettled:
            await asyncio.sleep(0.01)

    now = time.time
    await drop("first")
    monkeypatch.setattr(time, "time", lambda: now() - 864_000)
    await drop("second")
    monkeypatch.setattr(scheduler._shortage, "_pause", None)
    scheduler.fill()
    await asyncio.wait_for(scheduler.drained(), 30)
    assert (house.root / "order").read_text().split() == ["first", "second"]


async def test_however_many_look_at_once_what_runs_is_looked_after_in_between(house, scheduler, monkeypatch):
    monkeypatch.setattr(arriving, "BURST_S", 0.0)
    monkeypatch.setattr(scheduler._shortage, "_pause", object())  # nothing starts
    for number in range(50):
        house.drop(smoke(f"t{number}"))
    looks = [asyncio.ensure_future(scheduler._look({f"t{number}.json"})) for number in range(50)]
    known = [0]
    while not all(look.done() for look in looks):
        await asyncio.sleep(0)
        known.append(scheduler.waiting)
    assert known[-1] == 50
    assert max(later - earlier for earlier, later in pairwise(known)) <= 2


async def test_a_scan_in_a_burst_leaves_to_others_what_they_are_about_to_read(house, scheduler, monkeypatch):
    monkeypatch.setattr(arriving, "BURST_S", 0.0)
    monkeypatch.setattr(scheduler._shortage, "_pause", object())  # nothing starts
    read, examine_aside = [], arriving.examine_aside

    def examine(folder, name, *others):
        read.append(name)
        return examine_aside(folder, name, *others)

    monkeypatch.setattr(arriving, "examine_aside", examine)
    for number in range(100):
        house.drop(smoke(f"t{number}"))
    hinted = set(house.names("inbox")) - {"t99.json"}
    look = asyncio.ensure_future(scheduler._look(hinted))
    while not read:
        await asyncio.sleep(0)
    assert scheduler.arrivals.is_undecided(next(iter(hinted - set(read))).removesuffix(".json"))
    await asyncio.gather(*(scheduler.scan() for _ in range(3)))
    assert scheduler.waiting == 100, "a scan is over when all is read that lay there"
    await look
    assert sorted(read) == sorted(house.names("inbox"))


async def test_tasks_begin_while_a_full_inbox_is_still_being_read(house, scheduler, monkeypatch):
    running, accept = [], scheduler.arrivals._accept
    monkeypatch.setattr(scheduler.arrivals, "_accept", lambda good: (running.append(scheduler.running), accept(good)))
    for number in range(150):
        house.drop(smoke(f"t{number}"))
    await drain(scheduler)
    assert running[0] == 0
    assert running[-1] > 0
    assert len(house.names("done")) == 300


async def test_a_daemon_that_ends_does_not_read_the_rest_of_a_full_inbox(house, scheduler, monkeypatch):
    monkeypatch.setattr(arriving, "BURST_S", 0.0)
    for number in range(50):
        house.drop(smoke(f"t{number}"))
    scan = asyncio.ensure_future(scheduler.scan())
    while not scheduler.waiting:
        await asyncio.sleep(0)
    scheduler.close_door()
    await scan
    assert scheduler.waiting < 50
