"""`submit`, `validate`, `explain`, `schema`, `skills`: what happens before anything runs."""

import json
import os
import resource
from pathlib import Path

import pytest
from conftest import House, smoke
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.intake.load import load_task

YAML = """\
id: from-yaml
title: From YAML
risk: low
skills: [bash]
steps:
  - skill: bash
    args: [-c, echo hi]
"""


def invoke(house: House, *arguments, **options):
    return CliRunner().invoke(app, ["--home", str(house.root), *map(str, arguments)], **options)


def write(tmp_path, name, spec):
    path = tmp_path / name
    path.write_text(spec if isinstance(spec, str) else json.dumps(spec))
    return path


def queued(house, name):
    return Path(house.home.inbox, name).read_bytes()


def test_a_plain_json_file_is_queued_under_its_id_unchanged_and_its_name_printed(house, tmp_path):
    file = write(tmp_path, "whatever.json", smoke("tsk_a"))
    ran = house.run("submit", str(file))
    assert (ran.returncode, ran.stdout) == (0, "tsk_a\n")
    assert "No daemon runs" in ran.stderr
    assert queued(house, "tsk_a.json") == file.read_bytes()


def test_the_quick_way_and_the_full_way_queue_the_same(house, tmp_path):
    file = write(tmp_path, "a.json", smoke("tsk_a"))
    house.run("submit", str(file))
    quick = queued(house, "tsk_a.json")
    os.unlink(f"{house.home.inbox}/tsk_a.json")
    answer = invoke(house, "submit", file)
    assert (answer.exit_code, answer.stdout) == (0, "tsk_a\n")
    assert queued(house, "tsk_a.json") == quick


def test_a_skill_that_is_not_installed_is_refused_on_the_quick_way_too(house, tmp_path):
    file = write(tmp_path, "a.json", smoke(skills=["cobol"], steps=[{"skill": "cobol", "args": []}]))
    ran = house.run("submit", str(file))
    assert ran.returncode == 2
    assert "cobol" in ran.stderr
    assert house.names("inbox") == []


@pytest.mark.parametrize("content", ['{"id": "a", "title": "x', "{'id': 1}", '{"id": "a",}', "{", "//", '{"id": nul}'])
def test_a_file_that_is_no_json_is_refused_on_the_quick_way_with_its_line(house, tmp_path, content):
    ran = house.run("submit", str(write(tmp_path, "a.json", content)))
    assert ran.returncode == 2
    assert "a.json:1:" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("more", [[], ["--wait"]])
def test_a_disk_that_takes_no_task_is_a_sentence_and_exit_1(house, tmp_path, more):
    file = write(tmp_path, "a.json", smoke("a"))
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))}
    ran = house.run("submit", str(file), *more, **limited)
    assert ran.returncode == 1
    assert f"a.json was not queued: {house.home.inbox} cannot be written: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert house.names("inbox") == []


def test_what_a_skill_refuses_is_said_before_anything_is_queued(house, tmp_path):
    step = {"skill": "bash", "args": ["-c", "true"], "with": {"colour": "red"}}
    file = write(tmp_path, "a.json", smoke("a", steps=[{"skill": "bash", "args": ["-c", "true"]}, step]))
    for verb in ("validate", "submit"):
        answer = invoke(house, verb, file)
        assert answer.exit_code == 2
        assert "a.json: steps[1]: skill `bash` has no input `colour`" in answer.output
    assert house.names("inbox") == []


def test_a_bad_option_is_named_as_it_was_typed(house):
    answer = invoke(house, "submit", "--risk", "hgh", "--", "bash", "-c", "true")
    assert answer.exit_code == 2
    assert "--risk hgh: must be 'low', 'medium' or 'high'" in answer.stderr
    assert ".json" not in answer.stderr


def test_yaml_is_queued_with_the_line_that_says_it_is_complete(house, tmp_path):
    assert invoke(house, "submit", write(tmp_path, "a.yaml", YAML)).exit_code == 0
    assert queued(house, "from-yaml.yaml") == YAML.encode() + b"...\n"


