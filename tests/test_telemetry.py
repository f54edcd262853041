"""Telemetry on disk: what a line says, and what days, segments, crashes and full disks do to the files."""

import os
import stat

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.event import Notice, StepStarted, TaskFinished
from orchestrator.home import Home
from orchestrator.insights.telemetry import lines_since, telemetry_lines
from orchestrator.outcome import CheckResult, Outcome, StepResult
from orchestrator.sinks import telemetry
from orchestrator.sinks.telemetry import TelemetrySink, line_of

DAY = "2026-03-01"


def outcome(**parts):
    facts = {
        "id": "tsk", "run": 2, "name": "tsk.json", "status": "ok", "reason": None, "title": "Title", "duration_ms": 12.5
    }  # fmt: skip
    return Outcome(**(facts | parts))


def finished(**parts):
    return TaskFinished(outcome=outcome(**parts))


def notice(text="hello"):
    return Notice(level="info", message=text)


def sink_of(home, days=None, **options):
    days = [DAY] if days is None else days
    return TelemetrySink(home.telemetry, today=lambda: days[0], **options)


def messages(home, name):
    with open(f"{home.telemetry}/{name}", "rb") as file:
        return [orjson.loads(line)["message"] for line in file]


def test_a_finished_task_has_the_originals_keys():
    passed = (CheckResult("Printed X", True),)
    steps = (StepResult(0, "bash", ("-c", "true"), "ok", 0), StepResult(1, "bash", (), "failed", 1, optional=True))
    line = orjson.loads(
        line_of(finished(results=steps, acceptance=passed, priority="high", labels={"a": "b"}, policy={"score": 30}))
    )
    original = {key: line[key] for key in ("task", "pass", "warn", "fail", "duration_ms", "meta")}
    assert original == {
        "task": "local_exec",
        "pass": 1,
        "warn": 1,
        "fail": 0,
        "duration_ms": 12.5,
        "meta": {"id": "tsk", "title": "Title", "steps_count": 2, "acceptance_passed": True, "sandbox": "none"},
    }
    ours = {key: line[key] for key in ("event", "id", "name", "run", "status", "reason", "priority", "score", "labels")}
    assert ours == {
        "event": "task_finished", "id": "tsk", "name": "tsk.json", "run": 2, "status": "ok", "reason": None,
        "priority": "high", "score": 30, "labels": {"a": "b"},
    }  # fmt: skip
    assert line["ts"].endswith("Z")


def test_a_task_that_is_not_ok_counts_as_one_fail():
    line = orjson.loads(line_of(finished(status="blocked", reason="approval_required")))
    assert (line["pass"], line["fail"], line["status"], line["reason"]) == (0, 1, "blocked", "approval_required")


def test_what_a_step_printed_is_not_in_telemetry():
    steps = (StepResult(0, "bash", (), "ok", 0, stdout="a secret", stderr="another secret"),)
    assert b"secret" not in line_of(finished(results=steps))


def test_the_arguments_of_a_step_are_written_up_to_a_limit_in_all():
    line = orjson.loads(line_of(StepStarted(id="a", run=1, step=0, skill="bash", args=("-c", "x" * 3_000, "y" * 9))))
    assert line["args"] == ["-c", "x" * 2_046 + "…"]
    short = StepStarted(id="a", run=1, step=0, skill="bash", args=("-c", "echo ok"))
    assert orjson.loads(line_of(short))["args"] == ["-c", "echo ok"]


@pytest.mark.parametrize("odd", ["caf\udce9.json", 2**80, {1: "x"}])
def test_what_no_encoder_takes_costs_a_detail_and_not_the_line(odd):
    event = Notice(level="info", message="odd", details={"odd": odd})
    assert orjson.loads(line_of(event))["message"] == "odd"


def test_files_are_private_and_named_after_the_day(home):
    sink = sink_of(home)
    sink.write([notice()])
    sink.close()
    assert os.listdir(home.telemetry) == [f"{DAY}.ndjson"]
    assert stat.S_IMODE(os.stat(f"{home.telemetry}/{DAY}.ndjson").st_mode) == 0o600


def test_a_new_day_begins_a_new_file(home):
    days = [DAY]
    sink = sink_of(home, days)
    sink.write([notice("first")])
    days[0] = "2026-03-02"
    sink.write([notice("second")])
    assert messages(home, f"{DAY}.ndjson") == ["first"]
    assert messages(home, "2026-03-02.ndjson") == ["second"]


