"""Nothing that a step started outlives it, however it tried."""

import asyncio
import os
import subprocess
import sys

import pytest
from conftest import require_program, until
from process_calls import is_alive, stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the whole tree dies on Linux; macOS has the group")

# Each writes the pid of what it leaves to $T/pids before it ends.
ESCAPES = {
    "a background child": "sleep 1000 & echo $! >> $T/pids",
    "nohup": "nohup sleep 1000 >/dev/null 2>&1 & echo $! >> $T/pids",
    "a new session": "setsid sh -c 'echo $$ >> $T/pids; echo x > $T/ready; exec sleep 1000' & read < $T/ready",
    "a double fork": "(setsid sh -c '(sh -c \"echo \\$\\$ >> $T/pids; exec sleep 1000\" &)' &); "
    "while [ ! -s $T/pids ]; do sleep 0.01; done",
    "deaf to SIGTERM": "sh -c 'trap \"\" TERM; echo $$ >> $T/pids; while :; do sleep 1; done' & "
    "while [ ! -s $T/pids ]; do sleep 0.01; done",
    "an empty environment": 'env -i setsid sh -c "echo \\$\\$ >> $T/pids; exec /bin/sleep 1000" >/dev/null 2>&1 & '
    "while [ ! -s $T/pids ]; do sleep 0.01; done",
    "a tree below an escaped one": "setsid sh -c 'echo $$ >> $T/pids; "
    'for i in 1 2 3; do setsid sh -c "echo \\$\\$ >> $T/pids; exec sleep 1000" & done; wait\' & '
    "while [ $(wc -l < $T/pids 2>/dev/null || echo 0) -lt 4 ]; do sleep 0.01; done",
    "fifty children": "for ((i = 0; i < 50; i++)); do setsid sleep 1000 & echo $! >> $T/pids; done",
}


@pytest.fixture
async def step(tmp_path):
    async with stage(tmp_path, grace_ms=100) as ready:
        yield ready


def left_behind(folder):
    return [int(line) for line in (folder / "pids").read_text().split()]


@pytest.mark.parametrize("escape", ESCAPES)
async def test_nothing_survives_a_step_that_ends(step, escape):
    require_program("setsid")
    before = children_of_ours()
    step.fifo("ready")
    finished = await step.bash(ESCAPES[escape])
    pids = left_behind(step.folder)
    assert pids
    assert not [pid for pid in pids if is_alive(pid)]
    assert finished.status == "ok"
    assert finished.killed >= len(pids)
    assert finished.error is None
    assert children_of_ours() == before


@pytest.mark.parametrize("escape", ESCAPES)
async def test_nothing_survives_a_step_that_is_stopped(step, escape):
    require_program("setsid")
    before = children_of_ours()
    step.fifo("ready")
    stop = asyncio.Event()
    script = f"{ESCAPES[escape]}; touch $T/all; trap '' TERM; while :; do sleep 0.05; done"
    running = asyncio.create_task(step.bash(script, cancelled=stop))
    await asyncio.to_thread(until, (step.folder / "all").exists)
    stop.set()
    assert (await running).status == "cancelled"
    assert not [pid for pid in left_behind(step.folder) if is_alive(pid)]
    assert children_of_ours() == before


def children_of_ours():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


async def test_a_tidy_step_kills_nothing(step):
    assert (await step.bash("sleep 0.05 & wait; echo ok | cat")).killed == 0


async def test_an_escaped_process_of_one_step_dies_while_another_runs(step):
    step.fifo("hold")
    other = asyncio.create_task(step.bash("setsid sleep 1000 & echo $! > $T/other; read < $T/hold; kill -0 $!"))
    theirs = int(await asyncio.to_thread(until, lambda: read_line(step.folder / "other")))
    await step.bash("setsid sleep 1000 & echo $! > $T/pids")
    assert not is_alive(left_behind(step.folder)[0])
    assert is_alive(theirs)
    await asyncio.to_thread((step.folder / "hold").write_text, "go\n")
    assert (await other).status == "ok"
    assert not is_alive(theirs)


def read_line(path):
    return path.exists() and path.read_text().endswith("\n") and path.read_text()


async def test_one_that_nobody_can_be_named_for_dies_with_the_last_step_of_its_time(step):
    step.fifo("hold")
    other = asyncio.create_task(step.bash("read < $T/hold"))
    await asyncio.sleep(0)
    await step.bash(ESCAPES["an empty environment"])
    await asyncio.to_thread((step.folder / "hold").write_text, "go\n")
    await other
    assert not is_alive(left_behind(step.folder)[0])


async def test_one_with_an_empty_environment_is_known_by_the_pipe_that_it_holds(step):
    step.fifo("hold")
    other = asyncio.create_task(step.bash("read < $T/hold"))
    await asyncio.sleep(0)
    await step.bash(ESCAPES["an empty environment"].replace(">/dev/null 2>&1", ""))
    assert not is_alive(left_behind(step.folder)[0])
    await asyncio.to_thread((step.folder / "hold").write_text, "go\n")
    await other


async def test_programs_that_other_rooms_started_are_neither_killed_nor_reaped(step):
    with subprocess.Popen(["sleep", "1000"]) as foreign, subprocess.Popen(["sh", "-c", "exit 5"]) as ended:
        until(lambda: not is_alive(ended.pid))
        await step.bash("setsid sleep 1000 &")
        assert is_alive(foreign.pid)
        assert ended.wait() == 5
        foreign.kill()


async def test_orphans_that_end_during_a_long_step_are_reaped_before_it_ends(step, monkeypatch):
    monkeypatch.setattr("orchestrator.runners.process.runner.TEND_EVERY", 0.05)
    step.fifo("hold")
    running = asyncio.create_task(step.bash("(setsid sh -c 'echo $$ > $T/pid' &); read < $T/hold"))
    pid = int(await asyncio.to_thread(until, lambda: read_line(step.folder / "pid")))
    await asyncio.to_thread(until, lambda: not os.path.exists(f"/proc/{pid}"))
    assert not running.done()
    await asyncio.to_thread((step.folder / "hold").write_text, "go\n")
    assert (await running).killed == 0


async def test_the_scan_of_proc_stands_in_for_the_list_of_children(tmp_path, monkeypatch):
    real = os.open

    def without_children(path, *args, **options):
        if str(path).endswith("/children"):
            raise FileNotFoundError(2, "no such list", path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", without_children)
    async with stage(tmp_path) as step:
        monkeypatch.undo()
        finished = await step.bash("setsid sleep 1000 & echo $! > $T/pids")
        assert finished.killed == 1
        assert not is_alive(left_behind(tmp_path)[0])