def test_yaml_that_ends_properly_is_left_as_it_is(house, tmp_path):
    assert invoke(house, "submit", write(tmp_path, "a.yml", YAML + "...\n")).exit_code == 0
    assert queued(house, "from-yaml.yml") == YAML.encode() + b"...\n"


@pytest.mark.parametrize(("text", "name"), [(json.dumps(smoke("in")), "in.json"), (YAML, "from-yaml.yaml")])
def test_standard_input_may_be_json_or_yaml(house, text, name):
    assert invoke(house, "submit", "-", input=text).exit_code == 0
    assert house.names("inbox") == [name]


def test_of_several_files_none_is_queued_if_one_is_bad(house, tmp_path):
    good = write(tmp_path, "good.json", smoke("good"))
    bad = write(tmp_path, "bad.json", '{"id": "bad",\n "titel": "x", "skills": [], "steps": []}')
    answer = invoke(house, "submit", good, bad)
    assert answer.exit_code == 2
    assert "bad.json:2:" in answer.stderr
    assert "did you mean 'title'" in answer.stderr
    assert "nothing was queued" in answer.stderr
    assert house.names("inbox") == []


def test_a_name_that_waits_already_is_refused_and_the_first_stays(house, tmp_path):
    first = write(tmp_path, "a.json", smoke("same", "echo first"))
    second = write(tmp_path, "b.json", smoke("same", "echo second"))
    assert invoke(house, "submit", first).exit_code == 0
    for answer in (invoke(house, "submit", second), invoke(house, "submit", second, "--name", "same")):
        assert answer.exit_code == 2
        assert "already waits" in answer.stderr
    assert queued(house, "same.json") == first.read_bytes()
    assert invoke(house, "submit", second, "--name", "another").stdout == "another\n"


def test_two_files_of_one_id_are_refused_together(house, tmp_path):
    files = [write(tmp_path, name, smoke("same")) for name in ("a.json", "b.json")]
    answer = invoke(house, "submit", *files)
    assert answer.exit_code == 2
    assert house.names("inbox") == []


def test_a_command_line_becomes_a_task_of_one_step(house):
    answer = invoke(house, "submit", "--risk", "low", "--json", "--", "bash", "-c", "echo 'a  b' --wait")
    assert answer.exit_code == 0, answer.stderr
    (entry,) = json.loads(answer.stdout)
    task = load_task(Path(entry["path"]).read_bytes(), entry["path"])
    assert task.id.startswith("cmd-")
    assert task.risk == "low"
    assert task.steps[0].args == ("-c", "echo 'a  b' --wait")
    assert entry["daemon_runs"] is False


def test_a_command_line_that_begins_with_no_skill_is_told_the_known_ones(house):
    answer = invoke(house, "submit", "--", "ls", "-l")
    assert answer.exit_code == 2
    assert "bash, git, http, local_model, node, python" in answer.stderr
    assert "bash -c 'ls -l'" in answer.stderr


def test_options_replace_what_the_file_says(house, tmp_path):
    file = write(tmp_path, "a.yaml", YAML)
    answer = invoke(house, "submit", file, "--id", "other", "--priority", "high", "--title", "Another")
    assert answer.exit_code == 0, answer.stderr
    task = load_task(queued(house, "other.json"), "other.json")
    assert (task.id, task.priority, task.title, task.steps[0].args) == ("other", "high", "Another", ("-c", "echo hi"))
    refused = invoke(house, "submit", file, "--priority", "hihg")
    assert refused.exit_code == 2
    assert "priority" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [["submit"], ["submit", "nowhere.json"], ["submit", "."], ["submit", "--"], ["submit", "--name", "../x", "-"]],
)
def test_a_users_mistake_is_a_sentence_and_exit_2(house, arguments):
    answer = invoke(house, *arguments, input=json.dumps(smoke()))
    assert answer.exit_code == 2
    assert len(answer.stderr.splitlines()) <= 3
    assert house.names("inbox") == []


