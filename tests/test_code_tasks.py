"""Local code tasks from the spec to the verified file, with a real model server; every way in which that can fail."""

import json
import os
import signal
import subprocess
from pathlib import Path

from conftest import smoke, until
from model_server import TABLE

PYTHON = "python3 -B -c"
ADDS = f"""{PYTHON} 'import sys; sys.path.insert(0, "src"); import {{}} as m; assert m.add(2, 3) == 5'"""
MULTIPLIES = f"""{PYTHON} 'import sys; sys.path.insert(0, "src"); import {{}} as m; assert m.mul(2, 3) == 6'"""
SECOND_ADD = TABLE["T-ADD"].again.split("```")[1].removeprefix("python\n")


def models(house, **servers):
    """Say in the config which servers there are."""
    lines = []
    for name, server in servers.items():
        url = server if isinstance(server, str) else server.base_url
        lines += [f"[models.{name}]", f'base_url = "{url}"', "slots = 2", "max_tokens = 512"]
    Path(house.home.config, "local.toml").write_text("\n".join(lines) + "\n")


def code(task_id, keyword, *, test=None, **fields):
    """A code task whose file is `src/<id>.py`."""
    task = {
        "task_id": task_id,
        "description": f"Create utility function {keyword}",
        "output_file": f"src/{task_id}.py",
    }
    return task | ({"test_command": test.format(task_id)} if test else {}) | fields


def written(house, task_id):
    path = house.root / "src" / f"{task_id}.py"
    return path.read_text() if path.exists() else None


def report(result):
    [step] = result["results"]
    told, printed = step["report"], json.loads(step["stdout"])
    assert printed.pop("attempts") == len(told["attempts"])
    assert printed.items() <= told.items()
    assert {"status", "file", "error", "gates", "tokens", "diff"} <= printed.keys()
    return told


