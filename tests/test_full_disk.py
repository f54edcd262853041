"""A real file system that has no room left."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import House, require, smoke, until

from orchestrator.daemon import mark_of
from orchestrator.runners.process import sweep


@pytest.fixture
def small_house(tmp_path):
    """A home on a file system of 3 MB."""
    require(os.geteuid() == 0 and shutil.which("mount"), "only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True)
    require(mounted.returncode == 0, "this system lets nobody mount a tmpfs")
    house = House(disk / "home")
    yield house
    house.stop(signal.SIGKILL)
    sweep(mark_of(house.home))
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(house):
    """Take all the room there is."""
    filler = house.root / "filler"
    with filler.open("wb", buffering=0) as handle:
        for size in (65536, 4096, 1):
            while True:
                try:
                    handle.write(b"x" * size)
                except OSError:
                    break
    return filler


def stand_in_line(house, tmp_path, count):
    """One task that runs until its gate is opened, and some behind it; then the disk is full."""
    os.mkfifo(tmp_path / "gate")
    house.start(env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1", "ORCHESTRATOR_DAEMON__DRAIN_TIMEOUT": "200"})
    house.drop(smoke("t0", f"echo > {tmp_path}/begun; cat {tmp_path}/gate", acceptance=["Printed go on"]))
    until(lambda: (tmp_path / "begun").exists(), "the first task")
    for number in range(1, count):
        house.drop(smoke(f"t{number}", f"echo {number} >> {tmp_path}/witness"))
    return fill(house)


def test_a_full_disk_pauses_claiming_and_everything_goes_on_when_there_is_room(small_house, tmp_path):
    filler = stand_in_line(small_house, tmp_path, 4)
    (tmp_path / "gate").write_text("go on\n")
    until(lambda: small_house.names("running") == ["t0.json"], "the first task")
    until(lambda: not _children(small_house.process.pid), "its process to end")
    assert small_house.names("done") == []
    filler.unlink()
    until(lambda: len(small_house.names("done")) == 8, "all four")
    assert sorted((tmp_path / "witness").read_text().split()) == ["1", "2", "3"]


def test_on_a_full_disk_the_daemon_can_still_be_stopped_and_nothing_is_lost(small_house, tmp_path):
    filler = stand_in_line(small_house, tmp_path, 3)
    (tmp_path / "gate").write_text("go on\n")
    until(lambda: not _children(small_house.process.pid), "its process to end")
    assert small_house.stop() == 0
    filler.unlink()
    small_house.start()
    assert small_house.result("t0")["status"] in {"ok", "interrupted"}
    assert {small_house.result(f"t{number}")["status"] for number in (1, 2)} == {"ok"}
    assert sorted((tmp_path / "witness").read_text().split()) == ["1", "2"]


def _children(pid):
    return [
        child
        for task in os.listdir(f"/proc/{pid}/task")
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    ]
