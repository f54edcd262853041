"""Approvals: one run, of what was seen, by who said so; whatever is edited, repeated, late or killed."""

import json
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import smoke, until
from typer.testing import CliRunner

from orchestrator import approvals, clock
from orchestrator.cli.app import app
from orchestrator.spec import Task

HIGH = smoke("dep", "echo ran >> ran.txt", risk="high")


def invoke(house, *args):
    return CliRunner().invoke(app, ["--home", str(house.root), *args])


def blocked(house, spec=HIGH):
    """The task was dropped, judged and blocked; returns its result."""
    house.drop(spec)
    house.run("run", "--once")
    result = house.result(spec["id"])
    assert result["status"] == "blocked", result
    return result


def once(house, stem="dep", **options):
    house.run("run", "--once", **options)
    return house.result(stem)


def runs_made(house):
    file = house.root / "ran.txt"
    return len(file.read_text().splitlines()) if file.exists() else 0


def records(house):
    return [Path(house.home.approvals) / name for name in os.listdir(house.home.approvals) if name.endswith(".json")]


def change_record(house, **changes):
    [record] = records(house)
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))


def test_an_approved_task_runs_once_under_a_living_daemon_and_result_and_telemetry_say_who_and_when(daemon):
    daemon.drop(HIGH)
    assert daemon.result("dep")["reason"] == "approval_required"
    approved = daemon.run("approve", "dep", "--note", "seen")
    assert approved.returncode == 0, approved.stderr
    assert "bash -c 'echo ran >> ran.txt'" in approved.stdout
    assert "risk.high" in approved.stdout
    result = until(lambda: (found := daemon.result("dep"))["state"] == "done" and found, "the run")
    policy = result["policy"]
    assert (policy["note"], policy["approved_via"]) == ("seen", "no terminal")
    assert policy["approved_by"].rpartition("@")[2] == os.uname().nodename
    assert runs_made(daemon) == 1
    shown = daemon.run("show", "dep").stdout
    assert policy["approved_by"] in shown
    assert "seen" in shown
    line = until(
        lambda: [each for each in daemon.telemetry() if "local_exec" in each.values() and each["pass"]], "its line"
    )[0]
    assert {key: line[key] for key in ("approved_by", "approved_at", "note")} == {
        key: policy[key] for key in ("approved_by", "approved_at", "note")
    }

    daemon.run("retry", "dep")
    again = until(lambda: (found := daemon.result("dep"))["state"] == "failed" and found, "the block")
    assert again["reason"].startswith("approval_required: the approval by ")
    assert "was used by run 2" in again["reason"]
    assert runs_made(daemon) == 1


def test_without_a_daemon_an_approved_task_waits_and_the_verb_says_so(house):
    blocked(house)
    approved = invoke(house, "approve", "dep")
    assert approved.exit_code == 0
    assert "No daemon runs for this home" in approved.stderr
    assert house.names("inbox") == ["dep.json"]
    again = invoke(house, "approve", "dep")
    assert again.exit_code == 2
    assert "is approved already" in again.stderr
    assert once(house)["status"] == "ok"


def test_records_and_their_folder_are_private(house):
    blocked(house)
    invoke(house, "approve", "dep")
    [record] = records(house)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700


def test_a_record_that_others_could_have_written_counts_for_nothing_and_is_told(house):
    blocked(house)
    invoke(house, "approve", "dep")
    [record] = records(house)
    record.chmod(0o666)
    assert once(house)["reason"] == "approval_required"
    assert any(str(record) in line.get("message", "") for line in house.telemetry())


def test_an_edited_spec_voids_its_approval_and_another_layout_does_not(house):
    blocked(house)
    invoke(house, "approve", "dep")
    (Path(house.home.inbox) / "dep.json").write_text(json.dumps(HIGH | {"title": "Something else"}))
    edited = once(house)
    assert edited["status"] == "blocked"
    assert edited["reason"].startswith("approval_required: the approval by ")
    assert edited["reason"].endswith("is void: the spec was changed since")
    assert "approved_at" not in edited["policy"]
    assert records(house) == []

    invoke(house, "approve", "dep")
    (Path(house.home.inbox) / "dep.json").write_text(json.dumps(HIGH | {"title": "Something else"}, indent=7))
    assert once(house)["status"] == "ok"