def test_a_file_stays_only_if_it_stands_its_gates_and_its_test(house, llama):
    models(house, default=llama)
    old = "def add(a, b):\n    raise NotImplementedError\n"
    (house.root / "src").mkdir()
    for name in ("fixed", "broken"):
        (house.root / f"src/{name}.py").write_text(old)
    house.drop(code("good", "T-GOOD", test=MULTIPLIES), "good.json")
    house.drop(code("fixed", "T-ADD", test=ADDS), "fixed.json")
    house.drop(code("broken", "T-SYNTAX", test=ADDS), "broken.json")
    house.drop(code("wrong", "T-GOOD", test="exit 9"), "wrong.json")
    house.drop(code("prose", "T-PROSE"), "prose.json")
    house.drop(code("cut", "T-UNCLOSED"), "cut.json")
    house.drop(code("thought", "T-THINK"), "thought.json")
    house.drop(code("script", "T-SH", output_file="src/script.sh"), "script.json")
    house.drop(code("hook", "T-GOOD", description="Write a React hook T-GOOD", output_file="src/useIt.js"), "hook.json")
    assert house.run("run", "--once").returncode == 1

    good = report(house.result("good"))
    assert (good["status"], good["file"], good["error"]) == ("success", "src/good.py", None)
    assert (good["first_pass"], good["tested"], good["rolled_back"], good["backup"]) == (True, True, 0, None)
    assert good["gates"] == {"complete": "passed", "syntax": "passed", "test": "passed"}
    assert good["tokens"]["source"] == "measured"
    assert good["tokens"]["prompt"] > good["tokens"]["completion"] > 0
    assert (good["model"], good["server"]) == ("default", llama.base_url)

    fixed, run = report(house.result("fixed")), Path(house.home.runs, "fixed/1")
    assert [attempt["failed_at"] for attempt in fixed["attempts"]] == ["test", None]
    assert "AssertionError" in fixed["attempts"][0]["error"]
    assert (fixed["first_pass"], fixed["rolled_back"]) == (False, 1)
    assert (run / fixed["backup"]).read_text() == old
    assert fixed["diff"]["added"] == 2
    assert "-    raise NotImplementedError\n" in (run / fixed["diff_path"]).read_text()
    assert written(house, "fixed") == SECOND_ADD
    first, second = ((run / f"0-local_model.{number}.prompt.md").read_text() for number in (1, 2))
    assert old in first
    assert "Previous attempt failed" not in first
    assert "AssertionError" in second.partition("Previous attempt failed")[2]
    assert "return a - b" in (run / "0-local_model.1.answer.md").read_text()

    for name, gate, kept in [
        ("broken", "syntax", old),
        ("wrong", "test", None),
        ("prose", "answer", None),
        ("cut", "complete", None),
    ]:
        result = house.result(name)
        told = report(result)
        assert result["reason"].startswith("escalated: step 0 (local_model): `default` failed 2 times"), name
        assert [attempt["failed_at"] for attempt in told["attempts"]] == [gate, gate]
        assert (told["status"], told["escalate"] is None, result["results"][0]["code"]) == ("failed", False, 1)
        assert written(house, name) == kept
    assert report(house.result("wrong"))["rolled_back"] == 2
    assert written(house, "thought") == "right = True\n"
    assert [attempt["failed_at"] for attempt in report(house.result("script"))["attempts"]] == ["syntax", None]
    assert "wrong()" in Path(house.home.runs, "thought/1/0-local_model.1.answer.md").read_text()

    hook = report(house.result("hook"))
    assert (hook["attempts"], hook["category"]) == ([], "hook")
    assert "a hook lives by the state" in hook["escalate"]
    assert sorted(os.listdir(house.root / "src")) == ["broken.py", "fixed.py", "good.py", "script.sh", "thought.py"]
    told = {line["id"]: line for line in house.telemetry() if line["event"] == "code_finished"}
    assert len(told) == 9
    assert (told["fixed"]["rolled_back"], told["fixed"]["run"], told["hook"]["status"]) == (1, 1, "failed")
    for path in run.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_steps_of_a_task_ask_for_an_answer_and_write_one_file_after_the_other(house, llama):
    models(house, default=llama)
    asked = {"skill": "local_model", "with": {"prompt": "Do T-GOOD, please.", "system": "You write code."}}
    wanted = {"description": "Create a utility function", "output_file": "src/a.py", "test_command": "cat src/a.py"}
    steps = [asked] + [
        {"skill": "local_model", "with": wanted | {"description": f"Write it {word}"}} for word in ("T-GOOD", "T-ADD")
    ]
    house.drop(smoke("t", skills=["local_model", "bash"], steps=steps))
    assert house.run("run", "--once").returncode == 0
    result = house.result("t")
    answer, first, second = result["results"]
    assert answer["stdout"] == TABLE["T-GOOD"].first + "\n"
    assert answer["report"]["tokens"]["source"] == "measured"
    assert (first["report"]["backup"], second["report"]["backup"]) == (None, "2-local_model.1.before")
    assert "return a - b" in written(house, "a")
    assert result["usage"]["prompt_tokens"] == sum(step["report"]["tokens"]["prompt"] for step in result["results"])


def test_where_no_server_answers_the_task_is_left_to_its_caller_and_the_next_model_of_a_chain_is_asked(house, llama):
    models(house, default="http://127.0.0.1:9/v1", other=llama)
    house.drop(code("alone", "T-GOOD"), "alone.json")
    house.drop(code("chain", "T-GOOD", models=["default", "other"]), "chain.json")
    house.drop(code("typo", "T-GOOD", models=["othre"]), "typo.json")
    assert house.run("run", "--once").returncode == 1
    alone = house.result("alone")
    assert alone["reason"].startswith("model_unavailable: step 0 (local_model)")
    assert "http://127.0.0.1:9/v1" in alone["reason"]
    assert (alone["results"][0]["code"], alone["results"][0]["failure"]) == (75, "model_unavailable")
    assert house.run("wait", "alone").returncode == 75
    chain = report(house.result("chain"))
    assert [(each["model"], each["failed_at"]) for each in chain["attempts"]] == [("default", "model"), ("other", None)]
    assert chain["first_pass"]
    assert "did you mean 'other'?" in house.result("typo")["reason"]


