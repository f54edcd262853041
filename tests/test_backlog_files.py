"""A backlog: several tasks in one file, which come into the queue one by one, each once, whatever cuts that off."""

import hashlib
import json
import signal
from pathlib import Path

import pytest
from conftest import smoke
from test_cli_submit import invoke, write

from orchestrator.intake.load import Backlog, SpecError, load_spec, load_task
from orchestrator.spool import unpacking

UNPACKING = ["backlog.staged", "backlog.placed", "backlog.unpacked"]
CODE = {"task_id": "code", "description": "A function", "output_file": "a.py"}


def load(value, **options):
    return load_spec(json.dumps(value).encode(), "many.json", **options)


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"tasks": items}], ids=["list", "tasks"])
def test_the_tasks_of_a_backlog_may_have_any_shape_and_are_each_a_spec_of_their_own(house, wrap):
    made = {"id": "made", "template": "backup", "vars": {"folder": "docs"}}
    found = load(wrap([smoke("plain"), CODE, made]), templates=house.home.templates)
    assert isinstance(found, Backlog)
    assert [entry.task.id for entry in found.entries] == ["plain", "code", "made"]
    assert [json.loads(entry.data) for entry in found.entries] == [smoke("plain"), CODE, made]
    for entry in found.entries:
        assert load_task(entry.data, entry.name, templates=house.home.templates) == entry.task


def test_all_that_is_wrong_with_any_entry_is_told_at_once_in_the_order_of_the_file():
    text = '[\n {"task_id": "a b", "description": "d", "output_file": "a"},\n {"id": "b", "titel": "t"},\n 3]'
    with pytest.raises(SpecError, match="must be a task, not a number"):
        load_spec(text.encode(), "many.json")
    with pytest.raises(SpecError) as caught:
        load_spec(text.replace(",\n 3", "").encode(), "many.json")
    told = [(problem.line, problem.path) for problem in caught.value.problems]
    assert told == [(2, "[0].task_id"), *((3, f"[1].{key}") for key in ("title", "skills", "steps", "titel"))]


def test_where_one_task_is_wanted_a_backlog_is_refused():
    with pytest.raises(SpecError, match="is a backlog of 2 tasks"):
        load_task(json.dumps([smoke("a"), smoke("b")]).encode(), "many.json")


def test_a_dropped_backlog_becomes_its_tasks_and_lies_in_done_with_a_list_of_them(house):
    house.home.prepare()
    house.drop(json.dumps({"tasks": [smoke("b", needs=["a"]), smoke("a"), smoke("many", "echo own")]}), "many.json")
    house.drop("- id: y\n  title: t\n  skills: [bash]\n  steps: [{skill: bash, args: [-c, 'true']}]\n...\n", "y_.yaml")
    house.drop(json.dumps([smoke("good"), {"task_id": "bad"}]), "half.json")
    house.drop(smoke("waits", needs=["nobody"]))
    house.drop(json.dumps([smoke("fresh"), smoke("waits")]), "taken.json")
    house.run("run", "--once")
    assert {stem: house.result(stem)["status"] for stem in ("a", "b", "y")} == dict.fromkeys("aby", "ok")
    assert house.result("many")["run"] == 1, "the task of that name took its place"
    listed = house.result("y_")
    assert (listed["state"], listed["status"], listed["tasks"]) == ("done", "ok", ["y"])
    refused = house.result("half")
    assert (refused["state"], refused["errors"][0]["path"]) == ("failed", "[1].description")
    assert "`waits` waits in inbox already" in house.result("taken")["reason"]
    assert house.names("inbox") == ["waits.json"]
    ended = {line["id"] for line in house.telemetry() if line["event"] == "task_finished"}
    assert ended == {"a", "b", "y", "many", None}
    shown = house.run("show", "y_")
    assert (shown.returncode, "tasks     y" in shown.stdout) == (0, True), shown.stdout + shown.stderr


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(["backlog.placed"], id="between two tasks"),
        pytest.param(
            [*UNPACKING, "refusal.staged", "refusal.shown", "refusal.moved"], id="all", marks=pytest.mark.soak
        ),
    ],
)
def test_no_death_loses_a_task_of_a_backlog_or_runs_one_twice(house, tmp_path, points):
    house.home.prepare()
    names = [f"{point}{number}" for point in points for number in range(3)]
    for point in points:
        items = [smoke(name, f"echo >> {tmp_path}/{name}") for name in names if name.startswith(point)]
        house.drop(json.dumps(items), f"{point}.json")
        died = house.run("run", "--once", env={"ORCHESTRATOR_FAILPOINT": f"{point}:{1 + (point == 'backlog.placed')}"})
        assert died.returncode == -signal.SIGKILL, (point, died.stderr)
    house.run("run", "--once")
    for name in names:
        ran = (tmp_path / name).read_text().count("\n") if (tmp_path / name).exists() else 0
        assert (house.result(name)["status"], ran) in {("ok", 1), ("interrupted", 0), ("interrupted", 1)}, name
    assert [len(house.result(point)["tasks"]) for point in points] == [3] * len(points)
    assert list(Path(house.home.queue, ".backlogs").iterdir()) == []