def test_a_changed_script_voids_its_approval_and_so_does_one_that_was_not_there(house):
    script = house.root / "deploy.sh"
    script.write_text("echo ran >> ran.txt\n")
    blocked(house, HIGH | {"steps": [{"skill": "bash", "args": ["deploy.sh"]}]})
    assert str(script) in invoke(house, "approve", "dep").stdout
    script.write_text("echo ran >> ran.txt; echo twice\n")
    assert once(house)["reason"].endswith(f"is void: {script} was changed since")

    script.unlink()
    house.run("retry", "dep")
    once(house)
    invoke(house, "approve", "dep")
    script.write_text("echo ran >> ran.txt\n")
    assert once(house)["reason"].endswith(f"is void: it did not cover {script}")
    assert runs_made(house) == 0

    assert invoke(house, "approve", "dep").exit_code == 0
    assert once(house)["status"] == "ok"


def test_what_was_changed_since_it_was_blocked_must_be_judged_and_seen_again_first(house):
    script = house.root / "deploy.sh"
    script.write_text("echo ran >> ran.txt\n")
    spec = HIGH | {"steps": [{"skill": "bash", "args": ["deploy.sh"]}]}
    blocked(house, spec)
    script.write_text("echo ran >> ran.txt; echo twice\n")
    unseen = invoke(house, "approve", "dep")
    assert unseen.exit_code == 2
    assert f"{script} was changed since dep was blocked" in unseen.stderr
    house.run("retry", "dep")
    once(house)
    (Path(house.home.failed) / "dep.json").write_text(json.dumps(spec | {"title": "Something else"}))
    unseen = invoke(house, "approve", "dep")
    assert unseen.exit_code == 2
    assert "queue/failed/dep.json was changed since dep was blocked" in unseen.stderr
    assert records(house) == []
    assert invoke(house, "reject", "dep", "--why", "that is not what I read").exit_code == 0


def test_a_script_that_changes_while_the_approved_task_waits_for_its_turn_voids_the_approval(daemon):
    script = daemon.root / "deploy.sh"
    script.write_text("echo ran >> ran.txt\n")
    spec = HIGH | {"steps": [{"skill": "bash", "args": ["deploy.sh"]}]}
    daemon.drop(spec)
    daemon.result("dep")
    holder = smoke("dep", "touch held; until [ -e go ]; do sleep 0.01; done")  # the same id: `dep` has to wait
    daemon.drop(holder, "holder.json")
    until((daemon.root / "held").exists, "the holder")
    assert daemon.run("approve", "dep.json").returncode == 0
    daemon.drop(smoke("marker"))
    daemon.result("marker")
    script.write_text("echo ran >> ran.txt; echo twice\n")
    (daemon.root / "go").touch()
    assert daemon.result("holder")["status"] == "ok"
    assert daemon.result("dep")["reason"].endswith(f"is void: {script} was changed since")
    assert runs_made(daemon) == 0


def test_an_expired_approval_blocks_and_says_so(house):
    blocked(house)
    invoke(house, "approve", "dep", "--expires", "2h")
    change_record(house, until="2020-01-01T00:00:00.000Z")
    listed = invoke(house, "approvals").stdout
    assert "expired: it expired at 2020-01-01T00:00:00Z" in listed
    assert once(house)["reason"].endswith("is void: it expired at 2020-01-01T00:00:00Z")
    assert records(house) == []


@pytest.mark.skipif(not clock.boot_id(), reason="this system does not name its boots")
def test_an_approval_lasts_no_longer_when_the_clock_is_set_back_and_its_boot_says_nothing_after_the_next(house):
    blocked(house)
    invoke(house, "approve", "dep", "--expires", "2h")
    change_record(house, boot=f"{clock.boot_id()} 1.0")
    assert "the clock was set back since" in invoke(house, "approvals").stdout
    assert "the clock was set back since" in once(house)["reason"]
    house.run("retry", "dep")
    once(house)
    invoke(house, "approve", "dep", "--expires", "2h")
    change_record(house, boot="another-boot 1.0")
    assert once(house)["status"] == "ok"