def test_a_context_that_does_not_fit_is_said_to_and_never_cut(house, llama):
    models(house, default=llama)
    (house.root / "big.txt").write_text("a word of it\n" * 2_000)
    bodies = [f"def function_{n}():\n    {'Adds.'!r}\n" + "    a = 1 + 2 + 3\n" * 9 for n in range(20)]
    (house.root / "big.py").write_text("".join(bodies))
    house.drop(code("big", "T-GOOD", context_files=["big.txt"]), "big.json")
    house.drop(code("code", "T-GOOD", context_files=["big.py"]), "code.json")
    house.drop(code("secret", "T-GOOD", context_files=[".env"]), "secret.json")
    house.drop(code("link", "T-GOOD", output_file="link.py"), "link.json")
    (house.root / "link.py").symlink_to("big.py")
    house.drop(code("untested", "T-GOOD", test="no-such-program"), "untested.json")
    (house.root / ".env").write_text("KEY=1\n")
    house.run("run", "--once")
    for name, said in (
        ("secret", "at the gate `context`: the context file .env"), ("link", "link.py can't be written: it is a link"),
        ("untested", "a program that the test needs was not found"),
    ):  # fmt: skip
        escalate = report(house.result(name))["escalate"]
        assert said in escalate
        assert ". No other answer would help: see to that" in escalate, "no larger model would help"
    big = report(house.result("big"))
    assert [attempt["failed_at"] for attempt in big["attempts"]] == ["context"]
    assert "big.txt" in big["error"]
    assert "too large for the model" in big["error"]
    [shown] = report(house.result("code"))["context"]
    assert (shown["path"], shown["shown"]) == ("big.py", "outline")
    assert ".env" in house.result("secret")["reason"]


def test_a_server_that_dies_in_mid_answer_is_told_from_a_bad_answer(house, own_llama):
    server = own_llama(context=8192)
    models(house, default=server)
    house.drop(code("t", "T-ENDLESS"), "t.json")
    house.start()
    until(server.busy, "it to answer")
    server.kill()
    result = house.result("t")
    assert result["reason"].startswith("model_unavailable: ")
    assert written(house, "t") is None


def test_a_cancelled_or_stopped_task_leaves_the_old_file(house, llama):
    models(house, default=llama)
    (house.root / "src").mkdir()
    for name in ("cancelled", "stopped"):
        (house.root / f"src/{name}.py").write_text("old\n")
        os.mkfifo(house.root / f"{name}.fifo")
    house.start()
    house.drop(code("cancelled", "T-GOOD", test="read x < cancelled.fifo"), "cancelled.json")
    until(lambda: written(house, "cancelled") != "old\n", "the new file to be tested")
    (Path(house.home.inbox) / "cancelled.cancel").touch()
    assert house.result("cancelled")["status"] == "cancelled"
    assert written(house, "cancelled") == "old\n"
    house.drop(code("stopped", "T-GOOD", test="read x < stopped.fifo"), "stopped.json")
    until(lambda: written(house, "stopped") != "old\n", "the new file to be tested")
    house.stop(signal.SIGKILL)
    assert written(house, "stopped") != "old\n"
    house.start()
    with open(house.root / "stopped.fifo", "w") as fifo:
        fifo.write("go\n")
    assert report(house.result("stopped"))["status"] == "success"
    house.stop()
    assert (
        "is as it was before: what a model had written there was not verified yet"
        in (house.root / "daemon.log").read_text()
    )


