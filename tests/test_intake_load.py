"""What intake answers: tasks for good files, whole lists of problems for bad ones, and never anything else."""

import json
import subprocess
import sys

import pytest

from orchestrator.errors import TaskError
from orchestrator.intake import load
from orchestrator.intake.limits import MAX_DEPTH, MAX_JSON_BYTES, MAX_PROBLEMS, MAX_YAML_BYTES
from orchestrator.intake.load import Problem, SpecError, load_task, settled_form

SMOKE = (
    b'{"id":"tsk_smoke","title":"Smoke Test","risk":"low","skills":["bash"],'
    b'"steps":[{"skill":"bash","args":["-c","echo \'SMOKE_OK\'"]}],'
    b'"acceptance":["Printed SMOKE_OK"],"memory":{"kind":"solution","text":"Smoke test passed"}}'
)
MINIMAL = {"id": "a", "title": "t", "skills": ["bash"], "steps": [{"skill": "bash"}]}


def spec(**fields):
    return json.dumps(MINIMAL | fields).encode()


def refusal(data, name="a.json", skills=None):
    with pytest.raises(SpecError) as caught:
        load_task(data, name, skills=skills)
    return caught.value


def yaml_value(text):
    """What a plain YAML scalar becomes, seen through an input of a step."""
    data = f"id: a\ntitle: t\nskills: [bash]\nsteps:\n  - skill: bash\n    with: {{x: {text}}}\n"
    return load_task(data.encode(), "a.yaml").steps[0].with_["x"]


def test_the_smoke_spec_becomes_its_task():
    task = load_task(SMOKE, "tsk_smoke.json", skills={"bash"})
    assert (task.id, task.title, task.risk, task.priority) == ("tsk_smoke", "Smoke Test", "low", "medium")
    assert task.steps[0].args == ("-c", "echo 'SMOKE_OK'")
    assert task.acceptance == ("Printed SMOKE_OK",)


def test_a_json_task_in_order_is_read_without_the_machinery_of_positions():
    probe = (
        "import sys; from orchestrator.intake.load import load_task; "
        f"load_task({SMOKE!r}, 'a.json', skills=['bash']); "
        "print([m for m in ('yaml', 'orchestrator.intake.json_document', 'orchestrator.intake.yaml_document') "
        "if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_valid_task_that_the_short_way_is_not_sure_about_is_accepted_all_the_same(monkeypatch):
    monkeypatch.setattr(load, "_quick_json", lambda *_: None)
    assert load_task(SMOKE, "a.json", skills=["bash"]).id == "tsk_smoke"


def test_a_deep_but_allowed_task_is_accepted_and_one_level_more_is_not():
    def nested(levels):  # the mapping, the list of steps, the step and `with` are four levels
        value = "x"
        for _ in range(levels - 4):
            value = [value]
        return spec(steps=[{"skill": "bash", "with": {"x": value}}])

    assert load_task(nested(MAX_DEPTH), "a.json")
    assert load_task(nested(MAX_DEPTH), "a.yaml")
    assert "nest more than 16 deep" in str(refusal(nested(MAX_DEPTH + 1)))
    assert "nest more than 16 deep" in str(refusal(nested(MAX_DEPTH + 1), "a.yaml"))


def test_a_file_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not():
    for limit, name in ((MAX_JSON_BYTES, "a.json"), (MAX_YAML_BYTES, "a.yaml")):
        assert load_task(SMOKE.ljust(limit), name)
        assert f"at most {limit:,} are accepted" in str(refusal(SMOKE.ljust(limit + 1), name))


def test_all_errors_of_a_file_are_told_at_once_in_the_order_of_the_file():
    data = (
        b'{\n "prioritty": "high",\n "id": "a b",\n "id": "a",\n "skills": ["bahs"],\n'
        b' "steps": [{"skill": "bash", "args": [1]}],\n "budget": {},\n'
        b' "acceptance": [{"stdout_matches": "("}]\n}'
    )
    problems = refusal(data, skills=["bash"]).problems
    assert [(problem.line, problem.path) for problem in problems] == [
        (1, "title"),
        (2, "prioritty"),
        (4, "id"),
        (5, "skills[0]"),
        (6, "steps[0].skill"),
        (6, "steps[0].args[0]"),
        (7, "budget"),
        (8, "acceptance[0].stdout_matches"),
    ]


def test_a_problem_renders_as_file_line_column_path_message_and_nearest_name():
    problem = Problem("unknown key `prioritty`", 3, 5, "prioritty", "priority")
    assert problem.render("a.json") == "a.json:3:5: prioritty: unknown key `prioritty` (did you mean 'priority'?)"
    assert Problem("the file is gone", None, None, "").render("a.json") == "a.json: the file is gone"


def test_the_message_of_the_error_is_the_first_problem_and_the_number_of_the_others():
    error = refusal(spec(id=5, priority="hi"))
    assert isinstance(error, TaskError)
    assert error.reason == "invalid"
    assert str(error) == 'a.json:1:8: id: must be a string, not a number: write "5"; and 1 more'


def test_a_flood_of_errors_is_cut_and_counted():
    error = refusal(spec(steps=[{"skill": "bash", "args": list(range(5_000))}]))
    assert len(error.problems) == MAX_PROBLEMS
    assert error.more >= 4_900


def test_names_are_compared_with_thousands_of_others_only_for_what_is_shown():
    names = [f"skill{number}" for number in range(10_000)]
    error = refusal(spec(skills=names, acceptance=[{"command": ["skil"]}] * 4_000))
    assert error.problems[1].hint.startswith("skill")


def test_columns_count_characters_not_bytes():
    assert refusal('{"title": "é😀", "idd": 1}'.encode()).problems[-1].column == 17
    assert refusal('{title: "é😀", "idd": 1}'.encode(), "a.yaml").problems[-1].column == 15


def test_lines_are_right_with_crlf():
    assert [problem.line for problem in refusal(b'{\r\n"id": 5,\r\n"titel": 1}').problems] == [1, 1, 1, 2, 3]
    assert refusal(b"id: a\r\nlabels: &x {}\r\n", "a.yaml").problems[-1].line == 2


@pytest.mark.parametrize("skills", [None, ["bash"], {"bash": 1}, frozenset({"bash", "git"})])
def test_installed_skills_may_be_any_collection_or_unknown(skills):
    assert load_task(spec(), "a.json", skills=skills)


def test_a_skill_that_is_used_but_not_listed_is_refused_even_where_nothing_is_known_of_the_installed():
    assert "not listed in the task's `skills`" in str(refusal(spec(steps=[{"skill": "git"}])))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("tRue", "tRue"),
        ("true", True), ("False", False), ("TRUE", True), ("~", None), ("null", None), ("NULL", None), ("nUll", "nUll"),
        ("017", 17), ("0o17", 15), ("0x1F", 31), ("-12", -12), ("+12", 12), ("1_000", "1_000"), ("0b11", "0b11"),
        ("1:30", "1:30"), ("2026-01-31", "2026-01-31"), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("1.", 1.0),
        ("-0", 0), ("=", "="), ("'5'", "5"), ('"true"', "true"), ("00000000000000000000000000000009", 9),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("\"\\u2028\"", "\u2028"),
    ],
)  # fmt: skip
def test_yaml_scalars_are_read_as_the_core_schema_of_yaml_1_2_says(text, value):
    answer = yaml_value(text)
    assert answer == value
    assert type(answer) is type(value)


