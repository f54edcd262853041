"""Hostile bytes: whatever comes, the answer is a Task or a SpecError."""

import json
import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_strategies import TASK

from orchestrator.intake import load
from orchestrator.intake.load import SpecError, load_task
from orchestrator.intake.plain import is_plain_task
from orchestrator.spec import Task

NAMES = st.sampled_from(["a.json", "a.yaml"])
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
JUNK = [
    b"",
    b"[",
    b"{",
    b'"',
    b"\\u0000",
    b"\\ud800",
    b"${{",
    b"1e999",
    b"\xff",
    b"\0",
    b"&a ",
    b"*a",
    b"!!x ",
    b"\t",
    b"null",
]


def answer(data, name):
    """The task, or the problems; anything else that is raised fails the test."""
    try:
        return load_task(data, name, skills=["bash", "git", "node", "python"])
    except SpecError as error:
        refused = error
    assert all(problem.line is None or problem.line >= 1 for problem in refused.problems)
    assert str(refused).isprintable()
    return refused


@QUICK
@given(st.binary(max_size=200), NAMES)
def test_random_bytes_are_refused_in_an_orderly_way(data, name):
    assert isinstance(answer(data, name), SpecError)


@QUICK
@given(st.text(st.sampled_from("[]{}:,-?&*!|>'\"%@` \n\t#<=a0~.\\\x85\u2028\ud7ff"), max_size=80), NAMES)
def test_random_punctuation_is_refused_in_an_orderly_way(text, name):
    assert isinstance(answer(text.encode(), name), SpecError)


@QUICK
@given(TASK, NAMES, st.data())
def test_damaged_tasks_are_tasks_or_refused(task, name, data):
    good = json.dumps(task, ensure_ascii=data.draw(st.booleans())).encode()
    at = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(at, min(len(good), at + 3)))
    bad = good[:at] + data.draw(st.sampled_from(JUNK)) + good[end:]
    assert isinstance(answer(bad, name), Task | SpecError)
    assert isinstance(answer(good[:at], name), Task | SpecError)
    if is_plain_task(bad):
        load_task(bad, "a.json")


@QUICK
@given(TASK, st.data())
def test_a_value_of_any_type_in_any_place_is_a_task_or_refused(task, data):
    def places(value):
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in list(members):
            yield value, key
            yield from places(item)

    holder, key = data.draw(st.sampled_from(list(places(task))))
    holder[key] = data.draw(st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], [[]], {}, {"a": {}}, 2**63 - 1]))
    text = json.dumps(task).encode()
    assert isinstance(answer(text, "a.json"), Task | SpecError)
    if is_plain_task(text):
        load_task(text, "a.json")


@QUICK
@given(TASK)
def test_valid_tasks_are_accepted_by_the_short_way_and_by_the_long_one_alike(task):
    data = json.dumps(task).encode()
    short = load._quick_json(data, None, None)
    assert short is not None
    assert short == load._load(data, "a.json", 10**6, load._read_json, None, None, None)


# What YAML does not take as it stands, although JSON does.
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@QUICK
@given(TASK)
def test_a_task_written_as_yaml_is_the_same_task(task):
    text = json.dumps(task, ensure_ascii=False)
    as_json = NOT_IN_YAML.sub(lambda char: f"\\u{ord(char.group()):04x}", text)
    expected = load_task(as_json.encode(), "a.json")
    assert load_task(as_json.encode(), "a.yaml") == expected
    assert load_task(yaml.dump(task, Dumper=_Quoting, allow_unicode=True).encode(), "a.yaml") == expected


class _Quoting(yaml.SafeDumper):
    """Every string in double quotes, nothing shared: PyYAML itself decides on quotes by YAML 1.1."""

    def ignore_aliases(self, data):
        return True


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("piece", [b"[", b"{", b'{"a":', b"- ", b"? ", b"&a ", b'"', b"\\", b"a: b\n", b"[],", b"!a "])
def test_floods_of_one_piece_are_refused(piece, name):
    assert isinstance(answer(piece * (60_000 // len(piece)), name), SpecError)