def test_of_twenty_tasks_over_two_servers_killed_twice_each_file_is_its_old_bytes_or_a_verified_new_one(
    house, llama, own_llama
):
    models(house, default=llama, other=own_llama())
    (house.root / "src").mkdir()
    expected = {}
    for number in range(20):
        keyword, test, new = [
            ("T-GOOD", MULTIPLIES, TABLE["T-GOOD"].first.split("```")[1].removeprefix("python\n")),
            ("T-ADD", ADDS, SECOND_ADD),
            ("T-SYNTAX", ADDS, None),
            ("T-GOOD", "exit 9", None),
        ][number % 4]
        name = f"m{number}"
        old = f"# {number}\n" if number % 3 else None
        if old is not None:
            (house.root / f"src/{name}.py").write_text(old)
        expected[name] = (old, new)
        house.drop(
            code(name, keyword, test=test, models=["default", "other"][:: 1 if number % 2 else -1]), f"{name}.json"
        )

    def ended():
        return len([name for name in house.names("done") + house.names("failed") if name.endswith(".result.json")])

    for enough in (3, 9):
        house.start()
        until(lambda least=enough: ended() >= least, "some to end")
        house.stop(signal.SIGKILL)
        for name, (old, new) in expected.items():
            assert written(house, name) in (old, new) or not settled(house, name)
    house.start()
    for name, (old, new) in expected.items():
        result = house.result(name)
        assert (result["status"], written(house, name)) == (("failed", old) if new is None else ("ok", new)), name
        assert report(result)["status"] == ("failed" if new is None else "success")
    house.stop()
    assert not [path for path in (house.root / "src").iterdir() if path.suffix != ".py" and path.name != "__pycache__"]


def test_in_its_own_worktree_a_task_goes_on_after_each_crash_and_asks_nobody_for_what_is_verified(house, llama):
    models(house, default=llama)
    git = ["git", "-C", str(house.root / "repo"), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", str(house.root / "repo")], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    tree = {"worktree": {"repo": "repo", "keep": "always", "commit": True}}
    house.drop(code("t", "T-GOOD", test=MULTIPLIES, workspace=tree), "t.json")
    for point in ("change.written", "step.ended"):
        house.start(env={"ORCHESTRATOR_FAILPOINT": point})
        assert house.process.wait(60) == -signal.SIGKILL
    house.start()
    result = house.result("t")
    assert (result["status"], report(result)["first_pass"]) == ("ok", True)
    assert result["results"][0]["stderr"] == (
        "an earlier start of this step had finished it, and the file is as it left it\n"
    )
    shown = subprocess.run([*git, "show", f"{result['worktree']['branch']}:src/t.py"], capture_output=True, check=True)
    assert b"return a * b" in shown.stdout
    assert written(house, "t") is None
    house.stop()
    assert (house.root / "daemon.log").read_text().count("src/t.py is as it was before") == 1
    assert [line["id"] for line in house.telemetry() if line["event"] == "code_finished"] == ["t"]


def test_who_approved_a_task_approved_its_test_too_whatever_an_earlier_step_says(house, llama):
    models(house, default=llama)
    asked = {
        "description": "Write T-GOOD, utility ${{ steps.first.stdout }}",
        "output_file": "src/a.py",
        "test_command": "true; sudo -n touch /no-such-folder/x || true",
    }
    steps = [{"id": "first", "skill": "bash", "args": ["-c", "echo one"]}, {"skill": "local_model", "with": asked}]
    house.start()
    house.drop(smoke("t", skills=["bash", "local_model"], steps=steps))
    assert house.result("t")["reason"] == "approval_required"
    assert house.run("approve", "t").returncode == 0
    until(lambda: house.names("done"), "it to run")
    result = house.result("t")
    assert (result["status"], result["results"][1]["report"]["tested"]) == ("ok", True)


def settled(house, task_id):
    """Whether nothing is on trial in a task's runs."""
    notes = Path(house.home.runs, task_id).glob("*/*.change.json")
    return all(json.loads(note.read_text())["state"] != "open" for note in notes)