def test_submit_takes_a_backlog_apart_before_it_queues_anything(house, tmp_path):
    many = write(tmp_path, "many.json", {"tasks": [smoke("b", needs=["a"]), smoke("a"), CODE]})
    answer = invoke(house, "validate", many)
    assert (answer.exit_code, answer.output) == (0, f"{many}: ok, 3 tasks\n")
    answer = invoke(house, "submit", many, "--priority", "low")
    assert (answer.exit_code, answer.stdout.split()) == (0, ["a", "b", "code"])
    assert house.names("inbox") == ["a.json", "b.json", "code.json"]
    assert load_task(Path(house.home.inbox, "code.json").read_bytes(), "code.json").priority == "low"
    assert "one task only" in invoke(house, "submit", many, "--id", "x").stderr


def test_what_is_wrong_with_an_entry_that_is_submitted_is_told_by_the_backlog_s_own_lines(house, tmp_path):
    def told(*entries):
        text = "[\n" + ",\n".join(map(json.dumps, entries)) + "\n]"
        return invoke(house, "submit", write(tmp_path, "many.json", text))

    step = {"skill": "bash", "args": []}
    assert "many.json: [1].steps[0]: skill `bash` needs at least 1 args" in told(CODE, smoke("a", steps=[step])).stderr
    strange = told(CODE, smoke("a", needs=["strange"])).stderr
    assert "many.json:3:" in strange
    assert "[1].needs[0]: no task `strange`" in strange
    assert "many.json:3:1: [1]: [0] has the id `code` already" in told(CODE, CODE | {"output_file": "b.py"}).stderr
    assert "is a backlog of 2 tasks" in invoke(house, "explain", write(tmp_path, "m.json", [CODE, smoke("a")])).stderr
    house.home.prepare()
    assert house.names("inbox") == []


def test_a_model_that_the_config_does_not_have_is_remarked_upon(house, tmp_path):
    answer = invoke(house, "submit", write(tmp_path, "code.json", CODE | {"model": "defult"}))
    assert answer.exit_code == 0
    assert "no model `defult` is in the configuration (did you mean 'default'?)" in answer.stderr


def test_explain_shows_the_test_of_a_code_task_beside_it(house, tmp_path):
    answer = invoke(house, "explain", write(tmp_path, "code.json", CODE | {"test_command": "echo tested"}))
    assert (answer.exit_code, "echo tested" in answer.output) == (0, True), answer.output


def test_what_is_staged_waits_for_its_backlog_to_leave_inbox_and_for_a_name_to_be_free(home):
    data, inbox = b"[]", Path(home.inbox)
    (inbox / "many.json").write_bytes(data)
    folder = unpacking.stage(home, "many.json", hashlib.sha256(data).hexdigest(), {"a.json": b"1", "b.json": b"2"})
    assert folder == unpacking.stage(home, "many.json", hashlib.sha256(data).hexdigest(), {"a.json": b"other"})
    assert list(unpacking.left(home)) == []
    (inbox / "many.json").write_bytes(b"[3]")
    assert list(unpacking.left(home)) == [folder], "another file of that name is not the one that it was made from"
    (inbox / "a.json").write_bytes(b"someone's own")
    assert unpacking.place(home, folder) == (["b.json"], False)
    (inbox / "a.json").unlink()
    assert unpacking.place(home, folder) == (["a.json"], True)
    assert (inbox / "a.json").read_bytes() == b"1"
    assert list(unpacking.left(home)) == []
