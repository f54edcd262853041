"""The lesser wall, for hosts without namespaces: what it holds, and what it does not."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import alive, require_program
from sandbox_stage import yard

from orchestrator.errors import TaskError
from orchestrator.outcome import Access
from orchestrator.sandbox import landlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has Landlock")


@pytest.fixture
async def walls(tmp_path):
    async with yard(tmp_path, level="landlock") as ready:
        yield ready


async def test_only_the_workspace_and_a_tmp_of_its_own_can_be_written(walls):
    finished = await walls.bash("echo a > made && f=$(mktemp) && echo b > $f && echo $f && mkdir d && mv made d/")
    assert finished.code == 0, finished.stderr_tail
    assert finished.stdout_tail.startswith(f"{walls.home.scratch}/task.1/")
    for place in ("/etc", "/usr", "/tmp", walls.user, walls.home.policy, walls.home.state, walls.home.done):
        assert await walls.refuses(f": > {place}/orchestrator-canary"), place
        assert not os.path.lexists(f"{place}/orchestrator-canary")


async def test_what_unlocks_something_can_not_be_read(walls):
    for name in (".ssh/id", ".aws/credentials", ".netrc"):
        walls.secret(name)
    walls.secret("notes", "plain")
    finished = await walls.bash("cat ~/.ssh/id ~/.aws/credentials ~/.netrc ~/notes; ls ~/.ssh")
    # Its user lives in /tmp here, where nothing is covered; so hiding is asked for by name.
    hidden = Access(hide=tuple(f"{walls.user}/{name}" for name in (".ssh", ".aws", ".netrc")))
    finished = await walls.bash("cat ~/.ssh/id ~/.aws/credentials ~/.netrc ~/notes; ls ~/.ssh", access=hidden)
    assert finished.stdout_tail == "plain"


async def test_git_and_python_work(walls):
    require_program("git")
    who = "-c user.name=a -c user.email=a@b"
    finished = await walls.bash(f"git init -q . && echo a > a && git add a && git {who} commit -qm one && git log")
    assert finished.code == 0, finished.stderr_tail
    assert (await walls.run("/usr/bin/python3", "-c", "import tempfile; tempfile.TemporaryFile()")).code == 0


async def test_a_process_outside_is_not_hit_where_the_kernel_knows_scopes(walls):
    if landlock.abi() < 6:
        pytest.skip("this kernel's Landlock knows no scopes")
    outside = subprocess.Popen(["sleep", "1000"])
    try:
        assert await walls.refuses(f"kill -TERM {outside.pid}")
        assert alive(outside.pid)
    finally:
        outside.kill()
        outside.wait()


async def test_the_daemon_itself_keeps_its_rights_and_each_call_has_its_own(walls, tmp_path):
    beside = tmp_path / "beside"
    beside.mkdir()
    allowed = walls.bash(f"echo x > {beside}/a", access=Access(write=(str(beside),)))
    assert [end.status for end in await asyncio.gather(allowed, walls.bash(f"echo x > {beside}/b"))] == ["ok", "failed"]
    (tmp_path / "ours").write_text("x")
    assert Path("/proc/self/status").read_text().count("NoNewPrivs:\t0") == 1


async def test_nothing_outlives_the_step(walls):
    finished = await walls.bash("setsid sleep 1000 & echo $!; sleep 1001 & echo $!")
    assert finished.killed >= 2
    assert not [pid for pid in finished.stdout_tail.split() if alive(int(pid))]


async def test_many_at_once_are_all_told_apart_from_orphans(walls):
    ends = await asyncio.gather(*(walls.bash(f"setsid sleep 1000 & exit {number}") for number in range(40)))
    assert [finished.code for finished in ends] == list(range(40))


async def test_no_network_is_refused_rather_than_half_done(walls):
    with pytest.raises(TaskError, match="needs bwrap, but the sandbox is landlock"):
        walls.call("/bin/true", access=Access(network=False))


def test_around_a_hidden_folder_everything_else_is_allowed(tmp_path):
    for name in ("a/secret/key", "a/open", "b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "secret")
    allowed = set(landlock.around([f"{tmp_path}/a/secret"]))
    assert {path for path in allowed if path.startswith(str(tmp_path))} == {f"{tmp_path}/a/open", f"{tmp_path}/b"}
    assert "/" not in allowed
    assert "/tmp" not in allowed
    assert "/usr" in allowed
