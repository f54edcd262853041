"""What retention takes away, and what it never touches."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from conftest import House, smoke, until

from orchestrator import clock, retention
from orchestrator.journal import runs
from orchestrator.retention import Round
from orchestrator.settings import RetentionSettings

OLD = time.time() - 1000 * 86_400


def put_run(home, task, number, *, age_days=0.0, **result):
    """An ended run, so long ago."""
    folder = Path(home.runs, task, str(number))
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "0-bash.out").write_text("said")
    (folder / "result.json").write_text(json.dumps({"id": task, "run": number, "status": "ok"} | result))
    ended = time.time() - age_days * 86_400
    os.utime(folder / "result.json", (ended, ended))
    return folder


def put(path, age_days=0.0):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    then = time.time() - age_days * 86_400
    os.utime(path, (then, then))
    return path


def make_round(home, *, busy=(), is_open=lambda task, number: False, **keep):
    nothing = {"days": 0, "count": 0, "count_per_task": 0, "telemetry_files": 0}
    return Round(home, RetentionSettings(**nothing | keep), busy, is_open)


def take(home, **options):
    one = make_round(home, **options)
    for _ in one.work():
        pass
    assert one.error is None
    return one.removed


def left(home):
    tasks = [name for name in os.listdir(home.runs) if name[0] != "."]
    return sorted(f"{task}/{number}" for task in tasks for number in os.listdir(f"{home.runs}/{task}"))


@pytest.fixture
def steady(home):
    """A home whose clock is known to go on as clocks do."""
    retention.is_steady(home)
    return home


def test_runs_and_files_past_their_days_go_and_their_tasks_folder_with_the_last(steady):
    for number, age in ((1, 100), (2, 91), (3, 89), (4, 0)):
        put_run(steady, "a", number, age_days=age)
    put_run(steady, "b", 1, age_days=91)
    old, new = put(f"{steady.reports}/old.md", 91), put(f"{steady.reports}/new.md", 89)
    removed = take(steady, days=90)
    assert left(steady) == ["a/3", "a/4"]
    assert os.listdir(steady.runs) == ["a"]
    assert (old.exists(), new.exists()) == (False, True)
    assert (removed.runs, removed.reports) == (3, 1)


def test_the_latest_runs_stay_by_count_of_each_task_and_over_all(home):
    for task in ("a", "b", "c"):
        for number in range(1, 6):
            put_run(home, task, number, age_days=10 - number - (task == "c"))
    take(home, count_per_task=3)
    assert left(home) == [f"{task}/{number}" for task in "abc" for number in (3, 4, 5)]
    take(home, count=4)
    assert left(home) == ["a/5", "b/5", "c/4", "c/5"]
    for task in ("a", "b"):  # ended in the same moment: no more go than must
        os.utime(f"{home.runs}/{task}/5/result.json", (OLD, OLD))
    take(home, count=3)
    assert len(left(home)) == 3


def test_telemetry_goes_by_days_and_by_number_and_never_its_latest_file(steady):
    days = [
        "2020-01-01.ndjson",
        "2020-01-01.2.ndjson",
        time.strftime("%Y-%m-%d.ndjson", time.gmtime(time.time() - 86_400)),
    ]
    for name in (*days, "notes.txt"):
        put(f"{steady.telemetry}/{name}")
    assert take(steady, days=90).telemetry == 2
    assert sorted(os.listdir(steady.telemetry)) == sorted([days[2], "notes.txt"])
    for name in days[:2]:
        put(f"{steady.telemetry}/{name}")
    assert take(steady, telemetry_files=2).telemetry == 1
    assert sorted(os.listdir(steady.telemetry)) == sorted([*days[1:], "notes.txt"])
    os.unlink(f"{steady.telemetry}/{days[2]}")
    assert take(steady, days=90).telemetry == 0


def test_what_is_not_over_is_never_touched(steady):
    """A run without a result, one whose result is not yet in done/ or failed/, what waits, what a person is asked."""
    os.unlink(put_run(steady, "running", 1, age_days=99) / "result.json")
    put_run(steady, "ending", 1, age_days=99)
    for number in (1, 2):
        put_run(steady, "waits", number, age_days=99)
    for name in ("asked", "answered"):
        blocked = put_run(steady, name, 1, age_days=99, status="blocked", name=f"{name}.json")
        put(f"{steady.failed}/{name}.json")
        os.link(blocked / "result.json", f"{steady.failed}/{name}.result.json")
    put_run(steady, "answered", 2, age_days=98, name="answered.json")
    put(f"{steady.failed}/answered.result.json").write_text('{"id": "answered", "run": 2}')
    take(
        steady, days=90, count=1, count_per_task=1, busy={"waits"},
        is_open=lambda task, number: (task, number) == ("ending", 1),
    )  # fmt: skip
    assert left(steady) == ["asked/1", "ending/1", "running/1", "waits/2"]


def test_no_link_is_followed_out_of_the_runs(steady, tmp_path):
    precious = put_run(steady, "precious", 7, age_days=99)
    outside = tmp_path / "outside"
    precious.parent.rename(outside)
    os.symlink(outside, f"{steady.runs}/task")
    os.symlink(outside / "7", Path(put_run(steady, "a", 1).parent, "2"))
    Path(steady.runs, "a/3").mkdir()
    os.symlink(outside / "7/result.json", f"{steady.runs}/a/3/result.json")
    inner = put_run(steady, "b", 1, age_days=99)
    os.symlink(outside, inner / "folder")
    os.symlink(outside / "7/spec.json", inner / "file")
    os.chmod(outside / "7/spec.json", 0o400)
    take(steady, days=90, count=1, count_per_task=1)
    assert sorted(os.listdir(outside / "7")) == ["0-bash.out", "result.json", "spec.json"]
    assert (outside / "7/spec.json").stat().st_mode & 0o777 == 0o400
    assert not Path(steady.runs, "b").exists()


def test_a_clock_that_was_set_removes_nothing_for_its_age_until_it_has_gone_on_for_a_round(home, monkeypatch):
    put_run(home, "a", 1, age_days=10)
    take(home, days=90)
    now = time.time
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now() + 100 * 86_400)
        take(home, days=90)
        assert left(home) == ["a/1"]
    take(home, days=90)
    monkeypatch.setattr(clock, "boot_id", lambda: "another boot")
    monkeypatch.setattr(time, "time", lambda: now() + 100 * 86_400)
    take(home, days=90)
    assert left(home) == ["a/1"]
    take(home, days=90)
    assert left(home) == []


def test_a_run_that_a_crash_left_half_taken_apart_is_finished_in_the_next_round(home):
    run = put_run(home, "a", 1)
    run.rename(f"{home.runs}/.trash-1")
    assert left(home) == []
    take(home)
    assert os.listdir(home.runs) == []


def test_what_can_not_be_removed_is_said_and_holds_up_nothing_else(home, monkeypatch):
    for task in ("a", "b", "c"):
        put_run(home, task, 1)
        put_run(home, task, 2)
    real = os.rename

    def refuse_one(source, target, **options):
        if options and os.path.samestat(os.stat(options["src_dir_fd"]), os.stat(f"{home.runs}/b")):
            raise PermissionError(1, "Operation not permitted", "b/1")
        real(source, target, **options)

    monkeypatch.setattr(os, "rename", refuse_one)
    one = make_round(home, count_per_task=1)
    for _ in one.work():
        pass
    assert left(home) == ["a/2", "b/1", "b/2", "c/2"]
    assert isinstance(one.error, PermissionError)


def test_a_run_whose_folder_was_taken_gives_its_number_to_no_other_while_it_is_shown(daemon):
    daemon.drop(smoke("a"))
    assert daemon.result("a")["run"] == 1
    shutil.rmtree(f"{daemon.home.runs}/a")
    daemon.drop(smoke("a"))
    until(lambda: daemon.result("a")["run"] == 2, "the second run")


def test_a_new_run_begins_though_its_tasks_folder_vanishes_meanwhile(home, monkeypatch):
    real, taken = os.mkdir, []

    def mkdir(path, mode=0o777):
        if path.endswith("/1") and not taken:
            taken.append(os.rmdir(os.path.dirname(path)))
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert runs.create(home.runs, "a")[0] == 1


def test_a_daemon_makes_rounds_while_it_works_and_one_that_runs_once_makes_one(house: House):
    for number in range(1, 30):
        put_run(house.home, "old", number)
    settings = {"ORCHESTRATOR_RETENTION__EVERY": "200", "ORCHESTRATOR_RETENTION__COUNT_PER_TASK": "2"}
    house.start(env=settings)
    for number in range(5):
        house.drop(smoke("often"), f"often{number}.json")
    until(lambda: len(house.names("done")) == 10, "all runs")
    until(lambda: left(house.home) == ["often/4", "often/5", "old/28", "old/29"], "the earlier ones to go")
    until(lambda: "retention: removed" in (house.root / "daemon.log").read_text(), "the log to say so")
    assert house.stop() == 0
    ran = house.run("run", "--once", env=settings | {"ORCHESTRATOR_RETENTION__COUNT_PER_TASK": "1"})
    assert ran.returncode == 0
    assert left(house.home) == ["often/5", "old/29"]


def test_the_firings_of_a_recurring_task_count_as_its_runs_and_take_their_files_with_them(home):
    firings = [f"nightly-202606{day:02}T000000Z" for day in range(1, 6)]
    for firing in firings:
        put_run(home, firing, 1, name=f"{firing}.json")
        put(f"{home.done}/{firing}.json")
        Path(f"{home.done}/{firing}.result.json").write_text(json.dumps({"id": firing, "run": 1}))
    put_run(home, firings[-1], 2, name=f"{firings[-1]}.json")  # done/ shows the first of them, as if this one ran on
    put_run(home, "nightly", 1)
    take(home, count_per_task=3)
    assert left(home) == [*(f"{firing}/1" for firing in firings[3:]), f"{firings[-1]}/2", "nightly/1"]
    shown = [name for firing in firings[3:] for name in (f"{firing}.json", f"{firing}.result.json")]
    assert sorted(os.listdir(home.done)) == shown


def test_verdicts_go_by_whole_months_with_the_telemetry_that_they_are_about(steady):
    month = [time.strftime("%Y-%m", time.gmtime(time.time() - days * 86_400)) for days in (0, 30, 100)]
    for name in month:
        put(f"{steady.verdicts}/{name}.ndjson")
    put(f"{steady.verdicts}/notes.txt")
    take(steady)
    assert len(os.listdir(steady.verdicts)) == 4
    take(steady, days=30)
    assert sorted(os.listdir(steady.verdicts)) == sorted([f"{month[1]}.ndjson", f"{month[0]}.ndjson", "notes.txt"])
