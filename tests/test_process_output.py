"""Output of real programs: live, bounded, and never a reason to wait."""

import asyncio
import os
import resource
import subprocess
import sys

import pytest
from conftest import require, until
from process_calls import stage

from orchestrator.runners.capture import marker


@pytest.fixture
async def step(tmp_path):
    async with stage(tmp_path, grace_ms=100) as ready:
        yield ready


async def test_the_file_shows_the_first_line_while_the_step_still_runs(step):
    step.fifo("go")
    running = asyncio.create_task(step.bash("echo first; read < $T/go; echo second"))
    await asyncio.to_thread(until, lambda: step.out.exists() and step.out.read_text() == "first\n")
    assert not running.done()
    await asyncio.to_thread((step.folder / "go").write_text, "go\n")
    assert (await running).stdout_tail == "first\nsecond\n"
    assert step.out.read_text() == "first\nsecond\n"


@pytest.mark.parametrize("slow", ["", "sleep 0.05;"])
async def test_writing_to_dev_stderr_keeps_what_stderr_had(step, slow):
    await step.bash(f"echo one >&2; {slow} echo two > /dev/stderr; echo three >&2")
    assert step.err.read_text() == "one\ntwo\nthree\n"


async def test_binary_output_arrives_byte_for_byte(step, tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "data").write_bytes(data)
    finished = await step.bash("cat $T/data; cat $T/data >&2")
    assert step.out.read_bytes() == data
    assert step.err.read_bytes() == data
    assert finished.stdout_bytes == finished.stderr_bytes == len(data)
    assert not finished.truncated


async def test_more_than_the_limit_keeps_head_and_tail_and_says_so(step):
    finished = await step.bash("for ((i = 0; i < 50000; i++)); do echo $i; done", limit=65536)
    printed = b"".join(b"%d\n" % number for number in range(50000))
    content = step.out.read_bytes()
    cut = int(content.split(b"[orchestrator: ")[1].split()[0])
    assert content == printed[:32768] + marker(cut) + printed[32768 + cut :]
    assert len(content) <= 65536
    assert finished.truncated
    assert finished.stdout_bytes == len(printed)
    assert finished.stdout_tail == printed[-4096:].decode()


async def test_200_megabytes_pass_through_in_bounded_memory(step):
    await step.bash("sleep 0.05; echo warm")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    finished = await step.bash("yes | head -c 200000000")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert finished.stdout_bytes == 200_000_000
    assert finished.truncated
    assert step.out.stat().st_size <= 1 << 20
    assert grown < 16 * 1024  # KiB


async def test_a_process_that_holds_the_pipe_does_not_delay_the_end(step):
    """It left the group, the session and its environment, and another step may own it: it may live on."""
    step.fifo("hold")
    other = asyncio.create_task(step.bash("read < $T/hold"))
    await asyncio.sleep(0)
    script = "env -i setsid -f sh -c 'exec 7>&1 1>/dev/null 2>/dev/null; exec sleep 1000'; echo done"
    finished = await step.bash(script)
    assert finished.stdout_tail == "done\n"
    assert not other.done()
    await asyncio.to_thread((step.folder / "hold").write_text, "go\n")
    await other


async def test_a_full_disk_costs_the_file_not_the_step(step, tmp_path):
    require(sys.platform == "linux" and os.geteuid() == 0, "mounting a tiny tmpfs takes root on Linux")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True)
    require(mounted.returncode == 0, f"a tmpfs can't be mounted here: {mounted.stderr.decode()}")
    try:
        finished = await step.runner.run(
            step.call("/bin/bash", "-c", "yes | head -c 500000; sleep 0.05; echo the end", limit=1 << 20),
            out_path=f"{small}/out", err_path=f"{small}/err", mark="full",
        )  # fmt: skip
        size = (small / "out").stat().st_size
    finally:
        subprocess.run(["umount", small], check=True)
    assert finished.status == "ok"
    assert finished.stdout_bytes == 500_008
    assert finished.lost_bytes == finished.stdout_bytes - size > 0
    assert finished.stdout_tail.endswith("the end\n")
    assert "No space left on device" in finished.error
