"""Steps and tasks that are attempted again after a failure: when, how often, what is kept, and what a crash does."""

import json
import os
import signal
from pathlib import Path

import pytest
from conftest import smoke, until

from orchestrator.execution import retrying
from orchestrator.spec import Retry

AT_ONCE = {"limit": 3, "delay": 1}
LONG = {"limit": 3, "delay": "1h", "max_delay": "1h", "jitter": False}


def bash(script, **fields):
    return {"skill": "bash", "args": ["-c", script]} | fields


def third_time(folder, **fields):
    """Counts its attempts in a file, and goes well at the third."""
    script = f"echo x >> {folder}/n; n=$(wc -l < {folder}/n); echo attempt $n; [ $n -ge 3 ] || exit 7$n"
    return bash(script, **fields)


def count(folder, name="n"):
    path = folder / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def records(house, kind):
    text = "".join(path.read_text() for path in sorted(Path(house.home.journal).glob("*.ndjson")))
    return [record for line in text.splitlines() if (record := json.loads(line))["r"] == kind]


def give(retry, failures, failure="exit_code", code=1, part=lambda length: length):
    return retrying.wait_ms(Retry.model_validate({"limit": 9} | retry), failures, failure, code, part)


def test_waits_grow_to_the_longest_and_are_drawn_from_nothing_to_all_of_it():
    fixed = {"delay": 100, "backoff": 3.0, "max_delay": 1_000, "jitter": False}
    assert [give(fixed, n) for n in (1, 2, 3, 9, 10)] == [100, 300, 900, 1_000, None]
    assert give({"delay": 100, "limit": 100, "backoff": 10.0}, 100) == 300_000
    assert give({"delay": 100}, 2, part=lambda length: length / 4) == 50
    drawn = {give({"delay": 1_000}, 1, part=retrying.draw) for _ in range(50)}
    assert len(drawn) > 10
    assert all(0 <= wait <= 1_000 for wait in drawn)


@pytest.mark.parametrize(
    ("on", "failure", "code", "again"),
    [
        ((), "timeout", -15, True),
        ((), None, None, False),
        ((75,), "exit_code", 75, True),
        ((75,), "exit_code", 1, False),
        (("timeout",), "exit_code", 1, False),
        (("timeout", 75), "timeout", -9, True),
        (("connection_failed",), "connection_failed", 7, True),
        ((7,), "connection_failed", 7, True),
    ],
)
def test_only_what_the_spec_names_is_attempted_again(on, failure, code, again):
    assert (give({"on": on}, 1, failure, code) is not None) == again


def test_a_step_that_fails_is_attempted_again_and_each_attempt_is_kept(daemon, tmp_path):
    daemon.drop(smoke("flaky", steps=[third_time(tmp_path, retry=AT_ONCE)], acceptance=["Printed attempt 3"]))
    result = daemon.result("flaky")
    (step,) = result["results"]
    assert (result["status"], step["attempts"], step["code"], step["failure"]) == ("ok", 3, 0, None)
    told = [(each["attempt"], each["status"], each["code"], each["failure"]) for each in step["earlier"]]
    assert told == [(1, "failed", 71, "exit_code"), (2, "failed", 72, "exit_code")]
    assert all(each["duration_ms"] > 0 and 0 <= each["wait_ms"] <= 4 for each in step["earlier"])
    folder = Path(daemon.home.runs) / "flaky/1"
    outputs = [each["stdout_path"] for each in (*step["earlier"], step)]
    assert [(folder / path).read_text() for path in outputs] == ["attempt 1\n", "attempt 2\n", "attempt 3\n"]

    daemon.drop(smoke("never", steps=[bash("exit 9", retry={**AT_ONCE, "limit": 1}), bash("true")]))
    never = daemon.result("never")
    assert (never["status"], never["results"][0]["attempts"], len(never["results"])) == ("failed", 2, 1)
    daemon.drop(smoke("other", steps=[bash("exit 9", retry={**AT_ONCE, "on": [8, "timeout"]})]))
    assert daemon.result("other")["results"][0]["attempts"] == 1
    slow = [bash("sleep 60", timeout=50, retry={**AT_ONCE, "limit": 1, "on": ["timeout"]})]
    daemon.drop(smoke("slow", steps=slow))
    assert daemon.result("slow")["results"][0]["earlier"][0]["failure"] == "timeout"
    soft = [bash("exit 9", retry={**AT_ONCE, "limit": 1}, optional=True), bash("true")]
    daemon.drop(smoke("soft", steps=soft))
    soft = daemon.result("soft")
    assert (soft["status"], [step["attempts"] for step in soft["results"]]) == ("ok", [2, 1])
    daemon.drop(smoke("hurry", steps=[bash("exit 9", retry=LONG)], timeout="1m"))
    assert daemon.result("hurry")["results"][0]["attempts"] == 1, "the task's timeout comes before the next attempt"
    daemon.stop()
    ended = [line for line in daemon.telemetry() if line["event"] == "step_finished" and line["id"] == "flaky"]
    assert [(line["attempt"], line["wait_ms"] is None) for line in ended] == [(1, False), (2, False), (3, True)]


