"""The gate's verdicts: the arithmetic, the corpora of our own, and what may never lower a verdict."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide, decide_task
from orchestrator.policy.ledger import explain_lines, ledger
from orchestrator.policy.lines import judge_line
from orchestrator.skills import load_skills
from orchestrator.spec import Step, Task

ROOT = Path(__file__).parent.parent
HOME, WORKSPACE = "/home/user", "/home/user/work"
ORDER = ("allow", "needs_approval", "deny")
WORDS = {"allow": "allow", "approve": "needs_approval", "deny": "deny"}


def context(**changes: object) -> Context:
    return Context(**{"risk": "low", "home_dir": WORKSPACE, "workspace": WORKSPACE, "user_home": HOME, **changes})


def call(*argv: str, env: dict[str, str] | None = None) -> Call:
    return Call(0, argv[0], "process", argv[1:], argv, {"HOME": HOME, **(env or {})}, WORKSPACE, 1_000, given=env or {})


def script(text: str) -> Call:
    return call("bash", "-c", text)


def corpus(name: str) -> list[tuple[str, str]]:
    lines = (ROOT / "tests/corpora/gate" / name).read_text().splitlines()
    rows = [line.split("\t", 1) for line in lines if line and not line.startswith("#")]
    return [(WORDS[verdict], text.replace(r"\nrm", "\nrm").replace(r"\nEOF", "\nEOF")) for verdict, text in rows]


@pytest.mark.parametrize(
    ("argv", "risk", "priority", "score", "verdict"),
    [
        (("git", "status"), "low", "medium", 10, "allow"),
        (("git", "status"), "medium", "medium", 30, "allow"),
        (("git", "status"), "high", "medium", 60, "needs_approval"),
        (("git", "push"), "medium", "high", 50, "allow"),
        (("git", "push", "--force"), "low", "medium", 60, "needs_approval"),
        (("git", "branch", "-D", "x"), "low", "low", 40, "allow"),
        (("git", "push"), "low", "urgent", 45, "needs_approval"),
        (("git", "push", "origin", "main"), "high", "urgent", 95, "needs_approval"),
        (("bash", "-c", "sudo ls"), "medium", "medium", 100, "needs_approval"),
        (("bash", "-c", "sudo ls; npm publish; crontab -r"), "low", "medium", 80, "needs_approval"),
        (("bash", "-c", "rm -f x; ln -sf a b; cp -f a b"), "low", "medium", 10, "allow"),
        (("bash", "-c", "rm -rf /"), "high", "urgent", 100, "deny"),
    ],
)
def test_points_add_up_as_in_the_original(
    argv: tuple[str, ...], risk: str, priority: str, score: int, verdict: str
) -> None:
    decision = decide(call(*argv), RULES, context(risk=risk, priority=priority))
    assert (decision.score, decision.verdict) == (score, verdict)
    assert min(100, sum(reason.points for reason in decision.reasons)) == score


@pytest.mark.parametrize(("verdict", "text"), corpus("dangerous.txt") + corpus("everyday.txt"))
def test_corpus_verdict(verdict: str, text: str) -> None:
    decision = decide(script(text), RULES, context())
    assert decision.verdict == verdict, [(reason.rule, reason.why) for reason in decision.reasons]


def test_local_allow_high_approves_and_says_so_but_lifts_no_deny() -> None:
    approved = decide(script("npm publish"), RULES, context(approve_high=True))
    assert approved.verdict == "needs_approval"
    assert approved.approved_by == "LOCAL_ALLOW_HIGH"
    assert approved.may_run
    denied = decide(script("rm -rf /"), RULES, context(approve_high=True))
    assert denied.verdict == "deny"
    assert not denied.approved_by
    assert not denied.may_run


def test_a_task_is_judged_by_its_strictest_step_and_names_it() -> None:
    task = Task(
        id="t", title="t", skills=("bash",), risk="low",
        steps=(Step(skill="bash", args=("-c", "ls")), Step(skill="bash", id="bad", args=("-c", "rm -rf /"))),
    )  # fmt: skip
    calls = [script("ls"), Call(1, "bash", "process", (), script("rm -rf /").argv, {}, WORKSPACE, 1, "bad")]
    decision = decide_task(task, calls, RULES, context())
    assert (decision.verdict, decision.score) == ("deny", 80)
    assert any("step 1 (bad)" in reason.why for reason in decision.reasons if reason.rule == "files.delete-root")


def test_arguments_of_git_itself_are_not_expanded_as_a_shell_would() -> None:
    assert decide(call("rm", "-rf", "~"), RULES, context()).verdict == "allow"
    assert decide(call("rm", "-rf", "/"), RULES, context()).verdict == "deny"


def test_the_steps_own_environment_is_judged() -> None:
    assert decide(call("ls", env={"LD_PRELOAD": "x.so"}), RULES, context()).verdict == "needs_approval"
    assert decide(call("ls", env={"PATH": "/tmp/bin:/usr/bin"}), RULES, context()).verdict == "needs_approval"


def test_what_the_daemon_gives_every_step_is_not_held_against_it() -> None:
    inherited = replace(call("ls"), env={"HOME": "/var/lib/me", "PATH": "/srv/tools/bin:/usr/bin"})
    assert decide(inherited, RULES, context()).verdict == "allow"


def test_the_manifests_own_git_options_do_not_trip_the_gate() -> None:
    skills = load_skills(str(ROOT / "skills"))
    argv = skills.get("git").expand(Step(skill="git", args=("push", "origin", "main")))
    assert decide(call(*argv), RULES, context()).score == 30


PIECES = [text for _, text in corpus("dangerous.txt") + corpus("everyday.txt")]
COMPLETE = [text for text in PIECES if "<<" not in text and "unclosed" not in text and not text.startswith("cd ")]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(PIECES), st.sampled_from(["low", "medium", "high"]), st.sampled_from(["low", "urgent"]))
def test_raising_the_declared_risk_never_lowers_a_verdict(text: str, risk: str, priority: str) -> None:
    low = decide(script(text), RULES, context())
    higher = decide(script(text), RULES, context(risk=risk, priority=priority))
    assert ORDER.index(higher.verdict) >= ORDER.index(low.verdict)
    assert higher.score >= low.score


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(COMPLETE), st.sampled_from(COMPLETE), st.sampled_from(["; ", "\n", " && ", " || "]))
def test_adding_commands_never_lowers_a_verdict(first: str, second: str, joint: str) -> None:
    both = ORDER.index(decide(script(first + joint + second), RULES, context()).verdict)
    assert both >= ORDER.index(decide(script(first), RULES, context()).verdict)
    assert both >= ORDER.index(decide(script(second), RULES, context()).verdict)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab $'\"\\`(){}<>|&;\n*~#=!-/0", max_size=40))
def test_no_script_makes_the_gate_raise(text: str) -> None:
    assert decide(script(text), RULES, context()).verdict in ORDER


def test_a_jsonl_line_is_answered_with_its_reasons() -> None:
    skills = load_skills(str(ROOT / "skills"))
    line = '{"id":"a","skill":"git","args":["push","-f"],"risk":"low","priority":"medium"}'
    answer = judge_line(line, RULES, context(), skills)
    assert (answer["id"], answer["verdict"], answer["score"]) == ("a", "needs_approval", 60)
    assert {reason["rule"] for reason in answer["reasons"]} == {"risk.low", "git.push", "git.push-force"}


@pytest.mark.parametrize(
    "line",
    ["", "nonsense", "[]", "{}", '{"skill":1}', '{"skill":"bash","args":"x"}', '{"skill":"bash","args":[1]}',
     '{"skill":"bash","args":["-c","ls"],"risk":"none"}', '{"skill":"bash","args":["x"],"risk":[]}',
     '{"skill":"nope","args":[]}', '{"skill":"bash"}', b"\xff\xfe"],
)  # fmt: skip
def test_a_jsonl_line_that_cannot_be_read_needs_approval(line: str | bytes) -> None:
    answer = judge_line(line, RULES, context(), load_skills(str(ROOT / "skills")))
    assert answer["verdict"] == "needs_approval"
    assert answer["reasons"][0]["why"]


def test_the_ledger_shows_how_the_verdict_came_about() -> None:
    account = ledger(script("echo hi && sudo rm -rf /"), RULES, context())
    assert [command["name"] for command in account["commands"]] == ["echo", "sudo", "rm"]
    assert account["commands"][2]["via"] == ["sudo"]
    assert (account["sum"], account["score"], account["verdict"]) == (80, 80, "deny")
    text = "\n".join(explain_lines(account))
    assert "files.delete-root" in text
    assert "^^^^" in text
    assert "denied" in text


def test_deciding_reads_nothing_from_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the gate touched the disk")

    for name in ("stat", "lstat", "open", "listdir", "readlink"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    assert decide(script("rm -rf ../x; echo y > ~/z"), RULES, context()).verdict == "needs_approval"


def test_explain_underlines_what_was_found_where_it_stands() -> None:
    lines = explain_lines(ledger(script("cd sub && sudo ls; echo done"), RULES, context()))
    under = next(line for line in lines if "^" in line)
    above = lines[lines.index(under) - 1]
    assert above[under.index("^") : under.rindex("^") + 1] == "sudo ls"
    assert above.strip() == "cd sub && sudo ls; echo done"
