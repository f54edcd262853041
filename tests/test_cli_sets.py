"""Several specs as one set: `submit`, `validate`, `list --tree`, `run --once`, waiting."""

import json
import re

from conftest import smoke
from test_cli_submit import invoke, write


def spec(task_id, *needs, script="true", **fields):
    return smoke(task_id, script, needs=list(needs), **fields)


def files(tmp_path, *specs):
    return [write(tmp_path, f"{number}-{each['id']}.json", each) for number, each in enumerate(specs)]


def in_yaml(task_id, needs):
    return f"id: {task_id}\ntitle: t\nskills: [bash]\nneeds: {needs}\nsteps:\n  - skill: bash\n    args: [-c, 'true']\n"


def test_a_set_is_queued_with_what_others_need_before_them(house, tmp_path):
    given = files(tmp_path, spec("deploy", "test", "build"), spec("test", "build"), spec("alone"), spec("build"))
    answer = invoke(house, "submit", *given)
    assert (answer.exit_code, answer.stdout.split()) == (0, ["build", "test", "deploy", "alone"])
    assert house.names("inbox") == ["alone.json", "build.json", "deploy.json", "test.json"]


def test_a_circle_is_told_with_file_and_line_and_nothing_is_queued(house, tmp_path):
    first = write(tmp_path, "first.yaml", in_yaml("a", "[c, b]"))
    given = [first, *files(tmp_path, spec("b", "c"), spec("c", "a"), spec("d"))]
    for verb in "submit", "validate":
        answer = invoke(house, verb, *given)
        assert answer.exit_code == 2
        assert "first.yaml:4:9: needs[0]: a circle of needs, in which nothing can start: a → c → a" in answer.output
    assert house.names("inbox") == []


def test_an_id_that_nobody_knows_is_told_with_the_nearest_one_and_may_be_allowed(house, tmp_path):
    given = [write(tmp_path, "t.yaml", in_yaml("tests", "[build, biuld, lnt]")), *files(tmp_path, spec("build"))]
    house.home.prepare()
    house.drop(spec("lint"))
    answer = invoke(house, "submit", *given)
    assert answer.exit_code == 2
    assert "t.yaml:4:16: needs[1]: no task `biuld` is among these files" in answer.stderr
    assert "(did you mean 'build'?)" in answer.stderr
    assert "t.yaml:4:23: needs[2]: no task `lnt`" in answer.stderr
    assert "(did you mean 'lint'?)" in answer.stderr
    assert "--allow-unknown" in answer.stderr
    assert house.names("inbox") == ["lint.json"]
    assert invoke(house, "submit", "--allow-unknown", *given).exit_code == 0
    assert house.names("inbox") == ["build.json", "lint.json", "tests.yaml"]


def test_what_has_ended_in_this_home_is_known_whatever_its_file_is_called(house, tmp_path):
    house.home.prepare()
    house.drop(smoke("build"), "any name.json")
    assert invoke(house, "submit", *files(tmp_path, spec("queued", "build"))).exit_code == 0
    assert house.run("run", "--once").returncode == 0
    assert invoke(house, "submit", *files(tmp_path, spec("later", "build", "queued"))).exit_code == 0


def test_if_one_of_a_set_is_bad_or_waits_already_none_is_queued(house, tmp_path):
    good, bad = files(tmp_path, spec("good"), spec("bad", "good", wehn="always"))
    assert invoke(house, "submit", good, bad).exit_code == 2
    assert house.names("inbox") == []
    house.drop(smoke("bad"))
    answer = invoke(house, "submit", good, *files(tmp_path / ".", spec("x"), spec("bad", "good")))
    assert answer.exit_code == 2
    assert "bad already waits in the queue" in answer.output
    assert house.names("inbox") == ["bad.json"]


def test_one_round_says_what_stays_and_fails_only_if_something_waits_for_another_task(house, tmp_path):
    given = files(tmp_path, spec("ok"), spec("calm", "ok", when="failure"), smoke("later", not_before="2999-01-01"))
    assert invoke(house, "submit", *given).exit_code == 0
    ran = house.run("run", "--once")
    assert (ran.returncode, house.names("inbox")) == (0, ["later.json"])
    assert "later.json stays in inbox: not before 2999-01-01T" in ran.stderr
    assert house.result("calm")["status"] == "skipped"
    assert invoke(house, "submit", "--allow-unknown", *files(tmp_path, spec("needy", "nobody"))).exit_code == 0
    ran = house.run("run", "--once")
    assert ran.returncode == 1
    assert "needy.json stays in inbox: waits for nobody (unknown)" in ran.stderr


def test_the_tree_draws_each_task_once_below_what_it_needs(house, tmp_path):
    diamond = spec("first"), spec("left", "first"), spec("right", "first"), spec("last", "left", "right", "old")
    assert invoke(house, "submit", "--allow-unknown", *files(tmp_path, *diamond, spec("alone"))).exit_code == 0
    drawn = invoke(house, "list", "--tree").stdout
    lines = [re.match(r"[│├└─ ]*[a-z]+", line)[0] for line in drawn.splitlines()[1:]]
    assert lines == ["old", "└─ last", "first", "├─ left", "│  └─ last", "└─ right", "   └─ last"]
    nodes = {node["id"]: node for node in json.loads(invoke(house, "list", "--tree", "--json").stdout)}
    assert set(nodes) == {"old", "first", "left", "right", "last"}
    assert (nodes["old"]["status"], nodes["last"]["needs"]) == ("unknown", ["left", "right", "old"])
    assert nodes["last"]["holds"][0]["why"] == "waits for left (waiting), right (waiting), old (unknown)"


def test_a_circle_that_lies_in_the_queue_is_drawn_too(house):
    house.home.prepare()
    house.drop(spec("a", "b"))
    house.drop(spec("b", "a"))
    lines = [line.split()[:2] for line in invoke(house, "list", "--tree").stdout.splitlines()[1:]]
    assert lines in ([["a", "waiting"], ["└─", "b"], ["└─", "a"]], [["b", "waiting"], ["└─", "a"], ["└─", "b"]])


def test_explain_says_for_what_a_task_would_wait(house, tmp_path):
    (file,) = files(tmp_path, spec("a", "nobody", not_before="2999-01-01T00:00Z"))
    answer = invoke(house, "explain", file)
    assert answer.exit_code == 0
    assert "would wait: waits for nobody (unknown)" in answer.stdout
    assert "would wait: not before 2999-01-01T00:00:00Z" in answer.stdout


def test_waiting_for_a_set_ends_with_all_of_it_or_where_only_a_person_helps_on(daemon, tmp_path):
    good = files(tmp_path, spec("b", "a"), spec("a"), spec("c", "a", when="failure"))
    seen = daemon.run("submit", "--wait", *map(str, good))
    assert seen.returncode == 0, seen.stderr
    assert {daemon.result(task_id)["status"] for task_id in "ab"} == {"ok"}
    held = files(tmp_path, spec("z", "y"), spec("y", "x"), spec("x", risk="high"), spec("w"))
    seen = daemon.run("submit", "--wait", *map(str, held))
    assert seen.returncode == 3
    assert "not ended, because what they need is blocked: y, z" in seen.stderr
    assert "x.json: BLOCKED" in seen.stdout
    assert daemon.run("cancel", "x", "y").returncode == 0
    assert daemon.result("z")["reason"] == "needs_failed: y cancelled (z ← y: cancelled)"
    bad = files(tmp_path, spec("q", "p"), spec("p", script="exit 4"))
    assert daemon.run("submit", "--wait", *map(str, bad)).returncode == 1