def test_a_wait_that_a_kill_cuts_off_goes_on_with_its_rest_and_its_draw(house, tmp_path):
    house.start()
    house.drop(smoke("flaky", steps=[third_time(tmp_path, retry={"limit": 3, "delay": 400, "backoff": 1.0})]))
    house.drop(smoke("long", steps=[bash("exit 9", retry=LONG)]))
    until(lambda: len({record["id"] for record in records(house, "wait")}) == 2, "both to wait")
    house.stop(signal.SIGKILL)
    before = {record["id"]: record["due"] for record in records(house, "wait")}
    house.start()
    result = house.result("flaky")
    assert (result["status"], result["run"], count(tmp_path)) == ("ok", 1, 3)
    assert [each["code"] for each in result["results"][0]["earlier"]] == [71, 72]
    (Path(house.home.inbox) / "long.cancel").touch()
    long = house.result("long")
    assert (long["status"], long["run"]) == ("cancelled", 1)
    assert [(step["attempts"], step["code"]) for step in long["results"]] == [(1, 9)]
    house.stop()
    (due,) = [record["due"] for record in records(house, "wait") if record["id"] == "long"]
    assert due == before["long"]


def test_a_stop_in_a_wait_leaves_the_run_to_the_next_daemon_at_once(house, tmp_path):
    house.start(env={"ORCHESTRATOR_DAEMON__DRAIN_TIMEOUT": "10m"})
    house.drop(smoke("long", steps=[bash("true"), bash("exit 9", retry=LONG)]))
    until(lambda: records(house, "wait"), "it to wait")
    assert house.stop(signal.SIGTERM) == 0
    assert (house.names("running"), house.names("failed")) == (["long.json"], [])
    house.start()
    (Path(house.home.inbox) / "long.cancel").touch()
    result = house.result("long")
    assert [(step["status"], step["attempts"]) for step in result["results"]] == [("ok", 1), ("failed", 1)]


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_crash_in_the_middle_of_a_later_attempt_is_met_as_in_the_first(house, tmp_path, idempotent):
    script = f"echo x >> {tmp_path}/n; n=$(wc -l < {tmp_path}/n); echo attempt $n; [ $n != 1 ] || exit 7; "
    script += f"[ -e {tmp_path}/go ] || exec sleep 1000"
    house.start()
    house.drop(smoke("t", steps=[bash(script, retry=AT_ONCE, idempotent=idempotent)]))
    output = Path(house.home.runs) / "t/1/0-bash.2.out"
    until(lambda: output.exists() and output.stat().st_size, "the second attempt")
    house.stop(signal.SIGKILL)
    (tmp_path / "go").touch()
    house.run("run", "--once")
    result = house.result("t")
    (step,) = result["results"]
    earlier = [(each["attempt"], each["status"], each["code"], each["stdout_path"]) for each in step["earlier"]]
    if idempotent:
        assert (result["status"], step["attempts"], count(tmp_path)) == ("ok", 3, 3)
        assert earlier == [(1, "failed", 7, "0-bash.out"), (2, "interrupted", None, "0-bash.2.out")]
    else:
        assert (result["status"], step["attempts"], count(tmp_path)) == ("interrupted", 2, 2)
        assert earlier == [(1, "failed", 7, "0-bash.out")]
    assert os.listdir(house.home.running) == []
