"""Git worktrees of tasks: made, left, kept and removed, with real git on real repositories."""

import asyncio
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import require_program
from process_calls import PATH, stage

from orchestrator import failpoint
from orchestrator.errors import TaskError
from orchestrator.home import Home
from orchestrator.settings import Settings
from orchestrator.spec import Commit, Task, Worktree
from orchestrator.worktrees import record as records
from orchestrator.worktrees.git import Git
from orchestrator.worktrees.leaving import commit, leave
from orchestrator.worktrees.making import Asked, enter
from orchestrator.worktrees.source import source_of
from orchestrator.worktrees.status import look
from orchestrator.worktrees.tidying import remove_anyway, remove_if_safe, tidy

REAL_DEATHS = ["worktree.ready", "worktree.doomed"]
"""Met by a daemon in test_worktrees_daemon.py; the others by our own code here, which goes no further."""
MAKING = ["worktree.recorded", "worktree.made", "worktree.filled"]
LEAVING = ["worktree.committed", "worktree.kept", "worktree.removed"]
TASK = Task(id="t", title="Say more", skills=(), steps=({"skill": "bash"},))
WHO = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def run(folder, *args, check=True):
    """Git as a person runs it."""
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main")
    command = ["git", "-C", str(folder), *who, *args]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(command, capture_output=True, check=check, env=environ | WHO)
    return os.fsdecode(done.stdout).rstrip("\n")


def repository(folder, *names):
    """One with a commit in which these files say `one`."""
    folder.mkdir(parents=True)
    run(folder, "init", "-q")
    for name in names or ("a",):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("one\n")
    run(folder, "add", "--all")
    run(folder, "commit", "-q", "-m", "first")
    return folder


