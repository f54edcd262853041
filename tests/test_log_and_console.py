"""What people read: the log on stderr, notifications, and the lines of `run --once`."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading

import pytest
import structlog

from orchestrator.bus import Bus
from orchestrator.event import DaemonStarted, DaemonStopped, Notice, StepStarted, TaskFinished, TaskStarted
from orchestrator.home import Home
from orchestrator.outcome import CheckResult, Outcome, StepResult
from orchestrator.settings import Settings
from orchestrator.sinks import make_sinks
from orchestrator.sinks.console import ConsoleSink
from orchestrator.sinks.log import LogSink, configure_logging, libraries_told_to
from orchestrator.sinks.notify import NotifySink
from orchestrator.sinks.wording import call_line
from orchestrator.spec import Notify


def finished(status="ok", reason=None, notify=None, **parts):
    facts = {"id": "tsk", "run": 1, "name": "tsk.json", "title": "Title", "duration_ms": 1_234.0}
    return TaskFinished(outcome=Outcome(status=status, reason=reason, **(facts | parts)), notify=notify)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["bash", "-c", "echo hi"], "bash -c 'echo hi'"),
        (["echo", "it's"], 'echo "it\'s"'),
        (["awk", "BEGIN { print '\"$1' }"], "awk $'BEGIN { print \\'\"$1\\' }'"),
        (["bash", "-c", "a\n\tb\\n\x1b['"], "bash -c $'a\\n\\tb\\\\n\\x1b[\\''"),
        (["x", "", "ü!", "*"], "x '' 'ü!' '*'"),
    ],
)
def test_a_call_is_shown_on_one_line_that_bash_reads_back_as_it_was(words, line):
    assert call_line(words) == line
    read_back = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    assert read_back.decode().split("\0")[:-1] == words


@pytest.fixture(autouse=True)
def _logging_as_before():
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def logged(events, format="console", level="info", sink=None):
    stream = io.StringIO()
    configure_logging(format, level, stream)
    (sink or LogSink()).write(events)
    return stream.getvalue().splitlines()


def printed(event, **options):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=options.pop("encoding", "utf-8"))
    ConsoleSink(stream, **options).write([event])
    stream.seek(0)
    return stream.read().splitlines()


# ── the console ────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_ended_ok_is_told_as_the_original_did():
    assert printed(finished(name="tsk_smoke.json")) == ["✅ tsk_smoke.json: OK"]


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        ("blocked", "approval_required", "❌ tsk.json: BLOCKED - approval_required"),
        ("failed", "step_failed: step 0 (bash) exited with 3", "❌ tsk.json: FAILED - step 0 (bash) exited with 3"),
        ("timed_out", "step_timeout: step 1 (git) ran into its timeout", "❌ tsk.json: TIMED_OUT - step 1 (git) ran into its timeout"),  # noqa: E501
        ("cancelled", "cancelled: on request", "❌ tsk.json: CANCELLED - on request"),
        ("interrupted", None, "❌ tsk.json: INTERRUPTED"),
    ],
)  # fmt: skip
def test_a_task_that_did_not_is_told_with_its_reason(status, reason, line):
    assert printed(finished(status, reason)) == [line]


def test_a_refused_file_is_told_with_its_first_problem_and_the_line():
    problems = ({"line": 3, "message": "unknown key 'stpes'"}, {"line": 9, "message": "no id"})
    line = "❌ tsk.json: INVALID - line 3: unknown key 'stpes' (and 1 more)"
    assert printed(finished("invalid", "invalid: 2 problems", errors=problems)) == [line]


def test_warnings_are_counted_behind_ok():
    assert printed(finished(acceptance=(CheckResult("Be nice", None),))) == ["✅ tsk.json: OK - 1 warning"]


def test_verbose_tells_each_call_as_it_could_be_typed_and_each_check():
    steps = (
        StepResult(0, "bash", ("-c", "echo ok"), "ok", 0, duration_ms=12.4),
        StepResult(1, "git", ("push",), "failed", -9, duration_ms=3_400, optional=True),
    )
    checks = (CheckResult("Printed ok", True), CheckResult("Be nice", None, "no rule understands this"))
    assert printed(finished(results=steps, acceptance=checks), verbose=True) == [
        "   bash -c 'echo ok' → exited with 0 (12 ms)",
        "   git push → was killed by signal 9 (3.4 s), optional",
        "   ✓ Printed ok",
        "   ? Be nice: no rule understands this",
        "✅ tsk.json: OK - 2 warnings",
    ]


def test_a_name_can_neither_begin_a_line_nor_steer_the_terminal():
    assert printed(finished(name="a\n✅ b\x1b[2J\u202e.json")) == ["✅ a\\n✅ b\\x1b[2J\\u202e.json: OK"]


def test_a_stream_that_is_not_utf8_gets_escapes():
    assert printed(finished(), encoding="ascii") == ["\\u2705 tsk.json: OK"]


# ── the log ────────────────────────────────────────────────────────────────────────────────────────


def test_a_tasks_way_is_logged_with_its_duration():
    lines = logged([TaskStarted(id="tsk", name="tsk.json", run=1, title="T", priority="low", waited_ms=0), finished()])
    assert lines[0].endswith("[info] tsk.json: started id=tsk run=1")
    assert lines[1].endswith("[info] tsk.json: OK after 1.2 s id=tsk run=1")
    assert "\x1b" not in "".join(lines)


def test_a_blocked_task_is_logged_with_what_to_do():
    (line,) = logged([finished("blocked", "approval_required")])
    assert "[warning] tsk.json: BLOCKED - approval_required" in line
    assert "`orchestrator approve` lets it run once" in line


def test_json_lines_are_one_object_each():
    notice = Notice(level="error", message="disk full", details={"event": "x", "path": "/a\nb"})
    lines = [json.loads(line) for line in logged([finished(), notice], "json")]
    assert lines[0]["event"] == "tsk.json: OK after 1.2 s"
    assert (lines[1]["level"], lines[1]["event"], lines[1]["details"]["path"]) == ("error", "disk full", "/a\nb")
    assert lines[1]["timestamp"].endswith("Z")


def test_below_the_level_nothing_is_logged():
    step = StepStarted(id="tsk", run=1, step=0, skill="bash", args=())
    assert logged([step, finished()], level="warning") == []
    assert len(logged([step, finished()], level="debug")) == 2


def test_a_message_with_a_line_break_stays_one_line():
    assert len(logged([Notice(level="info", message="a\n[error] forged")])) == 1


def test_a_stop_with_dropped_events_is_a_warning():
    assert "[warning]" in logged([DaemonStopped(reason="SIGTERM", dropped={"log": 3})])[0]
    assert "[info]" in logged([DaemonStopped(reason="SIGTERM")])[0]


def test_what_libraries_log_has_the_same_shape():
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    logging.getLogger("asyncio").warning("slow %s", "callback")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"]) == ("slow callback", "warning")


_UNDER_A_STREAM = """
import os, sys
if len(sys.argv) > 1:
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}" if sys.argv[1] == "real" else "1:2"
from orchestrator.event import Notice
from orchestrator.sinks.log import LogSink, configure_logging
configure_logging()
LogSink().write([Notice(level="info", message="hello"), Notice(level="error", message="ouch")])
import structlog
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("boom")
"""


def test_under_journald_each_line_has_a_priority_and_no_time():
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_A_STREAM, "real"], capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stderr.splitlines()
    assert lines[:2] == ["<6>[info] hello", "<3>[error] ouch"]
    assert all(line.startswith("<3>") for line in lines[1:])


def test_a_journal_variable_inherited_by_a_redirected_process_means_nothing():
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_A_STREAM, "stale"], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stderr.splitlines()[0])["event"] == "hello"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_alone(no_color, coloured):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
    environment.pop("JOURNAL_STREAM", None)
    subprocess.run([sys.executable, "-c", _UNDER_A_STREAM], stderr=theirs, env=environment, timeout=60, check=True)
    said = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)
    assert "hello" in said
    assert ("\x1b[" in said) == coloured


# ── notifications and the set of sinks ─────────────────────────────────────────────────────────────


def test_a_wish_to_be_notified_lands_in_the_log_with_its_level_and_channels(home):
    wish = Notify(channels=("ops",), level="warn")
    (line,) = logged([finished(notify=wish), finished()], "json", sink=NotifySink(home, Settings()))
    line = json.loads(line)
    assert (line["level"], line["event"], line["channels"]) == ("warning", "notify: Title: OK", ["ops"])


def test_a_wish_for_other_endings_is_silent(home):
    sink = NotifySink(home, Settings())
    assert logged([finished(notify=Notify(on=("failed",)))], sink=sink) == []
    assert len(logged([finished("failed", notify=Notify(on=("failed",)))], sink=sink)) == 1
    assert len(logged([finished("timed_out", notify=Notify(on=("not_ok",)))], sink=sink)) == 1


def test_the_sinks_of_a_daemon_take_every_event_and_the_last_line_is_the_last_event(tmp_path, capsys):
    home = Home(str(tmp_path))
    home.prepare()
    configure_logging("console", "warning", io.StringIO())
    bus = Bus(make_sinks(home, Settings(), once=True))
    bus.emit(DaemonStarted(pid=1, home=home.root, version="0"))
    bus.emit(TaskStarted(id="tsk", name="tsk.json", run=1, title="T", priority="low", waited_ms=0))
    bus.emit(finished())
    assert bus.close()
    assert (bus.dropped, bus.errors) == ({}, {})
    assert capsys.readouterr().out == "✅ tsk.json: OK\n"
    (name,) = os.listdir(home.telemetry)
    with open(f"{home.telemetry}/{name}") as file:
        assert json.loads(file.readlines()[-1])["event"] == "task_finished"


def test_memory_can_be_turned_off(tmp_path):
    without = Settings(memory={"enabled": False})
    names = [sink.name for sink in make_sinks(Home(str(tmp_path)), without)]
    assert names == ["telemetry", "log", "notify"]


class Heard:
    """A sink that keeps what it is given."""

    name = "heard"

    def __init__(self):
        self.events = []

    def write(self, batch):
        self.events += batch

    def close(self):
        pass


def test_what_libraries_say_while_a_daemon_works_goes_through_the_bus_and_never_to_a_log_that_may_hang():
    configure_logging("console", "info", stream := io.StringIO())
    bus = Bus([heard := Heard()])
    with libraries_told_to(bus):
        logging.getLogger("asyncio").error("a task failed", exc_info=RuntimeError("broken"))
        logging.getLogger("httpx").warning("odd: %s", 1)
        bus.close()
    logging.getLogger("httpx").warning("again on the log")
    assert [(event.level, event.message) for event in heard.events] == [
        ("error", "a task failed"),
        ("warning", "odd: 1"),
    ]
    assert "RuntimeError: broken" in heard.events[0].details["traceback"]
    assert "again on the log" in stream.getvalue()
    assert "odd" not in stream.getvalue()


def test_what_libraries_say_after_a_sink_hung_to_the_end_never_meets_the_log_that_may_be_it():
    configure_logging("console", "info", stream := io.StringIO())
    hangs, let_go = Heard(), threading.Event()
    hangs.write = lambda batch: let_go.wait()
    bus = Bus([hangs])
    with libraries_told_to(bus):
        logging.getLogger("httpx").warning("odd")
        assert not bus.close(timeout=0.05)
    logging.getLogger("httpx").warning("last words")
    let_go.set()
    assert stream.getvalue() == ""
