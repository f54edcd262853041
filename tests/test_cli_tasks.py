"""The verbs about tasks that run and have run: real daemons, real processes, read back through the command line."""

import fcntl
import json
import os
import re
import subprocess
import sys
import threading

import pytest
from conftest import House, smoke, until
from typer.testing import CliRunner

from orchestrator.cli import waiting
from orchestrator.cli.app import app
from orchestrator.home import daemon_pid
from orchestrator.lock import DaemonLock


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """One daemon for all tests here that can share it: each uses task names of its own."""
    shared = House(tmp_path_factory.mktemp("shared") / "home")
    shared.start()
    yield shared
    assert shared.stop() == 0


def invoke(house, *arguments, **options):
    return CliRunner().invoke(app, ["--home", str(house.root), *map(str, arguments)], **options)


def submit(house, spec, *arguments):
    return invoke(house, "submit", "-", *arguments, input=json.dumps(spec))


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"task_id": "ends-ok"}, 0, "ok"),
        ({"task_id": "ends-badly", "script": "exit 3"}, 1, "failed"),
        ({"task_id": "ends-blocked", "risk": "high"}, 3, "blocked"),
        (
            {"task_id": "ends-late", "steps": [{"skill": "bash", "args": ["-c", "sleep 60"], "timeout": 50}]},
            124,
            "timed_out",
        ),
    ],
)
def test_submit_wait_ends_with_the_result_and_its_exit_code(daemon, fields, code, status):
    answer = submit(daemon, smoke(**fields), "--wait", "--json")
    assert answer.exit_code == code, answer.output
    assert json.loads(answer.stdout)["status"] == status


def test_submit_wait_shows_what_was_printed_and_why_it_failed(daemon):
    answer = submit(daemon, smoke("printer", "echo to-out; echo to-err >&2; exit 3"), "--wait")
    assert answer.exit_code == 1
    assert "❌ printer.json: FAILED" in answer.stdout
    assert "to-out" in answer.stdout
    assert "to-err" in answer.stdout
    assert "exit code 3" in answer.stdout