@dataclass
class Shed:
    """A home, a workspace with a repository `repo`, and our git without a sandbox."""

    home: Home
    workspace: Path
    git: Git

    def asked(self, run=1, task_id="t", earlier=None, resumed=False, **fields):
        wanted = Worktree.model_validate_json(json.dumps({"repo": "repo"} | fields))
        source = source_of(wanted, str(self.workspace), Settings())
        return Asked(self.home, source, wanted, task_id, run, earlier, resumed)

    async def make(self, **fields):
        """A worktree that is ready, its record and its folder."""
        asked = self.asked(**fields)
        record = replace(await enter(self.git_in(asked.task_id), asked), state="open", set_up=True)
        records.write(self.home, record)
        return record, Path(record.path(self.home))

    async def leave(self, record, *, ok=True, goes_on=False):
        return await leave(self.git, self.home, record, ok=ok, goes_on=goes_on)

    def git_in(self, task_id):
        """One that can run at the same time as another."""
        folder = Path(self.git.folder) / task_id
        folder.mkdir(exist_ok=True)
        return replace(self.git, folder=str(folder))

    @property
    def repo(self):
        return self.workspace / "repo"

    def branches(self):
        return run(self.repo, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


@contextlib.asynccontextmanager
async def a_shed(folder):
    require_program("git")
    home = Home(str(folder / "home"))
    home.prepare()
    (folder / "out").mkdir()
    async with stage(folder) as ready:
        environ = {"HOME": str(folder), **WHO, "GIT_DIR": str(folder / "stray"), "GIT_WORK_TREE": str(folder)}
        git = Git(ready.runner, lambda call, _: call, PATH, environ, "t.1", "t", str(folder / "out"))
        repository(folder / "work" / "repo")
        yield Shed(home, folder / "work", git)


@pytest.fixture
async def shed(tmp_path):
    async with a_shed(tmp_path) as ready:
        yield ready


async def test_a_worktree_has_a_branch_of_its_own_at_the_base_and_is_removed_with_it_when_nothing_was_done(shed):
    run(shed.repo, "tag", "v1")
    (shed.repo / "a").write_text("two\n")
    run(shed.repo, "commit", "-qam", "second")
    (shed.repo / "a").write_text("dirty\n")
    record, path = await shed.make(base="v1")
    assert (path / "a").read_text() == "one\n"
    assert run(path, "symbolic-ref", "HEAD") == "refs/heads/orchestrator/t-1"
    left = await shed.leave(record)
    assert (left.removed, left.account(shed.home)["kept"]) == (True, False)
    assert not path.exists()
    assert shed.branches() == ["main"]
    assert run(shed.repo, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert list(records.everything(shed.home)) == []
    assert (shed.repo / "a").read_text() == "dirty\n"


async def test_uncommitted_work_keeps_it_whatever_keep_says_and_names_may_hold_anything(shed):
    record, path = await shed.make(keep="never")
    odd = os.fsdecode(b"new\nline \xff")
    (path / odd).write_text("x")
    (path / "a").unlink()
    left = await shed.leave(record)
    account = left.account(shed.home)
    assert (left.removed, account["why"], account["uncommitted"]) == (False, "2 uncommitted files would be lost", 2)
    assert len(account["files"]) == account["files_changed"] == 2
    assert path.exists()
    assert records.read(shed.home, "t", 1).state == "kept"
    (path / odd).unlink()
    run(path, "checkout", "-q", "a")
    assert await remove_if_safe(shed.git, shed.home, records.read(shed.home, "t", 1)) is None
    assert not path.exists()


@pytest.mark.parametrize(
    ("how", "stays"),
    [
        (lambda repo, path: None, "1 unpushed commit"),
        (lambda repo, path: run(repo, "merge", "-q", "orchestrator/t-1"), ""),
        (lambda repo, path: run(repo, "tag", "kept", "orchestrator/t-1"), ""),
        (lambda repo, path: run(path, "push", "-q", "origin", "HEAD:main"), ""),
        (lambda repo, path: run(path, "switch", "-q", "-c", "other"), ""),
        (lambda repo, path: run(path, "switch", "-q", "--detach"), "1 unpushed commit"),
        (lambda repo, path: run(path, "branch", "-q", "-m", "mine"), ""),
        (lambda repo, path: run(path, "switch", "-q", "--orphan", "empty"), "a branch without a commit"),
        (lambda repo, path: (path / "b").write_text("x"), "1 uncommitted file, 1 unpushed commit"),
        (lambda repo, path: run(path, "rebase", "-q", "--exec", "false", "main", check=False), "a rebase under way"),
        (lambda repo, path: repository(path / "sub"), "1 uncommitted file, 1 unpushed commit"),
    ],
    ids=[
        "alone",
        "merged",
        "tagged",
        "pushed",
        "switched",
        "detached",
        "renamed",
        "orphan",
        "dirty",
        "rebase",
        "nested",
    ],
)
async def test_commits_that_are_nowhere_else_keep_it_and_others_do_not(shed, how, stays):
    run(shed.workspace, "clone", "-q", "--bare", "repo", "far.git")
    run(shed.repo, "remote", "add", "origin", str(shed.workspace / "far.git"))
    record, path = await shed.make()
    (path / "a").write_text("two\n")
    run(path, "commit", "-qam", "mine")
    how(shed.repo, path)
    left = await shed.leave(record)
    assert stays in left.found.lost
    assert (left.removed, path.exists()) == (not stays, bool(stays))


async def test_a_repository_inside_keeps_it_also_when_it_was_committed_as_a_link(shed):
    record, path = await shed.make()
    repository(path / "sub")
    await commit(shed.git, shed.home, record, TASK, Commit())
    run(shed.repo, "merge", "-q", "orchestrator/t-1")
    assert (await shed.leave(record)).found.lost == "repositories inside"


@pytest.mark.parametrize(
    ("keep", "ok", "goes_on", "why"),
    [
        ("always", True, False, "keep: always"),
        ("on_failure", False, False, "keep: on_failure, and the task did not end ok"),
        ("on_failure", True, False, ""),
        ("never", False, False, ""),
        ("never", False, True, "the next run of the task goes on in it"),
    ],
)
async def test_keep_decides_where_nothing_would_be_lost(shed, keep, ok, goes_on, why):
    record, _ = await shed.make(keep=keep)
    left = await shed.leave(record, ok=ok, goes_on=goes_on)
    assert (left.record.why, left.removed) == (why, not why)


async def test_what_changed_is_committed_with_the_tasks_words_and_without_its_hooks_or_copies(shed):
    (shed.repo / ".env").write_text("SECRET=1")
    hook = shed.repo / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    record, path = await shed.make(copy=[".env"])
    assert await commit(shed.git, shed.home, record, TASK, Commit()) is None
    (path / "new").write_text("x")
    (path / "a").unlink()
    made = await commit(shed.git, shed.home, record, TASK, Commit())
    assert run(path, "log", "-1", "--format=%H %an %s|%b") == f"{made} Orchestrator Say more|Orchestrator-Task: t"
    assert run(path, "show", "--format=", "--name-status") == "D\ta\nA\tnew"
    (path / "new").write_text("y")
    asked = Commit(message="# Other\n\nwords", author="Bob <bob@example.org>")
    await commit(shed.git, shed.home, record, TASK, asked)
    assert run(path, "log", "-1", "--format=%an %ae %s") == "Bob bob@example.org # Other"
    found = await look(shed.git, shed.home, record)
    assert (found.files, found.commits) == ((), 2)


async def test_copies_are_no_work_until_somebody_changes_them(shed):
    (shed.repo / ".env").write_text("SECRET=1")
    record, path = await shed.make(copy=[".env"])
    assert (await look(shed.git, shed.home, record)).lost == ""
    (path / ".env").write_text("SECRET=2")
    assert (await look(shed.git, shed.home, record)).lost == "1 uncommitted file"
    (shed.repo / ".env").touch()
    record, path = await shed.make(run=2, copy=[".env"])
    assert (await shed.leave(record)).removed


async def test_untracked_files_are_copied_with_mode_time_and_inner_links_and_tracked_ones_are_not(shed):
    for name in ("keys/x/one.json", "keys/two.json", "keys/three.txt"):
        (shed.repo / name).parent.mkdir(parents=True, exist_ok=True)
        (shed.repo / name).write_text(name)
    (shed.repo / "keys/two.json").chmod(0o700)
    (shed.repo / "keys/link.json").symlink_to("x/one.json")
    (shed.repo / "a").write_text("dirty\n")
    _, path = await shed.make(copy=["keys/**/*.json", "a"])
    assert sorted(p.name for p in (path / "keys").rglob("*")) == ["link.json", "one.json", "two.json", "x"]
    assert os.readlink(path / "keys/link.json") == "x/one.json"
    status, source = (path / "keys/two.json").stat(), (shed.repo / "keys/two.json").stat()
    assert (status.st_mode, status.st_mtime_ns) == (source.st_mode, source.st_mtime_ns)
    assert (path / "a").read_text() == "one\n"


@pytest.mark.parametrize(
    ("make", "fields", "says"),
    [
        (lambda work: None, {"copy": ["*.env"]}, "pathspec '*.env' did not match"),
        (
            lambda work: (work / "repo/out").symlink_to("/etc/passwd"),
            {"copy": ["out"]},
            "symbolic link out of the repo",
        ),
        (lambda work: (work / "repo/up").symlink_to("../x"), {"copy": ["up"]}, "symbolic link out of the repository"),
        (lambda work: os.mkfifo(work / "repo/pipe"), {"copy": ["pipe"]}, "pathspec 'pipe' did not match"),
        (lambda work: repository(work / "repo/in"), {"copy": ["in"]}, "in/ is a repository of its own"),
        (lambda work: None, {"repo": "nowhere"}, "nowhere, which is not a folder"),
        (lambda work: (work / "plain").mkdir(), {"repo": "plain"}, "is not the top of a git repository"),
        (lambda work: (work / "repo/sub").mkdir(), {"repo": "repo/sub"}, "name this one"),
        (lambda work: repository(work.parent / "far"), {"repo": "../far"}, "is not in the workspace"),
        (lambda work: None, {"repo": "/"}, "is not in the workspace"),
        (lambda work: run(work, "init", "-q", "empty"), {"repo": "empty"}, "has no commit yet"),
        (lambda work: None, {"base": "nope"}, "base is nope, which names no commit"),
        (lambda work: None, {"branch": "main"}, "the branch main exists already, checked out in"),
        (lambda work: run(work / "repo", "branch", "b"), {"branch": "b"}, "the branch b exists already: name another"),
        (lambda work: run(work / "repo", "branch", "b"), {"branch": "b/c"}, "refs/heads/b"),
        (lambda work: run(work, "clone", "-q", "--bare", "repo", "bare"), {"repo": "bare", "copy": ["a"]}, "bare repo"),
    ],
)
async def test_what_can_not_be_is_refused_with_the_reason_and_leaves_nothing(shed, make, fields, says):
    make(shed.workspace)
    before = shed.branches()
    with pytest.raises(TaskError) as refused:
        await shed.make(**fields)
    assert says in refused.value.message
    assert list(records.everything(shed.home)) == []
    assert shed.branches() == before
    assert run(shed.repo, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert not (Path(shed.home.worktrees) / "t/1").exists()


async def test_a_git_file_that_leads_to_a_strangers_repository_is_refused(shed):
    far = repository(shed.workspace.parent / "far")
    (shed.workspace / "trap").mkdir()
    (shed.workspace / "trap/.git").write_text(f"gitdir: {far}/.git\n")
    with pytest.raises(TaskError, match="does not name it back"):
        await shed.make(repo="trap")


async def test_bare_repositories_and_linked_worktrees_serve_as_well(shed):
    run(shed.workspace, "clone", "-q", "--bare", "repo", "bare")
    run(shed.repo, "worktree", "add", "-q", "-b", "side", str(shed.workspace / "linked"))
    (shed.workspace / "linked/a").write_text("side\n")
    run(shed.workspace / "linked", "commit", "-qam", "side")
    for number, (repo, text) in enumerate([("bare", "one\n"), ("linked", "side\n")], 1):
        record, path = await shed.make(repo=repo, task_id=repo, run=number)
        assert (path / "a").read_text() == text
        (path / "a").write_text("more\n")
        assert await commit(shed.git, shed.home, record, TASK, Commit())
        assert (await shed.leave(record)).found.commits == 1


async def test_ids_that_make_no_branch_and_branches_that_are_taken_get_another_name(shed):
    run(shed.repo, "branch", "orchestrator/a-b.lock-1")
    record, _ = await shed.make(task_id="a..b.lock")
    assert record.branch == "orchestrator/a-b.lock-1-2"


async def test_many_at_once_on_one_repository_all_get_theirs(shed):
    made = await asyncio.gather(*(shed.make(task_id=f"t{n}") for n in range(6)))
    for record, path in made:
        (path / "a").write_text(record.id)
    await asyncio.gather(*(commit(shed.git_in(record.id), shed.home, record, TASK, Commit()) for record, _ in made))
    tips = [run(shed.repo, "show", f"{record.branch}:a") for record, _ in made]
    assert tips == [f"t{n}" for n in range(6)]
    left = await asyncio.gather(*(leave(shed.git_in(r.id), shed.home, r, ok=True, goes_on=False) for r, _ in made))
    assert [each.found.commits for each in left] == [1] * 6


async def test_the_next_run_goes_on_where_the_one_before_worked(shed):
    record, path = await shed.make()
    (path / "half").write_text("done")
    await shed.leave(record, ok=False)
    again = await enter(shed.git, shed.asked(run=2, earlier=1))
    assert (again.path(shed.home), again.runs, again.state) == (str(path), (1, 2), "open")
    assert (path / "half").read_text() == "done"
    await shed.leave(again, ok=False, goes_on=True)
    third = await enter(shed.git, shed.asked(run=3))
    assert third.number == 1, "the one before said that a next run goes on"
    await shed.leave(third, ok=False)
    assert (await enter(shed.git, shed.asked(run=4))).number == 4, "a run that goes on with nothing begins anew"


async def test_a_worktree_that_is_no_worktree_any_more_is_left_alone(shed):
    record, path = await shed.make()
    (path / "work").write_text("mine")
    (path / ".git").write_text("gitdir: /nowhere\n")
    left = await shed.leave(record)
    assert "is no worktree" in left.record.why
    with pytest.raises(TaskError, match="does not lead to"):
        await enter(shed.git, shed.asked(run=2, earlier=1))
    assert await tidy(shed.git, shed.home, lambda _: False)
    assert (path / "work").read_text() == "mine"


async def test_tidying_removes_what_holds_nothing_and_touches_no_task_that_is_busy(shed):
    for task_id in ("dead", "busy", "works", "wanted", "gone"):
        _, path = await shed.make(task_id=task_id, keep="always" if task_id == "wanted" else "never")
        if task_id == "works":
            (path / "new").write_text("x")
    os.makedirs(f"{shed.home.runs}/wanted/1")
    assert not (await shed.leave(records.read(shed.home, "wanted", 1))).removed
    run(shed.repo, "worktree", "remove", f"{shed.home.worktrees}/gone/1")
    done = await tidy(shed.git, shed.home, lambda task_id: task_id == "busy")
    assert sorted(done.removed) == ["dead/1", "gone/1"]
    assert [record.name for record in done.left] == ["works/1"]
    assert {record.id: record.state for record in records.everything(shed.home)} == {
        "busy": "open", "wanted": "kept", "works": "kept",
    }  # fmt: skip
    assert "orchestrator/gone-1" in shed.branches(), "whoever removed it by hand may want its branch"
    os.rmdir(f"{shed.home.runs}/wanted/1")
    assert (await tidy(shed.git, shed.home, lambda task_id: task_id == "busy")).removed == ["wanted/1"]


async def test_a_person_may_lose_what_they_named(shed):
    record, path = await shed.make()
    (path / "a").write_text("two\n")
    run(path, "commit", "-qam", "mine")
    left = await shed.leave(record)
    assert await remove_anyway(shed.git, shed.home, left.record) == ""
    assert (path.exists(), shed.branches()) == (False, ["main"])


async def test_a_removal_that_was_cut_off_is_ended_but_never_with_work_that_came_since(shed):
    record, path = await shed.make()
    doomed = replace(record, state="removing")
    records.write(shed.home, doomed)
    (path / "a").unlink()
    (path / "new").write_text("x")
    await tidy(shed.git, shed.home, lambda _: False)
    assert records.read(shed.home, "t", 1).why == "1 uncommitted file would be lost"
    (path / "new").unlink()
    records.write(shed.home, doomed)
    assert (await tidy(shed.git, shed.home, lambda _: False)).removed == ["t/1"]
    assert shed.branches() == ["main"]


class Death(BaseException):
    """What a kill is to the code that it meets: nothing that it could answer."""


def die_at(monkeypatch, point):
    def reach(name):
        if name == point:
            raise Death

    monkeypatch.setattr(failpoint, "reach", reach)


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("point", MAKING)
async def test_a_death_in_the_making_leaves_nothing_that_is_not_known(shed, monkeypatch, point, goes_on):
    (shed.repo / ".env").write_text("x")
    with monkeypatch.context() as patch:
        die_at(patch, point)
        with pytest.raises(Death):
            await shed.make(copy=[".env"])
    if goes_on:
        record = await enter(shed.git, shed.asked(resumed=True, copy=[".env"]))
        assert (record.number, record.state) == (1, "setup")
        assert sorted(os.listdir(record.path(shed.home))) == [".env", ".git", "a"]
        assert shed.branches() == ["main", "orchestrator/t-1"]
    else:
        await tidy(shed.git, shed.home, lambda _: False)
        known = list(records.everything(shed.home))
        assert len(known) == run(shed.repo, "worktree", "list", "--porcelain").count("worktree ") - 1
        assert [record.branch for record in known] == shed.branches()[1:]


@pytest.mark.parametrize("point", LEAVING)
async def test_a_death_in_the_leaving_loses_no_work_and_leaves_nothing_that_is_not_known(shed, monkeypatch, point):
    record, path = await shed.make(keep="never")
    if point != "worktree.removed":
        (path / "a").write_text("two\n")
    with monkeypatch.context() as patch:
        die_at(patch, point)
        with contextlib.suppress(Death):
            await commit(shed.git, shed.home, record, TASK, Commit())
            await shed.leave(record)
            pytest.fail(f"{point} was not passed")
    await tidy(shed.git, shed.home, lambda _: False)
    known = [each.why for each in records.everything(shed.home)]
    if point == "worktree.removed":
        assert (known, shed.branches()) == ([], ["main"])
    else:
        assert known == ["1 unpushed commit would be lost"]
        assert run(shed.repo, "show", "orchestrator/t-1:a") == "two"


async def test_a_making_at_which_the_daemon_dies_each_time_ends(shed, monkeypatch):
    with monkeypatch.context() as patch:
        die_at(patch, "worktree.made")
        for attempt in range(4):
            with pytest.raises(Death):
                await enter(shed.git, shed.asked(resumed=attempt > 0))
    with pytest.raises(TaskError, match="begun 4 times"):
        await enter(shed.git, shed.asked(resumed=True))
