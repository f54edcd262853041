"""`config/templates`: specs that are made from them, what is wrong said by its own line, and what an approval binds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import House
from typer.testing import CliRunner

from orchestrator import approvals
from orchestrator.cli.app import app
from orchestrator.cli.doctor.home_checks import templates as templates_check
from orchestrator.execution.prepare import Tools, prepare
from orchestrator.intake import template_file
from orchestrator.intake.load import SpecError, load_task
from orchestrator.journal import retries
from orchestrator.journal.past import CannotGoOn

GREET = """\
description: Greet
params:
  who: {required: true, description: Whom}
  times: {type: integer, default: 1, choices: [1, 2]}
  loud: {type: boolean, default: false}
  more: {type: list}
task:
  title: Greet ${{ vars.who }}
  vars: {word: hello}
  skills: [bash]
  steps:
    - skill: bash
      args: ["-c", "echo ${{ vars.word | sh }} ${{ vars.who | sh }} ${{ vars.times | sh }}"]
    - skill: bash
      args: ["-c", "exit 7"]
      if: vars.loud
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("home"))
    Path(house.home.templates, "greet.yaml").write_text(GREET)
    return house


def invoke(house, *args):
    return CliRunner().invoke(app, ["--home", str(house.root), *args])


def made(house, name="x.json", **spec):
    return load_task(json.dumps({"template": "greet"} | spec).encode(), name, templates=house.home.templates)


def said(house, name="x.json", **spec):
    with pytest.raises(SpecError) as caught:
        made(house, name, **spec)
    return "\n".join(problem.render(caught.value.file) for problem in caught.value.problems)


def test_a_spec_that_names_a_template_is_its_task_with_the_specs_own_fields_over_it(home):
    task = made(home, vars={"who": "it's me", "loud": True}, priority="high", labels={"a": "b"})
    assert (task.id, task.title, task.priority, task.labels) == ("x", "Greet ${{ vars.who }}", "high", {"a": "b"})
    assert task.vars == {"who": "it's me", "times": 1, "loud": True, "more": None, "word": "hello"}
    assert task.made_from.template == "greet"
    assert made(home, id="y", title="Mine", vars={"who": "a"}).title == "Mine"
    yaml = b"template: greet\nvars: {who: a}\n...\n"
    assert load_task(yaml, "z.yaml", templates=home.home.templates).id == "z"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"vars": {}}, "x.json:1:31: vars: the param `who` of template `greet` is missing: Whom"),
        ({}, "the param `who` of template `greet` is missing"),
        ({"vars": {"whom": "a", "who": "a"}}, "vars.whom: template `greet` has no param `whom` (did you mean 'who'?)"),
        ({"vars": {"who": 1}}, "vars.who: must be a string, not a number"),
        ({"vars": {"who": "a", "times": "1"}}, "vars.times: must be an integer, not `1`"),
        ({"vars": {"who": "a", "times": True}}, "vars.times: must be an integer, not true"),
        ({"vars": {"who": "a", "times": 3}}, "vars.times: must be one of 1, 2"),
        ({"vars": {"who": "a", "word": "b"}}, "has no param `word`"),
        ({"vars": []}, "must be a mapping of the template's params"),
        ({"template": "greeet"}, "template: no template `greeet` is in config/templates (did you mean 'greet'?)"),
        ({"template": "../orchestrator"}, "no template `../orchestrator` is in config/templates"),
        ({"template": 1}, "no template `1`"),
        ({"vars": {"who": "a"}, "skills": []}, "`skills` is the template's"),
        ({"vars": {"who": "a"}, "priorty": "low"}, "unknown key `priorty` (did you mean 'priority'?)"),
    ],
)
def test_what_is_wrong_with_a_value_is_told_by_the_specs_own_line(home, spec, sentence):
    assert sentence in said(home, **spec)


