"""The service on a machine that is really booted: systemd as pid 1, the unit as installed, tasks of each skill."""

from pathlib import Path

import pytest
from machine import boot

SKILLS = ("bash", "node", "git", "python", "http")


DRIVER = Path(__file__).with_name("booted_service.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the driver saw; one boot for all the tests."""
    return boot(tmp_path_factory.mktemp("machine") / "stage", DRIVER, "short")


@pytest.fixture(scope="module")
def told_later(tmp_path_factory):
    return boot(tmp_path_factory.mktemp("machine") / "stage", DRIVER, "long")


def test_the_service_is_started_and_says_so_itself(told):
    assert told["install"]["started"]
    status = told["status"]
    assert (status["installed"], status["serves"], status["advice"]) == (True, True, [])
    assert [file["state"] for file in status["files"]] == ["as it would be written now"]
    assert status["manager_says"]["line"].startswith("0 running, 0 waiting")
    assert status["manager_says"]["enabled"]
    assert status["manager_says"]["pid"] > 1


@pytest.mark.soak
def test_it_is_not_started_beside_a_daemon_that_serves_the_home_already(told_later):
    assert "a daemon runs for" in told_later["beside another"]
    assert "stop it first (`kill " in told_later["beside another"]


@pytest.mark.soak
def test_a_user_can_have_it_as_a_service_of_their_own(told_later):
    status = told_later["user"]["status"]
    assert (status["scope"], status["serves"], status["manager_says"]["enabled"]) == ("user", True, True)
    assert told_later["user"]["task"] == ["ok", "bwrap"]
    assert "loginctl enable-linger" in " ".join(status["advice"])


def test_every_skill_works_under_the_unit_in_the_full_sandbox(told):
    for skill in SKILLS:
        ended = told["usual"][skill]
        assert (ended["status"], ended["sandbox"]) == ("ok", "bwrap"), ended
    assert told["usual"]["node"]["out"] == "jit true\n"
    assert "Connection refused" in told["usual"]["alone"]["err"]  # it has a network of its own, and nobody is there


def test_the_sandbox_keeps_its_walls_under_the_unit(told):
    evil = told["usual"]["evil"]
    assert evil["out"] == "[]\n"
    places = {place.partition("/")[0] for place in evil["wrote in"]}
    assert places - {"r"} == {".", "queue"}  # r is the repository of a task that may run before it or after it
    assert [place for place in evil["wrote in"] if place.startswith("queue")] == ["queue/inbox"]


def test_every_skill_works_under_the_strict_unit_with_the_lesser_sandbox(told):
    for skill in SKILLS:
        ended = told["strict"][skill]
        assert (ended["status"], ended["sandbox"]) == ("ok", "landlock"), ended
    evil = told["strict"]["evil"]
    assert (evil["status"], evil["out"]) == ("ok", "")
    assert [place for place in evil["wrote in"] if not place.startswith("state/cache")] == []
    assert "needs bwrap" in told["strict"]["alone"]["reason"]


def test_a_reload_is_no_restart(told):
    assert told["reloaded"] == {"ActiveState": "active", "NRestarts": "0"}


def test_a_stop_waits_for_what_runs_and_leaves_nobody(told):
    assert told["stopped"] == {"Result": "success", "ActiveState": "inactive", "slow": "ok"}
    assert told["alive"] == []


@pytest.mark.soak
def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_started_again(told_later):
    assert told_later["watchdog"]
    assert told_later["where it hung"]


@pytest.mark.soak
def test_a_timer_takes_the_daemons_place_and_its_run_drains_the_inbox(told_later):
    scheduled = told_later["scheduled"]
    assert (scheduled["scheduled"], scheduled["serves"], scheduled["manager_says"]["running"]) == (True, True, False)
    assert scheduled["manager_says"]["next"].endswith("T18:00:00Z")
    assert told_later["late"] == "ok"


def test_uninstalling_removes_what_was_installed_and_nothing_else(told):
    folder = "/etc/systemd/system"
    assert told["uninstalled"]["removed"] == [f"{folder}/orchestrator.service"]
    assert told["uninstalled"]["kept"] == [f"{folder}/orchestrator.service.d/mine.conf"]
    assert told["left over"] == [f"{folder}/orchestrator.service.d"]
