"""Recurring tasks in a real daemon whose clock the test sets: fired in time, once, in turn, approved once for all."""

import json
import os
import signal
from pathlib import Path

import pytest
from conftest import smoke, until
from virtual_clock import Clock, firings, recurring

from orchestrator import approvals
from orchestrator.schedule.firing import firing
from orchestrator.spec import Task


def fired(house, name, *stamps):
    """These firings of it have ended well, and no other is there."""
    expected = [f"{name}-{stamp}Z" for stamp in stamps]
    until(lambda: firings(house, name, "done") == expected, f"{expected}, not {firings(house, name)}")
    assert firings(house, name) == expected


def skipped(house, name):
    return [line for line in house.telemetry() if line["event"] == "schedule_skipped" and line["schedule"] == name]


def listed(clock, name):
    found = json.loads(clock.run("schedule", "list", "--json").stdout)
    return next((each for each in found if each["stem"] == name), None)


@pytest.fixture
def clock(house, tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.clock.VIRTUAL", str(tmp_path / "clock"))
    return Clock(house, tmp_path / "clock")


def test_a_daemon_fires_right_through_both_changes_of_the_clocks_in_three_zones(house, clock):
    clock.start("2026-03-01T12:00")
    recurring(house, "berlin", "30 2 * * *", timezone="Europe/Berlin", catch_up="none", overlap="queue")
    recurring(house, "york", "30 1,2 * * *", timezone="America/New_York", catch_up="none", overlap="queue")
    recurring(house, "howe", "45 1 * * *", timezone="Australia/Lord_Howe", catch_up="none", overlap="queue")
    recurring(house, "gap", "15 2 * * *", timezone="Australia/Lord_Howe", catch_up="none", overlap="queue")
    clock.set("2026-03-08T06:30", "2026-03-08T07:00", "2026-03-08T07:30")
    clock.set("2026-03-28T01:30", "2026-03-29T00:59:59", "2026-03-29T01:00", "2026-03-29T01:30")
    clock.set("2026-04-04T14:45", "2026-04-04T15:15", "2026-04-05T15:15")
    fired(house, "howe", "20260404T144500", "20260405T151500")
    house.stop(signal.SIGKILL)
    house.start(env=clock.env)
    clock.set("2026-10-03T15:29:59", "2026-10-03T15:30", "2026-10-04T15:15")
    clock.set("2026-10-25T00:30", "2026-10-25T01:30", "2026-10-26T01:30")
    clock.set("2026-11-01T05:30", "2026-11-01T06:30", "2026-11-01T07:30")
    fired(house, "berlin", "20260328T013000", "20260329T010000", "20261025T003000", "20261026T013000")
    fired(house, "york", "20260308T063000", "20260308T070000", "20261101T053000", "20261101T073000")
    fired(house, "gap", "20261003T153000", "20261004T151500")


def test_a_firing_that_is_not_over_keeps_the_next_from_beginning(house, clock):
    clock.start("2026-06-01T00:30")
    wait_for = "until test -e go; do sleep 0.02; done"
    recurring(house, "skips", "0 * * * *", wait_for)
    recurring(house, "queues", "0 * * * *", wait_for, overlap="queue")
    clock.set("2026-06-01T01:00", "2026-06-01T02:00", "2026-06-01T03:00")
    until(lambda: firings(house, "skips", "running") and firings(house, "queues", "running"), "both to run")
    assert listed(clock, "queues")["waiting"] == 2
    refused = clock.run("schedule", "run-now", "skips")
    assert (refused.exit_code, "skips-20260601T010000Z is not over" in refused.stderr) == (2, True)
    (house.root / "go").touch()
    fired(house, "queues", *(f"20260601T0{hour}0000" for hour in (1, 2, 3)))
    fired(house, "skips", "20260601T010000")
    why = "skips-20260601T010000Z is not over"
    assert [(line["due"][11:16], line["why"]) for line in skipped(house, "skips")] == [("02:00", why), ("03:00", why)]
    shown = listed(clock, "skips")
    assert (shown["fired"], shown["skipped"], shown["last_status"]) == (1, 2, "ok")
    assert shown["why"] == f"2026-06-01T03:00:00Z was skipped: {why}"


def test_what_was_missed_while_no_daemon_ran_is_caught_up_with_as_asked_and_a_wrong_clock_is_forgiven(house, clock):
    clock.start("2026-06-01T00:30")
    for catch_up in ("none", "latest", "all"):
        recurring(house, catch_up, "0 * * * *", catch_up=catch_up)
    house.stop(signal.SIGKILL)
    clock._set("2026-06-01T03:10")
    house.start(env=clock.env)
    fired(house, "latest", "20260601T030000")
    fired(house, "all", "20260601T010000", "20260601T020000", "20260601T030000")
    fired(house, "none")
    until(lambda: [line["count"] for line in skipped(house, "none") + skipped(house, "latest")] == [3, 2], "the skips")
    clock._set("2026-06-01T02:00")  # set back by less than three hours: no time comes twice
    clock.set("2099-01-01T00:00", "2026-06-01T03:30", "2026-06-01T04:00")  # wrong for a moment
    fired(house, "latest", "20260601T030000", "20260601T040000", "20990101T000000")


def test_a_recurring_task_is_approved_once_for_its_own_firings_and_no_other_task(house, clock):
    clock.start("2026-06-01T00:30")
    spec = smoke("deploy", "bash release.sh", risk="high", schedule="0 * * * *")
    (house.root / "release.sh").write_text("echo released")
    house.drop(spec)
    assert house.result("deploy")["status"] == "blocked"
    approved = clock.run("approve", "deploy", "--json")
    assert json.loads(approved.stdout)[0]["recurs"], approved.stderr
    until(lambda: "deploy.json" in house.names("scheduled"), "it to be taken")
    assert "standing" in clock.run("approvals").stdout
    forged = firing(Task.model_validate_json(json.dumps(spec)), 1_780_275_600)[1]
    house.drop(forged.decode(), "deploy-20260601T010000Z.json")  # the very firing, an hour before its time
    assert house.result("deploy-20260601T010000Z")["status"] == "blocked"
    house.drop(json.loads(forged) | {"id": "other"}, "other.json")
    assert house.result("other")["status"] == "blocked"
    clock.set("2026-06-01T02:00")
    assert house.result("deploy-20260601T020000Z")["status"] == "ok"
    (house.root / "release.sh").write_text("echo something else")
    clock.set("2026-06-01T03:00")
    changed = house.result("deploy-20260601T030000Z")
    assert (changed["status"], "release.sh was changed since" in changed["reason"]) == ("blocked", True)
    clock.set("2026-06-01T04:00")
    assert listed(clock, "deploy")["why"] == "deploy-20260601T030000Z waits for approval"
    assert clock.run("approve", "deploy", "deploy-20260601T030000Z").exit_code == 0
    until(lambda: "deploy-20260601T030000Z.json" in house.names("done"), "the approved one")
    fired_again = clock.run("schedule", "run-now", "deploy", "--wait")
    assert "OK" in fired_again.stdout, fired_again
    assert clock.run("reject", "deploy", "--why", "enough").exit_code == 0
    assert house.result("deploy")["reason"].startswith("rejected: enough")
    clock.set("2026-06-01T05:00")
    assert house.names("scheduled") == ["tick.json", "tick.paused"]
    assert firings(house, "deploy", "inbox", "running", "failed") == ["deploy-20260601T010000Z"]
    assert [answer.id for answer in approvals.everything(house.home) if answer.id.startswith("deploy")] == []


def test_what_a_person_does_to_a_recurring_task_in_its_folder_is_judged_as_in_inbox(house, clock):
    clock.start("2026-06-01T00:30")
    folder, inbox = Path(house.home.scheduled), Path(house.home.inbox)
    recurring(house, "a", "0 * * * *")
    (inbox / ".a.yaml.tmp").write_text(
        "id: a\ntitle: as YAML\nskills: [bash]\nschedule: '0 */2 * * *'\nrisk: low\n"
        "steps: [{skill: bash, args: [-c, 'echo new']}]\n...\n"
    )
    (inbox / ".a.yaml.tmp").rename(inbox / "a.yaml")
    until(lambda: house.names("scheduled") == ["a.yaml", "tick.json", "tick.paused"], "the new version")
    clock.set("2026-06-01T01:00", "2026-06-01T02:00")
    assert house.result("a-20260601T020000Z")["results"][0]["stdout"] == "new\n"
    fired(house, "a", "20260601T020000")
    (folder / "once.json").write_text(json.dumps(smoke("once")))  # not recurring: it simply runs
    assert house.result("once")["status"] == "ok"
    os.mkfifo(folder / "pipe.json")
    assert house.result("pipe")["status"] == "invalid"
    (folder / "bad.json").write_text(json.dumps(smoke("bad", schedule="99 * * * *")))
    assert "does not fit" in house.result("bad")["reason"]
    assert clock.run("schedule", "pause", "a").stdout == "a: paused\n"
    clock.set("2026-06-01T04:00")
    assert listed(clock, "a")["state"] == "paused"
    assert clock.run("schedule", "resume", "a").exit_code == 0
    clock.set("2026-06-01T05:00", "2026-06-01T06:00")
    fired(house, "a", "20260601T020000", "20260601T060000")
    following = json.loads(clock.run("schedule", "next", "a", "--count", "2", "--json").stdout)[0]["next"]
    assert [each["utc"] for each in following] == ["2026-06-01T08:00:00Z", "2026-06-01T10:00:00Z"]
    assert clock.run("schedule", "remove", "a").stdout == "a: cancelled\n"
    assert (house.result("a")["status"], house.names("scheduled")) == ("cancelled", ["tick.json", "tick.paused"])
    assert clock.run("schedule", "remove", "a").exit_code == 5
    (folder / "tick.json").unlink()
    until(lambda: os.listdir(house.home.schedules) == [], "it to be forgotten")
