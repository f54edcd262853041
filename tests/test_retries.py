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

    shown = daemon.run("show", "flaky").stdout
    assert "step 0 failed  attempt 1  (" in shown
    assert "exit code 72), " in shown

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


def test_a_crash_in_the_middle_of_a_later_attempt_is_met_as_in_the_first(house, tmp_path):
    house.start()
    for name in ("may", "not"):
        (tmp_path / name).mkdir()
        script = f"cd {tmp_path}/{name}; echo x >> n; n=$(wc -l < n); echo attempt $n; [ $n != 1 ] || exit 7; "
        script += "[ -e go ] || exec sleep 1000"
        house.drop(smoke(name, steps=[bash(script, retry=AT_ONCE, idempotent=name == "may")]))
    for name in ("may", "not"):
        output = Path(house.home.runs) / f"{name}/1/0-bash.2.out"
        until(lambda output=output: output.exists() and output.stat().st_size, "the second attempt")
    house.stop(signal.SIGKILL)
    (tmp_path / "may/go").touch()
    house.run("run", "--once")
    ends, earlier = {}, {}
    for name in ("may", "not"):
        result = house.result(name)
        (step,) = result["results"]
        ends[name] = (result["status"], step["attempts"], count(tmp_path / name))
        earlier[name] = [
            (each["attempt"], each["status"], each["code"], each["stdout_path"]) for each in step["earlier"]
        ]
    assert ends == {"may": ("ok", 3, 3), "not": ("interrupted", 2, 2)}
    assert earlier["may"] == [(1, "failed", 7, "0-bash.out"), (2, "interrupted", None, "0-bash.2.out")]
    assert earlier["not"] == [(1, "failed", 7, "0-bash.out")]


# ── whole tasks ────────────────────────────────────────────────────────────────────────────────


def flaky_task(folder, task_id="t", retry=AT_ONCE, **fields):
    """Step 0 counts how often it ran, step 1 goes well at the third attempt."""
    first = bash(f"echo from the first; echo x >> {folder}/first")
    last = bash(f"echo x >> {folder}/last")
    return smoke(task_id, steps=[first, third_time(folder), last], retry=retry, **fields)


def test_a_task_that_fails_is_attempted_again_in_runs_that_take_over_what_went_well(daemon, tmp_path):
    daemon.drop(flaky_task(tmp_path, acceptance=["Printed from the first"]))
    result = daemon.result("t")
    assert (result["status"], result["run"], result["attempt"], result["continues"]) == ("ok", 3, 3, 2)
    assert [step["run"] for step in result["results"]] == [1, None, None]
    assert (count(tmp_path, "first"), count(tmp_path), count(tmp_path, "last")) == (1, 3, 1)
    runs = Path(daemon.home.runs) / "t"
    earlier = [json.loads((runs / f"{number}/result.json").read_text()) for number in (1, 2)]
    assert [(each["status"], each["attempt"]) for each in earlier] == [("failed", 1), ("failed", 2)]
    assert [(each["again"]["attempt"], each["again"]["of"], each["again"]["step"]) for each in earlier] == [
        (2, 4, 1),
        (3, 4, 1),
    ]
    assert daemon.names("failed") == os.listdir(daemon.home.retries) == []

    daemon.drop(smoke("never", "exit 9", retry={**AT_ONCE, "limit": 1}))
    never = daemon.result("never")
    assert (never["status"], never["run"], never["attempt"], never["again"]) == ("failed", 2, 2, None)
    daemon.drop(smoke("other", "exit 9", retry={**AT_ONCE, "on": [8, "acceptance_failed"]}))
    assert daemon.result("other")["run"] == 1
    whole = smoke("whole", f"echo x >> {tmp_path}/w", retry={**AT_ONCE, "limit": 2, "from": "start"})
    daemon.drop(whole | {"acceptance": [{"command": f"test $(wc -l < {tmp_path}/w) = 3"}]})
    assert (daemon.result("whole")["status"], count(tmp_path, "w")) == ("ok", 3)
    checks = smoke("checks", f"echo x >> {tmp_path}/c", retry=AT_ONCE)
    daemon.drop(checks | {"acceptance": [{"command": f"echo x >> {tmp_path}/d; test $(wc -l < {tmp_path}/d) = 3"}]})
    assert (daemon.result("checks")["status"], count(tmp_path, "c"), count(tmp_path, "d")) == ("ok", 1, 3)
    daemon.stop()
    told = [(line["event"], line["run"]) for line in daemon.telemetry() if line.get("id") == "t" and "status" in line]
    told = [each for each in told if each[0].startswith("task")]
    assert told == [("task_retrying", 1), ("task_retrying", 2), ("task_finished", 3)]


def pending(house):
    """When each next attempt is due."""
    return {path.name: json.loads(path.read_text())["due"] for path in Path(house.home.retries).glob("*.json")}


def die(house, point):
    died = house.run("run", "--once", env={"ORCHESTRATOR_FAILPOINT": f"{point}:1"})
    assert died.returncode == -signal.SIGKILL, (point, died.returncode, died.stderr)


@pytest.mark.parametrize("point", ["result.journaled", "retry.asked", "requeue.renamed"])
def test_by_a_death_between_two_attempts_at_a_task_none_is_lost_and_none_made_twice(house, tmp_path, point):
    house.drop(flaky_task(tmp_path, "t", LONG))
    die(house, point)
    house.start()
    until(lambda: len(house.names("inbox")) == 1 == len(pending(house)), "it to wait")
    assert (count(tmp_path, "first"), count(tmp_path)) == (1, 1)
    assert os.listdir(f"{house.home.runs}/t") == ["1"]
    house.stop()
    assert house.names("running") == house.names("failed") == []
    told = [(line["id"], line["run"]) for line in house.telemetry() if line["event"] == "task_retrying"]
    assert told == [("t", 1)]