def test_an_expired_approval_that_no_task_can_meet_is_removed_at_start_and_told(house):
    blocked(house)
    invoke(house, "approve", "dep")
    change_record(house, until="2020-01-01T00:00:00.000Z")
    os.unlink(f"{house.home.inbox}/dep.json")
    house.run("run", "--once")
    assert records(house) == []
    assert any("expired unused at 2020-01-01T00:00:00Z" in line.get("message", "") for line in house.telemetry())


def test_a_rejected_task_ends_denied_with_who_and_why(house):
    blocked(house)
    assert invoke(house, "reject", "dep").exit_code == 2
    assert invoke(house, "reject", "dep", "--why", "not on a Friday").exit_code == 0
    result = once(house)
    policy = result["policy"]
    assert (result["status"], result["reason"]) == ("denied", f"rejected: not on a Friday (by {policy['rejected_by']})")
    assert (policy["why"], policy["approved_by"]) == ("not on a Friday", None)
    assert "rejected_at" in next(line for line in house.telemetry() if line.get("status") == "denied")
    waited = invoke(house, "wait", "dep")
    assert waited.exit_code == 4
    assert "a person said no" in waited.stdout
    late = invoke(house, "approve", "dep")
    assert late.exit_code == 4
    assert "orchestrator retry dep" in late.stderr
    assert runs_made(house) == 0


def test_what_is_approved_can_still_be_rejected_until_it_begins(house):
    blocked(house)
    invoke(house, "approve", "dep")
    assert invoke(house, "reject", "dep", "--why", "second thoughts").exit_code == 0
    assert once(house)["reason"].startswith("rejected: second thoughts")
    assert runs_made(house) == 0


def test_a_rejection_holds_where_the_environment_approves_everything(house):
    blocked(house)
    invoke(house, "reject", "dep", "--why", "no")
    assert once(house, env={"LOCAL_ALLOW_HIGH": "1"})["status"] == "denied"


def test_the_environment_approves_without_using_up_a_persons_approval(house):
    blocked(house)
    invoke(house, "approve", "dep")
    result = once(house, env={"LOCAL_ALLOW_HIGH": "1"})
    assert (result["status"], result["policy"]["approved_by"]) == ("ok", "LOCAL_ALLOW_HIGH")
    assert len(records(house)) == 1


@pytest.mark.parametrize(
    ("failpoint", "runs", "status", "reason"),
    [
        pytest.param("claim.renamed", 1, "ok", None, marks=pytest.mark.soak),
        ("approval.moved", 0, "blocked", "which a crash ended before its first step"),
        pytest.param(
            "approval.used", 0, "blocked", "which a crash ended before its first step", marks=pytest.mark.soak
        ),
        pytest.param("journal.synced", 0, "interrupted", "the daemon died", marks=pytest.mark.soak),
        ("step.ended", 1, "interrupted", "the daemon died"),
    ],
)
def test_a_daemon_that_is_killed_at_any_point_never_uses_an_approval_twice(house, failpoint, runs, status, reason):
    blocked(house)
    invoke(house, "approve", "dep")
    died = house.run("run", "--once", env={"ORCHESTRATOR_FAILPOINT": failpoint})
    assert died.returncode == -signal.SIGKILL
    result = once(house)
    assert result["status"] == status
    assert reason is None or reason in result["reason"]
    assert runs_made(house) == runs
    if status == "interrupted":
        assert result["policy"]["approved_by"]
    house.run("retry", "dep")
    assert once(house)["status"] == "blocked"
    assert runs_made(house) == runs


def test_a_claim_that_the_disk_ends_gives_the_approval_back(house, tmp_path):
    blocked(house)
    invoke(house, "approve", "dep")
    [given] = approvals.everything(house.home)
    approvals.use(house.home, given, str(tmp_path))
    assert (list(approvals.everything(house.home)), approvals.used_by(str(tmp_path))) == ([], given)
    approvals.give_back(house.home, given, str(tmp_path))
    assert list(approvals.everything(house.home)) == [given]


def test_an_answer_that_was_replaced_meanwhile_is_not_used_and_the_new_one_stays(house, tmp_path):
    blocked(house)
    invoke(house, "approve", "dep")
    [approved] = approvals.everything(house.home)
    invoke(house, "reject", "dep", "--why", "no")
    with pytest.raises(approvals.Withdrawn):
        approvals.use(house.home, approved, str(tmp_path))
    [rejected] = approvals.everything(house.home)
    assert rejected.verdict == "rejected"
    approvals.use(house.home, rejected, str(tmp_path))
    with pytest.raises(approvals.Withdrawn):
        approvals.use(house.home, rejected, str(tmp_path))


