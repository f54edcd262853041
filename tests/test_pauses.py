"""Pause, resume, drain, and commands for all tasks with a label."""

import json
import os
import signal
from pathlib import Path

from conftest import smoke, until
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import pauses
from orchestrator.pauses import ALL, Pause, Request
from orchestrator.spool import names

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(TEXT.filter(lambda key: key and "=" not in key), TEXT)
def test_a_request_about_any_label_is_a_file_name_that_says_which(key, value):
    label = f"{key}={value}"
    name = pauses.request_name(label, "pause")
    assert "/" not in name
    assert not names.is_temporary(name)
    assert pauses.unquote(name.removesuffix(".pause")) == label


def test_the_later_of_two_requests_counts_and_fulfilling_one_twice_makes_no_difference(home):
    pauses.ask(home, ALL, "pause")
    os.rename(f"{home.inbox}/all.pause", f"{home.inbox}/kept")
    pauses.ask(home, ALL, "resume")
    os.rename(f"{home.inbox}/kept", f"{home.inbox}/all.pause")  # a rename makes it the later one
    requests = pauses.in_order(home, os.listdir(home.inbox))
    assert [request.verb for request in requests] == ["resume", "pause"]
    once = pauses.after(pauses.after({}, requests[0]), requests[1])
    assert pauses.after(once, requests[1]) == once
    assert list(once) == [ALL]
    pauses.ask(home, ALL, "resume")
    assert os.listdir(home.inbox) == ["all.resume"]


def test_a_pause_that_is_over_and_requests_that_lie_there_count_for_whoever_looks(home):
    assert pauses.standing(home) == {}
    midnight, two = "2026-01-01T00:00:00.000Z", "2026-01-01T02:00:00.000Z"
    pauses.write(home, [Pause(ALL, midnight, two), Pause("a=b", midnight)])
    assert set(pauses.standing(home, now=1767232799.0)) == {ALL, "a=b"}  # 01:59:59
    assert set(pauses.standing(home, now=1767232801.0)) == {"a=b"}  # 02:00:01
    pauses.ask(home, "a=b", "resume")
    pauses.ask(home, "c=d", "pause")
    assert set(pauses.standing(home, now=1767232801.0)) == {"c=d"}


def test_what_is_not_readable_pauses_everything_rather_than_nothing(home):
    Path(home.paused).write_text('{"pauses": [{"what": "a=b"}]}')
    assert list(pauses.standing(home)) == [ALL]


def test_a_label_pause_covers_the_tasks_that_have_it():
    pause = Pause("team=data", "2026-01-01T00:00:00.000Z")
    assert pause.covers({"team": "data", "x": "y"})
    assert not pause.covers({"team": "web"})
    assert not pause.covers({})
    assert Pause(ALL, "").covers({})


def test_a_request_that_came_anew_while_it_was_fulfilled_is_not_taken_for_the_earlier_one(home):
    pauses.ask(home, ALL, "pause")
    (request,) = pauses.in_order(home, os.listdir(home.inbox))
    assert isinstance(request, Request)
    assert pauses.still_there(home, request)
    pauses.ask(home, ALL, "pause", "2099-01-01T00:00:00.000Z")
    assert not pauses.still_there(home, request)


def paused(house):
    return set(pauses.read(house.home))


