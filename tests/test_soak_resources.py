"""Long runs: what a daemon uses when a step prints without end, and when inbox is full beyond reason."""

import os
import sys
import time
from pathlib import Path

import pytest
from conftest import smoke

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")]

GIGABYTES = 10
FILES = 100_000


def memory_mb(pid, what="VmHWM"):
    """The most memory that a process ever had (or, VmRSS, has), in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1000


def size_mb(folder):
    return sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*") if path.is_file()) / 1e6


def wait_long(predicate, hours=1):
    """`until`, for longer than a minute."""
    end = time.monotonic() + hours * 3600
    while not predicate():
        assert time.monotonic() < end
        time.sleep(1)


def test_ten_gigabytes_of_output_cost_bounded_memory_and_disk(daemon):
    pid = daemon.process.pid
    daemon.drop(smoke("small"))
    daemon.result("small")
    before, begun = memory_mb(pid), time.monotonic()
    daemon.drop(smoke("large", f"yes 'line of output' | head -c {GIGABYTES}G", timeout="2h"))
    wait_long(lambda: "large.json" in daemon.names("done") + daemon.names("failed"))
    result = daemon.result("large")
    step = result["results"][0]
    used = memory_mb(pid) - before
    on_disk = size_mb(daemon.home.runs)
    took = time.monotonic() - begun
    print(f"\n{GIGABYTES} GiB in {took:.0f} s: memory {before:.0f} + {used:.1f} MB, disk {on_disk:.1f} MB")
    assert (result["status"], step["truncated"]) == ("ok", True)
    assert step["stdout_bytes"] == GIGABYTES * 2**30
    assert used < 30
    assert on_disk < 12


def test_a_hundred_thousand_files_in_inbox_are_run_once_each_in_bounded_memory(house, tmp_path):
    """Half of them lie there at the start, half come while the daemon works."""
    witness = tmp_path / "witness"

    def drop(numbers):
        for number in numbers:
            house.drop(smoke(f"t{number}", f"echo {number} >> {witness}"))

    drop(range(FILES // 2))
    begun = time.monotonic()
    house.start(env={"ORCHESTRATOR_LOG__LEVEL": "warning", "ORCHESTRATOR_RETENTION__COUNT": "0"})
    drop(range(FILES // 2, FILES))
    dropped = time.monotonic() - begun
    pid = house.process.pid
    peak = 0
    while len(os.listdir(house.home.done)) < 2 * FILES:
        peak = max(peak, len(os.listdir(house.home.inbox)))
        assert house.process.poll() is None
        time.sleep(2)
    took = time.monotonic() - begun
    print(
        f"\n{FILES} files: dropped in {dropped:.0f} s, done in {took:.0f} s ({FILES / took:.0f}/s), "
        f"up to {peak} waited; memory at most {memory_mb(pid):.0f} MB, at the end {memory_mb(pid, 'VmRSS'):.0f} MB"
    )
    assert sorted(map(int, witness.read_text().split())) == list(range(FILES))
    assert os.listdir(house.home.failed) == []
    assert memory_mb(pid) < 400
