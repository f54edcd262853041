"""Families of commands: members that look unlike one another, and everyday ones beside them. Only judged.

Rule: a line is a verdict's letter (D deny, S stop: denied or asked about, A allow) and a script, `⏎` for a new line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide

HOME, WORKSPACE = "/home/user", "/home/user/work"
WANTED = {"D": ("deny",), "S": ("deny", "needs_approval"), "A": ("allow",)}


def families() -> dict[str, list[str]]:
    lines = (Path(__file__).parent / "corpora" / "by_family.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in filter(None, lines):
        if line.startswith("# "):
            found[line[2:]] = []
        else:
            found[list(found)[-1]].append(line)
    return found


FAMILIES = families()


def verdict(script: str) -> str:
    argv = ("bash", "-c", script)
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, WORKSPACE, 1_000)
    context = Context(risk="low", home_dir=WORKSPACE, workspace=WORKSPACE, user_home=HOME)
    return decide(call, RULES, context).verdict


@pytest.mark.parametrize("family", FAMILIES)
def test_each_member_of_a_family_comes_out_as_the_others(family: str) -> None:
    wrong = [
        f"{line}  ->  {said}"
        for line in FAMILIES[family]
        if (said := verdict(line[2:].replace("⏎", "\n"))) not in WANTED[line[0]]
    ]
    assert not wrong, "\n".join(wrong)
