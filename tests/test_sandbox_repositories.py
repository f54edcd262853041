"""What a step does to a repository starts no program when a person uses git there later, outside of the sandbox."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require_program
from sandbox_stage import yard

from orchestrator.errors import TaskError
from orchestrator.outcome import Access
from orchestrator.sandbox.repository import Repository, leads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a sandbox here")
WHO = "-c user.name=a -c user.email=a@b -c protocol.file.allow=always"
CALM = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": os.environ["PATH"]}
# In a step: a program of its own, and a configuration and hooks that name it.
EVIL = (
    "printf '#!/bin/sh\\ntouch %s/ran\\n' $PWD > prog; chmod +x prog; mkdir -p evil/hooks;"
    "cp prog evil/hooks/post-receive;"
    "cp -r .git/objects .git/refs evil 2>/dev/null;"
    "printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tfsmonitor = %s/prog\\n' $PWD > evil/config;"
)


def git(folder, *words):
    """As a person does it, outside."""
    command = ["git", *WHO.split(), *words]
    return subprocess.run(command, cwd=folder, env={**CALM, "HOME": str(folder)}, capture_output=True, text=True)


def repository(folder):
    git(folder.parent, "init", "-q", "-b", "main", str(folder))
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")


@pytest.fixture
async def walls(tmp_path):
    require_program("git")
    async with yard(tmp_path) as ready:
        repository(ready.workspace)
        yield ready


@pytest.fixture
async def parts(walls):
    """The workspace's repository has a submodule, and a worktree elsewhere; configuration may differ per worktree, and
    includes two files of the workspace, one of which is not there."""
    repository(walls.stage.folder / "sub")
    git(walls.workspace, "submodule", "--quiet", "add", f"{walls.stage.folder}/sub", "sub")
    git(walls.workspace, "worktree", "add", "-q", f"{walls.stage.folder}/tree")
    (walls.workspace / "shared.gitconfig").write_text("")
    git(walls.workspace, "config", "include.path", "../shared.gitconfig")
    git(walls.workspace, "config", "--add", "include.path", "../missing.gitconfig")
    git(walls.workspace, "config", "extensions.worktreeConfig", "true")
    git(walls.workspace, "add", ".")
    git(walls.workspace, "commit", "-qm", "two")
    return walls


# What a step does, and the folder where a person asks for the status later.
PLANTED = {
    "commondir": ("echo ../evil > .git/commondir", "work"),
    "commondir as a link": ("echo ../evil > c; ln -s ../c .git/commondir", "work"),
    "configuration of this worktree": ("cp evil/config .git/config.worktree", "work"),
    "an included file": ("cp evil/config shared.gitconfig", "work"),
    "an included file that was missing": ("cp evil/config missing.gitconfig", "work"),
    "commondir of a worktree": ("echo $PWD/evil > .git/worktrees/tree/commondir", "tree"),
    "a worktree's folder in another's place": (
        "cd .git/worktrees; cp -r tree t; echo $OLDPWD/evil > t/commondir; mv tree old; mv t tree", "tree"),
    "configuration of a worktree": ("cp evil/config .git/worktrees/tree/config.worktree", "tree"),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_a_step_plants_in_a_repository_starts_no_program_later(parts, planted):
    script, place = PLANTED[planted]
    await parts.bash(EVIL + script)
    assert (parts.workspace / "evil" / "config").exists()
    git(parts.stage.folder / place, "status")
    assert not (parts.workspace / "ran").exists()


async def test_a_program_that_was_planted_outside_of_the_sandbox_is_noticed_by_these_tests(parts):
    script, place = PLANTED["configuration of a worktree"]
    subprocess.run(["bash", "-c", EVIL + script], cwd=parts.workspace, env=CALM)
    git(parts.stage.folder / place, "status")
    assert (parts.workspace / "ran").exists()


async def test_a_step_that_leads_git_elsewhere_fails_and_says_how(walls):
    finished = await walls.bash("echo x > .git/commondir")
    assert (finished.status, finished.code) == ("failed", 0)
    assert f"it made {walls.workspace}/.git/commondir" in finished.error
    assert (await walls.bash("git status")).code == 0


async def test_where_git_was_led_elsewhere_before_no_step_starts(walls):
    (walls.workspace / ".git" / "commondir").write_text("../evil\n")
    with pytest.raises(TaskError, match="commondir is there, which makes git"):
        walls.call("/bin/true")


async def test_a_config_that_is_a_fifo_or_endless_does_not_hold_up_whoever_reads_it(walls):
    (walls.workspace / ".git" / "config").unlink()
    os.mkfifo(walls.workspace / ".git" / "config")
    assert (await walls.bash("true")).code == 0
    (walls.workspace / ".git" / "config").unlink()
    (walls.workspace / ".git" / "config").write_text("[include]path = a" + " " * 900_000 + "b\n[" + "a" * 90_000)
    assert (await walls.bash("true")).code == 0


def test_what_a_config_includes_is_found_however_it_is_written(tmp_path):
    (tmp_path / "config").write_text(
        '[core]\n\tpath = no\n[Include]\n  Path = "one" ; here\n[includeIf "gitdir:/a/"] path=sub/../two#x\n'
        "[include]\n\tpath = ~/home\n\tpath =\n[remote]\npath = no\n"
    )
    (tmp_path / "one").write_text("[include]\npath = three\npath = config\n")
    found = leads(Repository(str(tmp_path), str(tmp_path)), False, lambda path: True)
    names = {os.path.basename(path) for path in (*found.kept, *found.absent)}
    assert names == {"hooks", "config", "one", "two", "three", "commondir"}


async def test_a_git_file_stays_as_it_is_whatever_it_names(tmp_path):
    require_program("git")
    (tmp_path / "work").mkdir()
    async with yard(tmp_path) as walls:
        git(walls.workspace, "init", "-q", "--separate-git-dir", f"{tmp_path}/apart", ".")
        before = (walls.workspace / ".git").read_text()
        await walls.bash("echo 'gitdir: evil' > .git; rm -f .git; mv .git x; echo 'gitdir: evil' > y; mv -f y .git")
        assert (walls.workspace / ".git").read_text() == before


async def test_hooks_and_config_of_a_bare_repository_that_may_be_written_stay_as_they_are(walls):
    bare = walls.stage.folder / "bare.git"
    git(walls.stage.folder, "init", "-q", "--bare", str(bare))
    access = Access(write=(str(bare),))
    for script in (f"cp prog {bare}/hooks/post-receive", f"echo x >> {bare}/config", f"mv {bare}/hooks {bare}/h"):
        assert (await walls.bash(EVIL + script, access=access)).status == "failed", script
    assert "commondir" in (await walls.bash(EVIL + f"echo $PWD/evil > {bare}/commondir", access=access)).error
    assert (await walls.bash(f"git push -q {bare} main", access=access)).code == 0
    assert not (walls.workspace / "ran").exists()


async def test_a_worktree_can_not_be_led_to_another_repository_by_its_own_step(walls):
    tree = walls.workspace / "tree"
    git(walls.workspace, "worktree", "add", "-q", "tree")
    own = walls.workspace / ".git" / "worktrees" / "tree"
    before = {name: (own / name).read_text() for name in ("commondir", "gitdir")}
    await walls.bash(f"echo ../evil > {own}/commondir; echo x > {own}/gitdir; mv {own}/commondir {own}/c", cwd=tree)
    assert {name: (own / name).read_text() for name in before} == before
    assert (await walls.bash(f"echo a > a && git add a && git {WHO} commit -qm two", cwd=tree)).code == 0


async def test_an_old_time_on_a_folder_hides_no_change_from_the_sandbox(tmp_path):
    async with yard(tmp_path) as walls:
        was = walls.workspace.stat().st_mtime_ns
        await walls.bash("git init -q -b main . && touch -d @1 .git . && chmod 755 .git")
        os.utime(walls.workspace, ns=(was, was))
        assert await walls.refuses("echo x >> .git/config")


async def test_a_workspace_that_became_a_link_is_refused(walls):
    inner = walls.workspace / "inner"
    inner.mkdir()
    assert (await walls.bash("true", cwd=inner)).code == 0
    await walls.bash(f"rmdir inner && ln -s {walls.user} inner")
    with pytest.raises(TaskError, match="replaced by a symbolic link"):
        walls.call("/bin/true", cwd=inner)


# ── what people do all the same ───────────────────────────────────────────────────────────────────


async def test_work_with_submodules_and_worktrees_goes_on(parts):
    for script in (
        f"git {WHO} commit -q --allow-empty -m three && git gc -q && git status",
        f"cd sub && echo a > a && git add a && git {WHO} commit -qm two && cd .. && git {WHO} commit -qam sub",
        f"git {WHO} submodule update && git {WHO} submodule foreach git status",
        "git worktree add -q inside && cd inside && git status && cd .. && git worktree remove inside",
        "git worktree prune && git branch more && git worktree list",
        "git init -q own && cd own && git config core.pager cat && cd .. && rm -rf own",
    ):
        finished = await parts.bash(script, env=CALM)
        assert finished.code == 0, (script, finished.stderr_tail)
    assert Path(f"{parts.stage.folder}/tree/.git").exists()
