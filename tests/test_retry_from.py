"""`retry --from`: a person goes on with an ended task at one of its steps."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from conftest import smoke, until
from typer.testing import CliRunner

from orchestrator.cli.app import app


def bash(script, **fields):
    return {"skill": "bash", "args": ["-c", script]} | fields


def invoke(house, *args):
    return CliRunner().invoke(app, ["--home", str(house.root), *args])


def failing(folder, **fields):
    """Step 1 fails until there is a file `ready` in the workspace."""
    steps = [
        bash(f"echo from the first; echo ran >> {folder}/first; echo x > made.txt", id="build"),
        bash("test -e ready", id="check"),
        bash(f"echo from the last; echo ran >> {folder}/last"),
    ]
    acceptance = ["Printed from the first", "made.txt updated", {"exit_code": {"step": "build", "equals": 0}}]
    return smoke("task", steps=steps, acceptance=acceptance, **fields)


def ran(folder, name):
    path = folder / name
    return path.read_text().count("ran") if path.exists() else 0


@pytest.fixture
def failed(house, tmp_path):
    """A house in which step 1 of `task` has failed."""
    (house.root / "made.txt").write_text("old")
    house.drop(failing(tmp_path))
    house.run("run", "--once")
    return house


def once(house, **options):
    house.run("run", "--once", **options)
    return house.result("task")


@pytest.mark.parametrize("word", ["check", "1"])
def test_the_next_run_goes_on_there_and_acceptance_sees_what_was_taken_over(failed, tmp_path, word):
    (failed.root / "ready").touch()
    put_back = invoke(failed, "retry", "task", "--from", word)
    assert (put_back.exit_code, put_back.stdout) == (0, "task\n")
    assert "taken over from run 1: step 0 (bash) `build`\n" in put_back.stderr
    assert "to be run: step 1 (bash) `check`, step 2 (bash), the checks\n" in put_back.stderr
    result = once(failed)
    assert (result["status"], result["run"], result["continues"]) == ("ok", 2, 1)
    assert [(step["run"], step["status"]) for step in result["results"]] == [(1, "ok"), (None, "ok"), (None, "ok")]
    assert [check["ok"] for check in result["acceptance"]] == [True, True, True]
    assert (ran(tmp_path, "first"), ran(tmp_path, "last")) == (1, 1)
    assert (Path(failed.home.runs) / "task/2/0-bash.out").read_text() == "from the first\n"
    assert os.listdir(failed.home.retries) == []


def test_what_cannot_be_is_refused_and_stays_where_it_is(failed):
    for word, why in (
        ("nope", "task has no step nope; there are build, check, 2, checks"),
        ("3", "task has no step 3"),
        ("2", "step 1 (bash) `check` is failed in run 1, and what comes after needs it: --from check is the furthest"),
    ):
        refused = invoke(failed, "retry", "task", "--from", word)
        assert (refused.exit_code, why in refused.stderr) == (2, True), refused.stderr
    spec = Path(failed.home.failed) / "task.json"
    spec.write_text(spec.read_text().replace("Test task", "Another title"))
    changed = invoke(failed, "retry", "task", "--from", "check")
    assert (changed.exit_code, "was changed since run 1" in changed.stderr) == (2, True), changed.stderr
    assert invoke(failed, "retry", "task", "other", "--from", "1").exit_code == 2
    assert failed.names("failed") == ["task.json", "task.result.json"]
    assert os.listdir(failed.home.retries) == []


def test_a_task_that_ended_ok_and_a_file_that_never_ran_have_nothing_to_go_on_with(house):
    house.drop(smoke("task"))
    house.drop("{", "broken.json")
    house.run("run", "--once")
    assert "ended ok" in invoke(house, "retry", "task", "--from", "0").stderr
    assert "has had no run" in invoke(house, "retry", "broken", "--from", "0").stderr


def test_what_was_approved_needs_approval_again_and_then_goes_on_at_the_same_step(house, tmp_path):
    house.drop(failing(tmp_path, risk="high"))
    house.run("run", "--once")
    invoke(house, "approve", "task")
    assert (once(house)["status"], ran(tmp_path, "first")) == ("failed", 1)
    (house.root / "ready").touch()
    assert "needs approval again" in invoke(house, "retry", "task", "--from", "check").stderr
    blocked = once(house)
    assert (blocked["status"], blocked["continues"], len(blocked["results"])) == ("blocked", 2, 1)
    assert invoke(house, "approve", "task").exit_code == 0
    result = once(house)
    assert (result["status"], ran(tmp_path, "first"), ran(tmp_path, "last")) == ("ok", 1, 1)


def test_a_run_that_goes_on_by_hand_still_knows_it_after_a_crash(house, tmp_path):
    hang = f"echo again; echo ran >> {tmp_path}/second; [ -e ready ] || exec sleep 1000"
    steps = [bash("echo from the first"), bash(hang, idempotent=True)]
    house.start()
    house.drop(smoke("task", steps=steps, acceptance=["Printed from the first"]))
    until((tmp_path / "second").exists, "the step to start")
    (Path(house.home.inbox) / "task.cancel").touch()
    assert house.result("task")["status"] == "cancelled"
    house.run("retry", "task", "--from", "1")
    output = Path(house.home.runs) / "task/2/1-bash.out"
    until(lambda: output.exists() and output.stat().st_size, "the second run")
    house.stop(signal.SIGKILL)
    (house.root / "ready").touch()
    result = once(house)
    assert (result["status"], result["run"], result["continues"]) == ("ok", 2, 1)
    assert [(step["run"], step["attempts"]) for step in result["results"]] == [(1, 1), (None, 2)]


def test_a_wish_is_about_the_file_that_was_put_back_and_about_no_other(failed, tmp_path):
    invoke(failed, "retry", "task", "--from", "check")
    inbox = Path(failed.home.inbox) / "task.json"
    same = inbox.read_bytes()
    inbox.unlink()
    failed.drop(same.decode(), "task.json")
    assert (once(failed)["continues"], ran(tmp_path, "first")) == (None, 2)


def test_a_wish_that_can_no_longer_be_met_ends_the_task_and_runs_nothing(failed, tmp_path):
    invoke(failed, "retry", "task", "--from", "check")
    shutil.rmtree(Path(failed.home.runs) / "task/1")
    result = once(failed)
    assert (result["status"], ran(tmp_path, "first")) == ("failed", 1)
    assert result["reason"].startswith("cannot_go_on: run 1 of task is gone")
    invoke(failed, "retry", "task")
    once(failed)
    assert ran(tmp_path, "first") == 2


def test_the_checks_alone_are_made_again_without_a_step(house, tmp_path):
    house.drop(smoke("task", f"echo ran >> {tmp_path}/first", acceptance=[{"command": "test -e ready"}]))
    assert once(house)["reason"].startswith("acceptance_failed")
    (house.root / "ready").touch()
    told = json.loads(invoke(house, "retry", "task", "--from", "checks", "--json").stdout)
    assert (told[0]["continues"], told[0]["taken_over"], told[0]["runs"]) == (1, ["step 0 (bash)"], ["the checks"])
    assert (once(house)["status"], ran(tmp_path, "first")) == ("ok", 1)