def test_a_name_that_can_be_no_id_must_be_given_one_and_without_a_home_there_are_no_templates(home):
    assert "`id` is missing, and the file's name, `a b`, can't be one" in said(home, "a b.json", vars={"who": "a"})
    with pytest.raises(SpecError, match="there is no home here, and so no templates"):
        load_task(b'{"template": "greet"}', "x.json")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("task: {title: a", "config/templates/bad.yaml:1:16: not valid YAML"),
        ("task: {}\ndescription: add(a, b): a sum\n", "2:23: not valid YAML: `: ` begins a value, and none may"),
        ("parms: {}\ntask: {}", "bad.yaml:1:1: parms: unknown key `parms` (did you mean 'params'?)"),
        ("params: {a: {typ: string}}\ntask: {}", "1:14: params.a.typ: unknown key `typ` (did you mean 'type'?)"),
        ("params: {a: {type: text}}\ntask: {}", "params.a.type: must be 'string', 'integer'"),
        ("params: {a: {type: integer, default: b}}\ntask: {}", "params.a: must be an integer, not `b`"),
        ("params: {a: {required: true, default: b}}\ntask: {}", "its default would never be used"),
        ("params: {a: {default: c, choices: [b]}}\ntask: {}", "params.a: must be one of b; `c` is not"),
        ("params: {a-b: {}}\ntask: {}", "must be a name of letters"),
        ("task:\n  title: a", "task.skills: is missing"),
        ("task:\n  id: a", "2:3: task.id: a template has no `id`"),
        ("task:\n  title: ${{ vars.b }}", "2:10: task.title: ${{ vars.b }}: `vars` has no `b`"),
        ("params: {a: {}}\ntask:\n  vars: {a: b}", "3:10: task.vars.a: is a param too"),
        ("description: a", "task: is missing"),
        ("a: 1\na: 2\ntask: {}", "stands here a second time"),
        ("", "the file is empty"),
        ("a", "must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_template_is_told_by_its_own_line(tmp_path, text, sentence):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        template_file.read(str(tmp_path), "bad", None, None)
    assert sentence in "\n".join(problem.render(caught.value.file) for problem in caught.value.problems)


def test_what_is_no_file_is_refused_and_doctor_names_it(home):
    os.mkfifo(f"{home.home.templates}/pipe.yaml")
    os.mkdir(f"{home.home.templates}/folder.yaml")
    assert "config/templates/pipe.yaml: is not a file" in said(home, template="pipe")
    assert "config/templates/folder.yaml: is not a file" in said(home, template="folder")
    found = [item for item in templates_check(home.home) if item.level == "warn"]
    assert [item.text for item in found] == [
        f"config/templates/{name}.yaml: is not a file" for name in ("folder", "pipe")
    ]
    os.rmdir(f"{home.home.templates}/folder.yaml")
    os.unlink(f"{home.home.templates}/pipe.yaml")


def test_the_seed_s_templates_are_sound_and_say_what_they_want():
    folder = str(Path(__file__).parents[1] / "config" / "templates")
    for name in template_file.names(folder):
        template = template_file.read(folder, name, ["bash", "http", "python"], {})
        assert template.description
        assert all(param.description for param in template.params.values())


def test_the_command_line_reads_values_as_they_are_declared_and_queues_the_spec_that_names_the_template(home):
    listed = invoke(home, "templates")
    assert "greet      who [times] [loud] [more]" in listed.stdout
    shown = invoke(home, "templates", "greet")
    assert "times (integer: 1, 2, default 1)" in shown.stdout
    assert json.loads(invoke(home, "templates", "greet", "--json").stdout)["params"]["who"]["required"] is True
    words = ["--var", "who=a=b", "--var", "times=2", "--var", "loud=yes", "--var", 'more=["c"]']
    queued = invoke(home, "submit", "--template", "greet", "--id", "cli", "--priority", "high", *words, "--json")
    [entry] = json.loads(queued.stdout)
    spec = json.loads(Path(entry["path"]).read_text())
    assert spec == {
        "id": "cli", "template": "greet", "priority": "high",
        "vars": {"who": "a=b", "times": 2, "loud": True, "more": ["c"]},
    }  # fmt: skip
    assert "made of the template greet" in invoke(home, "list").stdout
    file = home.root / "greet.json"
    file.write_text(json.dumps({"template": "greet", "vars": {"who": "a"}}))
    assert invoke(home, "submit", str(file), "--var", "who=b", "--id", "again").exit_code == 0
    again = json.loads(Path(home.home.inbox, "again.json").read_text())
    assert (again["template"], again["vars"]) == ("greet", {"who": "b"})
    for name in ("cli", "again"):
        Path(home.home.inbox, f"{name}.json").unlink()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--template", "greeet"], "no template 'greeet' (did you mean 'greet'?)"),
        (["--template", "greet"], "--var: the param `who` of template `greet` is missing"),
        (["--template", "greet", "--var", "who"], "--var who: write NAME=VALUE"),
        (["--template", "greet", "--var", "who=a", "--var", "who=b"], "--var who is given twice"),
        (["--template", "greet", "--var", "who=a", "--var", "times=x"], "--var times=x: must be an integer, not `x`"),
        (["--template", "greet", "--var", "who=a", "x.json"], "give no file and no command with it"),
        (["--var", "a=b", "--", "bash", "-c", "true"], "--var goes with a file or a template"),
        (["--var", "nam=b", "PLAIN"], "the spec's `vars` have no 'nam' (did you mean 'name'?)"),
        (["--var", "count=b", "PLAIN"], "--var count=b: is no JSON"),
    ],
)
def test_what_is_typed_wrong_is_told_by_option_and_nothing_is_queued(home, tmp_path, args, sentence):
    plain = tmp_path / "plain.json"
    steps = [{"skill": "bash", "args": ["-c", "true"]}]
    vars_ = {"name": "a", "count": 1}
    plain.write_text(json.dumps({"id": "plain", "title": "t", "skills": ["bash"], "steps": steps, "vars": vars_}))
    answer = invoke(home, "submit", *[str(plain) if arg == "PLAIN" else arg for arg in args])
    assert answer.exit_code == 2
    assert sentence in answer.output
    assert home.names("inbox") == []


