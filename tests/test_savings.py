"""What code tasks have come to: shares, tokens, verdicts. Telemetry is written here as the daemon writes it."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from orchestrator import verdicts
from orchestrator.cli.app import app
from orchestrator.coding.report import CodeAttempt, CodeReport, DiffStats, GateResult, Tokens
from orchestrator.event import CodeVerdict, utc_now
from orchestrator.home import Home
from orchestrator.insights.code_runs import code_tasks
from orchestrator.insights.savings import savings
from orchestrator.insights.telemetry import lines_since, lines_with
from orchestrator.insights.token_ledger import Range, tokens
from orchestrator.outcome import StepResult

DAY = "2026-03-02"
NOW = 1_772_496_000.0  # 2026-03-03T00:00:00Z
COUNTED = Tokens(900, 100, "measured")


def attempt(failed_at=None, *, model="small", number=1, tokens=COUNTED):
    return CodeAttempt(number=number, model=model, failed_at=failed_at, tokens=tokens)


def report(*attempts, **fields):
    """A report whose end follows from its attempts, unless said otherwise."""
    passed = bool(attempts) and attempts[-1].failed_at is None
    known = {
        "status": "success" if passed else "failed",
        "file": "src/a.py",
        "error": None if passed else "it did not pass",
        "escalate": None if passed else "too hard",
        "model": attempts[-1].model if passed else None,
        "first_pass": passed and len(attempts) == 1,
        "attempts": attempts,
        "gates": {"syntax": "passed"},
        "lines": 10,
        "diff": DiffStats(added=10, bytes=400),
        "spec_bytes": 150,
        "file_bytes": 300,
    }
    return CodeReport(**known | fields)


PASSED = report(attempt())
MENDED = report(attempt("test"), attempt(number=2), tested=True, rolled_back=1)
HOPELESS = report(attempt("syntax"), attempt("syntax", number=2))
OFFLINE = report(attempt("model", tokens=Tokens()), escalate=None)
UNASKED = report()


class Past:
    """A home whose telemetry tells of code tasks."""

    def __init__(self, root):
        self.home = Home(str(root))
        os.makedirs(self.home.telemetry, exist_ok=True)

    def finished(self, task_id, of, *, run=1, step=0, ts=f"{DAY}T12:00:00.000Z"):
        line = {"id": task_id, "run": run, "step": step, **asdict(of), "event": "code_finished", "ts": ts}
        self.write(orjson.dumps(line), ts[:10])

    def write(self, line, day=DAY):
        with open(f"{self.home.telemetry}/{day}.ndjson", "ab") as file:
            file.write(line + b"\n")

    def said(self, task_id, verdict, run=1):
        given = CodeVerdict(id=task_id, run=run, verdict=verdict, note="", by="anna@host", via="a terminal")
        verdicts.give(self.home, given)

    def figures(self):
        return savings(self.home, now=NOW).figures


@pytest.fixture
def past(tmp_path):
    return Past(tmp_path)


def test_only_what_a_reviewer_accepted_counts_as_delegated_and_the_rest_is_said_to_be_open(past):
    for number in range(4):
        past.finished(f"t{number}", PASSED, ts=f"{DAY}T12:00:0{9 - number}.000Z")
    assert savings(past.home, now=NOW).unreviewed == ["t3", "t2", "t1", "t0"]
    past.said("t0", "accepted")
    past.said("t1", "revise")
    found = past.figures()["delegated"]
    assert (found.low, found.high, found.count, found.of, found.tag) == (1 / 4, 3 / 4, 1, 4, "estimated")
    past.said("t2", "accepted")
    past.said("t3", "revise")
    found = past.figures()["delegated"]
    assert (found.value, found.low, found.high, found.tag) == (None, 2 / 4, 2 / 4, "estimated")
    assert "not seen" in found.note


def test_the_first_pass_gate_is_of_answered_tasks_and_split_by_what_had_checked_the_answer(past):
    past.finished("tested", report(attempt(), tested=True))
    past.finished("parsed", PASSED)
    past.finished("unchecked", report(attempt(), gates={"syntax": "not_checked"}))
    past.finished("mended", MENDED)
    past.finished("hopeless", HOPELESS)
    past.finished("offline", OFFLINE)
    past.finished("unasked", UNASKED)
    no_test = replace(attempt("test"), gates=(GateResult("test", "not_checked", "the gate does not let it start"),))
    past.finished("untested", report(no_test))
    found = past.figures()
    assert (found["first_pass_gate"].count, found["first_pass_gate"].of) == (3, 5)
    parts = [found[f"first_pass_{part}"] for part in ("tests", "syntax", "nothing")]
    assert [part.value for part in parts] == [1 / 5, 1 / 5, 1 / 5]
    assert {part.tag for part in parts} == {"measured"}


def test_what_the_infrastructure_did_is_kept_apart_from_what_models_did(past):
    past.finished("offline", OFFLINE)
    past.finished("cut", report(attempt("syntax"), attempt("model", number=2, tokens=Tokens()), escalate=None))
    found = past.figures()
    assert (found["infrastructure"].count, found["escalated"].count) == (2, 0)
    assert (found["first_pass_gate"].tag, found["first_pass_gate"].of) == ("unknown", 0)
    assert found["retry_success"].of == 0


def test_a_task_is_counted_once_and_speaks_by_its_latest_run_that_a_model_ended(past):
    past.finished("t", OFFLINE)
    past.finished("t", HOPELESS, run=2)
    past.finished("t", PASSED, run=3)
    past.finished("t", OFFLINE, run=4)
    past.said("t", "accepted", run=3)
    found = savings(past.home, now=NOW)
    assert (found.tasks, found.runs) == (1, 4)
    assert (found.figures["delegated"].count, found.figures["escalated"].count) == (1, 0)
    assert (found.figures["first_pass_gate"].count, found.figures["first_pass_gate"].of) == (0, 1)
    assert found.figures["first_pass_accepted"].count == 0


def test_a_report_that_is_told_again_after_a_crash_counts_once_and_one_of_a_next_attempt_for_itself(past):
    past.finished("t", report(attempt(), duration_ms=5.0))
    past.finished("t", report(attempt(), duration_ms=5.0), ts=f"{DAY}T12:00:01.000Z")
    assert savings(past.home, now=NOW).runs == 1
    past.finished("t", report(attempt(), duration_ms=6.0))
    assert savings(past.home, now=NOW).runs == 2


def test_a_retry_succeeds_where_a_later_answer_passed(past):
    past.finished("mended", MENDED)
    past.finished("hopeless", HOPELESS)
    past.finished("easy", PASSED)
    found = past.figures()
    assert (found["retry_success"].count, found["retry_success"].of) == (1, 2)
    assert found["rolled_back"].value == 1


def test_escalations_say_of_how_many_no_model_is_to_blame(past):
    past.finished("hopeless", HOPELESS)
    past.finished("unasked", UNASKED)
    found = past.figures()["escalated"]
    assert (found.count, found.of, found.note) == (2, 2, "1 of them without an answer of a model")


def test_the_first_answer_is_accepted_only_where_it_was_the_last_as_well(past):
    past.finished("first", PASSED)
    past.finished("mended", MENDED)
    past.finished("again", PASSED)
    past.finished("again", PASSED, run=2)
    for task_id, run in (("first", 1), ("mended", 1), ("again", 2)):
        past.said(task_id, "accepted", run)
    found = past.figures()["first_pass_accepted"]
    assert (found.count, found.of, found.value, found.tag) == (1, 3, 1 / 3, "measured")


def test_local_tokens_are_as_sure_as_the_least_sure_answer(past):
    past.finished("a", PASSED)
    assert (past.figures()["prompt_tokens"].value, past.figures()["prompt_tokens"].tag) == (900, "measured")
    past.finished("b", report(attempt(tokens=Tokens(50, 5, "estimated"))))
    found = past.figures()
    assert (found["prompt_tokens"].value, found["completion_tokens"].value) == (950, 105)
    assert found["prompt_tokens"].tag == "estimated"
    assert "1 answers were not counted" in found["prompt_tokens"].note


def test_tokens_that_nobody_counted_are_unknown_and_not_none(past):
    past.finished("a", report(attempt(tokens=Tokens())))
    found = past.figures()["prompt_tokens"]
    assert (found.tag, found.value) == ("unknown", None)


def test_the_net_charges_every_run_and_credits_only_what_was_accepted(past):
    past.finished("good", PASSED)
    past.said("good", "accepted")
    one = past.figures()
    assert (one["written"].low, one["written"].high) == (300 / 5, 300 / 3)
    assert (one["spent_on_specs"].low, one["spent_on_specs"].high) == (150 / 5, 150 / 3)
    assert (one["spent_on_review"].low, one["spent_on_review"].high) == (300 / 5, 300 / 3)
    past.finished("bad", HOPELESS)
    both = past.figures()
    assert (both["written"].low, both["written"].high) == (one["written"].low, one["written"].high)
    assert both["spent_on_specs"].high == 2 * one["spent_on_specs"].high
    assert both["spent_on_review"].high == one["spent_on_review"].high
    assert both["net"].high < one["net"].high
    assert both["net"].low < one["net"].low


def test_what_nobody_reviewed_is_worth_something_only_in_the_higher_bound(past):
    past.finished("open", PASSED)
    assert (past.figures()["written"].low, past.figures()["written"].high) == (0, 100)
    past.said("open", "revise")
    assert (past.figures()["written"].low, past.figures()["written"].high) == (0, 0)
    past.finished("open", PASSED, run=2)
    assert past.figures()["written"].high == 100


def test_of_two_runs_that_nobody_reviewed_only_the_later_file_may_be_worth_something(past):
    past.finished("open", PASSED)
    past.finished("open", PASSED, run=2)
    assert past.figures()["written"].high == 100


def test_what_is_read_of_a_result_is_three_fields_at_least_and_the_whole_report_at_most(past):
    past.finished("t", PASSED)
    (line,) = Path(past.home.telemetry, f"{DAY}.ndjson").read_bytes().splitlines()
    found = past.figures()["spent_on_results"]
    told = b'{"status":"success","file":"src/a.py","error":null}'
    assert (found.low, found.high) == (round(len(told) / 5), round(len(line) / 3))


def test_a_model_that_gave_no_answer_says_nothing_about_the_first_answer(past):
    past.finished("next", report(attempt("model", tokens=Tokens()), attempt(model="large", number=2)))
    past.finished("large", report(attempt("context", tokens=Tokens())))
    found = savings(past.home, now=NOW)
    assert (found.figures["first_pass_gate"].count, found.figures["first_pass_gate"].of) == (1, 1)
    assert found.figures["retry_success"].of == 0
    small = found.models["small"]
    assert (small.asked, small.answered, small.first, small.tokens) == (2, 0, 0, "unknown")
    assert found.figures["prompt_tokens"].tag == "measured"


def test_a_file_that_was_changed_is_worth_a_diff_at_least_and_the_whole_file_at_most(past):
    past.finished("t", report(attempt(), diff=DiffStats(added=1, removed=1, bytes=90), file_bytes=3000))
    past.said("t", "accepted")
    assert (past.figures()["written"].low, past.figures()["written"].high) == (90 / 5, 3000 / 3)


@given(
    sizes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=2),
    per_token=st.lists(st.floats(3, 5), min_size=2, max_size=2),
)
def test_a_difference_of_ranges_holds_whatever_each_text_has_to_a_token(sizes, per_token):
    (worth, _), (cost, _) = sizes
    net = tokens(worth, worth) - tokens(cost, cost)
    true = worth / per_token[0] - cost / per_token[1]
    assert net.low - 1e-6 <= true <= net.high + 1e-6


def test_models_kinds_and_days_are_told_apart(past):
    past.finished("a", report(attempt("test"), attempt("test", number=2), attempt(model="large", number=3)))
    past.finished("b", report(attempt(model="large"), kind="test"), ts=f"{DAY}T23:59:59.999Z")
    past.finished("c", PASSED, ts="2026-03-01T00:00:00.000Z")
    past.said("a", "accepted")
    found = savings(past.home, now=NOW)
    small, large = found.models["small"], found.models["large"]
    assert (small.asked, small.first, small.first_pass, small.passed, small.accepted) == (3, 2, 1, 1, 0)
    assert (large.asked, large.first, large.first_pass, large.passed, large.accepted) == (2, 1, 1, 2, 1)
    assert (small.prompt_tokens, large.prompt_tokens) == (2700, 1800)
    assert {kind: group.tasks for kind, group in found.kinds.items()} == {"code": 2, "test": 1}
    assert {day: group.tasks for day, group in found.by_day.items()} == {"2026-03-01": 1, DAY: 2}
    for groups in (found.kinds, found.by_day, found.models):
        net = sum((group.net for group in groups.values()), Range())
        assert (round(net.low), round(net.high)) == (found.figures["net"].low, found.figures["net"].high)


def test_only_the_window_counts_and_torn_lines_are_counted_apart(past):
    past.finished("old", PASSED, ts="2026-02-24T00:00:00.000Z")
    past.finished("edge", PASSED, ts="2026-02-24T00:00:00.000Z")
    past.finished("new", PASSED)
    past.write(b'{"event":"code_finished","id":"torn","run":')
    past.write(orjson.dumps({"event": "task_finished", "title": 'says "code_finished"'}))
    past.write(orjson.dumps({"event": "code_finished", "id": "keyless"}))
    tasks, torn = code_tasks(past.home, "2026-02-24T00:00:00.001Z")
    assert ([task.last.id for task in tasks], torn) == (["new"], 2)
    assert savings(past.home, 8, now=NOW).tasks == 3


def test_of_no_code_task_every_figure_that_needs_one_is_unknown(tmp_path):
    found = savings(Home(str(tmp_path)), now=NOW)
    assert (found.tasks, found.models, found.torn) == (0, {}, 0)
    assert {figure.tag for name, figure in found.figures.items() if name != "rolled_back"} == {"unknown"}


@given(lines=st.lists(st.sampled_from([b"", b"mark", b"x", b"xmarkx", b"mar", b"k", b"y" * 40, b"markmark"])))
def test_marked_lines_are_found_wherever_the_blocks_end(tmp_path_factory, lines):
    home = Home(str(tmp_path_factory.mktemp("home")))
    os.makedirs(home.telemetry)
    Path(home.telemetry, f"{DAY}.ndjson").write_bytes(b"\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.insights.telemetry._LARGE_BLOCK", 32)
        found = list(lines_with(home, DAY, b"mark"))
    assert found == [line.rstrip(b"\n") for line in lines_since(home, DAY) if b"mark" in line]


# ── verdicts ───────────────────────────────────────────────────────────────────────────────────────


def test_a_later_verdict_replaces_an_earlier_one_and_a_torn_line_costs_only_itself(past):
    past.said("t", "revise")
    (file,) = Path(past.home.verdicts).iterdir()
    with file.open("ab") as torn:
        torn.write(b'{"id":"t","run":1,"verd')
    past.said("t", "accepted")
    past.said("t", "revise", run=2)
    found, torn = verdicts.latest(past.home)
    assert {key: verdict.verdict for key, verdict in found.items()} == {("t", 1): "accepted", ("t", 2): "revise"}
    assert torn == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_no_verdict_is_counted_and_does_not_count(past):
    past.said("t", "accepted")
    (file,) = Path(past.home.verdicts).iterdir()
    good = json.loads(file.read_text())
    bad = [good | {"verdict": "perfect"}, good | {"run": "1"}, good | {"note": None}, good | {"extra": 1}, [], {}]
    file.write_text("".join(json.dumps(line) + "\n" for line in bad))
    assert verdicts.latest(past.home) == ({}, len(bad))


def test_verdicts_of_earlier_months_are_not_even_read(past):
    os.makedirs(past.home.verdicts)
    Path(past.home.verdicts, "2026-01.ndjson").write_text("torn\n")
    assert verdicts.latest(past.home, "2026-02-01") == ({}, 0)
    assert verdicts.latest(past.home, "2026-01-31") == ({}, 1)


# ── the command line ───────────────────────────────────────────────────────────────────────────────


def invoke(house, *args, **options):
    return CliRunner().invoke(app, ["--home", str(house.root), *args], **options)


def ran(house, task_id, *reports, run=1):
    """The folder of a run as it is left, with what its steps reported."""
    folder = Path(house.home.runs, task_id, str(run))
    folder.mkdir(parents=True)
    plain = asdict(StepResult(0, "local_model", (), "ok", 0))
    result = {
        "id": task_id,
        "name": f"{task_id}.json",
        "status": "ok",
        "results": [plain | {"report": asdict(one)} for one in reports] or [plain],
        "finished_at": utc_now(),
    }
    (folder / "result.json").write_bytes(orjson.dumps(result))


def test_a_reviewer_speaks_about_the_latest_run_and_savings_show_it(house):
    past = Past(house.root)
    for task_id in ("T-1", "T-2"):
        ran(house, task_id, PASSED)
        past.finished(task_id, PASSED, ts=utc_now())
    ran(house, "T-1", PASSED, run=2)
    past.finished("T-1", PASSED, run=2, ts=utc_now())
    accepted = invoke(house, "accept", "T-1", "--note", "as I would")
    assert (accepted.exit_code, accepted.stdout) == (0, "T-1 run 2, src/a.py: accepted (as I would)\n")
    revised = invoke(house, "revise", "T-2", "--note", "no tabs", "--json")
    assert json.loads(revised.stdout)[0]["verdict"] == "revise"
    given, _ = verdicts.latest(house.home)
    assert {key: (one.verdict, one.note) for key, one in given.items()} == {
        ("T-1", 2): ("accepted", "as I would"),
        ("T-2", 1): ("revise", "no tabs"),
    }
    assert "  review    accepted by " in (shown := invoke(house, "show", "T-1").stdout), shown
    assert "accepted by" not in invoke(house, "show", "T-1", "--run", "1").stdout
    assert "not reviewed" not in (shown := invoke(house, "savings")).stdout
    assert "The last 7 days: 2 code tasks in 3 runs" in shown.stdout
    assert "more was spent than saved" in shown.stdout
    assert any(line.startswith("delegated and accepted") and "50%" in line for line in shown.stdout.splitlines())
    figures = json.loads(invoke(house, "savings", "--json").stdout)["figures"]
    assert figures["sent_back"]["count"] == 1
    assert {figure["tag"] for figure in figures.values()} <= {"measured", "estimated", "unknown"}


def test_there_is_no_verdict_about_what_made_no_file(house):
    ran(house, "plain")
    ran(house, "hopeless", HOPELESS)
    Path(house.home.runs, "busy", "1").mkdir(parents=True)
    done = invoke(house, "accept", "nobody", "plain", "hopeless", "busy", "--json")
    said = {account["task"]: account["error"] for account in json.loads(done.stdout)}
    assert done.exit_code == 5
    assert "no such task" in said["nobody"]
    assert "no code task" in said["plain"]
    assert "it did not pass" in said["hopeless"]
    assert "is not over" in said["busy"]
    assert invoke(house, "revise", "plain", "--note", " ").exit_code == 2
    assert verdicts.latest(house.home) == ({}, 0)


def test_no_task_reviews_what_tasks_have_made(house):
    ran(house, "T-1", PASSED)
    done = invoke(house, "accept", "T-1", env={"ORCHESTRATOR_MARK": "x:y:1"})
    assert (done.exit_code, "step of a task" in done.stderr) == (4, True)
    assert verdicts.latest(house.home) == ({}, 0)


def test_savings_of_an_empty_home_say_so(house):
    done = invoke(house, "savings", "--days", "30")
    assert (done.exit_code, done.stdout) == (0, "The last 30 days: no code task ended\n")


def test_what_a_real_server_was_asked_is_counted_as_it_was_whatever_crashed(house, llama):
    config = f'[models.default]\nbase_url = "{llama.base_url}"\nmax_tokens = 512\n'
    Path(house.home.config, "local.toml").write_text(config + '[models.dead]\nbase_url = "http://127.0.0.1:9/v1"\n')
    adds = """python3 -B -c 'from src.fixed import add; assert add(2, 3) == 5'"""
    for task_id, keyword, more in (
        ("good", "T-GOOD", {"models": ["dead", "default"]}),
        ("fixed", "T-ADD", {"test_command": adds}),
        ("prose", "T-PROSE", {}),
        ("alone", "T-GOOD", {"models": ["dead"]}),
    ):
        description = f"Create utility function {keyword}"
        task = {"task_id": task_id, "description": description, "output_file": f"src/{task_id}.py", **more}
        house.drop(task, f"{task_id}.json")
    died = house.run("run", "--once", env={"ORCHESTRATOR_FAILPOINT": "spec.renamed:1"})
    assert (died.returncode, [line for line in house.telemetry() if line["event"] == "code_finished"]) == (-9, [])
    house.run("run", "--once")
    assert len([line for line in house.telemetry() if line["event"] == "code_finished"]) == 4
    assert invoke(house, "accept", "fixed", "good").exit_code == 0
    assert invoke(house, "accept", "prose", "alone").exit_code == 2
    found = savings(house.home)
    counts = {name: (figure.count, figure.of) for name, figure in found.figures.items() if figure.of is not None}
    assert counts == {
        "delegated": (2, 4),
        "first_pass_gate": (1, 3),
        "first_pass_tests": (0, 3),
        "first_pass_syntax": (1, 3),
        "first_pass_nothing": (0, 3),
        "first_pass_accepted": (1, 3),
        "retry_success": (1, 2),
        "sent_back": (0, 4),
        "escalated": (1, 4),
        "infrastructure": (1, 4),
    }
    assert found.figures["rolled_back"].value == 1
    assert found.figures["prompt_tokens"].tag == "measured"
    assert found.figures["written"].low > 0
    default, dead = found.models["default"], found.models["dead"]
    assert (default.answered, default.first_pass, default.passed, default.accepted) == (5, 1, 2, 2)
    assert (dead.asked, dead.answered) == (2, 0)