def test_what_is_paused_starts_nothing_new_over_any_death_and_restart_until_it_is_resumed(house, tmp_path):
    house.start()
    os.mkfifo(tmp_path / "gate")
    script = f"echo ran >> {tmp_path}/running; read x < {tmp_path}/gate"
    house.drop(smoke("running", script, on_interrupt="retry"))
    until(lambda: (tmp_path / "running").exists(), "it to run")

    assert "everything is paused" in house.run("pause").stdout
    assert paused(house) == {ALL}
    assert not [name for name in house.names("inbox") if name.endswith(".pause")]
    house.drop(smoke("later"))
    house.drop(smoke("bad") | {"steps": []})
    assert house.result("bad")["status"] == "invalid"  # it is judged all the same
    house.stop(signal.SIGKILL)

    # Without a daemon a request waits, and is the first thing that the next one sees to.
    pauses.ask(house.home, "team=data", "pause")
    assert house.names("inbox") == ["later.json", "team=data.pause"]
    house.drop(smoke("data", labels={"team": "data"}))
    house.start()
    until(lambda: (tmp_path / "running").read_text() == "ran\nran\n", "what runs to go on")
    until(lambda: paused(house) == {ALL, "team=data"}, "the request to be fulfilled")
    doctor = house.run("doctor").stdout
    assert "everything is paused" in doctor
    stats = json.loads(house.run("stats", "--json").stdout)
    assert {pause["what"] for pause in stats["paused"]} == {ALL, "team=data"}
    assert house.names("running") == ["running.json"]
    assert house.names("inbox") == ["data.json", "later.json"]
    drained = house.run("drain", "--timeout", "1ms")
    assert (drained.returncode, "still running: running" in drained.stderr) == (124, True)
    (tmp_path / "gate").write_text("go\n")
    drained = house.run("drain", "--json")
    assert drained.returncode == 0
    assert json.loads(drained.stdout)["running"] == []
    assert house.names("inbox") == ["data.json", "later.json"]

    house.run("resume")
    assert house.result("later")["status"] == "ok"
    assert house.names("inbox") == ["data.json"]
    pauses.ask(house.home, "team=data", "resume")
    assert house.result("data")["status"] == "ok"
    assert house.result("running")["status"] == "ok"
    until(lambda: not os.path.exists(house.home.paused), "nothing to be paused")

    # By itself, and by hand.
    house.drop(smoke("timed"))
    (Path(house.home.inbox) / "nobody.pause").touch()
    until(lambda: "nobody.pause" not in house.names("inbox"), "what asks for nothing to be removed")
    (Path(house.home.inbox) / "team=data.pause").touch()
    until(lambda: paused(house) == {"team=data"}, "it to be paused")
    house.run("pause", "--for", "50ms")
    until(lambda: paused(house) == {"team=data"}, "the pause to end by itself")
    assert house.result("timed")["status"] == "ok"


def test_once_says_that_it_is_paused_and_ends_and_a_death_before_a_request_is_removed_loses_nothing(house):
    house.run("pause")
    house.drop(smoke("t"))
    died = house.run("run", "--once", env={"ORCHESTRATOR_FAILPOINT": "pause.written"})
    assert died.returncode == -signal.SIGKILL
    assert paused(house) == {ALL}
    assert house.names("inbox") == ["all.pause", "t.json"]
    once = house.run("run", "--once")
    assert "everything is paused" in once.stderr
    assert "orchestrator resume" in once.stderr
    assert "t.json stays in inbox: paused" in once.stderr
    assert (once.returncode, house.names("inbox")) == (0, ["t.json"])
    died = house.run("resume", env={"ORCHESTRATOR_FAILPOINT": "pause.asked"})
    assert died.returncode == -signal.SIGKILL
    house.run("run", "--once")
    assert house.result("t")["status"] == "ok"
    assert house.names("inbox") == []


def test_tasks_are_cancelled_listed_and_waited_for_by_their_labels(house):
    specs = {
        "a": {"team": "data", "stage": "test"},
        "b": {"team": "data", "stage": "live"},
        "c": {"team": "web"},
    }
    for task_id, labels in specs.items():
        house.drop(smoke(task_id, labels=labels))
    (Path(house.home.inbox) / "y.yaml").write_text(
        "id: y\ntitle: T\nrisk: low\nskills: [bash]\nlabels: {team: data, stage: test}\n"
        "steps: [{skill: bash, args: [-c, 'true']}]\n...\n"
    )
    both = ("--label", "team=data", "--label", "stage=test")
    dry = house.run("cancel", *both, "--dry-run")
    assert sorted(dry.stdout.split()) == ["a", "y"]
    assert "a.cancel" not in house.names("inbox")
    assert house.run("cancel", "--label", "team=nobody").returncode == 5
    assert house.run("cancel", "a", *both).returncode == house.run("cancel").returncode == 2
    asked = json.loads(house.run("cancel", *both, "--json").stdout)
    assert sorted((one["task"], one["status"]) for one in asked) == [("a", "asked"), ("y", "asked")]
    house.run("run", "--once")
    ended = json.loads(house.run("wait", "--label", "team=data", "--json").stdout)
    assert {one["id"]: one["status"] for one in ended} == {"a": "cancelled", "b": "ok", "y": "cancelled"}
    assert house.run("wait", "--label", "team=web").returncode == 0
    listed = json.loads(house.run("list", "--label", "stage=test", "--json").stdout)
    assert sorted(entry["stem"] for entry in listed) == ["a", "y"]
