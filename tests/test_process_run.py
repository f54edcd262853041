"""A program's end, its messages, its time limit and its cancellation."""

import asyncio
import errno
import os
import resource
import signal
import sys

import pytest
from conftest import leased, until
from process_calls import MARK, is_alive, stage

from orchestrator.runners.process import exits, posix_spawn, runner, spawn, sweep


@pytest.fixture
async def step(tmp_path):
    async with stage(tmp_path, grace_ms=100) as ready:
        yield ready


def read_pid(path):
    return int(until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text(), str(path)))


async def test_exit_code_and_both_outputs_are_reported_and_kept_in_private_files(step):
    finished = await step.bash("echo out; echo err >&2; exit 3")
    assert (finished.status, finished.code) == ("failed", 3)
    assert (finished.stdout_tail, finished.stderr_tail) == ("out\n", "err\n")
    assert (finished.stdout_bytes, finished.stderr_bytes) == (4, 4)
    assert (step.out.read_text(), step.err.read_text()) == ("out\n", "err\n")
    assert step.out.stat().st_mode & 0o777 == 0o600
    assert finished.error is None


async def test_a_silent_program_leaves_no_files(step):
    finished = await step.bash(":")
    assert finished.status == "ok"
    assert not step.out.exists()
    assert not step.err.exists()


async def test_a_program_that_dies_of_a_signal_has_its_negative_number_as_code(step):
    finished = await step.bash("kill -SEGV $$")
    assert (finished.status, finished.code) == ("failed", -signal.SIGSEGV)


async def test_usage_is_measured(step):
    finished = await step.bash("i=0; while ((i < 20000)); do ((i++)); done")
    assert finished.cpu_ms > 0
    assert finished.max_rss_kb > 500  # the kernel counts what the daemon had before exec, too
    assert finished.duration_ms > 0


async def test_stdin_is_empty_and_the_session_is_its_own(step):
    finished = await step.bash("wc -c; echo $$; ps -o sid= -p $$")
    count, pid, session = finished.stdout_tail.split()
    assert count == "0"
    assert pid == session


async def test_the_environment_is_the_calls_own_plus_the_mark(step):
    finished = await step.run("/usr/bin/env", env={"A": "ä", "ORCHESTRATOR_MARK": "forged"})
    lines = dict(line.split("=", 1) for line in finished.stdout_tail.splitlines())
    assert set(lines) == {"PATH", "T", "A", "ORCHESTRATOR_MARK"}
    assert lines["A"] == "ä"
    assert lines["ORCHESTRATOR_MARK"].startswith(f"{MARK}:run1:")


async def test_no_descriptor_of_ours_is_inherited(step, tmp_path):
    with open(tmp_path / "secret", "w") as secret:
        os.set_inheritable(secret.fileno(), True)
        finished = await step.bash("ls -l /proc/$$/fd")
    assert "/dev/null" in finished.stdout_tail
    assert "secret" not in finished.stdout_tail
    assert finished.stdout_tail.count("pipe:") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_signals_that_were_ignored_in_the_daemon_are_default_in_its_children(tmp_path):
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        async with stage(tmp_path) as step:
            finished = await step.bash("grep -E '^Sig(Ign|Blk)' /proc/self/status")
    finally:
        signal.signal(signal.SIGUSR1, before)
    of_the_c_library = 0b11 << 31  # glibc's own two, which no program sees or sends
    assert {int(line.split()[1], 16) & ~of_the_c_library for line in finished.stdout_tail.splitlines()} == {0}


async def test_a_missing_program_is_an_answer_with_code_127(step):
    finished = await step.run("/no/such/program")
    assert (finished.status, finished.code) == ("failed", 127)
    assert "/no/such/program does not exist" in finished.error


async def test_a_relative_program_is_refused(step):
    finished = await step.run("bash", "-c", "echo ran")
    assert (finished.status, finished.code, finished.stdout_bytes) == ("failed", 127, 0)