def test_of_two_approvals_at_once_one_counts_and_the_task_runs_once(daemon):
    daemon.drop(HIGH)
    daemon.result("dep")
    with ThreadPoolExecutor() as pool:
        codes = sorted(ran.returncode for ran in pool.map(lambda _: daemon.run("approve", "dep"), range(2)))
    assert codes == [0, 2]
    until(lambda: daemon.result("dep")["state"] == "done", "the run")
    assert (runs_made(daemon), records(daemon)) == (1, [])


def test_nothing_lifts_a_deny(house):
    house.drop(smoke("worst", "echo x > state/approvals/worst.json"))
    house.run("run", "--once")
    assert house.result("worst")["status"] == "denied"
    refused = invoke(house, "approve", "worst")
    assert refused.exit_code == 4
    assert "nothing lifts a deny" in refused.stderr
    assert records(house) == []


def test_a_blocked_spec_that_was_edited_into_a_denied_one_cannot_be_approved(house):
    blocked(house)
    denied = smoke("dep", "echo x > policy/x.toml", risk="high")
    (Path(house.home.failed) / "dep.json").write_text(json.dumps(denied))
    assert invoke(house, "approve", "dep").exit_code == 4
    (Path(house.home.failed) / "dep.json").write_text(json.dumps(smoke("dep")))
    allowed = invoke(house, "approve", "dep")
    assert allowed.exit_code == 2
    assert "needs no approval any more" in allowed.stderr


def test_a_task_that_needs_no_approval_and_one_that_does_not_exist_are_said_apart(house):
    house.drop(smoke("fine"))
    blocked(house)
    both = invoke(house, "approve", "fine", "--json")
    assert both.exit_code == 2
    assert json.loads(both.stdout) == [
        {"task": "fine", "approved": False, "error": "fine does not wait for approval: it ended ok"}
    ]
    assert invoke(house, "approve", "nobody").exit_code == 5
    mixed = invoke(house, "approve", "nobody", "dep")
    assert mixed.exit_code == 5
    assert house.names("inbox") == ["dep.json"]
    assert invoke(house, "approve", "dep", "--expires", "soon").exit_code == 2


def test_approvals_tells_what_waits_and_why_and_what_is_given(house):
    assert "nothing waits" in invoke(house, "approvals").stderr
    house.drop(smoke("push", "git push --force origin main"))
    house.drop(smoke("checked", risk="high", acceptance=[{"command": "test -e made"}]))
    blocked(house)
    text = invoke(house, "approvals").stdout
    assert "runs      bash -c 'git push --force origin main'" in text
    assert "runs      bash -c 'test -e made'" in text
    assert "safer: " in text
    assert "orchestrator approve push" in text
    invoke(house, "approve", "dep", "--note", "go")
    machine = json.loads(invoke(house, "approvals", "--json").stdout)
    assert {task["id"] for task in machine["waiting"]} == {"push", "checked"}
    assert all({"age_s", "score", "reasons", "runs"} <= task.keys() for task in machine["waiting"])
    [given] = machine["given"]
    assert (given["state"], given["answer"]["id"], given["answer"]["text"]) == ("unused", "dep", "go")
    (Path(house.home.inbox) / "dep.json").write_text(json.dumps(HIGH | {"title": "Something else"}))
    assert "void: the spec was changed since" in invoke(house, "approvals").stdout


def test_approve_as_json_holds_what_was_approved(house):
    blocked(house)
    [account] = json.loads(invoke(house, "approve", "dep", "--json").stdout)
    assert account["approved"] is True
    assert account["runs"][0]["args"] == ["-c", "echo ran >> ran.txt"]
    assert account["reasons"][0]["rule"] == "risk.high"
    assert account["approved_at"] < account["until"]


def test_a_file_that_waits_under_the_same_name_is_not_overwritten_and_no_approval_is_left(house):
    blocked(house)
    house.drop(smoke("other"), "dep.json")
    house.drop(smoke("dep", risk="high"), "later.json")
    refused = invoke(house, "approve", "dep.json")
    assert refused.exit_code == 2
    assert records(house) == []


