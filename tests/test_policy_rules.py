"""Rule files: a mistake in one stops everything, with a message that names file, rule and example."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.errors import FatalError
from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide
from orchestrator.policy.paths import Places
from orchestrator.policy.rules import load_rules

GOOD = """
[[rule]]
id = "x.one"
effect = "approve"
reason = "because"
when = { command = ["frob"], flags_any = ["--all"] }
match = ["frob --all"]
not_match = ["frob"]
"""


def write(folder: Path, text: str, name: str = "10-x.toml") -> str:
    (folder / name).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule", "not valid TOML"),
        (GOOD.replace("flags_any", "flag_any"), "flag_any"),
        (GOOD + "colour = 1", f"10-x.toml:{GOOD.count(chr(10)) + 1}: rule `x.one`: colour: unknown key"),
        (GOOD.replace("[[rule]]", "[[rules]]"), "rules"),
        (GOOD + GOOD, "already used"),
        (GOOD.replace('match = ["frob --all"]', 'match = ["frob"]', 1), "does not find its `match` example 'frob'"),
        (GOOD.replace('not_match = ["frob"]', 'not_match = ["frob --all"]'), "finds its `not_match` example"),
        (GOOD.replace('match = ["frob --all"]', "match = []", 1), "match"),
        (GOOD.replace("when = { command", "when = { args_any = ['('], command"), "not a regular expression"),
        (GOOD.replace('when = { command = ["frob"], flags_any = ["--all"] }', ""), "neither `when` nor `pattern`"),
        (GOOD.replace('{ command = ["frob"], flags_any = ["--all"] }', "{}"), "empty `when`"),
        (GOOD.replace('effect = "approve"', 'effect = "points"'), "no `points`"),
        (GOOD.replace('effect = "approve"', 'effect = "allow"'), "effect"),
        (GOOD + 'beside = ["x.two"]', "stands `beside` rule `x.two`, which there is not"),
        ("rule = [1]", "must be written as [[rule]]"),
        ("# mine" + GOOD.replace("flags_any", "flag_any"), "10-x.toml:6: rule `x.one`: when.flag_any: unknown key"),
        (GOOD.replace("flags_any", "flag_any"), "did you mean `flags_any`?"),
        (
            GOOD.replace('["frob"]', '"frob"', 1),
            ':6: rule `x.one`: when.command: must be a list, not `frob`: write ["frob"]',
        ),
        (GOOD.replace("--all", "all"), "when.flags_any[0]: must begin with `-`"),
        (GOOD.replace("x.one", "X one"), ":3: rule `X one`: id: must be small letters and digits"),
        (GOOD + GOOD, ":10: rule `x.one`: the id is already used in this file"),
        (GOOD + GOOD + "override = true", ":10: rule `x.one`: the id is already used in this file"),
        (
            GOOD.replace('"approve"', '"allow"'),
            ":4: rule `x.one`: effect: must be 'points', 'approve' or 'deny', not `allow`",
        ),
    ],
)
def test_a_broken_rule_file_stops_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FatalError) as caught:
        load_rules(write(tmp_path, text))
    assert "10-x.toml" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("when", "example", "why"),
    [
        ('command = ["frob"], flags_any = ["-a"]', "cd x && frob b", "`frob b` does not meet `flags_any`"),
        (
            'command = ["frob"], subcommand = ["x"], args_none = ["b"]',
            "frob b",
            "does not meet `subcommand`, `args_none`",
        ),
        ('command = ["frob"]', "cd x && fob b", "it runs `cd`, `fob`, and `command` names none of them"),
        ('command = ["frob"], writes_any = ["home"]', "frob ~", "`frob ~` does not meet `writes_any`"),
        ('env = ["^X="]', "frob", "`frob` does not meet `env`"),
    ],
)
def test_a_rule_that_misses_its_example_is_told_which_condition_does_not_hold(
    tmp_path: Path, when: str, example: str, why: str
) -> None:
    stated = 'command = ["frob"], flags_any = ["--all"]'
    text = GOOD.replace(stated, when).replace('match = ["frob --all"]', f"match = ['{example}']", 1)
    with pytest.raises(FatalError) as caught:
        load_rules(write(tmp_path, text))
    assert why in str(caught.value)


def test_a_rule_is_replaced_only_where_it_says_so_and_each_decision_tells(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    looser = GOOD.replace('effect = "approve"', 'effect = "points"\npoints = 5\noverride = true')
    rules = load_rules(write(tmp_path, looser, "90-mine.toml"))
    words = ("frob", "--all")
    decision = decide(Call(0, "frob", "process", words[1:], words, {}, "/w", 1), rules, Context(risk="low"))
    assert (decision.verdict, decision.score) == ("allow", 15)
    assert [reason.rule for reason in decision.reasons] == ["risk.low", "x.one", "x.one.overridden"]
    assert "would need approval" in decision.reasons[-1].why


def test_a_rule_beside_another_applies_only_where_that_one_does(tmp_path: Path) -> None:
    companion = GOOD.replace("x.one", "x.two").replace("frob", "read")
    denied = GOOD.replace('"approve"', '"deny"').replace(
        'match = ["frob --all"]', 'match = ["read --all; frob --all"]', 1
    )
    rules = load_rules(write(tmp_path, companion + denied + 'beside = ["x.two"]'))
    verdicts = [
        decide(Call(0, "bash", "process", (), ("bash", "-c", script), {}, "/w", 1), rules, Context(risk="low")).verdict
        for script in ("frob --all", "read --all", "frob --all; read --all")
    ]
    assert verdicts == ["allow", "needs_approval", "deny"]


def test_an_override_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="no rule of this id"):
        load_rules(write(tmp_path, GOOD + "override = true"))


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD + "colour = 1", "10-a.toml")
    with pytest.raises(FatalError) as caught:
        load_rules(write(tmp_path, "[[", "20-b.toml"))
    assert "10-a.toml" in str(caught.value)
    assert "20-b.toml" in str(caught.value)


@pytest.mark.parametrize("make", [True, False])
def test_no_rules_at_all_stops_and_says_what_to_do(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "policy"
    if make:
        folder.mkdir()
    with pytest.raises(FatalError, match="orchestrator init"):
        load_rules(str(folder))


def test_a_users_rule_applies_and_its_suggestion_is_shown(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, GOOD + 'suggestion = "frob --one"\n'))
    call = Call(0, "bash", "process", (), ("bash", "-c", "frob --all"), {}, "/w", 1)
    decision = decide(call, rules, Context(risk="low", workspace="/w"))
    assert decision.verdict == "needs_approval"
    assert decision.reasons[-1].suggestion == "frob --one"


def test_a_rule_for_one_skill_leaves_the_others_alone(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, GOOD.replace("effect", 'skills = ["bash"]\neffect')))
    argv = ("bash", "-c", "frob --all")
    calls = [Call(0, skill, "process", (), argv, {}, "/w", 1) for skill in ("bash", "mine")]
    verdicts = [decide(call, rules, Context(risk="low")).verdict for call in calls]
    assert verdicts == ["needs_approval", "allow"]


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    first = load_rules(write(tmp_path, GOOD)).digest
    assert load_rules(str(tmp_path)).digest == first
    assert load_rules(write(tmp_path, GOOD + "# changed\n")).digest != first


@pytest.mark.parametrize(
    ("word", "expands", "place"),
    [
        ("/", False, "root"), ("//", False, "root"), ("/usr/..", False, "root"), ("/*", True, "root"),
        ("/usr", False, "system"), ("/etc/nginx", False, "under_system"), ("~", True, "home"), ("~/*", True, "home"),
        ("~", False, "inside"), ("$HOME", True, "home"), ("$HOME", False, "inside"), ("~/x", True, "under_home"),
        ("..", False, "home"), (".", False, "workspace"), ("*", True, "workspace"), ("a/b", False, "inside"),
        ("a/../../x", False, "under_home"), ("/tmp/x", False, "tmp"), ("/data", False, "outside"),
        ("$X/y", True, "unknown"), ("/tmp/../etc", False, "system"),
    ],
)  # fmt: skip
def test_a_word_is_put_in_its_place(word: str, expands: bool, place: str) -> None:
    places = Places("/home/u", "/home/u/w", ("/home/u/w",))
    assert places.classify(word, expands) == (place,)


HIDING = """
[[rule]]
id = "x.opaque"
hides = true
effect = "approve"
reason = "it may hold code"
when = { command = ["frob"] }
match = ["frob x"]