def test_a_full_segment_is_followed_by_the_next_and_a_restart_goes_on_with_the_last(home):
    long = "x" * 300
    sink = sink_of(home, segment_bytes=1_000)
    for _ in range(5):
        sink.write([notice(long)])
    sink.close()
    sink = sink_of(home, segment_bytes=1_000)
    sink.write([notice("after")])
    sink.close()
    sizes = {name: os.path.getsize(f"{home.telemetry}/{name}") for name in os.listdir(home.telemetry)}
    assert sorted(sizes) == [f"{DAY}.2.ndjson", f"{DAY}.3.ndjson", f"{DAY}.ndjson"]
    assert max(sizes.values()) <= 1_000
    assert messages(home, f"{DAY}.3.ndjson") == [long, "after"]


def test_the_tenth_segment_comes_after_the_ninth(home):
    for segment in range(1, 12):
        name = f"{DAY}.ndjson" if segment == 1 else f"{DAY}.{segment}.ndjson"
        with open(f"{home.telemetry}/{name}", "w") as file:
            file.write(f"{segment}\n")
    assert telemetry_lines(home, 3) == [b"9", b"10", b"11"]
    sink = sink_of(home)
    sink.write([notice("last")])
    assert orjson.loads(telemetry_lines(home, 1)[0])["message"] == "last"


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(min_value=1, max_value=300), after=st.integers(min_value=1, max_value=3))
def test_a_torn_last_line_costs_itself_alone(tmp_path_factory, cut, after):
    home = Home(str(tmp_path_factory.mktemp("home")))
    sink = sink_of(home)
    sink.write([notice(f"whole {n}") for n in range(3)])
    sink.close()
    path = f"{home.telemetry}/{DAY}.ndjson"
    os.truncate(path, max(0, os.path.getsize(path) - cut))
    with open(path, "rb") as file:
        before = file.read()
    sink = sink_of(home)
    sink.write([notice(f"after {n}") for n in range(after)])
    sink.close()
    with open(path, "rb") as file:
        whole = file.read()
    assert whole.startswith(before)
    readable = []
    for line in lines_since(home, DAY):
        try:
            readable.append(orjson.loads(line)["message"])
        except orjson.JSONDecodeError:
            assert line.rstrip(b"\n") in before
    assert readable[-after:] == [f"after {n}" for n in range(after)]
    assert len(readable) >= before.count(b"\n") + after


def test_a_write_that_the_disk_cuts_short_is_finished_by_the_next_one(home, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    sink = sink_of(home)
    sink.write([notice("one"), notice("two")])
    assert messages(home, f"{DAY}.ndjson") == ["one", "two"]


def test_after_a_disk_error_the_torn_line_is_closed_and_writing_goes_on(home, monkeypatch):
    real = os.write
    calls = []

    def full(fd, data):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(fd, data[:10])

    sink = sink_of(home)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            sink.write([notice("lost")])
    sink.write([notice("kept")])
    torn, kept = telemetry_lines(home, 5)
    assert len(torn) == 10
    assert orjson.loads(kept)["message"] == "kept"


def test_a_file_that_was_moved_away_is_begun_anew(home):
    sink = sink_of(home)
    sink.write([notice("shipped")])
    os.rename(f"{home.telemetry}/{DAY}.ndjson", f"{home.telemetry}/shipped.old")
    sink.write([notice("next")])
    assert messages(home, f"{DAY}.ndjson") == ["next"]


def test_one_batch_is_one_write(home, monkeypatch):
    sink = sink_of(home)
    sink.write([notice("opens")])
    real, sizes = os.write, []
    monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or real(fd, data))
    sink.write([notice(str(n)) for n in range(100)])
    assert len(sizes) == 1


def test_the_day_is_utc(monkeypatch):
    monkeypatch.setattr(telemetry.time, "gmtime", lambda: (2026, 1, 31, 23, 59, 59, 5, 31, 0))
    assert telemetry.utc_day() == "2026-01-31"


@settings(deadline=None, max_examples=50)
@given(lines=st.lists(st.integers(0, 200_000), max_size=6), n=st.integers(0, 8))
def test_the_last_lines_are_read_from_the_end_whatever_their_length(tmp_path_factory, lines, n):
    home = Home(str(tmp_path_factory.mktemp("home")))
    home.prepare()
    written = [b"%d:" % number + b"x" * length for number, length in enumerate(lines)]
    half = len(written) // 2
    for name, part in ((f"{DAY}.ndjson", written[:half]), (f"{DAY}.2.ndjson", written[half:])):
        with open(f"{home.telemetry}/{name}", "wb") as file:
            file.write(b"".join(line + b"\n" for line in part))
    assert telemetry_lines(home, n) == (written[-n:] if n else [])


def test_a_line_still_being_written_is_not_among_the_last(home):
    with open(f"{home.telemetry}/{DAY}.ndjson", "wb") as file:
        file.write(b'{}\n{"half')
    assert telemetry_lines(home, 2) == [b"{}"]


def test_without_telemetry_there_are_no_lines(tmp_path):
    assert telemetry_lines(Home(str(tmp_path)), 3) == []
