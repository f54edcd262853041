"""Worktrees as a user meets them: through the daemon, its sandbox, its deaths, and the command line."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from conftest import require_program, smoke
from sandbox_stage import need
from test_worktrees import REAL_DEATHS, WHO, repository, run

from orchestrator.cli.app import run as main
from orchestrator.worktrees import record as records


@pytest.fixture(autouse=True)
def _nobodys_git(monkeypatch, tmp_path):
    """The steps' git reads no configuration of whoever runs the tests."""
    require_program("git")
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "stray"))


def task(task_id, *scripts, worktree=None, **fields):
    steps = [{"skill": "bash", "args": ["-c", script], "idempotent": True} for script in scripts]
    return smoke(task_id, steps=steps, workspace={"worktree": {"repo": "repo"} | (worktree or {})}) | fields


def once(house, *specs, **env):
    for spec in specs:
        house.drop(spec)
    return house.run("run", "--once", env=env)


@pytest.fixture
def worktrees(capsys, monkeypatch):
    """The verb, in this process: its exit code and what it prints."""

    def call(house, *args):
        monkeypatch.setenv("ORCHESTRATOR_SANDBOX__LEVEL", house.sandbox)
        capsys.readouterr()
        return main(["--home", str(house.root), "worktrees", *args]), capsys.readouterr().out

    return call


def show(repo, ref, name="a"):
    return run(repo, "show", f"{ref}:{name}")