async def test_a_script_whose_interpreter_is_missing_is_told_apart(step, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/interpreter\n")
    script.chmod(0o755)
    finished = await step.run(str(script))
    assert finished.code == 127
    assert "#! line" in finished.error


async def test_a_file_that_is_not_executable_has_code_126(step, tmp_path):
    (tmp_path / "plain").write_text("echo hi\n")
    finished = await step.run(str(tmp_path / "plain"))
    assert (finished.status, finished.code) == ("failed", 126)
    assert "not executable" in finished.error


async def test_a_program_without_a_known_format_has_code_126(step, tmp_path):
    (tmp_path / "odd").write_text("echo hi\n")
    (tmp_path / "odd").chmod(0o755)
    finished = await step.run(str(tmp_path / "odd"))
    assert finished.code == 126
    assert "#! line" in finished.error


async def test_a_missing_folder_is_named_and_nothing_runs(step, tmp_path):
    finished = await step.bash("touch $T/ran", cwd=tmp_path / "gone")
    assert (finished.status, finished.code) == ("failed", 126)
    assert f"{tmp_path}/gone can't be entered" in finished.error
    assert not (tmp_path / "ran").exists()


async def test_arguments_that_are_too_long_are_explained(step):
    finished = await step.run("/bin/echo", "x" * 3_000_000)
    assert (finished.status, finished.code) == ("failed", 126)
    assert "larger than this system allows" in finished.error


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
async def test_text_that_no_program_can_get_is_an_answer(step, argument):
    finished = await step.run("/bin/echo", argument)
    assert (finished.status, finished.code) == ("failed", 126)


async def test_without_descriptors_left_a_step_runs_to_its_end_or_is_not_started_at_all(step):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers = [os.dup(0)]
    while fillers[-1] < max(map(int, os.listdir("/proc/self/fd"))) - 1:
        fillers.append(os.dup(0))
    answers = []
    try:
        for limit in range(fillers[-1], fillers[-1] + 8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
            try:
                answers.append((await step.bash("echo $$ >> $T/started; echo ok")).status)
            except OSError as error:
                answers.append(error.errno)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for fd in fillers:
            os.close(fd)
    assert set(answers) == {"ok", errno.EMFILE}
    assert len((step.folder / "started").read_text().split()) == answers.count("ok")
    assert (await step.bash("echo ok")).status == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
async def test_starts_that_hang_end_at_their_timeout_hold_up_nobody_and_never_run(tmp_path):
    """A lease on the program makes its start wait, as a mount does that has stopped to answer."""
    hung = tmp_path / "hung"
    hung.write_text("#!/bin/sh\necho ran >> $T/witness\n")
    hung.chmod(0o700)
    said = []
    async with stage(tmp_path, hangs=said.append) as step:
        with leased(hung):
            await _hang(step, hung, said)
        assert (await step.bash("echo fine")).status == "ok"
        assert not (tmp_path / "witness").exists()
        assert (await step.run(str(hung))).status == "ok"
        assert (tmp_path / "witness").exists()


async def _hang(step, hung, said):
    cancelled = asyncio.Event()
    launcher = step.runner._launchers._made[None]
    starts = [asyncio.create_task(step.run(str(hung), timeout_ms=2_000)) for _ in range(spawn.THREADS)]
    starts.append(asyncio.create_task(step.run(str(hung), cancelled=cancelled)))
    while sum(start.thread > 0 for start in launcher._open) < spawn.THREADS:  # so many hang
        await asyncio.sleep(0.01)
    assert (await step.bash("echo fine")).stdout_tail == "fine\n"
    assert not any(start.done() for start in starts)
    cancelled.set()
    ended = [await start for start in starts]
    assert [finished.status for finished in ended] == ["timed_out", "timed_out", "cancelled"]
    assert all("does not answer" in sentence for sentence in (*said, *(finished.error for finished in ended)))
    assert said
    while not launcher.is_idle:  # those who hung were killed, and so came back
        await asyncio.sleep(0.01)


async def test_a_timeout_ends_the_step_with_sigterm_first(step):
    finished = await step.bash("trap 'echo tidied; exit 0' TERM; while :; do sleep 0.01; done", timeout_ms=200)
    assert finished.status == "timed_out"
    assert finished.stdout_tail == "tidied\n"


async def test_a_step_that_ignores_sigterm_is_killed_after_the_grace(step):
    finished = await step.bash("trap '' TERM; while :; do sleep 0.01; done", timeout_ms=100)
    assert (finished.status, finished.code) == ("timed_out", -signal.SIGKILL)


async def test_a_stopped_process_can_still_follow_sigterm(step):
    finished = await step.bash("trap 'echo woke; exit' TERM; kill -STOP $$", timeout_ms=200)
    assert (finished.status, finished.stdout_tail) == ("timed_out", "woke\n")


async def test_a_program_that_ended_in_time_is_not_timed_out_although_its_end_is_seen_late(step, monkeypatch):
    fifo = step.fifo("ended")
    running = asyncio.create_task(step.bash("exec 9<>$T/ended; echo x >&9; exit 4", timeout_ms=50))
    while not step.runner._steps:
        await asyncio.sleep(0)
    fd = os.open(fifo, os.O_RDWR)
    step_of = next(iter(step.runner._steps))
    until(lambda: not is_alive(step_of.member.pid), "its end")  # the loop sees nothing of this
    os.close(fd)
    assert (await running).code == 4


async def test_cancelling_stops_a_step(step):
    stop = asyncio.Event()
    running = asyncio.create_task(step.bash("echo $$ > $T/pid; exec sleep 1000", cancelled=stop))
    pid = await asyncio.to_thread(read_pid, step.folder / "pid")
    stop.set()
    finished = await running
    assert (finished.status, finished.code) == ("cancelled", -signal.SIGTERM)
    assert not is_alive(pid)


async def test_a_step_cancelled_before_it_begins_does_not_run(step):
    stop = asyncio.Event()
    stop.set()
    assert (await step.bash("touch $T/ran", cancelled=stop)).status == "cancelled"
    assert not (step.folder / "ran").exists()


async def test_cancelling_the_waiting_task_kills_the_tree_and_goes_on_as_cancellation(step):
    running = asyncio.create_task(step.bash("trap '' TERM; sleep 1000 & echo $! > $T/pid; wait"))
    pid = await asyncio.to_thread(read_pid, step.folder / "pid")
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)
    assert not step.runner._steps


async def test_a_task_cancelled_at_once_leaves_no_process(step):
    running = [asyncio.create_task(step.bash("echo $$; exec sleep 1000")) for _ in range(10)]
    await asyncio.sleep(0)
    assert step.runner._starting == 10  # each is cancelled while a thread starts it
    for task in running:
        task.cancel()
    ends = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert await asyncio.to_thread(sweep, MARK) == 0


async def test_closing_kills_what_runs(tmp_path):
    async with stage(tmp_path) as step:
        running = asyncio.create_task(step.bash("trap '' TERM; echo $$ > $T/pid; while :; do sleep 1; done"))
        pid = await asyncio.to_thread(read_pid, tmp_path / "pid")
    assert (await running).status == "cancelled"
    await asyncio.to_thread(until, lambda: not is_alive(pid), "what was killed to be gone")


async def test_what_is_known_to_run_only_while_the_runner_closes_is_cancelled_too(step, monkeypatch):
    launch = step.runner._launch

    async def launch_into_the_end(*args):
        started = await launch(*args)
        monkeypatch.setattr(step.runner, "_closing", True)  # `close` has looked through what runs, and waits
        return started

    monkeypatch.setattr(step.runner, "_launch", launch_into_the_end)
    assert (await step.bash("sleep 1000")).status == "cancelled"


async def test_a_program_that_will_not_die_does_not_hold_its_task(step, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", 0.05)
    monkeypatch.setattr("orchestrator.runners.process.step.kill_group", lambda group, number: None)
    finished = await step.bash("echo $$ > $T/pid; exec sleep 1000", timeout_ms=100)
    monkeypatch.undo()
    assert finished.status == "timed_out"
    assert "could not be killed" in finished.error


async def test_a_hundred_at_once_keep_their_outputs_apart(step):
    calls = [step.bash(f"echo {n}; sleep 0.0{n % 5}; echo {n} >&2; exit {n % 3}") for n in range(100)]
    for n, finished in enumerate(await asyncio.gather(*calls)):
        assert (finished.stdout_tail, finished.stderr_tail) == (f"{n}\n", f"{n}\n")
        assert finished.code == n % 3


async def test_no_descriptor_stays_open_after_steps(step):
    before = len(os.listdir("/proc/self/fd"))
    for script in ("echo x", "exit 1", "sleep 0.05; echo x >&2", "(sleep 1000 &)"):
        await step.bash(script)
    await step.run("/no/such")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("script", ["echo x; exit 7", "sleep 0.05; echo x; exit 7"])
async def test_the_portable_ways_of_starting_and_waiting_give_the_same_answers(tmp_path, monkeypatch, script):
    monkeypatch.setattr(posix_spawn, "available", lambda: False)
    monkeypatch.setattr(exits, "_pidfd_works", lambda: False)
    async with stage(tmp_path, grace_ms=100) as step:
        finished = await step.bash(script)
        assert (finished.status, finished.code, finished.stdout_tail) == ("failed", 7, "x\n")
        assert (await step.run("/no/such")).code == 127
        assert "can't be entered" in (await step.bash(":", cwd="/no/such")).error
        assert (await step.bash("trap '' TERM; while :; do :; done", timeout_ms=50)).status == "timed_out"
