"""The gate as a person meets it: `explain` in its several ways, what `approve` shows, and what stands open."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest
from conftest import House, smoke
from standard_rules import RULES
from typer.testing import CliRunner, Result

from orchestrator.cli.app import app
from orchestrator.policy.decide import Context
from orchestrator.policy.lines import LONGEST_LINE, judge_line, numbered
from orchestrator.skills import load_skills

ROOT = Path(__file__).parent.parent
SKILLS = load_skills(str(ROOT / "skills"))
FORCED = "git push --force"


def invoke(house: House, *args: str) -> Result:
    return CliRunner().invoke(app, ["--home", str(house.root), *args])


def judged(line: str | bytes, **options: object) -> dict[str, object]:
    return judge_line(line, RULES, Context(risk="low", workspace="/home/user/work"), SKILLS, **options)  # type: ignore[arg-type]


def why(answer: dict[str, object]) -> str:
    return str(answer["reasons"][0]["why"])  # type: ignore[index]


def once(house: House, stem: str, **options: object) -> dict[str, object]:
    house.run("run", "--once", **options)
    result: dict[str, object] = house.result(stem)
    return result


# ── explain --jsonl ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('{"skill":"bash","args":["-c","a\\u0000b"]}', "`args[1]` contains a NUL character"),
        ('{"skill":"bash","skill":"git","args":["status"]}', "line 7 can be read in more than one way: duplicate key"),
        ('{"skill":"bash","args":["-c","ls"],"with":3}', "`with` must be a mapping"),
        ('{"skill":"http","with":{"url":"http://example.com/"}}', "`example.com` is neither this machine nor"),
        ('{"skill":"bash","args":["-c","' + "x" * LONGEST_LINE + '"]}', "line 7 is longer than"),
        ("[" * 100_000, "line 7 is not JSON"),
        ("nonsense", "line 7 is not JSON: "),
    ],
)
def test_a_line_that_is_no_call_is_answered_with_what_is_wrong(line: str, word: str) -> None:
    answer = judged(line, number=7)
    assert answer["verdict"] == "needs_approval"
    assert word in why(answer)


def test_a_line_may_give_inputs_and_what_is_started_beside_the_call_is_judged_too() -> None:
    asked = {"description": "x", "output_file": "a.py", "test_command": ["bash", "-c", FORCED]}
    answer = judged(json.dumps({"skill": "local_model", "with": asked}))
    assert {reason["rule"] for reason in answer["reasons"]} >= {"git.push-force"}  # type: ignore[attr-defined]
    assert judged('{"skill":"http","with":{"url":"http://localhost:9/"}}')["verdict"] == "allow"
    hosts = ("example.com",)
    assert judged('{"skill":"http","with":{"url":"http://example.com/"}}', trusted_hosts=hosts)["verdict"] == "allow"


def test_lines_are_counted_blank_ones_are_passed_over_and_a_huge_one_is_not_kept() -> None:
    stream = io.BytesIO(b"one\n\n" + b"x" * (5 * LONGEST_LINE) + b"\n  \nlast")
    lines = list(numbered(stream))
    assert [number for number, _ in lines] == [1, 3, 5]
    assert len(lines[1][1]) == LONGEST_LINE + 2
    assert lines[2][1] == b"last"


def test_one_bad_line_ends_no_answers_and_calls_may_be_read_from_a_file(house: House) -> None:
    calls = house.root / "calls.jsonl"
    calls.write_text('{"id":1,"skill":"bash","args":["-c","a\\u0000"]}\n{"id":2,"skill":"bash","args":["-c","ls"]}\n')
    ran = invoke(house, "explain", "--jsonl", str(calls))
    assert ran.exit_code == 0
    assert [json.loads(line)["id"] for line in ran.stdout.splitlines()] == [1, 2]


# ── explain ────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_can_be_explained_without_a_spec(house: House) -> None:
    ran = invoke(house, "explain", "--risk", "low", "--", *FORCED.split())
    assert (ran.exit_code, "call: needs approval (score 60)" in ran.stdout) == (3, True)
    assert invoke(house, "explain", "--", "bash", "-c", "ls").exit_code == 0
    stranger = invoke(house, "explain", "--", "rm", "-r", "x")
    assert stranger.exit_code == 2
    assert "orchestrator explain -- bash -c 'rm -r x'" in stranger.stderr
    assert invoke(house, "explain", "--risk", "low", "x.json").exit_code == 2


def test_a_task_in_the_queue_is_explained_by_its_id(house: House) -> None:
    house.drop(smoke("tsk_push", FORCED))
    once(house, "tsk_push")
    ran = invoke(house, "explain", "tsk_push")
    assert (ran.exit_code, "git.push-force" in ran.stdout) == (3, True)
    assert invoke(house, "explain", "tsk_nobody").exit_code == 2


def test_explain_names_the_scripts_it_read_those_that_are_not_there_and_the_folder(house: House) -> None:
    (house.root / "there.sh").write_text("echo it\n")
    spec = smoke(steps=[{"skill": "bash", "args": ["there.sh"]}, {"skill": "bash", "args": ["gone.sh"]}])
    (house.root / "x.json").write_text(json.dumps(spec))
    ran = invoke(house, "explain", str(house.root / "x.json"))
    said = [line.strip() for line in ran.stdout.splitlines()]
    assert said[:3] == ["step 0  bash: there.sh", f"reads     {house.root}/there.sh", "runs      echo it"]
    assert any(line.startswith(f"missing   {house.root}/gone.sh is not there") for line in said)
    assert said[-1] == f"in {house.root}"


def test_explain_judges_the_scripts_of_a_worktree_that_is_not_made_yet(house: House) -> None:
    repo = house.root / "repo"
    for words in (["init", "-q", str(repo)], ["-C", str(repo), "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)
    (repo / "x.sh").write_text(FORCED)
    steps = [{"skill": "bash", "args": ["x.sh"]}]
    spec = smoke(steps=steps, workspace={"worktree": {"repo": "repo", "branch": "b"}})
    (house.root / "x.json").write_text(json.dumps(spec))
    ran = invoke(house, "explain", str(house.root / "x.json"), "--json")
    account = json.loads(ran.stdout)
    assert (ran.exit_code, account["steps"][0]["verdict"]) == (3, "needs_approval")
    assert account["steps"][0]["reads"] == [str(repo / "x.sh")]


LATE = smoke(
    "late",
    skills=["bash", "git"],
    steps=[
        {"id": "a", "skill": "bash", "args": ["-c", "echo --force"]},
        {"skill": "git", "args": ["push", "${{ steps.a.stdout | option }}"]},
    ],
)


def test_explain_and_approve_say_what_a_value_stands_for_that_is_not_known_yet(house: House) -> None:
    house.drop(LATE | {"risk": "high"})
    once(house, "late")
    meant = "late-1 stands for ${{ steps.a.stdout | option }}"
    assert meant in invoke(house, "explain", "late").stdout
    assert meant in invoke(house, "approve", "late").stdout


# ── approvals ──────────────────────────────────────────────────────────────────────────────────────


def test_what_only_the_run_showed_is_no_circle_between_approve_and_retry(house: House) -> None:
    house.drop(LATE)
    assert once(house, "late")["status"] == "blocked"
    refused = invoke(house, "approve", "late")
    assert refused.exit_code == 2
    assert "what its run came to does: step 1 (git)" in refused.stderr
    assert "write that into the spec" in refused.stderr
    assert "lets it run once" not in invoke(house, "show", "late").stdout


def test_whoever_approves_is_told_which_script_is_not_there(house: House) -> None:
    house.drop(smoke("gone", risk="high", steps=[{"skill": "bash", "args": ["gone.sh"]}]))
    once(house, "gone")
    ran = invoke(house, "approve", "gone")
    assert (ran.exit_code, f"missing   {house.root}/gone.sh is not there" in ran.stdout) == (0, True)


def test_the_list_shows_all_that_waits_to_run_inputs_tests_environment_scripts_and_place(house: House) -> None:
    (house.root / "sub").mkdir()
    (house.root / "sub" / "x.sh").write_text("echo it\n")
    request = {"url": "http://localhost:9/", "save": "a.txt", "headers": {"X-Key": "secret"}}
    asked = {"description": "x", "output_file": "a.py", "test_command": ["bash", "-c", "echo tried"]}
    steps = [
        {"skill": "http", "with": request},
        {"skill": "local_model", "with": asked},
        {"skill": "bash", "args": ["x.sh"], "env": {"A": "b c"}},
        {"skill": "http", "with": {"url": "${{ vars.u }}"}},
    ]
    skills = ["bash", "http", "local_model"]
    where = {"dir": "sub"}
    house.drop(
        smoke("all", skills=skills, steps=steps, risk="high", workspace=where, vars={"u": "http://localhost:9/"})
    )
    once(house, "all")
    said = [line.strip() for line in invoke(house, "approvals").stdout.splitlines()]
    runs = [
        "runs      http GET http://localhost:9/ --header X-Key --save a.txt",
        "runs      local_model --output a.py",
        "runs      bash x.sh",
        "with    'A=b c'",
        "runs      http 'url=${{ vars.u }}'",
        "runs      bash -c 'echo tried'",
        "in        sub",
    ]
    assert said[2 : 2 + len(runs)] == runs
    assert said[2 + len(runs)].startswith(f"script    {house.root}/sub/x.sh  sha256 ")
    assert "`orchestrator approve all`" in said[3 + len(runs)]


def test_a_script_that_was_removed_voids_its_approval_for_the_daemon_as_in_the_list(house: House) -> None:
    script = house.root / "x.sh"
    script.write_text("echo it\n")
    house.drop(smoke("bare", risk="high", steps=[{"skill": "bash", "args": ["x.sh"]}]))
    once(house, "bare")
    assert invoke(house, "approve", "bare").exit_code == 0
    script.unlink()
    gone = f"{script} is not there any more"
    assert f"void: {gone}" in invoke(house, "approvals").stdout
    assert str(once(house, "bare")["reason"]).endswith(f"is void: {gone}")


def test_a_script_that_a_step_made_is_not_called_changed_since_it_was_approved(house: House) -> None:
    steps = [{"skill": "bash", "args": ["-c", f"echo {FORCED} > made.sh"]}, {"skill": "bash", "args": ["made.sh"]}]
    house.drop(smoke("maker", risk="high", steps=steps))
    once(house, "maker")
    invoke(house, "approve", "maker")
    assert str(once(house, "maker")["reason"]).endswith(f"{house.root}/made.sh was not there to be approved")


def test_a_daemon_that_asks_nobody_says_so_in_its_log_to_doctor_and_of_each_task(house: House) -> None:
    house.start(env={"LOCAL_ALLOW_HIGH": "1"})
    house.drop(smoke("open", risk="high"))
    assert house.result("open")["status"] == "ok"
    told = json.loads(invoke(house, "doctor", "--json").stdout)["findings"]
    assert any(item["level"] == "warn" and "LOCAL_ALLOW_HIGH=1" in item["text"] for item in told)
    assert "nobody was asked" in invoke(house, "show", "open").stdout
    house.stop()
    assert "what needs approval runs" in (house.root / "daemon.log").read_text()


def test_doctor_names_what_looks_like_a_rule_and_judges_nothing(house: House) -> None:
    rule = 'id = "mine.x"\neffect = "deny"\nreason = "no"\nmatch = ["frob"]\nwhen = { command = ["frob"] }\n'
    policy = Path(house.home.policy)
    (policy / "mine.toml").write_text(f'[[rule]]\nskills = ["bsh"]\n{rule}')
    (policy / "mine.yaml").write_text("rule: []\n")
    (policy / "README.md").write_text("# Mine\n")
    said = [item["text"] for item in json.loads(invoke(house, "doctor", "--json").stdout)["findings"]]
    assert f"{policy}/mine.toml:1: rule `mine.x`: it is for the skill bsh alone, which there is not" in said
    assert "in policy/, but no rule is read from: mine.yaml" in said


# ── what a spec can make the gate do ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stage", ["a", "curl x", "sed s/a/b/", "cat", "tee a", "base64 -d", "xargs a", "tr a b"])
def test_a_long_pipeline_is_judged_without_going_every_way_through_it(stage: str) -> None:
    """Each stage knows all before it: whoever asks each of these about theirs asks twice as often at every stage, and
    would not be back this century."""
    fetched = "curl -so got https://example.com/x && cat got | "
    for script in (" | ".join([stage] * 90), fetched + " | ".join([stage] * 60)):
        assert judged(json.dumps({"skill": "bash", "args": ["-c", script]}))["verdict"]


def test_a_pipeline_that_is_longer_than_anybody_writes_needs_approval() -> None:
    answer = judged(json.dumps({"skill": "bash", "args": ["-c", " | ".join(["a"] * 1_000)]}))
    assert answer["verdict"] == "needs_approval"
    assert "more than 100 stages" in json.dumps(answer["reasons"])
