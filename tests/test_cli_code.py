"""`classify`, `code` and `dispatch` as a person or an agent meets them, without a model."""

import json
import subprocess
from pathlib import Path

import orjson
import pytest
from conftest import smoke
from test_cli_submit import invoke, write

from orchestrator.cli import code_report, exits
from orchestrator.home import Home
from orchestrator.intake.load import load_task
from orchestrator.journal.runs import result_bytes
from orchestrator.outcome import Outcome


def code(task_id, description="A function that clamps", **fields):
    return {"task_id": task_id, "description": description, "output_file": f"out/{task_id}.py"} | fields


HOOK = code("hook", "A custom hook for React")


def ended(home: Home, spec, status, reason=None, report=None, run=1):
    """What the daemon leaves of a run."""
    name = spec["task_id"]
    folder = Path(home.runs, name, str(run))
    folder.mkdir(parents=True)
    step = {"step": 0, "status": status, "report": report}
    outcome = Outcome(id=name, run=run, name=f"{name}.json", status=status, reason=reason, title="t")
    data = orjson.dumps({**orjson.loads(result_bytes(outcome)), "results": [step]})
    end = Path(home.done if status == "ok" else home.failed)
    for path in (folder / "spec.json", end / f"{name}.json"):
        path.write_bytes(json.dumps(spec).encode())
    for path in (folder / "result.json", end / f"{name}.result.json"):
        path.write_bytes(data)


# ── classify ───────────────────────────────────────────────────────────────────────────────────────


def test_classify_says_each_rule_s_word_and_its_exit_code_is_the_verdict(house, tmp_path):
    good = write(tmp_path, "good.json", code("good", test_command="true"))
    answer = invoke(house, "classify", good)
    assert answer.exit_code == 0
    assert answer.stdout.startswith("good: local, utility\n")
    assert [line.split()[0] for line in answer.stdout.splitlines()[1:]] == ["✓"] * 6
    both = write(tmp_path, "both.json", [code("good"), HOOK])
    answer = invoke(house, "classify", both, "--json")
    told = json.loads(answer.stdout)
    assert (answer.exit_code, [(each["id"], each["verdict"]) for each in told]) == (
        1, [("good", "local"), ("hook", "escalate")],
    )  # fmt: skip
    assert {rule["verdict"] for rule in told[1]["rules"]} == {"met", "broken", "unknown"}


def test_classify_looks_at_the_file_as_it_is_now(house, tmp_path):
    task = write(tmp_path, "a.json", code("a", "Name things better", kind="refactor", output_file="long.py"))
    assert invoke(house, "classify", task).exit_code == 0
    (house.root / "long.py").write_text("x = 1\n" * 51)
    answer = invoke(house, "classify", task)
    assert (answer.exit_code, "long.py has 51 lines" in answer.stdout) == (1, True)


def test_classify_refuses_what_is_no_code_task_and_says_what_is_wrong_with_a_bad_one(house, tmp_path):
    answer = invoke(house, "classify", write(tmp_path, "a.json", smoke("plain")))
    assert (answer.exit_code, "plain is no code task" in answer.stderr) == (2, True)
    answer = invoke(house, "classify", write(tmp_path, "b.json", code("b", output_fil="x")))
    assert (answer.exit_code, "unknown key `output_fil` (did you mean 'output_file'?)" in answer.stderr) == (2, True)
    answer = invoke(house, "classify", write(tmp_path, "c.json", code("c")), "--model", "defult")
    assert (answer.exit_code, "no [models.defult]" in answer.stderr) == (2, True)


# ── code ───────────────────────────────────────────────────────────────────────────────────────────


def test_code_queues_a_code_task_and_nothing_else(house, tmp_path):
    house.home.prepare()
    answer = invoke(house, "code", write(tmp_path, "whatever.json", code("a")))
    assert (answer.exit_code, answer.stdout, house.names("inbox")) == (0, "a\n", ["a.json"])
    for wrong, says in ((smoke("plain"), "is no local code task"), ([code("b"), HOOK], "dispatch run --all")):
        answer = invoke(house, "code", write(tmp_path, "wrong.json", wrong))
        assert (answer.exit_code, says in answer.stderr) == (2, True), answer.stderr
    assert house.names("inbox") == ["a.json"]
    answer = invoke(house, "code", write(tmp_path, "m.json", code("m", model="big")))
    assert "m.json: no model `big` is in the configuration; there are default" in answer.stderr, (
        "it has no steps to name"
    )


