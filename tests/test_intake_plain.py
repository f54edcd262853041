"""The quick yes is never a wrong yes, and it starts without anything heavy."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_strategies import TASK

from orchestrator import spec
from orchestrator.intake import plain, staged
from orchestrator.intake.load import SpecError, load_task
from orchestrator.intake.plain import is_plain_task
from orchestrator.intake.sentences import known_keys

PLAIN = {"id": "a", "title": "t", "skills": ["bash"], "steps": [{"skill": "bash", "args": ["-c", "true"]}]}


@settings(max_examples=60, deadline=None)
@given(TASK)
def test_whatever_is_called_plain_is_a_task(task):
    for data in (json.dumps(task).encode(), json.dumps(task, ensure_ascii=False).encode()):
        if is_plain_task(data):
            load_task(data, "a.json")


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"priority": "urgent", "risk": "high"}, {"acceptance": ["Printed X", {"file_exists": "a*"}]},
        {"memory": {"text": "x"}, "notify": {"channels": ["a"], "level": "warn"}}, {"timeout": "30s"},
        {"labels": {"a": "b"}, "env": {"A": "b"}, "workspace": {"dir": "x"}, "parent": "b"},
        {"steps": [{"skill": "bash", "id": "x", "timeout": 5, "optional": True, "env": {"A": "b"}}]},
    ],
)  # fmt: skip
def test_everyday_tasks_are_plain(fields):
    assert is_plain_task(json.dumps(PLAIN | fields).encode())


def test_no_file_of_the_bad_corpus_is_plain():
    for file in (Path(__file__).parent / "corpora" / "bad_specs").glob("*.json"):
        if file.name != "unknown_skill.json":  # nothing is known here of the skills that are installed
            assert not is_plain_task(file.read_bytes()), file.name


@pytest.mark.parametrize(
    "field", ["id", "title", "skills", "steps", "priority", "acceptance", "memory", "env", "timeout"]
)
@pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, "", "x\n", [1], [[]], {"a": 1}, {"a b": "c"}, 2**40])
def test_wrong_values_are_not_plain(field, value):
    data = json.dumps(PLAIN | {field: value}).encode()
    if is_plain_task(data):
        assert load_task(data, "a.json")
    else:
        assert field == "title" or isinstance(value, bool | None) or _refused(data)


def _refused(data):
    try:
        load_task(data, "a.json")
    except SpecError:
        return True
    return False


def test_it_knows_only_fields_words_and_patterns_that_the_model_has():
    assert set(plain._TASK) <= set(known_keys(spec.Task)) - set(staged.TASK_FIELDS)
    assert set(plain._STEP) <= set(known_keys(spec.Step)) - set(staged.STEP_FIELDS)
    assert all(plain._is_priority(word) for word in get_args(spec.Priority))
    assert all(plain._is_risk(word) for word in get_args(spec.Risk))


NAMES = st.text(st.sampled_from("aZ09._-é\u0663 /\n"), max_size=4) | st.integers(60, 130).map(
    lambda length: "a" * length
)


@given(NAMES, st.text(st.sampled_from("0159.msh d\u0663"), max_size=5))
def test_names_and_durations_that_it_knows_are_right_for_the_model_too(name, duration):
    for fields in (
        {"id": name}, {"skills": ["bash", name]}, {"env": {name: "x"}}, {"parent": name}, {"timeout": duration},
    ):  # fmt: skip
        data = json.dumps(PLAIN | fields, ensure_ascii=False).encode()
        if is_plain_task(data):
            load_task(data, "a.json")


def test_it_imports_nothing_heavy():
    root = str(Path(plain.__file__).parents[2])
    probe = (
        f"import sys; sys.path.insert(0, {root!r}); before = set(sys.modules); "
        "import orchestrator.intake.plain, orchestrator.intake.settled; print(*set(sys.modules) - before)"
    )
    answer = subprocess.run([sys.executable, "-S", "-c", probe], capture_output=True, text=True, check=True)
    loaded = answer.stdout.split()
    ours = {name for name in loaded if name.startswith("orchestrator")}
    assert ours == {"orchestrator", "orchestrator.intake", "orchestrator.intake.limits", "orchestrator.intake.plain",
                    "orchestrator.intake.settled", "orchestrator.intake.strict_json"}  # fmt: skip
    assert not {"typing", "dataclasses", "pydantic", "yaml", "difflib", "asyncio"} & set(loaded)