def test_two_files_of_one_id_are_approved_apart(house):
    blocked(house)
    other = HIGH | {"title": "The other one"}
    house.drop(other, "other.json")
    house.run("run", "--once")
    assert house.result("other")["status"] == "blocked"
    invoke(house, "approve", "dep.json")
    invoke(house, "approve", "other.json")
    house.run("run", "--once")
    assert (house.result("dep")["status"], house.result("other")["status"]) == ("ok", "ok")


def test_a_step_of_a_task_can_neither_approve_nor_reject(house):
    blocked(house)
    for verb in (["approve", "dep"], ["reject", "dep", "--why", "x"]):
        ran = house.run(*verb, env={"ORCHESTRATOR_MARK": "x:dep/1/0"})
        assert ran.returncode == 4
        assert "only a person" in ran.stderr
    assert records(house) == []


@pytest.mark.parametrize(
    "script",
    [
        "orchestrator approve dep",
        "orchestrator --home . reject dep --why x",
        "python3 -m orchestrator approve dep",
        "cp mine.json state/approvals/",
        "env -u ORCHESTRATOR_MARK orchestrator approve dep",
    ],
)
def test_the_gate_denies_a_task_that_would_answer_for_a_person(house, script):
    house.drop(smoke("sly", script))
    assert once(house, "sly")["status"] == "denied"


def test_completion_offers_the_blocked_tasks_alone(house):
    house.drop(smoke("fine"))
    house.drop(smoke("fails", "exit 1"))
    blocked(house)
    words = {"COMP_WORDS": "orchestrator approve ", "COMP_CWORD": "2", "_ORCHESTRATOR_COMPLETE": "complete_bash"}
    ran = house.run(env=words | {"ORCHESTRATOR_HOME": str(house.root)}, cwd=house.root)
    assert "fails" not in ran.stdout
    assert "dep" in ran.stdout.split()


def test_the_digest_is_of_the_meaning_and_every_meaning_has_its_own():
    plain = Task.model_validate({**HIGH, "skills": ("bash",), "steps": ({"skill": "bash", "args": ("-c", "x")},)})
    spelt_out = plain.model_copy(update={"priority": "medium", "timeout": None})
    assert approvals.digest(plain) == approvals.digest(Task.model_validate(spelt_out.model_dump(by_alias=True)))
    others = ({"timeout": 1000}, {"env": {"A": "b"}}, {"title": "y"}, {"risk": "low"})
    digests = {approvals.digest(plain.model_copy(update=change)) for change in others}
    assert len(digests | {approvals.digest(plain)}) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"until": 9_999_999_999},
        {"id": "other"},
        *(
            pytest.param(change, marks=pytest.mark.soak)
            for change in (
                {"verdict": "agreed"},
                {"files": [1]},
                {"more": "x"},
                {"by": None},
            )
        ),
    ],
)
def test_a_record_that_is_not_as_it_should_be_counts_for_nothing_and_is_told(house, change):
    blocked(house)
    invoke(house, "approve", "dep")
    change_record(house, **change)
    assert once(house)["reason"] == "approval_required"
    assert any("counts for nothing" in line.get("message", "") for line in house.telemetry())


def test_a_copy_of_a_record_is_none(house):
    blocked(house)
    invoke(house, "approve", "dep")
    [record] = records(house)
    record.rename(record.with_name("copy.json"))
    assert once(house)["reason"] == "approval_required"


def test_approve_shows_each_step_with_its_own_environment(house):
    steps = [
        {"skill": "bash", "args": ["-c", "true"], "env": {"MODE": "first"}},
        {"skill": "bash", "args": ["-c", "true"], "env": {"MODE": "second"}},
    ]
    blocked(house, HIGH | {"steps": steps, "env": {"ALL": "both"}})
    lines = [line.strip() for line in invoke(house, "approve", "dep").stdout.splitlines()]
    runs = [at for at, line in enumerate(lines) if line.startswith("runs")]
    assert [lines[at + 2].split()[1] for at in runs] == ["MODE=first", "MODE=second"]
    assert [lines[at + 1].split()[1] for at in runs] == ["ALL=both"] * 2