def test_submit_wait_again_waits_for_the_new_run_not_for_the_earlier_result(daemon):
    assert submit(daemon, smoke("again", "exit 1"), "--wait").exit_code == 1
    answer = submit(daemon, smoke("again", "echo second"), "--wait", "--json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["run"] == 2


def test_control_characters_of_a_task_never_reach_the_terminal_raw(daemon):
    answer = submit(
        daemon, smoke("evil", "printf '\\033]0;owned\\007'; exit 1", title="a \u001b[31mred title"), "--wait"
    )
    shown = answer.stdout + invoke(daemon, "list").stdout + invoke(daemon, "show", "evil").stdout
    shown += invoke(daemon, "tail").stdout
    assert "owned" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_wait_exits_as_the_worst_of_several_and_5_for_an_unknown_one(daemon):
    submit(daemon, smoke("good"))
    submit(daemon, smoke("bad", "exit 1"))
    assert invoke(daemon, "wait", "good").exit_code == 0
    answer = invoke(daemon, "wait", "good", "bad", "--json")
    assert answer.exit_code == 1
    assert [result["id"] for result in json.loads(answer.stdout)] == ["good", "bad"]
    unknown = invoke(daemon, "wait", "nobody")
    assert unknown.exit_code == 5
    assert "no such task: nobody" in unknown.stderr


def test_wait_gives_up_after_its_timeout_with_124(daemon):
    submit(daemon, smoke("endless", "sleep 60"))
    answer = invoke(daemon, "wait", "endless", "--timeout", "50ms")
    assert answer.exit_code == 124
    assert "not ended yet: endless" in answer.stderr
    assert invoke(daemon, "wait", "endless", "--timeout", "soon").exit_code == 2
    invoke(daemon, "cancel", "endless")


def test_wait_without_a_daemon_says_so_with_75(house):
    house.drop(smoke("t"))
    assert invoke(house, "wait", "t").exit_code == 75


def test_cancel_stops_a_running_task_and_its_processes(daemon):
    submit(daemon, smoke("long", "echo $$; sleep 60"))
    until(lambda: invoke(daemon, "logs", "long").stdout, "its first line")
    pid = int(invoke(daemon, "logs", "long", "--step", "0", "--stdout").stdout)
    answer = invoke(daemon, "cancel", "long")
    assert (answer.exit_code, answer.stdout) == (0, "long: cancelled\n")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert invoke(daemon, "wait", "long").exit_code == 130
    again = invoke(daemon, "cancel", "long")
    assert (again.exit_code, "had ended already" in again.stderr) == (0, True)
    assert invoke(daemon, "cancel", "nobody").exit_code == 5


def test_cancel_without_a_daemon_is_a_request_that_keeps_the_task_from_running(house, tmp_path):
    witness = tmp_path / "witness"
    house.drop(smoke("t", f"touch {witness}"))
    answer = invoke(house, "cancel", "t")
    assert (answer.exit_code, "as soon as a daemon runs" in answer.stderr) == (0, True)
    house.run("run", "--once")
    assert house.result("t")["status"] == "cancelled"
    assert not witness.exists()


def test_retry_runs_an_ended_task_again_as_its_next_run(daemon, tmp_path):
    flag = tmp_path / "flag"
    assert submit(daemon, smoke("flaky", f"test -e {flag}"), "--wait").exit_code == 1
    flag.touch()
    assert invoke(daemon, "retry", "flaky").stdout == "flaky\n"
    assert invoke(daemon, "wait", "flaky").exit_code == 0
    shown = json.loads(invoke(daemon, "show", "flaky", "--json").stdout)
    assert [(run["run"], run["status"]) for run in shown["runs"]] == [(1, "failed"), (2, "ok")]
    assert json.loads(invoke(daemon, "show", "flaky", "--run", "1", "--json").stdout)["result"]["status"] == "failed"
    assert invoke(daemon, "retry", "nobody").exit_code == 5


def test_retry_of_a_task_that_waits_is_refused(house):
    house.drop(smoke("t"))
    answer = invoke(house, "retry", "t")
    assert answer.exit_code == 2
    assert "has not ended" in answer.stderr


def test_logs_prints_the_bytes_of_one_stream_and_labels_several(daemon):
    submit(daemon, smoke("loud", "printf 'a\\377b'; echo oops >&2"), "--wait")
    ran = subprocess.run(daemon.command("logs", "loud", "--step", "0", "--stdout"), capture_output=True, timeout=60)
    assert ran.stdout == b"a\xffb"
    both = invoke(daemon, "logs", "loud").stdout_bytes
    assert b"==> step 0 bash stdout <==\na\xffb" in both
    assert b"==> step 0 bash stderr <==\noops\n" in both
    assert invoke(daemon, "logs", "nobody").exit_code == 5
    assert invoke(daemon, "logs", "loud", "--run", "7").exit_code == 5


def test_logs_follow_shows_output_while_the_task_runs_and_ends_with_it(daemon, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    submit(daemon, smoke("live", f"echo early; read line < {gate}; echo late"))
    process = subprocess.Popen(
        daemon.command("logs", "live", "-f", "--stdout", "--step", "0"), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "early\n"
    gate.write_text("go\n")
    assert process.stdout.read() == "late\n"
    assert process.wait(60) == 0


def test_list_filters_by_state_status_and_label_with_the_newest_last(house):
    house.drop(smoke("one", labels={"team": "a"}))
    house.run("run", "--once")
    house.drop(smoke("two", "exit 1", labels={"team": "b"}))
    house.run("run", "--once")
    house.drop(smoke("three", risk="high"))
    house.run("run", "--once")

    def listed(*arguments):
        return [entry["stem"] for entry in json.loads(invoke(house, "list", "--json", *arguments).stdout)]

    assert listed() == ["one", "two", "three"]
    assert listed("--limit", "2") == ["two", "three"]
    assert listed("--state", "failed") == ["two", "three"]
    assert listed("--state", "blocked") == ["three"]
    assert listed("--label", "team=b") == ["two"]
    assert listed("--state", "done", "--state", "blocked") == ["one", "three"]
    table = invoke(house, "list", "--limit", "1")
    assert "approval_required" in table.stdout
    assert "the newest 1 of 3" in table.stderr
    assert invoke(house, "list", "--state", "faild").exit_code == 2


def test_show_explains_a_blocked_and_an_invalid_task(house):
    house.drop(smoke("blocked", risk="high"))
    house.drop('{"id": "x",\n "titel": "y"}', "broken.json")
    assert house.run("run", "--once").returncode == 1
    blocked = invoke(house, "show", "blocked")
    assert "BLOCKED - approval_required" in blocked.stdout
    assert "risk.high" in blocked.stdout
    broken = invoke(house, "show", "broken")
    assert "line 2" in broken.stdout
    assert "did you mean 'title'" in broken.stdout
    assert invoke(house, "show", "nobody").exit_code == 5
    unknown_run = invoke(house, "show", "blocked", "--run", "7")
    assert unknown_run.exit_code == 5
    assert "blocked has no run 7; its runs: 1" in unknown_run.stderr


def test_a_blocked_task_runs_the_way_that_its_advice_says(house):
    house.drop(smoke("tsk_b", risk="high"))
    house.run("run", "--once")
    advice = invoke(house, "show", "tsk_b").stdout
    explain, approve, reject = re.findall(r"`orchestrator ([^`]*)`", advice)
    assert house.run(*explain.split(), cwd=house.root).returncode == 3
    assert house.run(*reject.split()[:2]).returncode == 2
    assert house.run(*approve.split()).returncode == 0
    assert house.run("run", "--once").returncode == 0
    assert house.result("tsk_b")["status"] == "ok"


def test_stats_of_a_new_home_say_that_nothing_ended(house):
    assert invoke(house, "stats").stdout.splitlines()[0] == "The last 7 days: no task ended"


def test_tail_and_stats_tell_what_happened(house):
    house.drop(smoke("good"))
    house.drop(smoke("bad", "exit 1"))
    house.run("run", "--once")
    lines = [json.loads(line) for line in invoke(house, "tail", "-n", "50", "--json").stdout.splitlines()]
    assert {line["id"] for line in lines if line["event"] == "task_finished"} == {"good", "bad"}
    readable = invoke(house, "tail", "-n", "50").stdout
    assert "good run 1: OK" in readable
    assert "not readable" not in readable
    numbers = json.loads(invoke(house, "stats", "--json").stdout)
    assert numbers["by_status"] == {"ok": 1, "failed": 1}
    assert "50.0%" in invoke(house, "stats").stdout


def test_a_second_daemon_is_refused_with_75(daemon):
    ran = daemon.run("run")
    assert ran.returncode == 75
    assert f"pid {daemon.process.pid}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_max_tasks_is_the_daemons_limit(house):
    house.drop(smoke("a", "test ! -e busy && touch busy && sleep 0.2 && rm busy"))
    house.drop(smoke("b", "test ! -e busy && touch busy && sleep 0.2 && rm busy"))
    assert house.run("run", "--once", "--max-tasks", "1").returncode == 0


def test_the_demo_ends_as_expected_and_leaves_nothing(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path), "LOCAL_ALLOW_HIGH": "1"}
    command = ["-m", "orchestrator", "demo"]
    ran = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=100, env=environment, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "tasks ended as they should have" in ran.stdout
    assert '"task":"local_exec"' in ran.stdout
    assert os.listdir(tmp_path) == []


def test_the_result_that_stood_there_before_submitting_never_counts_as_the_end(house):
    house.drop(smoke("t"))
    house.run("run", "--once")
    (again,) = waiting.before_submitting(house.home, ["t"])
    again.look(house.home)
    assert (again.entry.status, again.ended) == ("ok", False)
    fresh = waiting.Awaited("t")
    fresh.look(house.home)
    assert fresh.ended


def test_a_face_that_asks_at_that_instant_does_not_keep_a_daemon_from_starting(house):
    asking = os.open(house.home.lock, os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(asking, fcntl.LOCK_SH)
    lock = DaemonLock(house.home)
    threading.Timer(0.05, os.close, [asking]).start()
    lock.take()
    assert daemon_pid(house.home) == 0
    lock.release()
    assert daemon_pid(house.home) is None
