"""docs/policy.md and docs/rules.md against the code: their rules load, their sums are right, nothing is missing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import get_args

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.conditions import When
from orchestrator.policy.decide import Context, decide
from orchestrator.policy.ledger import explain_lines, ledger
from orchestrator.policy.paths import PathClass
from orchestrator.policy.rules import RuleSpec, load_rules

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/policy.md").read_text()
REFERENCE = (ROOT / "docs/rules.md").read_text()
RULE_BLOCKS = re.findall(r"^ *```toml\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", RULE_BLOCKS)
def test_the_rules_on_the_page_load_beside_the_shipped_ones_and_their_examples_hold(block: str, tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(ROOT / "policy", folder)
    (folder / "90-mine.toml").write_text(block)
    assert len(load_rules(str(folder)).rules) == len(RULES.rules) + block.count("[[rule]]") - block.count("override")


def test_the_page_holds_rules_to_try() -> None:
    assert len(RULE_BLOCKS) == 3


def test_the_account_on_the_page_is_what_explain_says() -> None:
    shown = re.search(
        r"^\$ orchestrator explain --risk low -- bash -c '(.*)'\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
    )
    assert shown is not None
    words = ("bash", "-c", shown.group(1))
    call = Call(0, "bash", "process", words[1:], words, {}, "/home/user/work", 1_000)
    account = ledger(call, RULES, Context(risk="low", workspace="/home/user/work"))
    assert "\n".join(explain_lines(account)) == shown.group(2).rstrip()


def test_the_page_is_right_about_its_sums() -> None:
    def verdict(risk: str, *words: str) -> tuple[int, str]:
        call = Call(0, "git", "process", words, ("git", *words), {}, "/w", 1_000)
        decision = decide(call, RULES, Context(risk=risk, workspace="/w"))  # type: ignore[arg-type]
        return decision.score, decision.verdict

    assert verdict("medium", "push") == (50, "allow")
    assert verdict("low", "push", "--force") == (60, "needs_approval")


def test_every_condition_place_and_key_of_a_rule_is_in_the_reference() -> None:
    keys = {*When.model_fields, *RuleSpec.model_fields, *get_args(PathClass)}
    said = set(re.findall(r"`([a-z_]+)\b", REFERENCE + PAGE)) | set(re.findall(r"^ *([a-z_]+) = ", PAGE, re.MULTILINE))
    assert keys - said == set()
