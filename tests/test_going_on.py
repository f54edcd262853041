"""Runs that a daemon's end cut off: what goes on, what runs again, and what a person has to decide."""

import json
import os
import signal
from pathlib import Path

from conftest import smoke, until
from sandbox_stage import need


def bash(script, **fields):
    return {"skill": "bash", "args": ["-c", script]} | fields


def steps_that_hang_once(folder, **second):
    """Step 0 leaves a mark and ends; step 1 hangs, until there is a file `go`."""
    hang = f"echo try; echo ran >> {folder}/second; [ -e {folder}/go ] || exec sleep 1000; echo done"
    return [bash(f"echo from the first; echo ran >> {folder}/first"), bash(hang, **second)]


def kill_in_step(house, *outputs):
    """Kill the daemon as soon as what these steps printed is on the disk."""
    for output in outputs:
        path = Path(house.home.runs) / output
        until(lambda path=path: path.exists() and path.stat().st_size, f"{output} to be written")
    house.stop(signal.SIGKILL)


def ran(witness):
    return witness.read_text().count("ran") if witness.exists() else 0


def test_after_a_kill_what_may_run_again_does_and_what_had_ended_does_not(house, tmp_path):
    house.start()
    for name, flag, wish in (("step", {"idempotent": True}, {}), ("task", {}, {"on_interrupt": "retry"})):
        (tmp_path / name).mkdir()
        (house.root / f"{name}.txt").write_text("old")
        steps = steps_that_hang_once(tmp_path / name, **flag)
        steps[0]["args"][1] += f"; echo new > {name}.txt"
        acceptance = ["Printed from the first", f"{name}.txt updated", {"exit_code": {"step": 1, "equals": 0}}]
        house.drop(smoke(name, steps=steps, acceptance=acceptance, **wish))
    kill_in_step(house, "step/1/1-bash.out", "task/1/1-bash.out")
    assert house.names("running") == ["step.json", "task.json"]
    for name in ("step", "task"):
        (tmp_path / name / "go").touch()
    house.start()
    for name in ("step", "task"):
        result, witness = house.result(name), tmp_path / name
        assert (result["status"], result["run"], ran(witness / "first"), ran(witness / "second")) == ("ok", 1, 1, 2)
        told = [(step["attempts"], step["stdout"]) for step in result["results"]]
        assert told == [(1, "from the first\n"), (2, "try\ndone\n")]
        assert [check["ok"] for check in result["acceptance"]] == [True, True, True]
        folder = Path(house.home.runs) / name / "1"
        assert (folder / "1-bash.out").read_text() == "try\n"
        assert (folder / result["results"][1]["stdout_path"]).read_text() == "try\ndone\n"


def test_after_a_kill_what_may_not_run_again_is_interrupted_and_its_end_is_told_like_any_other(house, tmp_path):
    house.start()
    wishes = {"memory": {"kind": "fact", "text": "kept"}, "notify": {"channels": ["team"], "level": "error"}}
    house.drop(smoke("long", steps=steps_that_hang_once(tmp_path), **wishes))
    kill_in_step(house, "long/1/1-bash.out")
    house.start()
    result = house.result("long")
    assert (result["status"], ran(tmp_path / "first"), ran(tmp_path / "second")) == ("interrupted", 1, 1)
    assert "the daemon died in step 1 (bash)" in result["reason"]
    assert "`orchestrator retry long --from 1`" in result["reason"]
    assert [(step["status"], step["stdout"]) for step in result["results"]] == [
        ("ok", "from the first\n"),
        ("interrupted", "try\n"),
    ]
    house.stop()
    (ended,) = [line for line in house.telemetry() if line["event"] == "task_finished"]
    assert (ended["status"], ended["run"]) == ("interrupted", 1)
    assert "notify" in (house.root / "daemon.log").read_text()
    (remembered,) = json.loads(house.run("recall", "Test long", "--json").stdout)
    assert remembered["meta"]["memory"] == wishes["memory"]


def test_a_drain_that_ends_a_step_which_may_run_again_leaves_the_run_to_the_next_daemon(house, tmp_path):
    house.start(env={"ORCHESTRATOR_DAEMON__DRAIN_TIMEOUT": "50"})
    house.drop(smoke("again", steps=steps_that_hang_once(tmp_path, idempotent=True)))
    house.drop(smoke("once", "echo begun; exec sleep 1000"))
    until((tmp_path / "second").exists, "the step to start")
    until(lambda: (Path(house.home.runs) / "once/1/0-bash.out").exists(), "the other task to start")
    assert house.stop(signal.SIGTERM) == 0
    assert (house.names("running"), house.names("failed")) == (["again.json"], ["once.json", "once.result.json"])
    assert "the daemon was stopped in step 0 (bash)" in house.result("once")["reason"]
    assert "`orchestrator retry once --from 0`" in house.result("once")["reason"]
    (tmp_path / "go").touch()
    assert house.run("run", "--once").returncode == 0
    result = house.result("again")
    assert (result["status"], ran(tmp_path / "first"), ran(tmp_path / "second")) == ("ok", 1, 2)
    assert [step["attempts"] for step in result["results"]] == [1, 2]