def test_wait_without_a_daemon_accepts_the_task_and_exits_75(house, tmp_path):
    ran = house.run("submit", "--wait", str(write(tmp_path, "a.json", smoke("a"))))
    assert ran.returncode == 75
    assert "accepted" in ran.stderr
    assert house.names("inbox") == ["a.json"]


def test_validate_says_every_error_of_every_file_and_exits_2(house, tmp_path):
    good = write(tmp_path, "good.json", smoke("good"))
    bad = write(tmp_path, "bad.json", '{"id": "a/b",\n "titel": "x",\n "skills": ["bash"], "steps": []}')
    answer = invoke(house, "validate", good, bad)
    assert answer.exit_code == 2
    lines = answer.stdout.splitlines()
    assert f"{good}: ok" in lines
    assert sum(line.startswith(f"{bad}:") for line in lines) >= 3
    verdicts = json.loads(invoke(house, "validate", good, bad, "--json").stdout)
    assert [verdict["ok"] for verdict in verdicts] == [True, False]
    assert verdicts[1]["problems"][0]["line"] == 1


def test_validate_works_without_a_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, "good.json", smoke("good"))
    answer = CliRunner().invoke(app, ["--home", str(tmp_path / "none"), "validate", str(file)])
    assert answer.exit_code == 0
    assert "not checked" in answer.stderr


def test_schema_accepts_the_smoke_spec_and_refuses_a_misspelt_key():
    import jsonschema

    schema = json.loads(CliRunner().invoke(app, ["schema"]).stdout)
    jsonschema.validate(smoke(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(smoke(stepz=[]), schema)


def test_skills_lists_what_is_installed_with_its_program_and_an_example(house):
    listed = json.loads(invoke(house, "skills", "--json").stdout)
    assert [skill["name"] for skill in listed] == ["bash", "git", "http", "local_model", "node", "python"]
    assert Path(listed[0]["found"]).is_file()
    assert '"skill": "bash"' in invoke(house, "skills", "bash").stdout
    assert "none: the daemon itself" in invoke(house, "skills", "http").stdout
    unknown = invoke(house, "skills", "bsah")
    assert unknown.exit_code == 2
    assert "bash" in unknown.stderr


def test_explain_exits_by_the_verdict_and_shows_the_sum(house):
    smoke_file = Path(house.home.examples, "tsk_smoke.json")
    deploy = Path(house.home.examples, "tsk_git_deploy.json")
    allowed = invoke(house, "explain", smoke_file)
    assert (allowed.exit_code, "allowed" in allowed.stdout) == (0, True)
    blocked = invoke(house, "explain", deploy)
    assert blocked.exit_code == 3
    assert "needs approval" in blocked.stdout
    account = json.loads(invoke(house, "explain", deploy, "--json").stdout)
    assert account["score"] >= 60
    assert len(account["steps"]) == 2


def test_explain_judges_a_stream_of_calls_line_by_line(house):
    calls = [
        {"id": "1", "skill": "bash", "args": ["-c", "echo hi"], "risk": "low"},
        {"id": "2", "skill": "bash", "args": ["-c", "rm -rf /"]},
    ]
    answer = invoke(
        house, "explain", "--jsonl", input="".join(json.dumps(call) + "\n" for call in calls) + "not json\n"
    )
    verdicts = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.exit_code == 0
    assert [verdict["id"] for verdict in verdicts] == ["1", "2", None]
    assert verdicts[0]["verdict"] == "allow"
    assert "allow" not in {verdicts[1]["verdict"], verdicts[2]["verdict"]}


def test_remember_and_recall_meet(house):
    assert invoke(house, "remember", "--kind", "fact", "The staging database is on host b").exit_code == 0
    (memory,) = json.loads(invoke(house, "recall", "staging database", "--json").stdout)
    assert (memory["kind"], memory["text"]) == ("fact", "The staging database is on host b")
    assert "host b" in invoke(house, "recall", "staging").stdout
    assert invoke(house, "remember", "  ").exit_code == 2
