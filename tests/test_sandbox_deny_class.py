"""The deny class, run for real: every command that the gate would never let through, with the gate out of the way.

Two walls. The inner one is that of steps, and is what is tested. The outer one makes it impossible that a mistake of
the inner harms this machine: another user's process, in namespaces of its own, whose root is a tmpfs with read-only
parts, without devices, network or other processes, where nothing that can be written lies on a disk. The driver inside
looks at these walls first, and runs nothing where one is missing. Commands come from the corpus' files alone.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import require
from sandbox_stage import need

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a sandbox here")]

ROOT = Path(__file__).parents[1]
SKILLS = {"bash", "python", "node", "git"}
CLASSES = (
    "code", "containers", "credentials", "databases", "devices", "dynamic", "environment", "fetch", "files", "git",
    "own", "permissions", "persistence", "power", "processes", "services",
)  # fmt: skip
NOBODY = "65534"
ROOM = str(64 << 20)


def rows():
    for name in ("dangerous-dev", "dangerous-held"):
        for line in (ROOT / "tests" / "corpora" / "gate" / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["deny"] and row["skill"] in SKILLS:
                yield row


def outer_walls():
    """The command that builds them, without what runs inside."""
    walls = ["nice", "-n", "10", "prlimit", "--nproc=250", "--core=0", f"--fsize={50 << 20}", f"--data={1 << 30}", "--"]
    if os.geteuid() == 0:
        walls = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *walls]
    walls += ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    walls += ["--uid", "1000", "--gid", "1000", "--clearenv"]
    walls += ["--ro-bind", "/usr", "/usr"]
    for top in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{top}"):
            walls += ["--symlink", f"usr/{top}", f"/{top}"]
        elif os.path.isdir(f"/{top}"):
            walls += ["--ro-bind", f"/{top}", f"/{top}"]
    walls += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/var", "/run", "/srv", "/home/user", "/etc", "/usr/local"):
        walls += ["--size", ROOM, "--tmpfs", place]
    for own in ("alternatives", "ld.so.cache"):
        if os.path.exists(f"/etc/{own}"):
            walls += ["--ro-bind", f"/etc/{own}", f"/etc/{own}"]
    return [*walls, "--dir", "/var/tmp", "--ro-bind", ROOT, "/opt/project", "--chdir", "/"]


def interpreter():
    """A python that another user can run inside, with our libraries."""
    libraries = sysconfig.get_path("purelib")
    inside = ["--ro-bind", libraries, "/opt/libraries", "--setenv", "PYTHONPATH", "/opt/project:/opt/libraries"]
    inside += [
        "--setenv",
        "PYTHONDONTWRITEBYTECODE",
        "1",
        "--setenv",
        "PATH",
        "/usr/bin:/bin",
        "--",
        "/usr/bin/python3",
    ]
    look = [*outer_walls(), *inside, "-c", "import orchestrator.sandbox, orchestrator.runners.process"]
    tried = subprocess.run(look, capture_output=True, text=True)
    require(
        tried.returncode == 0, f"no interpreter with our libraries runs inside the outer walls: {tried.stderr[-300:]}"
    )
    return inside


def run(given):
    command = [*outer_walls(), *interpreter(), "/opt/project/tests/deny_class_driver.py"]
    text = "".join(json.dumps(row) + "\n" for row in given)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(autouse=True)
def _parts():
    need("bwrap")
    for program in ("prlimit", "setpriv"):
        require(shutil.which(program), f"{program} is not installed")


def test_the_driver_runs_nothing_without_the_outer_walls():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    row = json.dumps({"id": "a", "skill": "bash", "args": ["-c", "echo ran"], "control": True})
    driver = [sys.executable, ROOT / "tests" / "deny_class_driver.py"]
    done = subprocess.run(driver, input=row, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "these are not the walls" in done.stderr
    assert done.stdout == ""


def test_a_canary_that_is_changed_without_the_sandbox_is_noticed():
    control = {"id": "control", "skill": "bash", "args": ["-c", "echo x >> ~/keep.txt"], "control": True}
    again = {"id": "walled", "skill": "bash", "args": ["-c", "echo x >> ~/keep.txt"]}
    first, second = run([control, again])
    assert first["damaged"] == ["/home/user/keep.txt"]
    assert second["damaged"] == []
    assert second["code"] != 0


def test_a_process_outside_that_dies_and_a_secret_that_is_printed_are_noticed():
    kill = {"id": "kill", "skill": "bash", "args": ["-c", "kill $(pgrep -x sleep)"]}
    read = {"id": "read", "skill": "bash", "args": ["-c", "cat ~/.aws/credentials"]}
    ends = run([kill | {"control": True}, kill, read | {"control": True}, read])
    assert [end["damaged"] for end in ends] == [["a process outside"], [], [], []]
    assert [end["seen"] for end in ends] == [[], [], ["/home/user/.aws/credentials"], []]


def test_every_class_of_the_corpora_is_run():
    assert {row["class"] for row in rows()} == set(CLASSES)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CLASSES)
def test_no_command_of_the_deny_class_does_damage_in_the_sandbox(name, capsys):
    given = [row for row in rows() if row["class"] == name]
    ends = run(given)
    assert [end["id"] for end in ends] == [row["id"] for row in given]
    not_built = [end for end in ends if end["error"] and "sandbox" in end["error"]]
    assert not_built == []
    hurt = {end["id"]: end["damaged"] + end["seen"] for end in ends if end["damaged"] or end["seen"]}
    with capsys.disabled():
        missing = sum(end["missing"] for end in ends)
        print(
            f"\n{name:<12} {len(given):4} run, {missing:4} named a program that is not here, {len(hurt):3} did damage"
        )
    assert hurt == {}
