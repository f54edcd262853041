"""What people really do works inside the sandbox, with the real tools, and looks as it does without one."""

import asyncio
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import require, require_program
from process_calls import MARK
from sandbox_stage import yard

from orchestrator.outcome import Access
from orchestrator.runners.process import sweep
from orchestrator.sandbox.scratch import remove_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a sandbox here")
WHO = "-c user.name=a -c user.email=a@b"


@pytest.fixture
async def walls(tmp_path):
    async with yard(tmp_path) as ready:
        yield ready


async def works(walls, script, **options):
    finished = await walls.bash(script, **options)
    assert finished.code == 0, finished.stderr_tail + finished.stdout_tail
    return finished.stdout_tail


async def test_git_makes_a_repository_commits_and_branches(walls):
    require_program("git")
    await works(walls, f"git init -q -b main . && echo a > a && git add a && git {WHO} commit -qm one")
    await works(walls, f"git checkout -qb b && echo b > a && git {WHO} commit -qam two && git checkout -q main")
    await works(
        walls, f"git {WHO} merge -q b && git rebase -q b && git stash list && git status && git tag t && git gc -q"
    )
    assert await works(walls, "git log --format=%s") == "two\none\n"


async def test_git_pushes_to_a_bare_repository_beside_and_notes_the_upstream(walls):
    require_program("git")
    bare = walls.stage.folder / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    await works(walls, f"git init -q -b main . && git {WHO} commit -q --allow-empty -m one && git remote add o {bare}")
    push = ("/usr/bin/git", "push", "-q", "-u", "o", "main")
    assert (await walls.run(*push)).status == "failed"
    config = f"{walls.workspace}/.git/config"
    finished = await walls.run(*push, access=Access(write=(str(bare), config)))
    assert finished.code == 0, finished.stderr_tail
    assert "remote = o" in Path(config).read_text()
    assert subprocess.check_output(["git", "-C", bare, "log", "--format=%s", "main"], text=True) == "one\n"


async def test_git_works_in_a_linked_worktree(walls):
    require_program("git")
    main = walls.stage.folder / "main"
    for command in (f"init -q {main}", f"-C {main} {WHO} commit -q --allow-empty -m one",
                    f"-C {main} worktree add -q {walls.workspace}/tree"):  # fmt: skip
        subprocess.run(["git", *command.split()], check=True)
    tree = walls.workspace / "tree"
    await works(walls, f"echo a > a && git add a && git {WHO} commit -qm two", cwd=tree)
    assert await walls.refuses(f"echo x > {main}/.git/hooks/post-commit", cwd=tree)


async def test_npm_installs_a_packed_package_and_runs_the_tests(walls):
    require_program("npm")
    package = walls.workspace / "package"
    package.mkdir()
    (package / "package.json").write_text(json.dumps({"name": "five", "version": "1.0.0", "main": "i.js"}))
    (package / "i.js").write_text("module.exports = 5\n")
    with tarfile.open(walls.workspace / "five-1.0.0.tgz", "w:gz") as archive:
        archive.add(package, "package")
    manifest = {"name": "a", "version": "1.0.0", "scripts": {"test": "node -e \"if (require('five') !== 5) throw 1\""}}
    (walls.workspace / "package.json").write_text(json.dumps(manifest))
    install = "npm install --offline --no-audit --no-fund --loglevel=error ./five-1.0.0.tgz"
    await works(walls, f"{install} && npm test --silent && rm -rf node_modules && {install}")
    assert os.listdir(f"{walls.home.caches}/npm")
    assert not os.listdir(walls.user / ".npm")


async def test_pip_builds_and_installs_into_a_virtual_environment(walls):
    python = sys._base_executable
    require(subprocess.run([python, "-c", "import venv, ensurepip"]).returncode == 0, f"{python} lacks venv")
    source = walls.workspace / "six"
    source.mkdir()
    (source / "six_canary.py").write_text("x = 6\n")
    wheel = make_wheel(source)
    await works(walls, f"{python} -m venv .venv && .venv/bin/pip -q install --no-index {wheel}")
    assert await works(walls, ".venv/bin/python -c 'import six_canary; print(six_canary.x)'") == "6\n"


