"""docs/protocol.md against the code: each transition has a failpoint, and a death there is recovered from."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from conftest import smoke, until
from test_backlog_files import UNPACKING
from test_code_change import POINTS as IN_CHANGES
from test_worktrees import LEAVING, MAKING, REAL_DEATHS

import orchestrator
from orchestrator.home import daemon_pid

SOURCE = Path(orchestrator.__file__).parent
PAGE = SOURCE.parent / "docs/protocol.md"
KILLED = -signal.SIGKILL

COMMAND_LINE = ["place.written", "place.named", "approval.given", "retry.asked", "back.renamed", "back.cleared"]
BEGINNINGS = [
    "lock.taken", "recovery.swept", "recovery.done", "segment.begun", "segment.dropped", "claim.renamed", "run.made",
    "requeue.renamed", "journal.written", "journal.synced", "before.written", "step.starts", "step.spawned",
]  # fmt: skip
ENDS = [
    "step.ended", "result.journaled", "mend.synced", "result.written", "result.shown", "earlier.removed",
    "spec.renamed", "end.synced", "refusal.staged", "refusal.shown", "refusal.moved", "request.removed",
]  # fmt: skip
"""Deaths one after the other; some need what the one before has left."""
BELOW = ["retry.met", "recovery.reclaimed", "mend.written"]
IN_APPROVALS = ["approval.moved", "approval.used"]
IN_RETRIES = ["attempt.failed", "key.taken"]
IN_NOTIFICATIONS = ["notify.kept", "notify.sent", "notify.told", "notify.bundled"]
IN_PAUSES = ["pause.asked", "pause.written"]
RECURRING = ["schedule.moved", "schedule.noted", "firing.due", "firing.placed", "firing.noted"]
NO_DEATH = ["approval.returned", "run.discarded", "retention.renamed", "secret.written"]
"""What stands there is tested (test_approvals.py, test_journal.py, test_retention.py, test_secrets.py); no daemon is
killed in it."""


def in_the_code():
    text = "".join(path.read_text() for path in sorted(SOURCE.rglob("*.py")))
    return re.findall(r"failpoint\.reach\(\s*\"([a-z_.]+)\"", text)


def test_the_page_names_each_failpoint_of_the_code_once_and_no_other():
    on_the_page = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(on_the_page) == sorted(in_the_code())
    assert len(set(on_the_page)) == len(on_the_page)


def test_no_failpoint_of_the_code_is_left_out_of_these_tests():
    elsewhere = [
        *IN_APPROVALS,
        *IN_RETRIES,
        *RECURRING,
        *IN_NOTIFICATIONS,
        *IN_PAUSES,
        *IN_CHANGES,
        *UNPACKING,
        *NO_DEATH,
        *REAL_DEATHS,
        *MAKING,
        *LEAVING,
    ]
    known = [*COMMAND_LINE, *BEGINNINGS, *ENDS, *BELOW, *elsewhere]
    assert sorted(known) == sorted(in_the_code())


def die(house, point, *args, count=1):
    died = house.run(*(args or ("run", "--once")), env={"ORCHESTRATOR_FAILPOINT": f"{point}:{count}"})
    assert died.returncode == KILLED, (point, died.returncode, died.stderr)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(BEGINNINGS[::3], id="some beginnings"),
        pytest.param(ENDS[::3], id="some ends"),
        pytest.param(BEGINNINGS, id="all beginnings", marks=pytest.mark.soak),
        pytest.param(ENDS, id="all ends", marks=pytest.mark.soak),
    ],
)
def test_from_deaths_at_each_point_of_the_daemon_the_next_starts_lose_nothing_and_run_nothing_twice(
    house, tmp_path, points
):
    (house.root / "made.txt").write_text("old")
    for number, point in enumerate(points):
        script = f"echo ran >> {tmp_path}/{point}; echo new > made.txt"
        house.drop(smoke(f"t{number}", script, acceptance=["made.txt updated"]))
        if point == "earlier.removed":
            (Path(house.home.done) / f"t{number}.json").write_text("an earlier run's")
        if point.startswith("refusal"):
            house.drop("{", f"bad_{point}.json")
        if point == "request.removed":
            (Path(house.home.inbox) / "nobody.cancel").touch()
        die(house, point)
    house.run("run", "--once")
    assert house.names("running") == house.names("inbox") == []
    for number, point in enumerate(points):
        status = house.result(f"t{number}")["status"]
        ran = (tmp_path / point).read_text().count("ran") if (tmp_path / point).exists() else 0
        assert (status, ran) in {("ok", 1), ("interrupted", 0), ("interrupted", 1)}, point
        if point.startswith("refusal"):
            assert house.result(f"bad_{point}")["status"] == "invalid"
    told = [line["id"] for line in house.telemetry() if line["event"] == "task_finished" and line["id"]]
    assert sorted(told) == sorted(f"t{number}" for number in range(len(points)))


def memories(house):
    return sorted(memory["text"] for memory in json.loads(house.run("recall", "told", "--json").stdout))


def test_an_end_is_told_once_whether_the_crash_came_before_the_news_or_after(house, tmp_path):
    house.drop(smoke("before", memory={"kind": "fact", "text": "told after the crash"}))
    die(house, "end.synced")
    assert "task_finished" not in [line["event"] for line in house.telemetry()]
    house.start()
    house.drop(smoke("after", memory={"kind": "fact", "text": "told before the crash"}))
    until(lambda: any(line.get("id") == "after" and "status" in line for line in house.telemetry()), "the news")
    until(lambda: len(memories(house)) == 2, "the memories")
    house.stop(signal.SIGKILL)
    house.run("run", "--once")
    told = [line["id"] for line in house.telemetry() if line["event"] == "task_finished"]
    assert told == ["before", "after"]
    assert memories(house) == ["told after the crash", "told before the crash"]


def test_what_a_power_cut_undid_is_found_again_at_any_death(house, tmp_path):
    house.drop(smoke("cut", f"echo ran >> {tmp_path}/cut"))
    die(house, "step.starts")
    os.rename(f"{house.home.running}/cut.json", f"{house.home.inbox}/cut.json")
    die(house, "recovery.reclaimed")
    house.run("run", "--once")
    assert house.result("cut")["status"] == "interrupted"
    assert not (tmp_path / "cut").exists()

    house.drop(smoke("whole"))
    die(house, "end.synced")
    for result in (Path(house.home.done) / "whole.result.json", Path(house.home.runs) / "whole/1/result.json"):
        result.unlink()
        result.write_text("")
    die(house, "mend.written")
    house.run("run", "--once")
    assert house.result("whole")["status"] == "ok"
    assert json.loads((Path(house.home.runs) / "whole/1/result.json").read_text())["status"] == "ok"


@pytest.mark.parametrize("point", COMMAND_LINE)
def test_from_a_death_of_the_command_line_at_each_point_nothing_is_lost_and_nothing_runs_unasked(
    house, tmp_path, point
):
    spec = smoke("t", f"echo ran >> {tmp_path}/ran; test -e ready", risk="high")
    spec["steps"].insert(0, {"skill": "bash", "args": ["-c", f"echo ran >> {tmp_path}/first"]})
    (tmp_path / "t.json").write_text(json.dumps(spec))
    if point.startswith("place"):
        die(house, point, "submit", str(tmp_path / "t.json"))
        expected = {"place.written": ([], []), "place.named": ([], ["t.json"])}[point]
    else:
        house.drop(spec)
        house.run("run", "--once", env={"LOCAL_ALLOW_HIGH": "1"} if point != "approval.given" else {})
        verb = ["approve", "t"] if point == "approval.given" else ["retry", "t", "--from", "1"]
        die(house, point, *verb)
        expected = ([], ["t.json"]) if point.startswith("back") else (["t.json"], [])
    there = [name for name in house.names("failed") if not name.endswith(".result.json")]
    assert (there, house.names("inbox")) == expected
    (house.root / "ready").touch()
    house.run("run", "--once", env={"LOCAL_ALLOW_HIGH": "1"})
    firsts = (tmp_path / "first").read_text().count("ran") if (tmp_path / "first").exists() else 0
    assert firsts <= 1
    if point.startswith("back") or point == "place.named":
        assert house.result("t")["status"] == "ok"
    else:
        assert house.names("done") == []


def test_a_step_taken_over_stays_so_when_the_daemon_dies_as_it_begins_the_next(house, tmp_path):
    steps = [
        {"skill": "bash", "args": ["-c", f"echo ran >> {tmp_path}/first"]},
        {"skill": "bash", "args": ["-c", "test -e ready"], "idempotent": True},
    ]
    house.drop(smoke("t", steps=steps))
    house.run("run", "--once")
    (house.root / "ready").touch()
    house.run("retry", "t", "--from", "1")
    die(house, "retry.met")
    house.run("run", "--once")
    assert (house.result("t")["status"], house.result("t")["continues"]) == ("ok", 1)
    assert (tmp_path / "first").read_text() == "ran\n"
    assert daemon_pid(house.home) is None


def test_from_deaths_at_each_point_of_a_schedule_every_moment_is_fired_for_once(house, tmp_path):
    clock = tmp_path / "clock"
    clock.touch()
    on_clock = {"ORCHESTRATOR_CLOCK": str(clock)}
    day, fired = 1_774_000_000, []
    recurring = {"cron": "0 0 * * *", "timezone": "UTC", "overlap": "queue", "catch_up": "all"}
    house.drop(smoke("daily", schedule=recurring, on_interrupt="retry"))
    for point in RECURRING:
        os.utime(clock, (day, day))
        died = house.run("run", "--once", env=on_clock | {"ORCHESTRATOR_FAILPOINT": point})
        assert died.returncode == KILLED, (point, died.stderr)
        if point != "schedule.moved":
            day += 86_400
            fired.append(f"daily-{time.strftime('%Y%m%d', time.gmtime(day))}T000000Z")
    os.utime(clock, (day, day))
    assert house.run("run", "--once", env=on_clock).returncode == 0
    ended = [name.removesuffix(".json") for name in house.names("done") if not name.endswith(".result.json")]
    assert ended == fired
    # A death in the claim leaves the folder of a run of which nothing was started.
    assert [len(list(Path(house.home.runs, stem).glob("*/result.json"))) for stem in ended] == [1] * len(fired)
    assert house.names("scheduled") == ["daily.json"]
