"""What a killed daemon leaves is ended by its successor; and what a step may not see of the daemon."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import require, require_program, until
from process_calls import PATH, is_alive

from orchestrator.runners.process import sweep

ROOT = Path(__file__).parent.parent

DAEMON = """
import asyncio, sys
from orchestrator.outcome import Call
from orchestrator.runners.process import ProcessRunner

async def main(folder, path, script, mark):
    runner = ProcessRunner(mark)
    await runner.start()
    call = Call(0, "bash", "process", (), ("/bin/bash", "-c", script), {"PATH": path, "T": folder}, folder, 60000)
    finished = await runner.run(call, out_path=folder + "/out", err_path=folder + "/err", mark="run")
    print(finished.stdout_tail, finished.stderr_tail, finished.error or "", flush=True)
    await runner.close()

asyncio.run(main(*sys.argv[1:]))
"""

SURVIVORS = """
sleep 1000 & echo $! >> $T/pids
setsid sleep 1000 & echo $! >> $T/pids
nohup sleep 1000 >/dev/null 2>&1 & echo $! >> $T/pids
(setsid sh -c '(trap "" TERM; sh -c "echo \\$\\$ >> $T/pids; while :; do sleep 1; done" &)' &)
echo $$ >> $T/pids
wait
"""


def daemon(folder, script, mark, *prefix, env=None):
    (folder / "daemon.py").write_text(DAEMON)
    return subprocess.Popen(
        [*prefix, sys.executable, str(folder / "daemon.py"), str(folder), PATH, script, mark],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_a_killed_daemon_the_sweep_leaves_nothing_and_touches_no_other_home(tmp_path):
    mark = f"home-{os.getpid()}"
    pids = tmp_path / "pids"
    with daemon(tmp_path, SURVIVORS, mark) as process:
        until(lambda: pids.exists() and len(pids.read_text().split()) == 5, "the tree")
        process.kill()
    tree = [int(pid) for pid in pids.read_text().split()]
    assert all(map(is_alive, tree))
    assert sweep(f"{mark}-not") == sweep(mark[:-1]) == 0
    assert sweep(f"{mark}:run") >= 5
    assert not [pid for pid in tree if is_alive(pid)]
    assert sweep(mark) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_has_the_mark_in_another_variable_is_not_hit():
    with subprocess.Popen(["sleep", "1000"], env={"X": "ORCHESTRATOR_MARK=some-home:1"}) as other:
        assert sweep("some-home") == 0
        other.kill()
        assert other.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_as_an_ordinary_user_steps_run_their_trees_die_and_the_daemons_secrets_are_closed(tmp_path):
    require(os.geteuid() == 0, "changing the user takes root")
    require_program("setpriv")
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
            parent.chmod(0o755)
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    readable = subprocess.run(
        [*user, sys.executable, "-c", "import orchestrator"], env={"PYTHONPATH": str(ROOT)}, cwd="/"
    )
    require(readable.returncode == 0, "this checkout or its Python can't be read by an ordinary user")
    script = "cat /proc/$PPID/environ; id -u; setsid sleep 1000 & echo $! > $T/pids"
    with daemon(tmp_path, script, "user-home", *user, env={"SECRET": "hunter2"}) as process:
        said = process.communicate()[0]
    assert "65534" in said
    assert "Permission denied" in said
    assert "hunter2" not in said
    assert not is_alive(int((tmp_path / "pids").read_text()))