def make_wheel(folder):
    """The smallest wheel there is."""
    import zipfile

    name = folder / "six_canary-1.0-py3-none-any.whl"
    info = "six_canary-1.0.dist-info"
    with zipfile.ZipFile(name, "w") as archive:
        archive.write(folder / "six_canary.py", "six_canary.py")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: six-canary\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: a\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"six_canary.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return name


async def test_make_builds_with_many_jobs(walls):
    require_program("make")
    (walls.workspace / "Makefile").write_text("all: 1 2 3 4 5 6 7 8\n1 2 3 4 5 6 7 8:\n\techo $@ > out.$@\n")
    await works(walls, "make -s -j8")
    assert len(list(walls.workspace.glob("out.*"))) == 8


async def test_node_writes_results(walls):
    require_program("node")
    await works(walls, "node -e \"require('fs').writeFileSync('r.json', JSON.stringify([process.pid > 0]))\"")
    assert (walls.workspace / "r.json").read_text() == "[true]"


async def test_an_archive_is_packed_and_unpacked(walls):
    await works(walls, "mkdir a && echo x > a/b && tar cf a.tar a && rm -r a && tar xf a.tar && cat a/b")


async def test_a_big_tree_is_read(walls):
    assert int(await works(walls, "find /usr/share -type f | wc -l")) > 100


async def test_the_steps_of_one_task_share_tmp_and_tasks_do_not(walls):
    await works(walls, "echo one > /tmp/a && echo two > /var/tmp/b")
    assert await works(walls, "cat /tmp/a /tmp/b") == "one\ntwo\n"
    assert await works(walls, "ls /tmp/a 2>/dev/null; true", run="other.1") == ""


async def test_tmp_is_gone_when_the_task_is_however_it_was_left(walls):
    await works(walls, "mkdir -p /tmp/a/b && echo x > /tmp/a/b/c && chmod 0 /tmp/a/b /tmp/a && ln -s / /tmp/root")
    deep = "import os\nos.chdir('/tmp')\nfor _ in range(3000):\n    os.mkdir('d' * 50); os.chdir('d' * 50)"
    finished = await walls.run("/usr/bin/python3", "-c", deep)
    assert finished.code == 0
    walls.sandbox.discard("task.1")()
    assert os.listdir(walls.home.scratch) == ["empty"]
    assert walls.sandbox.discard("task.1") is None