[[rule]]
id = "x.wherever"
effect = "deny"
reason = "it says so somewhere"
wherever = 'wipe everything'
match = ["frob 'wipe everything'", "$X 'wipe everything'", "frob d2lwZSBldmVyeXRoaW5n", 'frob "wi""pe everything"',
         'frob "\\\\x77ipe everything"', "frob 'gnihtyreve epiw'", "frob 77697065206576657279 7468696e67"]
not_match = ["echo 'wipe everything'", "frob x", "grob 'wipe everything'"]
"""


def test_all_text_is_searched_in_every_disguise_but_only_where_code_hides(tmp_path: Path) -> None:
    assert len(load_rules(write(tmp_path, HIDING)).rules) == 2


def test_examples_of_shipped_files_are_tried_only_where_something_was_changed(tmp_path: Path) -> None:
    shipped = Path(__file__).parent.parent / "policy"
    folder = tmp_path / "policy"
    shutil.copytree(shipped, folder)
    assert len(load_rules(str(folder)).rules) == len(load_rules(str(shipped)).rules)
    changed = folder / "20-git.toml"
    changed.write_text(changed.read_text().replace('match = ["git push"', 'match = ["git pull"', 1))
    with pytest.raises(FatalError, match="git pull"):
        load_rules(str(folder))
