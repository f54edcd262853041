"""Skills: manifests are checked as a whole, and a step is bound without joining anything."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import FatalError, TaskError
from orchestrator.outcome import Access, Call
from orchestrator.skills import BindContext, Skills, bind, load_skills
from orchestrator.skills.access import access_of
from orchestrator.spec import Step, Task

ROOT = Path(__file__).parent.parent
SHIPPED = load_skills(str(ROOT / "skills"))


def context(workspace: object = "/tmp", **changes: Any) -> BindContext:
    values = {"environ": {"HOME": "/h"}, "path": os.environ["PATH"], "output_limit": 1000, "daemon_env": {}, **changes}
    return BindContext(workspace=str(workspace), **values)


def bound(step: Step, skills: Skills = SHIPPED, where: BindContext | None = None, **task: Any) -> Call:
    return bind(
        step, 0, Task(id="t", title="t", skills=(step.skill,), steps=(step,), **task), skills, where or context()
    )


def write(folder: Path, text: str, name: str = "greet") -> str:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "skill.toml").write_text(text)
    return str(folder)


GREET = """
name = "greet"
description = "Greets"
argv = ["{skill}/run.sh", "--to={input.who}", "-n", "{input.times}", "--loud={input.loud}", "{args}", "end"]
[inputs.who]
required = true
choices = ["you", "me"]
[inputs.times]
type = "integer"
default = 2
[inputs.loud]
type = "boolean"
"""


def greet(tmp_path: Path) -> Skills:
    skills = load_skills(write(tmp_path, GREET))
    run = tmp_path / "greet" / "run.sh"
    run.write_text("#!/bin/sh\n")
    run.chmod(run.stat().st_mode | stat.S_IXUSR)
    return skills


def test_the_six_skills_are_there_and_their_examples_can_be_bound() -> None:
    assert SHIPPED.names() == {"bash", "node", "git", "http", "local_model", "python"}
    for name in SHIPPED:
        example = json.dumps(SHIPPED.get(name).manifest.example)
        assert SHIPPED.get(name).expand(Step.model_validate_json(example))


def test_each_argument_stays_one_argument() -> None:
    args = ("-c", 'printf "%s|" "$@"', "x", "a b", "", "*", "$HOME", "'")
    call = bound(Step(skill="bash", args=args))
    assert call.argv[1:] == args
    assert os.path.isabs(call.argv[0])
    assert subprocess.run(call.argv, capture_output=True, check=True).stdout == b"a b||*|$HOME|'|"


def test_inputs_are_filled_in_and_those_not_given_are_dropped(tmp_path: Path) -> None:
    call = bound(Step(skill="greet", args=("a b",), **{"with": {"who": "you"}}), greet(tmp_path))
    assert call.argv == (f"{tmp_path}/greet/run.sh", "--to=you", "-n", "2", "a b", "end")
    call = bound(Step(skill="greet", **{"with": {"who": "me", "times": 3, "loud": True}}), greet(tmp_path))
    assert call.argv[1:] == ("--to=me", "-n", "3", "--loud=true", "end")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs the input `who`"),
        ({"who": "them"}, "one of you, me"),
        ({"who": "you", "times": "3"}, "type integer"),
        ({"who": "you", "times": True}, "type integer"),
        ({"whom": "you"}, "did you mean `who`"),
    ],
)
def test_wrong_inputs_are_refused_by_name(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said) as caught:
        bound(Step(skill="greet", **{"with": given}), greet(tmp_path))
    assert caught.value.reason == "invalid"


def test_environments_are_layered_and_nothing_else_gets_in() -> None:
    daemon = {"SSH_AUTH_SOCK": "/s", "SECRET": "no", "GIT_PAGER": "less"}
    where = context(environ={"HOME": "/h", "LANG": "C"}, daemon_env=daemon)
    step = Step(skill="git", args=("status",), env={"B": "step", "GIT_EDITOR": "mine"})
    call = bound(step, where=where, env={"A": "task", "B": "task", "LANG": "de"})
    assert call.env == {
        "HOME": "/h", "LANG": "de", "PATH": os.environ["PATH"], "SSH_AUTH_SOCK": "/s", "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat", "GIT_EDITOR": "mine", "A": "task", "B": "step", "ORCHESTRATOR_TASK_ID": "t",
    }  # fmt: skip


@pytest.mark.parametrize("where", ["task", "step"])
def test_reserved_names_cannot_be_set(where: str) -> None:
    env = {"ORCHESTRATOR_TASK_ID": "other"}
    with pytest.raises(TaskError, match="reserved") as caught:
        bound(Step(skill="bash", args=("x",), env=env if where == "step" else {}), env=env if where == "task" else {})
    assert caught.value.reason == "invalid"


def test_a_missing_program_says_which_and_is_found_once_it_is_there(tmp_path: Path) -> None:
    where = context(path=str(tmp_path))
    with pytest.raises(TaskError, match="skill `node` needs the program `node`, which is not on PATH") as caught:
        bound(Step(skill="node", args=("x",)), where=where)
    assert caught.value.reason == "skill_unavailable"
    (tmp_path / "node").symlink_to("/bin/sh")
    assert bound(Step(skill="node", args=("x",)), where=where).argv[0] == f"{tmp_path}/node"


def test_an_empty_or_relative_path_does_not_fall_back_to_the_daemons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bash").symlink_to("/bin/sh")
    monkeypatch.chdir(tmp_path)
    for path in ("", "bin:."):
        with pytest.raises(TaskError, match="not on PATH"):
            bound(Step(skill="bash", args=("x",)), where=context(path=path))


def test_the_timeout_of_the_manifest_is_for_steps_that_name_none(tmp_path: Path) -> None:
    skills = load_skills(write(tmp_path, 'name="greet"\ndescription="x"\nargv=["bash","{args}"]\ntimeout="5s"'))
    assert bound(Step(skill="greet"), skills).timeout_ms == 5_000
    assert bound(Step(skill="greet", timeout=120_000), skills).timeout_ms == 120_000


def test_an_unknown_skill_names_the_nearest() -> None:
    with pytest.raises(TaskError, match="did you mean `python`"):
        bound(Step(skill="pyton"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not valid TOML"),
        (GREET.replace('"greet"', '"other"'), "must be the folder's name, `greet`"),
        (GREET.replace("description", "descripton"), "did you mean `description`"),
        ("# greets\n\n" + GREET.replace("description", "descripton"), "skill.toml:5: descripton: "),
        (GREET.replace("{input.who}", "{input.whom}"), "did you mean {input.who}"),
        (GREET.replace('"{args}"', '"x{args}"'), "item by itself"),
        (GREET.replace('"{args}"', '"{args}", "{args}"'), "only once"),
        (GREET.replace("{skill}/run.sh", "{input.who}"), "must be fixed"),
        (GREET.replace("{skill}/run.sh", "./run.sh"), "must be a name"),
        (GREET.replace("default = 2", 'default = "2"'), "not of type integer"),
        (GREET + "[env]\nORCHESTRATOR_X = '1'", "belongs to the orchestrator"),
        (GREET + "[inputs.unused]", "`unused` is declared"),
        (GREET + "[example]\nskill = 'bash'", "example.skill"),
    ],
)
def test_a_broken_manifest_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FatalError) as caught:
        load_skills(write(tmp_path, text))
    assert "greet/skill.toml" in str(caught.value)
    assert said in str(caught.value)


def test_all_broken_manifests_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "x", "a")
    (tmp_path / "b").mkdir()
    with pytest.raises(FatalError) as caught:
        load_skills(str(tmp_path))
    assert "a/skill.toml" in str(caught.value)
    assert "b/skill.toml: is missing" in str(caught.value)


def test_git_commits_and_pushes_but_runs_no_hook_of_the_repository(tmp_path: Path) -> None:
    repo, marker = tmp_path / "repo", tmp_path / "hooked"
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare"], check=True)
    subprocess.run(["git", "clone", "-q", tmp_path / "bare", repo], check=True, capture_output=True)
    for name in ("pre-commit", "pre-push"):
        hook = repo / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
        hook.chmod(0o755)
    (repo / "a").write_text("a")
    env = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), "x@y")
    for args in (("add", "a"), ("commit", "-m", "one"), ("push", "origin", "HEAD:main"), ("diff", "--stat")):
        call = bound(Step(skill="git", args=args), where=context(repo, daemon_env=env, environ={"HOME": str(tmp_path)}))
        subprocess.run(call.argv, env=call.env, cwd=call.cwd, check=True, capture_output=True)
    log = subprocess.run(
        ["git", "-C", tmp_path / "bare", "log", "--format=%s", "main"], capture_output=True, check=True
    )
    assert log.stdout == b"one\n"
    assert not marker.exists()


@pytest.mark.parametrize(
    "args",
    [
        ("status",),
        ("diff",),
        ("log", "-p"),
        ("show",),
        ("blame", "a"),
        ("grep", "two"),
        ("-C", ".", "diff"),
        ("--no-replace-objects", "-c", "color.ui=never", "log", "-p"),
    ],
    ids=" ".join,
)
def test_git_reads_a_hostile_repository_without_running_what_its_config_names(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    repo, marker = tmp_path / "repo", tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch {marker}\ncat "$1" 2>/dev/null\n')
    program.chmod(0o755)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-C", str(repo)]
    subprocess.run(["git", "init", "-q", repo], check=True)
    (repo / ".gitattributes").write_text("* diff=hostile\n")
    (repo / "a").write_text("one\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    (repo / "a").write_text("two\n")
    names = ("diff.external", "diff.hostile.textconv", "diff.hostile.command", "core.pager", "core.fsmonitor")
    for name in names:
        subprocess.run([*git, "config", name, str(program)], check=True)
    call = bound(Step(skill="git", args=args), where=context(repo, environ={"HOME": str(tmp_path)}))
    subprocess.run(call.argv, env=call.env, cwd=call.cwd, capture_output=True, check=True)
    assert not marker.exists()
    plain = subprocess.run(["git", *args], env=call.env, cwd=repo, capture_output=True, check=False)
    assert plain.returncode == 0
    assert marker.exists()  # the repository is as hostile as it is meant to be


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('write = ["dist"]', "write: 'dist' must begin with /, ~/, {workspace}"),
        ('hide = ["{home}/x"]', "hide: '{home}/x' names {home}; there are {workspace}, {skill} and {env.NAME}"),
        ("network = 1", "network"),
        ('shwo = ["~/x"]', "did you mean `show`"),
    ],
)
def test_a_wrong_word_about_the_sandbox_is_told_by_key(tmp_path, line, message):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "skill.toml").write_text(f'name = "s"\ndescription = "d"\nargv = ["true"]\n{line}\n')
    with pytest.raises(FatalError) as caught:
        load_skills(str(tmp_path))
    assert message in str(caught.value)


def test_paths_of_the_sandbox_are_resolved_and_fall_away_with_their_variable(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "skill.toml").write_text(
        'name = "s"\ndescription = "d"\nargv = ["true"]\nnetwork = false\nwrite = ["{workspace}/out", "~/a"]\n'
        'hide = ["{skill}/key"]\nshow = ["{env.SOCK}"]\n'
    )
    skill = load_skills(str(tmp_path)).get("s")
    found = access_of(skill, "/w", {"HOME": "/h", "SOCK": "/run/s"})
    assert found == Access(("/w/out", "/h/a"), False, (f"{tmp_path}/s/key",), ("/run/s",))
    assert access_of(skill, "/w", {"HOME": "/h"}).show == ()
    with pytest.raises(TaskError, match="not an absolute path"):
        access_of(skill, "/w", {"HOME": "/h", "SOCK": "relative"})