def test_two_agents_change_one_file_at_the_same_time_and_both_results_are_there(house, worktrees):
    need("bwrap")
    house.sandbox = "auto"
    repo = repository(house.root / "repo")
    (repo / ".env").write_text("KEY=1\n")
    worktree = {"copy": [".env"], "setup": ["cat .env > ready"], "commit": {"author": "Agent <agent@example.org>"}}
    script = "cat ready; echo {0} >> a; touch $M/{0}; until test -e $M/1 -a -e $M/2; do sleep 0.01; done"
    meet = house.root / "meet"  # each goes on when the other is in the middle of it
    meet.mkdir()
    (house.root / "config/local.toml").write_text(f'[sandbox]\nwrite = ["{meet}"]\n')
    fields = {"worktree": worktree, "acceptance": ["ready exists"], "env": {"M": str(meet)}}
    once(house, *(task(f"t{n}", script.format(n), **fields) for n in (1, 2)))
    for number in (1, 2):
        result = house.result(f"t{number}")
        told = result["worktree"]
        assert (result["status"], told["files"], told["uncommitted"]) == ("ok", ["a", "ready"], 0), result
        assert result["results"][0]["stdout"].splitlines()[0] == "KEY=1"
        assert show(repo, told["branch"]) == f"one\n{number}"
        assert run(repo, "log", "-1", "--format=%H %an", told["branch"]) == f"{told['commit']} Agent"
        assert (told["kept"], told["why"]) == (True, "1 unpushed commit would be lost")
    assert (repo / "a").read_text() == "one\n"
    run(repo, "merge", "-q", "orchestrator/t1-1")
    assert worktrees(house, "clean", "--dry-run") == (
        0,
        "would remove  t1/1\nkept  t2/1: 1 unpushed commit would be lost\n",
    )
    listed = {each["name"]: each for each in json.loads(worktrees(house, "list", "--json")[1])}
    assert {name: each["lost"] for name, each in listed.items()} == {"t1/1": "", "t2/1": "1 unpushed commit"}
    assert worktrees(house, "clean", "t2/1")[0] == 1
    assert worktrees(house, "clean", "t2/1", "--lose", "it all")[0] == 1
    assert worktrees(house, "clean", "--lose", "1 unpushed commit")[0] == 2
    assert worktrees(house, "clean", "t2/1", "--lose", "1 unpushed commit") == (0, "removed  t2/1\n")
    assert worktrees(house, "clean", "t9/1")[0] == 5
    assert house.run("run", "--once").returncode == 0
    assert list(records.everything(house.home)) == [], "what was merged since goes when the daemon tidies"
    assert run(repo, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_step_in_a_worktree_reaches_its_own_part_of_the_repository_and_no_more(house):
    need("bwrap")
    house.sandbox = "auto"
    repo = repository(house.root / "repo")
    run(repo, "worktree", "add", "-q", str(house.root / "other"))
    refused = [
        "echo x > $R/.git/hooks/pre-commit", "echo x >> $R/.git/config", "echo x > $R/.git/HEAD", "rm $R/.git/index",
        "echo x > $R/.git/info/attributes", "echo x > $R/.git/worktrees/other/HEAD", "rm -r $R/.git/worktrees/other",
        "echo x > .git", "rm .git", "mv .git g", "git config a.b c", "git worktree add ../x",
    ]  # fmt: skip
    # Where the home lies in /tmp these go to the task's own, and come to nothing.
    elsewhere = ["echo x > $R/a", "echo x > ../1.json"]
    (repo / "refused").write_text("\n".join([*elsewhere, *refused, "echo tried"]) + "\n")
    script = 'while read line; do bash -c "$line" 2>/dev/null && echo "$line"; done < refused'
    work = (
        "git commit -qam two && echo b > b && git stash -qu && git stash pop -q && git add b && git commit -qm three "
        "&& git rebase -q HEAD~1 && git tag x && git cherry-pick -n HEAD && git log --format=%s | head -1"
    )
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b"}
    spec = task(
        "t", f"echo two > a; {work}", script, worktree={"copy": ["refused"]}, env={"R": str(repo)} | who, risk="low"
    )
    once(house, spec, LOCAL_ALLOW_HIGH="1")
    result = house.result("t")
    assert result["status"] == "ok", result
    assert result["results"][0]["stdout"].endswith("\nthree\n"), result["results"][0]
    done = result["results"][1]["stdout"].splitlines()
    assert "tried" in done
    assert not set(done) & set(refused)
    assert (repo / "a").read_text() == "one\n"
    assert records.read(house.home, "t", 1) is not None


def test_in_a_worktree_the_gate_knows_the_workspace_and_still_guards_the_rest_of_the_home(house):
    repository(house.root / "repo")
    inside = task("inside", "echo x > config; mkdir state; echo y > state/z; rm -r state")
    once(house, inside, task("outside", "echo x > ../../../../policy/none.toml"))
    assert house.result("inside")["status"] == "ok"
    assert house.result("outside")["status"] == "denied"


def test_a_script_of_the_repository_is_judged_before_and_an_approval_of_it_holds_in_the_worktree(house):
    repo = repository(house.root / "repo", "deploy.sh")
    (repo / "deploy.sh").write_text("git push --force origin main\n")
    run(repo, "commit", "-qam", "deploy")
    once(house, task("t", "echo x > ran", "bash deploy.sh || true"))
    assert house.result("t")["status"] == "blocked"
    assert house.run("approve", "t").returncode == 0
    once(house)
    assert house.result("t")["status"] == "ok", house.result("t")["reason"]


@pytest.mark.soak
def test_a_script_that_lies_there_otherwise_than_committed_is_judged_in_the_worktree_and_approved_there(house):
    repo = repository(house.root / "repo", "deploy.sh")
    (repo / "deploy.sh").write_text("git push --force origin main\n")
    run(repo, "commit", "-qam", "deploy")
    (repo / "deploy.sh").write_text("echo dirty\n")
    once(house, task("u", "bash deploy.sh || true"))
    assert house.result("u")["status"] == "blocked", "what is committed is what runs, not what lies there"
    assert house.result("u")["worktree"]["why"] == "the next run of the task goes on in it"
    assert house.run("approve", "u").returncode == 0
    once(house)
    assert house.result("u")["status"] == "ok", house.result("u")["reason"]
    assert house.result("u")["worktree"]["path"].endswith("/u/1")


def test_setup_that_fails_ends_the_task_and_a_retry_from_a_step_goes_on_in_the_same_worktree(house):
    repo = repository(house.root / "repo")
    broken = task("s", "echo ran > ran", worktree={"setup": ["echo no >&2; exit 3"], "keep": "never"})
    again = task("r", "echo x >> a; test $(wc -l < a) = 3", worktree={"keep": "never"}, retry={"limit": 3, "delay": 1})
    once(
        house, broken, again, task("t", "echo half > half", f"test -e {repo}/go", "cat half", worktree={"commit": True})
    )
    result = house.result("s")
    assert (result["status"], result["reason"]) == ("failed", "setup_failed: setup 0 (bash) exited with 3: no")
    assert (result["results"], result["worktree"]["kept"]) == ([], False)
    assert (house.result("r")["status"], house.result("r")["run"]) == ("ok", 2), "the first run's line was there"
    assert house.result("t")["worktree"]["uncommitted"] == 1
    (repo / "go").touch()
    assert house.run("retry", "t", "--from", "1").returncode == 0
    once(house)
    result = house.result("t")
    assert (result["status"], result["run"]) == ("ok", 2)
    assert result["worktree"]["path"].endswith("/t/1")
    assert show(repo, "orchestrator/t-1", "half") == "half"


@pytest.mark.parametrize("point", [pytest.param(REAL_DEATHS[0], marks=pytest.mark.soak), REAL_DEATHS[1]])
def test_after_a_real_death_the_next_start_goes_on_and_leaves_no_worktree_that_is_not_known(house, point):
    repo = repository(house.root / "repo")
    worktree = {"setup": ["test ! -e new"], "keep": "never"}
    house.drop(task("t", "echo x > new; rm new", worktree=worktree, on_interrupt="retry"))
    died = house.run("run", "--once", env={"ORCHESTRATOR_FAILPOINT": point})
    assert died.returncode == -signal.SIGKILL, died.stderr
    once(house)
    result = house.result("t")
    assert (result["status"], result["run"], result["worktree"]["kept"]) == ("ok", 1, False), result
    assert list(records.everything(house.home)) == []
    assert run(repo, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert run(repo, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_what_an_interrupted_task_left_is_looked_at_by_the_next_start_and_its_work_is_kept(house):
    repository(house.root / "repo")
    house.start()
    spec = task("t", "echo work > new; sleep 1000", worktree={"keep": "never"})
    del spec["steps"][0]["idempotent"]
    house.drop(spec)
    place = Path(house.home.worktrees) / "t/1"
    while not (place / "new").exists():
        time.sleep(0.01)
    house.stop(signal.SIGKILL)
    once(house)
    result = house.result("t")
    assert (result["status"], result["worktree"]["path"]) == ("interrupted", str(place))
    assert records.read(house.home, "t", 1).why == "1 uncommitted file would be lost"
    assert (place / "new").read_text() == "work\n"


def test_a_home_that_is_itself_the_repository_gives_worktrees_too(house):
    need("bwrap")
    house.sandbox = "auto"
    (house.root / ".gitignore").write_text("state\nqueue\n")
    for command in ("init -q", "add --all", "commit -qm first"):
        run(house.root, *command.split())
    worktree = {"repo": ".", "commit": True}
    once(house, task("t", "echo written by the task >> config/orchestrator.toml", worktree=worktree))
    result = house.result("t")
    assert result["status"] == "ok", result
    assert result["worktree"]["files"] == ["config/orchestrator.toml"]
    assert "written by the task" not in (house.root / "config/orchestrator.toml").read_text()
    assert os.listdir(f"{house.home.worktrees}/t/1/policy")
