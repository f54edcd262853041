"""A whole backlog on a real model server: its daemon is killed on the way, and its config asks a model to judge."""

import json
import signal
from pathlib import Path

from conftest import until
from test_cli_code import HOOK
from test_cli_submit import invoke, write
from test_code_tasks import ADDS, MULTIPLIES, SECOND_ADD, code, models, written


def test_a_backlog_is_done_by_the_model_whatever_becomes_of_the_daemon_and_the_rest_is_named(house, llama, tmp_path):
    models(house, default=llama)
    tasks = [
        code("one", "T-GOOD", test=MULTIPLIES), code("two", "T-ADD", test=ADDS, needs=["one"]),
        code("three", "T-GOOD", test=MULTIPLIES), code("never", "T-PROSE"), HOOK,
    ]  # fmt: skip
    backlog = write(tmp_path, "backlog.json", {"tasks": tasks})
    house.start()
    assert invoke(house, "dispatch", "run", "--all", "--no-wait", backlog).exit_code == 1
    until(lambda: Path(house.home.runs, "one").exists(), "the first of them to run")
    house.stop(signal.SIGKILL)
    house.start()
    answer = invoke(house, "dispatch", "run", "--all", backlog, "--json")
    assert answer.exit_code == 1, answer.output
    assert {each["status"] for each in json.loads(answer.stdout) if each["id"] not in ("never", "hook")} <= {"success"}
    told = json.loads(invoke(house, "dispatch", "status", backlog, "--json").stdout)
    assert (told["done"], told["escalated"]) == (3, 2)
    assert [each["id"] for each in told["left_for_you"]] == ["never", "hook"]
    assert "prose without a code block" in told["left_for_you"][0]["why"]
    assert (written(house, "two"), written(house, "never")) == (SECOND_ADD, None)
    answer = invoke(house, "dispatch", "assign-next", backlog, "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["assigned"]) == (5, None)

    asked = write(tmp_path, "two.json", [code("good", "T-GOOD"), HOOK])
    judged = json.loads(invoke(house, "classify", asked, "--model", "default", "--json").stdout)
    assert [each["by"] for each in judged] == ["model", "rules"], "a grammar makes any model answer in JSON"