def test_a_code_task_that_waits_is_listed_with_its_title_and_labels(house, tmp_path):
    invoke(house, "code", write(tmp_path, "a.json", code("a", "Clamp\n a number")))
    assert "Clamp a number" in invoke(house, "list").stdout
    listed = json.loads(invoke(house, "list", "--label", "output_file=out/a.py", "--json").stdout)
    assert [entry["id"] for entry in listed] == ["a"]


def test_without_a_daemon_code_says_so_and_exits_75(house, tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.cli.waiting._DAEMON_GRACE_S", 0)
    answer = invoke(house, "code", write(tmp_path, "a.json", code("a")), "--wait", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["status"]) == (75, "waiting")
    assert "no daemon runs" in answer.stderr


def test_a_report_has_the_original_s_form_first_and_the_task_s_end_has_the_last_word():
    report = {"status": "success", "file": "a.py", "error": None, "model": "small", "attempts": []}
    step = {"report": report}
    ok = code_report.report_of({"id": "a", "run": 1, "status": "ok", "reason": None, "results": [step]}, "a.py")
    assert list(ok)[:3] == ["status", "file", "error"]
    assert (ok["status"], ok["file"], ok["model"]) == ("success", "a.py", "small")
    short = {"id": "a", "run": 1, "task": "ok", "status": "success", "file": "a.py", "error": None, "model": "small"}
    assert code_report.for_programs(ok) == short | {"attempts": 0}
    lost = {"id": "a", "run": 1, "status": "failed", "reason": "outputs_missing: b", "results": [step]}
    assert code_report.report_of(lost, "a.py")["status"] == "failed"
    blocked = code_report.report_of({"status": "blocked", "reason": "approval_required", "results": []}, "a.py")
    assert (blocked["status"], blocked["file"], blocked["error"]) == ("failed", "a.py", "approval_required")


def test_where_no_model_server_answered_the_exit_code_says_to_come_again():
    assert exits.of_end("failed", "model_unavailable: no server") == 75
    assert exits.of_end("failed", "escalated: too hard") == 1


# ── dispatch ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def backlog(house, tmp_path):
    house.home.prepare()
    specs = [
        code("done"), code("weak"), code("away"), code("next"), code("after", needs=["next"]), HOOK,
        code("held", needs=["hook"]), code("far", needs=["held"]), code("lost", needs=["nobody"]), code("queued"),
    ]  # fmt: skip
    ended(house.home, specs[0], "ok", report={"status": "success", "file": "out/done.py", "error": None})
    ended(house.home, specs[1], "failed", "escalated: it never passed its test")
    ended(house.home, specs[2], "failed", "model_unavailable: nothing listens")
    house.drop(specs[-1], "queued.json")
    return write(tmp_path, "backlog.json", {"tasks": specs})


def test_list_says_how_each_stands_by_what_the_queue_knows(house, backlog):
    told = {each["id"]: each for each in json.loads(invoke(house, "dispatch", "list", backlog, "--json").stdout)}
    assert {name: each["state"] for name, each in told.items()} == {
        "done": "done", "weak": "escalated", "away": "unavailable", "next": "open", "after": "open",
        "hook": "escalated", "held": "open", "far": "open", "lost": "open", "queued": "queued",
    }  # fmt: skip
    assert [name for name, each in told.items() if each["ready"]] == ["away", "next"]
    assert told["held"]["why"] == "needs hook, which is escalated"
    assert told["far"]["why"] == "needs held, which is held back itself"
    assert told["lost"]["why"] == "needs nobody, which is unknown, here and in the queue"
    assert told["after"]["why"] == "waits for next"
    table = invoke(house, "dispatch", "list", backlog).stdout.splitlines()
    assert table[0].split() == ["ID", "STATE", "VERDICT", "KIND", "FILE", "WHY"]
    assert len(table) == 11


def test_status_counts_and_names_what_is_left_for_a_person(house, backlog):
    answer = invoke(house, "dispatch", "status", backlog)
    assert answer.stdout.startswith("1 done, 1 queued, 5 open, 1 unavailable, 2 escalated of 10\n")
    assert [line.partition(" (")[0] for line in answer.stdout.splitlines()[1:]] == [
        "left for you: weak", "left for you: hook", "held back: held", "held back: far", "held back: lost",
    ], "what only waits for another task is nobody's to do"  # fmt: skip
    assert "left for you: weak (out/weak.py): escalated: it never passed its test" in answer.stdout
    told = json.loads(invoke(house, "dispatch", "status", backlog, "--json").stdout)
    assert (told["total"], told["done"], [each["id"] for each in told["left_for_you"]]) == (10, 1, ["weak", "hook"])
    assert [each["id"] for each in told["held_back"]] == ["held", "far", "lost"]


def test_a_task_that_was_changed_since_its_run_is_open_again(house, tmp_path):
    house.home.prepare()
    ended(house.home, code("a"), "ok")
    for spec, state in ((code("a"), "done"), (code("a", "Something else"), "open")):
        file = write(tmp_path, "b.json", [spec])
        assert json.loads(invoke(house, "dispatch", "list", file, "--json").stdout)[0]["state"] == state


def test_assign_next_takes_the_first_that_is_ready_and_gives_none_out_twice(house, backlog):
    ask = house.command("dispatch", "assign-next", str(backlog), "--no-wait")
    asking = [subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = sorted((each.communicate()[0].partition("\n")[0], each.returncode) for each in asking)
    assert [(line, code) for line, code in answers if code == 0] == [("away", 0), ("next", 0)]
    assert [code for _, code in answers if code] == [5]
    assert house.names("inbox") == ["away.json", "next.json", "queued.json"]
    queued = Path(house.home.inbox, "next.json").read_bytes()
    assert load_task(queued, "next.json") == load_task(json.dumps(code("next")).encode(), "next.json")
    answer = invoke(house, "dispatch", "assign-next", backlog, "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["assigned"]) == (5, None)
    assert "no task is left to assign: 1 of 10 done" in invoke(house, "dispatch", "assign-next", backlog).stderr


def test_run_takes_all_that_local_models_should_try_in_the_order_of_their_needs(house, backlog):
    assert invoke(house, "dispatch", "run", backlog).exit_code == 2
    answer = invoke(house, "dispatch", "run", "--all", "--no-wait", backlog)
    assert (answer.exit_code, answer.stdout.split()[:3]) == (1, ["away", "next", "after"])
    assert "left for you: hook (out/hook.py): escalated: a hook lives by" in answer.stdout
    assert house.names("inbox") == ["after.json", "away.json", "next.json", "queued.json"]
    told = json.loads(invoke(house, "dispatch", "run", "--all", "--no-wait", backlog, "--json").stdout)
    assert {(each["id"], each["state"]) for each in told if each.get("status") == "left"} >= {("hook", "escalated")}


def test_run_waits_for_the_ends_of_all_and_exits_as_the_worst(house, tmp_path):
    house.start()
    file = write(tmp_path, "b.json", [smoke("b", needs=["a"]), smoke("a")])
    answer = invoke(house, "dispatch", "run", "--all", file, "--json")
    assert (answer.exit_code, [each["task"] for each in json.loads(answer.stdout)]) == (0, ["ok", "ok"]), answer.output
    again = invoke(house, "dispatch", "run", "--all", file, "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, [])
    assert invoke(house, "dispatch", "run", "--all", file).stdout == "nothing to do: all 2 tasks are done\n"
    file = write(tmp_path, "c.json", [smoke("c", "exit 3"), HOOK])
    answer = invoke(house, "dispatch", "run", "--all", file)
    assert answer.exit_code == 1
    assert "❌ c: failed" in answer.stdout
    assert "left for you: hook" in answer.stdout
    again = json.loads(invoke(house, "dispatch", "run", "--all", file, "--json").stdout)
    assert [(each["id"], each["status"], each["state"]) for each in again] == [
        ("c", "left", "failed"), ("hook", "left", "escalated"),
    ], "an exit code of 1 is explained in the document too"  # fmt: skip
    pushes = code("pushes", test_command="git push --force", risk="high")
    answer = invoke(house, "code", write(tmp_path, "d.json", pushes), "--wait")
    assert (answer.exit_code, "→ see `orchestrator explain" in answer.stdout) == (3, True), answer.output
    assert "`orchestrator approve pushes`" in answer.stdout
