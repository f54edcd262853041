"""What a step may use up."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import require, require_program, smoke
from sandbox_stage import need, yard

from orchestrator.errors import FatalError
from orchestrator.sandbox import limits
from orchestrator.settings import SandboxSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux'")


def test_a_step_leaves_no_core_and_has_the_open_files_that_the_daemon_was_started_with(house):
    require_program("prlimit")
    house.sandbox = "auto"
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    house.drop(smoke("t", "ulimit -Sc; ulimit -Sn"))
    house.run("run", "--once", env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1000"})
    assert house.result("t")["results"][0]["stdout"].split() == ["0", str(soft)]


@pytest.mark.parametrize("level", ["bwrap", "landlock", "none"])
async def test_open_files_can_be_bounded_at_each_level(tmp_path, level):
    require_program("prlimit")
    async with yard(tmp_path, level=level, open_files=100) as walls:
        assert (await walls.bash("ulimit -Sn")).stdout_tail == "100\n"


async def test_processes_are_bounded_per_step(tmp_path):
    """Run again as an ordinary user, where this is root: the kernel does not bound root's."""
    need("bwrap")
    require_program("prlimit")
    if os.geteuid() == 0:
        as_nobody(__file__, "test_processes_are_bounded_per_step")
        return
    async with yard(tmp_path, processes=30) as walls:
        many = "for ((i = 0; i < 60; i++)); do sleep 5 & done 2>/dev/null; jobs -p | wc -l"
        finished = await walls.bash(many)
        assert finished.status == "failed" or int(finished.stdout_tail) < 40
        assert (await walls.bash("for i in {1..10}; do sleep 0 & done; wait; echo fine")).stdout_tail == "fine\n"


def as_nobody(file, name):
    """One test of a file in a pytest of another user's."""
    require(shutil.which("setpriv"), "setpriv is not installed")
    root = Path(__file__).parents[1]
    folder = tempfile.mkdtemp()
    os.chown(folder, 65534, 65534)
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    env = {**os.environ, "HOME": folder, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "CI": ""}
    try:
        look = subprocess.run([*become, sys.executable, "-c", "import pytest, orchestrator"], env=env, cwd=folder)
        require(look.returncode == 0, "an ordinary user can't read this checkout or its interpreter")
        options = ["-q", "-p", "no:cacheprovider", "--basetemp", f"{folder}/t", "-c", f"{root}/pyproject.toml"]
        command = [*become, sys.executable, "-m", "pytest", *options, f"{file}::{name}"]
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:]
    finally:
        shutil.rmtree(folder)


def test_a_limit_that_can_not_be_set_is_refused(tmp_path):
    with pytest.raises(FatalError, match="install util-linux"):
        limits.prefix(SandboxSettings(processes=5), str(tmp_path))
    assert limits.prefix(SandboxSettings(), str(tmp_path)) == ()


def test_an_ordinary_users_step_can_not_read_the_daemons_environment():
    require_program("bash")
    if os.geteuid() == 0:
        as_nobody(__file__, "test_an_ordinary_users_step_can_not_read_the_daemons_environment")
        return
    code = (
        "import os, subprocess\n"
        "from orchestrator.runners.process.host import prepare_process\n"
        "prepare_process()\n"
        "print(subprocess.run(['cat', f'/proc/{os.getpid()}/environ'], capture_output=True).returncode)\n"
    )
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