def test_a_pending_attempt_outlives_daemons_and_is_shown_cancelled_and_replaced(house, tmp_path):
    house.start()
    for name in ("one", "two", "six"):
        house.drop(smoke(name, "exit 9", retry=LONG))
    until(lambda: len(pending(house)) == len(house.names("inbox")) == 3, "all to wait")
    house.stop(signal.SIGKILL)
    dues = pending(house)
    house.start()
    listed = {entry["stem"]: entry for entry in json.loads(house.run("list", "--json").stdout)}
    assert {entry["state"] for entry in listed.values()} == {"inbox"}
    shown = house.run("show", "one").stdout
    assert "attempt 2 of 4 at" in shown
    assert "step 0 (bash) exited with 9" in shown
    assert "attempt 2 of 4 at" in house.run("list").stdout
    assert pending(house) == dues
    (Path(house.home.inbox) / "one.cancel").touch()
    one = house.result("one")
    assert (one["status"], one["run"], one["attempt"]) == ("cancelled", 2, 2)
    house.drop(smoke("two", "true"))
    two = house.result("two")
    assert (two["status"], two["run"], two["attempt"]) == ("ok", 2, 1)
    assert house.names("inbox") == ["six.json"]
    assert house.run("retry", "six", "--from", "7").returncode == 2
    asked = house.run("retry", "six")
    assert (asked.returncode, asked.stdout) == (0, "six\n")
    assert "attempt 2 of 4 starts without its wait" in asked.stderr
    until(lambda: any(name.startswith("six.") and due > 0 for name, due in pending(house).items()), "the third to wait")
    house.stop()
    house.start()
    assert [name.partition(".")[0] for name in pending(house)] == ["six"], "what is about files that are gone goes too"
    six = json.loads((Path(house.home.runs) / "six/2/result.json").read_text())
    assert (six["attempt"], six["again"]["attempt"]) == (2, 3)


def test_a_newer_file_of_the_name_takes_the_place_of_the_next_attempt(daemon, tmp_path):
    os.mkfifo(tmp_path / "gate")
    daemon.drop(smoke("t", f"read x < {tmp_path}/gate; exit 9", retry=LONG))
    until(lambda: daemon.names("running"), "it to run")
    daemon.drop(smoke("t", "echo new"))
    (tmp_path / "gate").write_text("go\n")
    folder = Path(daemon.home.runs) / "t"
    until(lambda: daemon.names("done") == ["t.json", "t.result.json"], "the newer one")
    first = json.loads((folder / "1/result.json").read_text())
    assert (first["status"], first["again"]) == ("failed", None)
    assert "not attempted again: its file was replaced" in first["reason"]
    assert os.listdir(daemon.home.retries) == []


def test_an_approval_holds_for_the_attempts_that_the_approved_spec_allows_and_for_no_changed_script(house, tmp_path):
    (house.root / "same.sh").write_text(f"echo x >> {tmp_path}/n; test $(wc -l < {tmp_path}/n) -ge 3\n")
    (house.root / "other.sh").write_text(f"echo x >> {tmp_path}/o; echo more >> other.sh; exit 1\n")
    for name in ("same", "other"):
        house.drop(smoke(name, steps=[{"skill": "bash", "args": [f"{name}.sh"]}], risk="high", retry=AT_ONCE))
    house.run("run", "--once")
    house.run("approve", "same", "other")
    house.run("run", "--once")
    same, other = house.result("same"), house.result("other")
    assert (same["status"], same["attempt"], count(tmp_path)) == ("ok", 3, 3)
    assert same["policy"]["approved_by"]
    assert (other["status"], other["attempt"], count(tmp_path, "o")) == ("blocked", 2, 1)


def test_of_tasks_with_one_key_one_is_run_over_restarts_and_until_that_has_failed(house, tmp_path):
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "f").mkdir()
    house.start()
    house.drop(smoke("one", f"read x < {tmp_path}/gate", idempotency_key="k"))
    until(lambda: house.names("running"), "the first to run")
    house.drop(smoke("two", f"echo x >> {tmp_path}/n", idempotency_key="k"))
    two = house.result("two")
    assert (two["status"], two["reason"]) == (
        "skipped", "duplicate: its idempotency_key was taken by run 1 of one, which still runs",
    )  # fmt: skip
    (tmp_path / "gate").write_text("go\n")
    assert house.result("one")["status"] == "ok"
    house.drop(smoke("bad", "exit 9", idempotency_key="other"))
    assert house.result("bad")["status"] == "failed"
    house.drop(smoke("good", f"echo x >> {tmp_path}/n", idempotency_key="other"))
    assert house.result("good")["status"] == "ok"
    house.drop(smoke("flaky", steps=[third_time(tmp_path / "f")], retry=AT_ONCE, idempotency_key="flaky"))
    assert house.result("flaky")["attempt"] == 3
    house.stop(signal.SIGKILL)
    house.drop(smoke("new", "true", idempotency_key="killed"))
    die(house, "key.taken")
    assert house.run("retry", "one").returncode == 2
    house.drop(smoke("three", f"echo x >> {tmp_path}/n", idempotency_key="k"))
    house.run("run", "--once")
    assert house.result("three")["reason"].endswith("by run 1 of one, which ended ok")
    assert house.result("new")["status"] == "ok"
    assert (count(tmp_path), count(tmp_path / "f")) == (1, 3)