def test_block_scalars_and_comments_of_yaml_work():
    steps = b"steps:\n- skill: bash\n  args:\n  - -c\n  - |\n    echo 1\n    echo 2\n...\n"
    data = b"# why\nid: a\ntitle: t\nskills: [bash]\n" + steps
    assert load_task(data, "a.yml").steps[0].args == ("-c", "echo 1\necho 2\n")


def test_the_parser_of_yaml_written_in_python_answers_the_same(monkeypatch):
    import yaml

    from orchestrator.intake import yaml_document

    fast = load_task(SMOKE, "a.yaml")
    monkeypatch.setattr(yaml_document, "_PARSER", yaml.SafeLoader)
    assert load_task(SMOKE, "a.yaml") == fast
    assert "a tab" in refusal(b"id: a\nlabels:\n\tc: d", "a.yaml").problems[0].render("")
    for escape in (b'"\\U00110000"', b'"\\UFFFFFFFF"', b'"\\ud800"'):
        assert refusal(b"id: " + escape, "a.yaml").problems


def test_null_stands_for_an_optional_field_that_is_left_out():
    assert load_task(spec(memory=None, timeout=None), "a.json").memory is None


def test_durations_are_milliseconds_or_text():
    task = load_task(spec(timeout="1h 30m", steps=[{"skill": "bash", "timeout": 250}]), "a.json")
    assert (task.timeout, task.steps[0].timeout) == (5_400_000, 250)


@pytest.mark.parametrize("cut", range(1, len(SMOKE)))
def test_no_beginning_of_a_json_task_is_a_task_or_looks_settled(cut):
    assert "cut short" in refusal(SMOKE[:cut]).problems[0].message
    assert not settled_form(SMOKE[:cut], "a.json")


def test_json_that_parses_is_settled_and_yaml_only_with_its_end_mark():
    assert settled_form(SMOKE + b"\n", "a.json")
    assert settled_form(b'{"not": "a task"}', "a.json")
    assert settled_form(b"id: a\n...\n", "a.yaml")
    assert settled_form(b"id: a\r\n...", "a.yml")
    for data, name in (
        (b"id: a\n", "a.yaml"), (b"id: |\n  ...\n", "a.yaml"), (b"id: a...\n", "a.yaml"), (b"12", "a.json"),
        (b"[" * 200_000 + b"]", "a.json"), (b"\xff}", "a.json"), (SMOKE, "a.txt"), (b'{"a":1,"a":2}', "a.json"),
    ):  # fmt: skip
        assert not settled_form(data, name)


def test_no_yaml_beginning_looks_settled_before_the_end_mark_is_there():
    whole = b"id: a\ntitle: t\nskills: [bash]\nsteps:\n  - skill: bash\n...\n"
    assert [cut for cut in range(len(whole) + 1) if settled_form(whole[:cut], "a.yaml")] == [len(whole) - 1, len(whole)]