def test_removing_a_tree_does_not_follow_links(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    remove_tree(str(tmp_path / "tree"))
    assert (tmp_path / "kept" / "a").exists()
    assert os.listdir(tmp_path) == ["kept"]


async def test_what_a_dead_daemon_left_in_tmp_is_removed_at_the_start(walls):
    await works(walls, "mkdir /tmp/a && echo x > /tmp/a/b")
    walls.sandbox.wipe()
    assert not os.path.exists(walls.home.scratch)
    walls.sandbox.prepare()
    await works(walls, "! ls /tmp/a")


async def test_caches_of_tasks_last_and_are_not_the_users(walls):
    (walls.user / ".cache" / "pip").mkdir()
    (walls.user / ".cache" / "pip" / "mine").write_text("x")
    assert await works(walls, "ls ~/.cache; echo y > ~/.cache/theirs", run="one.1") == ""
    assert await works(walls, "cat ~/.cache/theirs", run="two.1") == "y\n"
    assert not (walls.user / ".cache" / "theirs").exists()


async def test_a_skills_own_programs_are_found_although_they_lie_in_tmp(walls):
    script = Path(walls.home.skills) / "mine.sh"
    script.write_text("#!/bin/sh\necho mine\n")
    script.chmod(0o755)
    assert (await walls.run(str(script))).stdout_tail == "mine\n"


# --- a step ends as it would without a sandbox ---


async def test_codes_and_signals_are_the_programs_own(walls):
    assert (await walls.bash("exit 7")).code == 7
    assert (await walls.bash("exit 200")).code == 200
    assert (await walls.bash("exit 145")).code == 145  # 128 + SIGCHLD: nobody dies of that
    for name, number in (("KILL", 9), ("TERM", 15), ("ABRT", 6), ("SEGV", 11)):
        assert (await walls.bash(f"kill -{name} $$")).code == -number


async def test_a_program_that_is_not_there_or_no_program_is_told_as_ever(walls):
    finished = await walls.run("/nowhere/program")
    assert (finished.status, finished.code) == ("failed", 127)
    assert finished.error.startswith("/nowhere/program does not exist")
    (walls.workspace / "text").write_text("x")
    finished = await walls.run(f"{walls.workspace}/text")
    assert finished.code == 126
    assert "not executable" in finished.error


async def test_a_folder_that_is_gone_is_told_as_ever(walls):
    gone = walls.workspace / "gone"
    gone.mkdir()
    call = walls.call("/bin/true", cwd=gone)
    gone.rmdir()
    finished = await walls.stage.runner.run(
        call, out_path=str(walls.stage.out), err_path=str(walls.stage.err), mark="m"
    )
    assert (finished.code, "can't be entered" in finished.error) == (126, True)


async def test_a_step_that_is_stopped_may_clean_up(walls):
    walls.stage.fifo("ready")
    stop = asyncio.Event()
    script = f"trap 'echo cleaned; exit 3' TERM; echo x > {walls.workspace}/ready; while :; do sleep 0.01; done"
    running = asyncio.ensure_future(walls.bash(script, cancelled=stop))
    while not (walls.workspace / "ready").exists():
        await asyncio.sleep(0.005)
    stop.set()
    finished = await running
    assert (finished.status, finished.code, finished.stdout_tail) == ("cancelled", 3, "cleaned\n")


async def test_the_programs_below_a_stopped_step_hear_of_it_too(walls):
    child = "trap 'echo child cleaned; exit' TERM; while :; do sleep 0.01; done"
    finished = await walls.bash(f"bash -c {child!r} & trap : TERM; wait; wait", timeout_ms=300)
    assert (finished.status, finished.stdout_tail) == ("timed_out", "child cleaned\n")


async def test_a_step_that_is_deaf_dies_after_the_grace(tmp_path):
    async with yard(tmp_path, grace_ms=50) as walls:
        finished = await walls.bash("trap '' TERM; setsid sleep 1000 & while :; do sleep 0.01; done", timeout_ms=200)
        assert (finished.status, finished.code) == ("timed_out", -9)
        assert finished.error is None


async def test_a_step_whose_waiting_is_cancelled_dies_at_once(walls):
    running = asyncio.ensure_future(walls.bash("trap '' TERM; echo x > on; sleep 1000"))
    while not (walls.workspace / "on").exists():
        await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_time_and_memory_are_those_of_the_program(walls):
    finished = await walls.run("/usr/bin/python3", "-c", "x = bytearray(150 << 20); sum(range(3_000_000))")
    assert finished.peak_is_own
    assert 150 << 10 < finished.max_rss_kb < 300 << 10
    assert finished.cpu_ms > 50
    assert (await walls.bash("true")).max_rss_kb < 20 << 10


async def test_many_steps_at_once_keep_their_own_ends(walls):
    ends = await asyncio.gather(*(walls.bash(f"setsid sleep 1000 & exit {number}") for number in range(40)))
    assert [finished.code for finished in ends] == list(range(40))
    assert all(finished.peak_is_own and finished.error is None for finished in ends)


async def test_output_and_its_bounds_are_as_ever(walls):
    finished = await walls.bash("yes | head -c 3000000; echo end", limit=64 << 10)
    assert finished.stdout_bytes == 3_000_004
    assert finished.truncated
    assert finished.stdout_tail.endswith("end\n")


async def test_the_sweep_finds_what_runs_in_a_sandbox(walls):
    running = asyncio.ensure_future(walls.bash("echo x > on; sleep 1000"))
    while not (walls.workspace / "on").exists():
        await asyncio.sleep(0.005)
    assert await asyncio.to_thread(sweep, MARK) > 0
    assert (await running).status == "failed"


async def test_a_sandboxed_step_has_no_tmpdir_of_the_daemon(house):
    from orchestrator.execution.prepare import Tools
    from orchestrator.sandbox import Host

    environ = {"PATH": "/bin", "TMPDIR": "/elsewhere", "HOME": str(house.root)}
    assert "TMPDIR" not in Tools.load(house.home, environ, Host("/usr/bin/bwrap", 4)).base_env
    assert "TMPDIR" in Tools.load(house.home, environ, Host()).base_env
