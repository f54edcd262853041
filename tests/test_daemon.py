"""The main job, end to end: files dropped into the inbox of a real daemon."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from conftest import alive, require_program, smoke, until


def test_a_dropped_spec_runs_and_stands_in_done_with_its_result_beside(daemon):
    daemon.drop(smoke("tsk_smoke", "echo 'SMOKE_OK'", acceptance=["Printed SMOKE_OK"]))
    result = daemon.result("tsk_smoke")
    assert (result["state"], result["status"], result["run"]) == ("done", "ok", 1)
    assert result["results"][0]["stdout"] == "SMOKE_OK\n"
    assert result["acceptance"] == [{"rule": "Printed SMOKE_OK", "ok": True, "detail": ""}]
    assert daemon.names("done") == ["tsk_smoke.json", "tsk_smoke.result.json"]
    assert daemon.names("inbox") == daemon.names("running") == []


def test_five_hundred_specs_dropped_while_the_daemon_runs_all_reach_done_once(daemon, tmp_path):
    witness = tmp_path / "witness"
    for number in range(500):
        daemon.drop(smoke(f"t{number}", f"echo {number} >> {witness}"))
    until(lambda: len(daemon.names("done")) == 1000, "500 tasks")
    assert sorted(witness.read_text().split(), key=int) == [str(number) for number in range(500)]
    assert daemon.names("failed") == []


def test_the_originals_examples_run_as_they_stand(house):
    examples = Path(house.home.examples)
    house.drop((examples / "tsk_smoke.json").read_text(), "tsk_smoke.json")
    ran = house.run("run", "--once", "--verbose")
    assert "✅ tsk_smoke.json: OK" in ran.stdout
    assert ran.returncode == 0
    assert house.telemetry()[-1]["meta"]["id"] == "tsk_smoke"
    recalled = house.run("recall", "smoke test", "--top-k", "1")
    assert "Smoke test passed" in recalled.stdout

    house.drop((examples / "tsk_health_check.json").read_text(), "tsk_health_check.json")
    assert house.run("run", "--once").returncode == 0
    assert house.result("tsk_health_check")["status"] == "ok"


def test_the_deploy_example_is_blocked_and_runs_when_high_risk_is_allowed(house, tmp_path):
    require_program("git")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(house.root)]
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "remote.git")], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(house.root)], check=True)
    subprocess.run([*git, "remote", "add", "origin", str(tmp_path / "remote.git")], check=True)
    (house.root / "scripts").mkdir()
    (house.root / "scripts/deploy_prod.sh").write_text("echo deployed > deployed.txt\n")
    subprocess.run([*git, "add", "scripts"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    deploy = (Path(house.home.examples) / "tsk_git_deploy.json").read_text()

    house.drop(deploy, "tsk_git_deploy.json")
    ran = house.run("run", "--once")
    assert "❌ tsk_git_deploy.json: BLOCKED - approval_required" in ran.stdout
    assert ran.returncode == 1
    assert house.names("failed") == ["tsk_git_deploy.json", "tsk_git_deploy.result.json"]
    assert house.result("tsk_git_deploy")["results"] == []
    assert not (house.root / "deployed.txt").exists()

    assert house.run("retry", "tsk_deploy").returncode == 0
    ran = house.run("run", "--once", env={"LOCAL_ALLOW_HIGH": "1"})
    assert (ran.returncode, house.result("tsk_git_deploy")["status"]) == (0, "ok"), ran.stdout + ran.stderr
    assert (house.root / "deployed.txt").exists()
    pushed = subprocess.run(
        ["git", "-C", str(tmp_path / "remote.git"), "log", "--oneline", "main"], capture_output=True
    )
    assert pushed.returncode == 0


def test_a_failing_step_ends_the_task_and_an_optional_one_only_warns(daemon):
    steps = [
        {"skill": "bash", "args": ["-c", "exit 3"], "optional": True},
        {"skill": "bash", "args": ["-c", "echo two"]},
    ]
    daemon.drop(smoke("soft", steps=steps))
    steps = [{"skill": "bash", "args": ["-c", "exit 3"]}, {"skill": "bash", "args": ["-c", "echo two"]}]
    daemon.drop(smoke("hard", steps=steps))
    soft, hard = daemon.result("soft"), daemon.result("hard")
    assert (soft["status"], [step["code"] for step in soft["results"]]) == ("ok", [3, 0])
    assert (hard["status"], [step["code"] for step in hard["results"]]) == ("failed", [3])
    assert "step 0 (bash) exited with 3" in hard["reason"]


def test_a_step_past_its_timeout_is_ended_and_the_task_timed_out(daemon):
    daemon.drop(smoke("slow", steps=[{"skill": "bash", "args": ["-c", "echo begun; exec sleep 1000"], "timeout": 300}]))
    result = daemon.result("slow")
    assert (result["status"], result["results"][0]["status"]) == ("timed_out", "timed_out")
    assert result["results"][0]["stdout"] == "begun\n"


def test_the_timeout_of_the_whole_task_cuts_the_step_in_hand(daemon):
    daemon.drop(smoke("slow", "exec sleep 1000", timeout="300ms"))
    result = daemon.result("slow")
    assert (result["status"], result["reason"].split(":")[0]) == ("timed_out", "task_timeout")


def test_a_sentence_that_no_rule_understands_is_a_warning_never_a_pass(daemon):
    daemon.drop(smoke("vague", acceptance=["The code is beautiful"]))
    result = daemon.result("vague")
    assert result["status"] == "ok"
    assert result["acceptance"][0]["ok"] is None


def test_an_unmet_check_fails_the_task_and_a_command_check_is_run(daemon):
    daemon.drop(smoke("unmet", acceptance=["Printed nothing of the kind"]))
    daemon.drop(
        smoke(
            "command",
            "echo x > made",
            acceptance=[{"command": "test -f made"}, {"command": "test -f unmade"}],
        )
    )
    assert daemon.result("unmet")["reason"].startswith("acceptance_failed")
    assert [check["ok"] for check in daemon.result("command")["acceptance"]] == [True, False]


def test_a_running_task_is_cancelled_by_a_file_and_nothing_of_it_lives_on(daemon, tmp_path):
    daemon.drop(smoke("long", f"setsid sleep 1000 & echo $! > {tmp_path}/pid; sleep 1000"))
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "its pid"))
    (Path(daemon.home.inbox) / "long.cancel").touch()
    assert daemon.result("long")["status"] == "cancelled"
    assert not alive(pid)
    until(lambda: daemon.names("inbox") == [], "the request to be taken away")


def test_a_waiting_task_is_cancelled_without_being_run(house, tmp_path):
    house.start(env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1"})
    house.drop(smoke("first", f"touch {tmp_path}/begun; sleep 1000"))
    until(lambda: (tmp_path / "begun").exists(), "the first task")
    house.drop(smoke("second", f"touch {tmp_path}/never"))
    until(lambda: house.names("inbox") == ["second.json"], "the second to wait")
    (Path(house.home.inbox) / "second.cancel").touch()
    assert house.result("second")["status"] == "cancelled"
    (Path(house.home.inbox) / "first.cancel").touch()
    house.result("first")
    assert not (tmp_path / "never").exists()


def test_urgent_work_goes_before_what_came_earlier(house, tmp_path):
    for number, priority in enumerate(["low", "medium", "high", "urgent"]):
        house.drop(smoke(f"t{number}", f"echo {priority} >> {tmp_path}/order", priority=priority))
    ran = house.run("run", "--once", env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1", "LOCAL_ALLOW_HIGH": "1"})
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "order").read_text().split() == ["urgent", "high", "medium", "low"]


def test_a_second_daemon_of_the_same_home_says_so_and_exits_75(daemon):
    second = daemon.run("run")
    assert second.returncode == 75
    assert "daemon runs" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_daemon_whose_lock_file_was_replaced_makes_room_for_the_one_that_has_the_new(house):
    house.start(env={"ORCHESTRATOR_DAEMON__RESCAN": "50"})
    os.unlink(house.home.lock)
    Path(house.home.lock).touch()
    assert house.process.wait(60) == 75


def test_sigterm_lets_what_runs_end_and_leaves_the_rest_in_inbox(house, tmp_path):
    os.mkfifo(tmp_path / "gate")
    house.start(env={"ORCHESTRATOR_DAEMON__MAX_TASKS": "1"})
    house.drop(smoke("running", f"echo > {tmp_path}/begun; cat {tmp_path}/gate"))
    until(lambda: (tmp_path / "begun").exists(), "the first task")
    house.drop(smoke("waiting"))
    house.process.send_signal(signal.SIGTERM)
    until(lambda: "finishing what runs" in (house.root / "daemon.log").read_text(), "the signal to be heard")
    (tmp_path / "gate").write_text("go on\n")
    assert house.process.wait(60) == 0
    assert house.result("running")["status"] == "ok"
    assert house.names("inbox") == ["waiting.json"]


def test_a_second_sigterm_ends_at_once_and_what_ran_is_interrupted(house, tmp_path):
    house.start()
    house.drop(smoke("running", f"echo > {tmp_path}/begun; exec sleep 1000"))
    until(lambda: (tmp_path / "begun").exists(), "the task")
    house.process.send_signal(signal.SIGTERM)
    until(lambda: "once more" in (house.root / "daemon.log").read_text(), "the first signal to be heard")
    house.process.send_signal(signal.SIGTERM)
    assert house.process.wait(60) == 0
    assert house.result("running")["status"] == "interrupted"


def test_after_a_kill_the_next_daemon_ends_the_children_and_marks_the_task_interrupted(house, tmp_path):
    house.start()
    house.drop(smoke("cut", f"setsid sleep 1000 & echo $! > {tmp_path}/pid; sleep 1000"))
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "its pid"))
    house.stop(signal.SIGKILL)
    assert alive(pid)
    house.start()
    result = house.result("cut")
    assert (result["status"], result["results"][0]["status"]) == ("interrupted", "interrupted")
    assert not alive(pid)


def test_sighup_reads_new_skills_and_keeps_the_old_where_the_new_are_broken(daemon):
    skill = Path(daemon.home.skills) / "greet"
    skill.mkdir()
    (skill / "skill.toml").write_text("name = 'greet'\nargv = [")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "reload refused" in (daemon.root / "daemon.log").read_text(), "the refusal")
    (skill / "skill.toml").write_text(
        'name = "greet"\ndescription = "Say hello."\nrunner = "process"\nargv = ["{skill}/greet.sh", "{args}"]\n'
    )
    (skill / "greet.sh").write_text("#!/bin/sh\necho hello $1\n")
    (skill / "greet.sh").chmod(0o755)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "read again" in (daemon.root / "daemon.log").read_text(), "the reload")
    daemon.drop(smoke("greeting", skills=["greet"], steps=[{"skill": "greet", "args": ["you"]}]))
    assert daemon.result("greeting")["results"][0]["stdout"] == "hello you\n"


def test_a_rule_that_was_changed_and_not_yet_read_is_told_of_once(house):
    house.start(env={"ORCHESTRATOR_DAEMON__RESCAN": "50"})
    (Path(house.home.policy) / "99-mine.toml").write_text("")
    until(lambda: "policy/99-mine.toml changed" in (house.root / "daemon.log").read_text(), "the notice")
    house.drop(smoke("after"))
    house.result("after")
    house.stop()
    assert (house.root / "daemon.log").read_text().count("99-mine.toml changed") == 1


def test_each_process_skill_runs_its_program(daemon):
    require_program("node")
    require_program("git")
    calls = {
        "bash": ["-c", "echo ok"],
        "python": ["-c", "print('ok')"],
        "node": ["-e", "console.log('ok')"],
        "git": ["--version"],
    }
    for skill, args in calls.items():
        daemon.drop(smoke(f"with_{skill}", skills=[skill], steps=[{"skill": skill, "args": args}]))
    for skill in calls:
        result = daemon.result(f"with_{skill}")
        assert (skill, result["status"]) == (skill, "ok"), result


def test_bad_input_is_refused_with_a_reason_and_no_step_is_run(daemon, tmp_path):
    inbox = Path(daemon.home.inbox)
    ran = f"touch {tmp_path}/ran"
    daemon.drop('{"id": "tsk_x", "title"', "truncated.json")
    daemon.drop("x" * 300_000, "large.json")
    daemon.drop(smoke("a/b", ran), "path.json")
    daemon.drop(smoke("undeclared", ran, skills=["python"]), "undeclared.json")
    daemon.drop(smoke("unknown", ran, priorty="high"), "unknown.json")
    daemon.drop(smoke("needy", ran, needs="x"), "needy.json")
    daemon.drop("nothing to see", "notes.txt")
    (tmp_path / "real.json").write_text(json.dumps(smoke("linked", ran)))
    os.symlink(tmp_path / "real.json", inbox / "link.json")
    os.mkfifo(inbox / "fifo.json")
    (inbox / "folder").mkdir()
    for stem in (
        "truncated",
        "large",
        "path",
        "undeclared",
        "unknown",
        "needy",
        "link",
        "fifo",
        "folder",
        "notes.txt",
    ):
        result = until(
            lambda stem=stem: (
                (Path(daemon.home.failed) / f"{stem}.result.json").exists()
                and json.loads((Path(daemon.home.failed) / f"{stem}.result.json").read_text())
            ),
            stem,
        )
        assert (stem, result["status"]) == (stem, "invalid")
        assert len(result["reason"]) > 20, stem
    assert "priority" in json.loads((Path(daemon.home.failed) / "unknown.result.json").read_text())["reason"]
    assert not (tmp_path / "ran").exists()


def test_names_that_look_temporary_are_left_alone(daemon):
    inbox = Path(daemon.home.inbox)
    for name in (".hidden.json", "x.json~", "x.json.tmp", "#x.json#", "x.json.part"):
        (inbox / name).write_text(json.dumps(smoke("left")))
    daemon.drop(smoke("after"))
    daemon.result("after")
    assert len(os.listdir(inbox)) == 5


def test_a_yaml_file_without_an_end_mark_is_run_only_after_it_lies_still(house):
    text = "id: still\ntitle: t\nrisk: low\nskills: [bash]\nsteps:\n- {skill: bash, args: [-c, echo one]}\n"
    (Path(house.home.inbox) / "still.yaml").write_text(text)
    ran = house.run("run", "--once")
    assert (ran.returncode, house.result("still")["status"]) == (0, "ok")


def test_a_yaml_file_that_was_closed_too_early_is_not_run_as_the_task_that_it_is_so_far(house):
    house.start(env={"ORCHESTRATOR_DAEMON__SETTLE": "60000", "ORCHESTRATOR_DAEMON__RESCAN": "50"})
    path = Path(house.home.inbox) / "early.yaml"
    path.write_text("id: early\ntitle: t\nrisk: low\nskills: [bash]\nsteps:\n- {skill: bash, args: [-c, echo one]}\n")
    for number in range(2):  # by the second one's turn the file was looked at
        house.drop(smoke(f"later{number}"))
        house.result(f"later{number}")
    with path.open("a") as file:
        file.write("- {skill: bash, args: [-c, echo two]}\n...\n")
    assert [step["stdout"] for step in house.result("early")["results"]] == ["one\n", "two\n"]


def test_the_same_file_dropped_again_is_run_two_and_takes_the_first_ones_place(daemon):
    for number in (1, 2):
        daemon.drop(smoke("again", f"echo {number}"))
        until(lambda n=number: (Path(daemon.home.runs) / f"again/{n}/result.json").exists(), "the run")
        until(lambda: daemon.names("running") == [], "the move")
    assert daemon.result("again")["run"] == 2
    assert daemon.names("done") == ["again.json", "again.result.json"]


def test_steps_see_an_allow_list_of_the_environment_and_never_the_daemons_own(house):
    house.start(env={"MY_SECRET": "s3cr3t", "LOCAL_ALLOW_HIGH": "1"})  # the gate reads peek.sh, and would ask
    # root may read every process's environment; everyone else may not read the daemon's
    (house.root / "peek.sh").write_text("env; [ $(id -u) = 0 ] || cat /proc/$PPID/environ || true\n")
    house.drop(smoke("peek", steps=[{"skill": "bash", "args": ["peek.sh"]}], env={"MINE": "yes"}))
    printed = house.result("peek")["results"][0]["stdout"]
    assert "s3cr3t" not in printed
    assert "MINE=yes" in printed


def test_everything_below_queue_and_state_is_closed_to_others(daemon):
    daemon.drop(smoke("private"))
    daemon.result("private")
    daemon.stop()
    for top in (daemon.home.queue, daemon.home.state):
        for folder, _, names in os.walk(top):
            if folder.startswith(daemon.home.examples):
                continue
            assert os.stat(folder).st_mode & 0o077 == 0, folder
            for name in names:
                path = os.path.join(folder, name)
                if not path.startswith((daemon.home.done, daemon.home.failed)) or name.endswith(".result.json"):
                    assert os.stat(path).st_mode & 0o077 == 0, path


def test_a_daemon_without_a_home_says_how_to_make_one(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "orchestrator", "--home", str(tmp_path / "none"), "run"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert "orchestrator init" in ran.stderr
