"""A real file system that has no room left."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import House, require, smoke, until

from orchestrator.daemon import mark_of
from orchestrator.home import daemon_note
from orchestrator.runners.process import sweep


@pytest.fixture
def small_house(tmp_path):
    """A home on a file system of 3 MB and 1000 files."""
    require(os.geteuid() == 0 and shutil.which("mount"), "only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-o", "size=3m,nr_inodes=1000"]
    mounted = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(disk)], capture_output=True)
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
    return filler.unlink


def fill_with_files(house):
    """Take all the inodes there are."""
    folder = house.root / "filler"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (folder / str(number)).touch()
    return lambda: shutil.rmtree(folder)


def stand_in_line(house, tmp_path, count, fill=fill):
    """One task that runs until its gate is opened, and some behind it; then the disk is full."""
    os.mkfifo(tmp_path / "gate")
    house.start(env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1", "ORCHESTRATOR_DAEMON__DRAIN_TIMEOUT": "200"})
    house.drop(smoke("t0", f"echo > {tmp_path}/begun; cat {tmp_path}/gate", acceptance=["Printed go on"]))
    until(lambda: (tmp_path / "begun").exists(), "the first task")
    for number in range(1, count):
        house.drop(smoke(f"t{number}", f"echo {number} >> {tmp_path}/witness"))
    return fill(house)


@pytest.mark.parametrize("fill", [fill, fill_with_files])
def test_a_full_disk_pauses_claiming_and_everything_goes_on_when_there_is_room(small_house, tmp_path, fill):
    make_room = stand_in_line(small_house, tmp_path, 4, fill)
    (tmp_path / "gate").write_text("go on\n")
    until(lambda: small_house.names("running") == ["t0.json"], "the first task")
    until(lambda: not _children(small_house.process.pid), "its process to end")
    until(lambda: daemon_note(small_house.home).get("troubles"), "the daemon to say so")
    findings = json.loads(small_house.run("doctor", "--json").stdout)["findings"]
    failed = " ".join(finding["text"] for finding in findings if finding["level"] == "fail")
    assert "claiming pauses: No space left on device" in failed
    assert "nothing can be written in" in failed
    assert small_house.names("done") == []
    make_room()
    until(lambda: len(small_house.names("done")) == 8, "all four")
    assert sorted((tmp_path / "witness").read_text().split()) == ["1", "2", "3"]
    until(lambda: not daemon_note(small_house.home)["troubles"], "the daemon to say no more")


def test_on_a_full_disk_the_daemon_can_still_be_stopped_and_nothing_is_lost(small_house, tmp_path):
    make_room = stand_in_line(small_house, tmp_path, 3)
    (tmp_path / "gate").write_text("go on\n")
    until(lambda: not _children(small_house.process.pid), "its process to end")
    assert small_house.stop() == 0
    make_room()
    small_house.start()
    assert small_house.result("t0")["status"] in {"ok", "interrupted"}
    assert {small_house.result(f"t{number}")["status"] for number in (1, 2)} == {"ok"}
    assert sorted((tmp_path / "witness").read_text().split()) == ["1", "2"]


def test_a_daemon_that_finds_the_disk_full_at_its_start_says_so_in_a_sentence(small_house):
    make_room = fill_with_files(small_house)
    refused = small_house.run("run", "--once")
    assert refused.returncode == 1
    assert "No space left on device" in refused.stderr
    assert "Traceback" not in refused.stderr
    make_room()
    small_house.start()


def _children(pid):
    return [
        child
        for task in os.listdir(f"/proc/{pid}/task")
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    ]
