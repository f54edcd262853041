"""Pools with a real daemon: exclusion, a crash of the holder's daemon, sizes that change while tasks wait."""

import json
import os
import signal
from pathlib import Path

from conftest import smoke, until


def pools(house, **sizes):
    lines = "".join(f"{name} = {size}\n" for name, size in sizes.items())
    (Path(house.home.config) / "local.toml").write_text(f"[pools]\n{lines}")


def gate(tmp_path, name):
    os.mkfifo(tmp_path / name)
    return f"read x < {tmp_path}/{name}"


def add_skill(house, name, **manifest):
    folder = Path(house.home.skills) / name
    folder.mkdir()
    lines = "".join(f"{key} = {value}\n" for key, value in manifest.items())
    (folder / "skill.toml").write_text(
        f'name = "{name}"\ndescription = "D"\nargv = ["bash", "-c", "{{args}}"]\n{lines}'
    )


def holds(house):
    entries = json.loads(house.run("list", "--state", "inbox", "--json").stdout)
    return {entry["stem"]: [(hold["kind"], hold["why"], hold["ids"]) for hold in entry["holds"]] for entry in entries}


def test_tasks_that_share_a_lock_run_one_after_the_other_and_others_meanwhile(daemon, tmp_path):
    alone = f"mkdir {tmp_path}/alone && echo $ORCHESTRATOR_TASK_ID >> {tmp_path}/order && rmdir {tmp_path}/alone"
    daemon.drop(smoke("holder", f"{gate(tmp_path, 'gate')}; {alone}", resources={"db": 1}))
    until(lambda: daemon.names("running"), "the holder to run")
    for number in range(3):
        daemon.drop(smoke(f"t{number}", alone, resources={"db": 1}))
        until(lambda number=number: f"t{number}.json" in daemon.names("inbox"))
    daemon.drop(smoke("free"))
    assert daemon.result("free")["status"] == "ok"
    assert daemon.names("inbox") == ["t0.json", "t1.json", "t2.json"]
    assert holds(daemon) == {
        "t0": [("resources", "waits for lock db (held by holder)", ["holder"])],
        "t1": [("resources", "waits for lock db (after t0)", ["t0"])],
        "t2": [("resources", "waits for lock db (after t0)", ["t0"])],
    }
    (lock,) = json.loads(daemon.run("stats", "--json").stdout)["shares"]
    assert (lock["name"], lock["kind"], lock["used"], lock["size"]) == ("db", "lock", 1, 1)
    assert [part["task"] for part in lock["holders"]] == ["holder"]
    assert [part["task"] for part in lock["waiting"]] == ["t0", "t1", "t2"]
    assert "held by holder" in daemon.run("list").stdout
    (tmp_path / "gate").write_text("go\n")
    assert [daemon.result(stem)["status"] for stem in ("holder", "t0", "t1", "t2")] == ["ok"] * 4
    assert (tmp_path / "order").read_text().split() == ["holder", "t0", "t1", "t2"]


def test_after_a_crash_a_task_that_goes_on_has_its_slots_before_those_that_waited(daemon, tmp_path):
    script = f"echo $ORCHESTRATOR_TASK_ID >> {tmp_path}/order; {gate(tmp_path, 'gate')}"
    daemon.drop(smoke("holder", script, resources={"db": 1}, on_interrupt="retry"))
    until(lambda: (tmp_path / "order").exists(), "the holder to run")
    daemon.drop(smoke("next", f"echo next >> {tmp_path}/order", resources={"db": 1}, priority="high"))
    daemon.stop(signal.SIGKILL)
    daemon.start()
    until(lambda: (tmp_path / "order").read_text().split() == ["holder", "holder"], "the holder to go on")
    (tmp_path / "gate").write_text("go\n")
    assert daemon.result("next")["status"] == "ok"
    assert (tmp_path / "order").read_text().split() == ["holder", "holder", "next"]


def test_sizes_of_pools_and_skills_hold_and_may_change_while_tasks_wait(house, tmp_path):
    pools(house, gpu=2)
    add_skill(house, "model", concurrency=1)
    house.start()
    ask = smoke("ask", skills=["model"], steps=[{"skill": "model", "args": [gate(tmp_path, "model")]}])
    house.drop(ask)
    until(lambda: house.names("running"), "the first to run")
    house.drop(ask | {"id": "again"})
    house.drop(smoke("other"))
    assert house.result("other")["status"] == "ok"
    assert house.names("inbox") == ["again.json"]
    for stem in ("ask", "again"):
        (tmp_path / "model").write_text("go\n")
        assert house.result(stem)["status"] == "ok"

    house.drop(smoke("holder", gate(tmp_path, "gate"), resources={"gpu": 2}))
    until(lambda: house.names("running"), "the holder to run")
    house.drop(smoke("one", resources={"gpu": 1}))
    house.drop(smoke("two", resources={"gpu": 2}))
    house.drop(smoke("three", resources={"gpu": 3}))
    house.drop(smoke("misspelt", resources={"gpus": 2}))
    refused = house.result("three")
    assert refused["status"] == "invalid"
    assert "resources.gpu: asks for 3, but the pool has 2" in refused["reason"]
    assert "did you mean 'gpu'?" in house.result("misspelt")["reason"]
    until(lambda: house.names("inbox") == ["one.json", "two.json"], "both to wait")
    (Path(house.home.inbox) / "of=none.pause").touch()
    (Path(house.home.inbox) / "y.yaml").write_text(
        "id: y\ntitle: T\nrisk: low\nskills: [bash]\nresources: {gpu: 2}\npriority: high\nlabels: {of: none}\n"
        "steps: [{skill: bash, args: [-c, 'true']}]\n...\n"
    )
    until(lambda: len(house.names("inbox")) == 3, "the third to wait")
    assert holds(house) == {
        "one": [("resources", "waits for 1 gpu (held by holder)", ["holder"])],
        "two": [("resources", "waits for 2 gpu (after one)", ["one"])],
        "y": [("paused", "paused (of=none)", [])],  # so it has no place in the order, and nobody waits behind it
    }
    (Path(house.home.inbox) / "y.cancel").touch()
    assert house.result("y")["status"] == "cancelled"

    pools(house, gpu=1)
    house.process.send_signal(signal.SIGHUP)
    refused = house.result("two")
    assert (refused["status"], refused["results"]) == ("invalid", [])
    assert "asks for 2, but the pool has 1" in refused["reason"]
    assert house.names("inbox") == ["one.json"]

    pools(house, gpu=3)
    house.process.send_signal(signal.SIGHUP)
    assert house.result("one")["status"] == "ok"
    (tmp_path / "gate").write_text("go\n")
    assert house.result("holder")["status"] == "ok"
