"""The shape of a local code task: what becomes of it, and that its words stay words."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.execution.prepare import Tools, prepare
from orchestrator.intake.load import SpecError, json_schema, load_task

ORIGINAL = {
    "task_id": "T-001",
    "description": "Create utility function",
    "output_file": "src/utils/myUtil.js",
    "context_files": ["src/constants/gameConstants.js"],
    "constraints": ["Export named function", "Include JSDoc", "No dependencies"],
    "test_command": "npx vitest run src/utils/__tests__/myUtil.test.js",
}


SCHEMA = Draft202012Validator(json_schema())


def load(spec, **options):
    return load_task(json.dumps(spec).encode(), "a.json", **options)


def without(*keys):
    return {key: value for key, value in ORIGINAL.items() if key not in keys}


def test_the_original_s_example_becomes_a_task_of_one_step_that_may_be_run_again():
    task = load(ORIGINAL)
    (step,) = task.steps
    assert (task.id, task.title, task.skills) == ("T-001", "Create utility function", ("local_model", "bash"))
    assert (step.skill, step.idempotent) == ("local_model", True)
    assert step.with_ == without("task_id")
    assert task.labels == {"kind": "code", "output_file": "src/utils/myUtil.js"}


def test_its_test_brings_the_skill_that_it_needs_and_no_test_brings_none():
    assert load(without("test_command")).skills == ("local_model",)
    assert load(ORIGINAL | {"test_command": ["python", "-m", "pytest"]}).skills == ("local_model", "python")


def test_one_model_is_a_chain_of_one():
    assert load(ORIGINAL | {"model": "small"}).steps[0].with_["models"] == ["small"]
    assert load(ORIGINAL | {"models": ["small", "large"]}).steps[0].with_["models"] == ["small", "large"]


def test_it_has_what_other_tasks_have_and_its_own_labels_and_title_win():
    more = {"title": "Mine", "priority": "low", "needs": ["b"], "labels": {"kind": "x"}, "retry": {"limit": 2}}
    task = load(ORIGINAL | more)
    assert (task.title, task.priority, task.needs, task.labels["kind"]) == ("Mine", "low", ("b",), "x")
    assert task.retry is not None
    for alien in ("steps_", "schedule", "vars", "acceptance"):
        with pytest.raises(SpecError, match=f"unknown key `{alien}`"):
            load(ORIGINAL | {alien: None})


def test_a_long_description_gives_a_title_of_one_short_line():
    title = load(ORIGINAL | {"description": "Write\n a function. " * 40}).title
    assert title.startswith("Write a function.")
    assert len(title) == 100


def test_a_description_that_looks_like_a_template_reaches_the_model_as_it_was_written(house):
    words = "A workflow with ${{ secrets.TOKEN }} and ${{ '}}' }}"
    task = load(ORIGINAL | {"description": words, "constraints": ["keep ${{ x }}"]})
    prepared = prepare(task, Tools.load(house.home))
    assert prepared.refusal is None, prepared.refusal
    assert prepared.task.title == words
    rendered = [call.inputs for call in prepared.calls]
    assert [each["description"] for each in rendered] == [words]
    assert [each["constraints"] for each in rendered] == [["keep ${{ x }}"]]


def test_everything_that_is_wrong_is_told_at_once_and_by_its_own_keys():
    with pytest.raises(SpecError) as caught:
        load({"description": "", "output_file": "/etc/x", "priority": "hi", "retry": {"limit": 1, "on": ["x"]}, "k": 1})
    assert [problem.path for problem in caught.value.problems] == [
        "task_id", "description", "output_file", "priority", "retry.on[0]", "k",
    ]  # fmt: skip


def test_a_home_without_the_skill_says_so_at_the_task():
    with pytest.raises(SpecError, match="task_id: no skill `local_model` is installed"):
        load(ORIGINAL, skills=("bash",))
    with pytest.raises(SpecError, match="test_command: no skill `bash` is installed"):
        load(ORIGINAL, skills=("local_model",))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=8)
    | st.sampled_from(["a", "src/a.py", "code", "${{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [*ORIGINAL, "kind", "model", "models", "title", "needs", "labels", "retry", "timeout", "steps", "x"]
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=4), st.sampled_from([tuple(ORIGINAL), tuple(ORIGINAL)[:3], ("task_id",)]))
def test_whatever_its_keys_hold_it_is_a_task_or_it_is_refused_and_the_schema_accepts_what_intake_does(changes, kept):
    spec = {key: ORIGINAL[key] for key in kept} | changes
    with contextlib.suppress(SpecError):
        assert load(spec).id
        assert list(SCHEMA.iter_errors(spec)) == []


def test_the_schema_knows_code_tasks_and_mixes_no_shapes():
    check = SCHEMA
    good = [
        ORIGINAL,
        without("test_command", "constraints"),
        ORIGINAL | {"models": ["a"], "kind": "doc", "needs": ["b"]},
    ]
    assert [list(check.iter_errors(each)) for each in good] == [[], [], []]
    plain = {"id": "a", "title": "t", "skills": [], "steps": [{"skill": "b"}]}
    bad = [without("output_file"), ORIGINAL | {"steps": []}, ORIGINAL | {"kind": "x"}, plain | {"description": "d"}]
    assert all(list(check.iter_errors(each)) for each in bad)
