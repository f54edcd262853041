"""The JSON Schema and the reference page say what the model says."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from intake_strategies import TASK
from jsonschema import Draft202012Validator

from orchestrator import spec
from orchestrator.intake import staged
from orchestrator.intake.code_task import SHARED, CodeTask
from orchestrator.intake.load import SpecError, json_schema, load_task
from orchestrator.intake.sentences import known_keys

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "spec.md").read_text("utf-8")
BAD = Path(__file__).parent / "corpora" / "bad_specs"
VALIDATOR = Draft202012Validator(json_schema())
ONLY_VALIDATE_SEES = (
    "later_", "template", "needs_itself", "check_exit_code_index", "check_exit_code_id", "check_command_blank",
    "check_command_undeclared",
    "check_bash_undeclared", "check_regex.json", "check_regex_deep", "undeclared_skill", "unknown_skill",
    "duplicate_", "lone_surrogate", "timeout_years", "id_newline", "with_nul", "huge_integer.yaml", "nan", "infinity",
    "too_large_number", "huge_integer", "very_huge_integer", "schedule_",
    "worktree_setup", "worktree_branch", "worktree_copy", "worktree_and_dir", "worktree_base",
    "code_task_outside", "code_task_two_models", "code_task_test_", "model_test_templated",
    "backlog_twice", "backlog_circle",
)  # fmt: skip


def test_the_schema_is_a_valid_schema_with_a_name_and_a_title():
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"]
    assert schema["title"]
    properties = schema["$defs"]["Spec"]["properties"]
    assert all("description" in part or "$ref" in part or "anyOf" in part for part in properties.values())


@settings(max_examples=60, deadline=None)
@given(TASK)
def test_the_schema_accepts_whatever_intake_accepts(task):
    load_task(json.dumps(task).encode(), "a.json")
    assert list(VALIDATOR.iter_errors(task)) == []


@pytest.mark.parametrize("file", sorted((ROOT / "queue" / "examples").glob("*.*")), ids=lambda file: file.name)
def test_the_examples_of_the_queue_are_tasks_for_both(file):
    load_task(file.read_bytes(), file.name)
    assert list(VALIDATOR.iter_errors(yaml.safe_load(file.read_bytes()))) == []


def test_the_schema_knows_specs_that_name_a_template():
    made = {"template": "backup", "vars": {"folder": "a"}, "priority": "low"}
    assert list(VALIDATOR.iter_errors(made)) == []
    for wrong in ({"vars": {}}, made | {"steps": []}, made | {"skills": ["bash"]}, made | {"template": 1}):
        assert list(VALIDATOR.iter_errors(wrong)) != []


def _invalid_values():
    for file in sorted(BAD.glob("*.json")):
        if file.name.startswith(ONLY_VALIDATE_SEES):
            continue
        try:
            yield pytest.param(json.loads(file.read_text("utf-8")), id=file.name)
        except (ValueError, RecursionError):
            continue  # not JSON at all: an editor says so without a schema


@pytest.mark.parametrize("value", list(_invalid_values()))
def test_the_schema_refuses_what_a_schema_can_refuse(value):
    assert list(VALIDATOR.iter_errors(value)) != []


def test_the_schema_marks_what_is_not_supported_yet():
    schema = json_schema()
    for name, fields in staged.FIELDS.items():
        properties = schema["$defs"]["Spec" if name == "Task" else name]["properties"]
        marked = {key for key, part in properties.items() if "Not supported yet" in part.get("description", "")}
        assert marked == set(fields)


def test_the_list_of_what_comes_later_names_only_fields_of_the_model():
    for name, fields in staged.FIELDS.items():
        assert set(fields) <= set(known_keys(getattr(spec, name)))


@pytest.mark.parametrize("field", sorted(staged.TASK_FIELDS))
def test_each_field_that_comes_later_is_refused_with_its_sentence(field):
    data = json.dumps({"id": "a", "title": "t", "skills": [], "steps": [{"skill": "b"}], field: None}).encode()
    with pytest.raises(SpecError) as caught:
        load_task(data, "a.json")
    assert staged.sentence("Task", field) in [problem.message for problem in caught.value.problems]


def _rows(heading):
    """The rows of the table below a heading: field, its type and its default."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {row[0]: row[1:] for row in re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \| .+ \|$", section, re.MULTILINE)}


def test_the_page_has_every_field_of_a_code_task_and_no_other():
    rows = _rows("Code task")
    assert set(rows) | set(SHARED) == set(known_keys(CodeTask))
    for name in rows:
        field, default = CodeTask.model_fields[name], rows[name][1]
        shown = {None: "none", "": "none", (): "`[]`"}
        assert default == ("required" if field.is_required() else shown.get(field.default, f"`{field.default}`"))
    beside = PAGE.split("Beside these it may have ")[1].split("as any task")[0]
    assert set(re.findall(r"`(\w+)`", beside)) == set(SHARED)


@pytest.mark.parametrize("model", ["Task", "Step"])
def test_the_page_has_every_field_of_the_model_and_no_other(model):
    rows, part = _rows(model), getattr(spec, model)
    assert list(rows) == known_keys(part) or set(rows) == set(known_keys(part))
    for name, field in part.model_fields.items():
        default = rows[field.alias or name][1]
        if (field.alias or name) in staged.FIELDS[model]:
            assert default == "*later*"
        elif field.is_required():
            assert default == "required"
        else:
            value = field.get_default(call_default_factory=True)
            shown = {None: "none", (): "`[]`", False: "`false`"}
            expected = "`{}`" if value == {} else shown.get(value, f"`{value}`")
            assert default == expected, name


def test_the_page_has_the_parts_of_memory_notify_workspace_and_of_checks():
    parts = {f"memory.{key}" for key in known_keys(spec.Memory)} | {f"notify.{key}" for key in known_keys(spec.Notify)}
    assert set(_rows("Memory and notify")) == parts
    assert set(_rows("Retry")) == {f"retry.{key}" for key in known_keys(spec.TaskRetry)}
    assert set(_rows("Workspace")) == {f"workspace.{key}" for key in known_keys(spec.Workspace)}
    assert set(_rows("Schedule")) == {f"schedule.{key}" for key in known_keys(spec.Schedule)}
    assert set(_rows("Worktree")) == {f"worktree.{key}" for key in known_keys(spec.Worktree)}
    acceptance = PAGE.split("\n## Acceptance\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+): ", acceptance, re.MULTILINE)) == set(known_keys(spec.Check))
    later = PAGE.split("\n## Later\n")[1].split("\n## ")[0]
    for part in (spec.Budget,):
        assert all(f"`{key}`" in later for key in known_keys(part))


EXAMPLES = re.findall(r"```(json|yaml)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("form", "text"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page_are_tasks(form, text):
    assert len(EXAMPLES) == 3
    assert load_task(text.encode(), f"a.{form}", skills=["bash", "git", "node", "python"])