def test_what_goes_on_is_put_before_the_gate_again(house, tmp_path):
    house.start()
    house.drop(smoke("long", steps=steps_that_hang_once(tmp_path, idempotent=True)))
    kill_in_step(house, "long/1/1-bash.out")
    rule = """
    [[rule]]
    id = "mine"
    description = "Sleeping"
    effect = "deny"
    reason = "nobody sleeps here"
    suggestion = "stay awake"
    pattern = "sleep"
    match = ["sleep 1"]
    not_match = ["true"]
    """
    (Path(house.home.policy) / "99-mine.toml").write_text(rule)
    ended = house.run("run", "--once")
    assert ended.returncode == 1, ended.stderr
    result = house.result("long")
    assert result["status"] == "interrupted"
    assert "it may not go on (denied: step 1 (bash): nobody sleeps here)" in result["reason"]
    assert ran(tmp_path / "second") == 1


def test_an_approval_is_for_all_of_its_run_and_for_no_other_script(house, tmp_path):
    for name in ("same", "other"):
        (house.root / f"{name}.sh").write_text(f"echo ran >> {tmp_path}/{name}; [ -e {tmp_path}/go ] || sleep 1000\n")
        step = {"skill": "bash", "args": [f"{name}.sh"]}
        house.drop(smoke(name, steps=[step], risk="high", on_interrupt="retry"))
    house.run("run", "--once")
    assert house.run("approve", "same", "other").returncode == 0
    house.start()
    until(lambda: ran(tmp_path / "same") + ran(tmp_path / "other") == 2, "both to start")
    kill_in_step(house)
    (tmp_path / "go").touch()
    with (house.root / "other.sh").open("a") as script:
        script.write("echo more\n")
    house.run("run", "--once")
    assert (house.result("same")["status"], ran(tmp_path / "same")) == ("ok", 2)
    assert house.result("same")["policy"]["approved_by"]
    assert (house.result("other")["status"], ran(tmp_path / "other")) == ("interrupted", 1)
    assert "other.sh was changed since" in house.result("other")["reason"]


def test_a_run_that_waits_to_go_on_can_be_cancelled_and_keeps_its_namesakes_waiting(house, tmp_path):
    os.mkfifo(tmp_path / "gate")
    house.start()
    for name in ("one", "two"):
        hang = f"echo ran >> {tmp_path}/{name}; [ -e {tmp_path}/go ] && read x < {tmp_path}/gate; exec sleep 1000"
        house.drop(smoke(name, steps=[bash(hang, idempotent=True)]))
    until(lambda: ran(tmp_path / "one") + ran(tmp_path / "two") == 2, "both to start")
    kill_in_step(house)
    (tmp_path / "go").touch()
    house.drop(smoke("two", "echo new"))
    house.start(env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1"})
    until(lambda: ran(tmp_path / "one") + ran(tmp_path / "two") == 3, "one of them to go on")
    (Path(house.home.inbox) / "one.cancel").touch()
    (Path(house.home.inbox) / "two.cancel").touch()
    assert house.result("one")["status"] == "cancelled"
    runs = Path(house.home.runs) / "two"
    first = until(lambda: (runs / "1/result.json").exists() and json.loads((runs / "1/result.json").read_text()), "1")
    second = until(lambda: (runs / "2/result.json").exists() and json.loads((runs / "2/result.json").read_text()), "2")
    assert first["status"] == second["status"] == "cancelled"
    assert ran(tmp_path / "one") + ran(tmp_path / "two") == 3


def test_a_sandboxed_run_that_goes_on_finds_its_own_tmp_as_it_was(house, tmp_path):
    need("bwrap")
    house.sandbox = "auto"
    hang = "cat /tmp/made; [ -e go ] || exec sleep 1000"
    house.start()
    house.drop(smoke("long", steps=[bash("echo kept > /tmp/made"), bash(hang, idempotent=True)]))
    house.drop(smoke("cut", "echo x > /tmp/made; echo begun; exec sleep 1000"))
    kill_in_step(house, "long/1/1-bash.out", "cut/1/0-bash.out")
    (house.root / "go").touch()
    house.run("run", "--once")
    result = house.result("long")
    assert (result["status"], result["sandbox"], result["results"][1]["stdout"]) == ("ok", "bwrap", "kept\n")
    assert (house.result("cut")["status"], house.result("cut")["sandbox"]) == ("interrupted", "bwrap")
    assert os.listdir(house.home.scratch) == ["empty"]