def test_an_approval_binds_the_template_as_it_was(home):
    template = Path(home.home.templates, "push.yaml")
    text = GREET.replace("exit 7", "git push --force nowhere").replace("if: vars.loud", "optional: true")
    template.write_text(text)
    tools = Tools.load(home.home)
    spec = json.dumps({"template": "push", "vars": {"who": "a"}}).encode()

    def prepared():
        return prepare(load_task(spec, "x.json", templates=home.home.templates), tools)

    before = prepared()
    answer = approvals.compose("approved", before.spec, "x.json", before.decision, seconds=60, text="")
    assert answer.why_void(approvals.digest(before.spec), before.decision.files) is None
    template.write_text(text.replace("git push --force nowhere", "git push --force elsewhere"))
    after = prepared()
    assert answer.why_void(approvals.digest(after.spec), after.decision.files)
    assert str(template) in dict(before.decision.files)
    template.write_text(text + "# the same in other words\n")
    assert (
        answer.why_changed(approvals.digest(before.spec), prepared().decision.files) == f"{template} was changed since"
    )
    template.unlink()


def test_runs_keep_what_they_ran_and_go_on_with_nothing_else(home):
    template = Path(home.home.templates, "again.yaml")
    template.write_text(GREET)
    spec = {"template": "again", "vars": {"who": "$(id) 'x'", "loud": True}}
    home.drop(json.dumps(spec), "made.json")
    home.run("run", "--once")
    result = home.result("made")
    assert (result["title"], result["results"][0]["stdout"]) == ("Greet $(id) 'x'", "hello $(id) 'x' 1\n")
    assert result["reason"].startswith("step_failed: step 1")
    ran = json.loads(Path(home.home.runs, "made/1/spec.json").read_text())
    task = load_task(json.dumps(ran).encode(), "spec.json")
    assert (len(task.steps), task.made_from.template) == (2, "again")
    assert retries.past_of(home.home, task, result["sha256"], 1, 1).step == 1
    template.write_text(GREET + "# changed\n")
    changed = load_task(json.dumps(spec).encode(), "made.json", templates=home.home.templates)
    with pytest.raises(CannotGoOn, match="the template `again` was changed since run 1"):
        retries.past_of(home.home, changed, result["sha256"], 1, 1)
    template.unlink()


def test_the_quick_way_of_submit_knows_nothing_of_templates():
    code = "import sys, orchestrator.cli.front; sys.exit('jinja2' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
