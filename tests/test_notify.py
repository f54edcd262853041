"""Notifications: real servers hear of what happened, once, whatever dies in between."""

import base64
import hashlib
import hmac
import json
import os
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import alive, require, smoke, until
from test_protocol import die

from orchestrator.cli.app import run
from orchestrator.event import Notice, TaskFinished
from orchestrator.outcome import UNNEEDED, Outcome, StepResult
from orchestrator.settings import ChannelSettings, NotifySettings, Settings
from orchestrator.sinks.notify import NotifySink, lane, outbox
from orchestrator.sinks.notify.desktop import argv_for
from orchestrator.sinks.notify.lane import Lane, Terms
from orchestrator.sinks.notify.message import BODY_LENGTH, TITLE_LENGTH, Message, digest, of_task, of_test
from orchestrator.sinks.notify.outbox import Entry, Outbox, new_id, now
from orchestrator.sinks.notify.receiver import SendError, Surroundings, make
from orchestrator.sinks.notify.services import MISSING
from orchestrator.spec import Notify

SECRET = "whsec_" + base64.b64encode(b"a key of our own").decode()
TOKEN = "T0KEN-that-nobody-may-see"


class Listener(ThreadingHTTPServer):
    """A receiver of webhooks. Answers with `answers` in their order, then with 204; waits for `go` before it does."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard = []
        self.answers = []
        self.go = threading.Event()
        self.go.set()
        self.url = f"http://127.0.0.1:{self.server_port}/hooks"

    @property
    def ids(self):
        return [headers["webhook-id"] for headers, _ in self.heard]

    @property
    def messages(self):
        return [json.loads(body) for _, body in self.heard]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((dict(self.headers), body))
        self.server.go.wait(60)
        status, headers, text = self.server.answers.pop(0) if self.server.answers else (204, {}, b"")
        self.send_response(status)
        for name, value in {**headers, **({"content-length": str(len(text))} if status != 204 else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        """Nothing on stderr."""


@pytest.fixture
def listener():
    with Listener() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.go.set()
        server.shutdown()


def settings(channels, **notify):
    return Settings(channels=channels, notify=notify)


def receiver(home, lookup=os.environ.get, **channel):
    return make("x", Surroundings(home.root, settings({"x": channel}), lookup))


def finished(status="failed", notify=None, number=1, **parts):
    step = StepResult(step=0, skill="bash", args=(), status="failed", code=3, stdout="out\n", stderr="first\nlast\n")
    facts = {"id": f"t{number}", "run": 1, "name": f"t{number}.json", "title": f"Task {number}"}
    facts |= {"reason": "step_failed: step 0 (bash) exited with 3", "finished_at": "2026-01-01T00:00:00.000Z"}
    outcome = Outcome(status=status, **(facts | {"results": (step,), "duration_ms": 12_345.0} | parts))
    return TaskFinished(outcome=outcome, notify=notify)


def configure(house, text):
    (Path(house.home.config) / "local.toml").write_text(text)


def waiting(home):
    return outbox.read(home.notify)


@contextmanager
def sink_of(home, configured):
    said = []
    sink = NotifySink(home, configured)
    sink.attach(said.append)
    try:
        yield sink, said
    finally:
        sink.close()


# ── words ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_says_what_failed_why_how_long_the_last_lines_and_what_shows_more():
    message = of_task(finished(), "error", "/srv/my work", NotifySettings())
    assert message.title == "❌ Task 1: FAILED"
    first, took, _, *lines, _, more = message.body.split("\n")
    assert (first, took.split(" on ")[0]) == ("step 0 (bash) exited with 3", "after 12.3 s")
    assert (lines, more) == (["first", "last"], "orchestrator --home '/srv/my work' show t1")
    assert "approve t1" in of_task(finished("blocked"), "warning", "/h", NotifySettings()).body


def test_what_tasks_print_is_bounded_and_can_neither_steer_a_terminal_nor_pass_for_our_words():
    said = StepResult(
        step=0, skill="bash", args=(), status="failed", code=1, stderr="\x1b[2J" + "x" * 10_000 + "\n" * 50 + "end\x07"
    )
    message = of_task(finished(title="t\n\n" + "y" * 500, results=(said,)), "error", "/h", NotifySettings())
    assert len(message.title) <= TITLE_LENGTH
    assert len(message.body) <= BODY_LENGTH
    assert "\n" not in message.title
    assert "\x1b" not in message.text + message.line
    assert "end\\x07\n" in message.body


def test_the_words_of_a_channel_go_before_those_of_all_and_no_gap_is_left_where_nothing_is_to_be_said():
    words = NotifySettings(title="${status} ${id}", body="${reason}\n\n${lines}\n\n\n${host}$$", lines=0)
    channel = ChannelSettings(kind="desktop", title="${icon} mine")
    assert of_task(finished(), "error", "/h", words).title == "FAILED t1"
    message = of_task(finished(), "error", "/h", words, channel)
    assert message.title == "❌ mine"
    assert message.body.startswith("step 0 (bash) exited with 3\n\n")
    assert message.body.endswith("$")
    assert "\n\n\n" not in message.body


# ── the kinds of channels ──────────────────────────────────────────────────────────────────────────


def test_a_webhook_is_signed_as_the_standard_has_it(home, listener):
    hook = receiver(home, kind="webhook", url=listener.url, secret=SECRET, headers={"X-Mine": "yes"})
    assert hook.send(of_test("x", home.root), "msg_1").startswith("answered 204")
    ((headers, body),) = listener.heard
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"a key of our own", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["x-mine"], headers["content-type"]) == ("msg_1", "yes", "application/json")
    assert json.loads(body)["type"] == "test"


def test_what_a_webhook_answers_is_told_without_its_secrets(home, listener):
    url, where = listener.url + "/${TOKEN}", {"TOKEN": TOKEN}.get
    listener.answers += [
        (500, {"Retry-After": "90"}, f"no luck with {TOKEN}\n\x1b[2J".encode()),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
    ]
    hook = receiver(home, where, kind="webhook", url=url, headers={"Authorization": "Bearer ${TOKEN}"})
    with pytest.raises(SendError, match=r"answered 500 .*: no luck with [*]{3}") as refused:
        hook.send(of_test("x", home.root), "msg_1")
    assert refused.value.after_s == 90
    assert "\x1b" not in str(refused.value)
    with pytest.raises(SendError, match="a redirect is not followed"):
        hook.send(of_test("x", home.root), "msg_1")
    assert len(listener.heard) == 2
    assert listener.heard[0][0]["authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(SendError, match="no connection"):
        receiver(home, where, kind="webhook", url="http://127.0.0.1:1/${TOKEN}").send(of_test("x", "/"), "msg_1")
    with pytest.raises(SendError, match=r"\$\{TOKEN\} is not set"):
        receiver(home, {}.get, kind="webhook", url=url)
    with pytest.raises(SendError, match="its url can't be used") as odd:
        receiver(home, where, kind="webhook", url="http://me:${TOKEN}@127.0.0.1/")
    assert TOKEN not in str(odd.value)


def test_a_command_gets_the_message_on_its_input_and_the_facts_in_its_environment(home, tmp_path):
    program = tmp_path / "tell"
    program.write_text(
        f'#!/bin/sh\ncat > {tmp_path}/said\nenv > {tmp_path}/env\necho "got $1 $PAGER_KEY"\nexit $CODE\n'
    )
    program.chmod(0o700)
    values = {"PAGER_KEY": TOKEN, "CODE": "0"}
    channel = {"kind": "command", "command": [str(program), "$(id) `id`"], "env": ["PAGER_KEY", "CODE"]}
    message = of_task(finished(title="a; $(id)"), "error", home.root, NotifySettings())
    answer = receiver(home, values.get, **channel).send(message, "msg_1")
    assert answer == "exited with 0: got $(id) `id` ***"
    assert (tmp_path / "said").read_text() == message.text
    environ = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    told = {key: environ[f"ORCHESTRATOR_{key}"] for key in ("MESSAGE", "ID", "STATUS", "TITLE", "LEVEL", "HOME")}
    assert told == {"MESSAGE": "msg_1", "ID": "t1", "STATUS": "failed", "TITLE": "a; $(id)", "LEVEL": "error",
                    "HOME": home.root}  # fmt: skip
    assert "PYTEST_CURRENT_TEST" not in environ
    values["CODE"] = "7"
    with pytest.raises(SendError, match=r"exited with 7: got .*[*]{3}"):
        receiver(home, values.get, **channel).send(message, "msg_1")
    with pytest.raises(SendError, match="there is no program /nowhere"):
        receiver(home, kind="command", command=["/nowhere"]).send(message, "msg_1")


def test_a_command_that_does_not_end_is_killed_with_all_that_it_started(home, tmp_path):
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000' & exec sleep 1000"
    around = Surroundings(
        home.root, settings({"x": {"kind": "command", "command": ["sh", "-c", script], "timeout": 500}}), {}.get, "m"
    )
    with pytest.raises(SendError, match=r"did not end within 0[.]5 s, and was killed"):
        make("x", around).send(of_test("x", home.root), "msg_1")
    assert not alive(int((tmp_path / "pid").read_text()))


def test_the_desktop_is_told_by_arguments_alone(home, tmp_path, monkeypatch):
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/argv\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("sys.platform", "linux")
    message = Message("task", "error", "-t <b>", "-b <b> & co", "l")
    receiver(home, kind="desktop").send(message, "msg_1")
    assert (tmp_path / "argv").read_text().splitlines() == [
        "--app-name=Orchestrator", "--urgency=critical", "--", "-t <b>", "-b &lt;b&gt; &amp; co"
    ]  # fmt: skip
    assert argv_for(message, "darwin")[-2:] == ["-t <b>", "-b <b> & co"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own imports
def test_mail_goes_through_apprise_and_what_it_says_of_a_failure_hides_the_password(home):
    require(find_spec("apprise") and find_spec("aiosmtpd"), "apprise and aiosmtpd are not installed")
    from aiosmtpd import controller as controllers

    class Mailbox:
        def __init__(self):
            self.mails = []

        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - what aiosmtpd calls
            self.mails.append(envelope)
            return "250 OK"

    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = controllers.Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        url = f"mailto://127.0.0.1:{port}?from=daemon@example.com&to=me@example.com"
        mail = receiver(home, kind="apprise", url=url)
        mail.send(of_task(finished(), "error", home.root, NotifySettings()), "msg_1")
    finally:
        server.stop()
    (envelope,) = mailbox.mails
    text = envelope.content.decode()
    assert envelope.rcpt_tos == ["me@example.com"]
    assert "X-Orchestrator-Message: msg_1" in text
    assert "FAILED" in text
    broken = f"mailto://me:{TOKEN}@127.0.0.1:{port}?from=daemon@example.com&to=me@example.com"
    with pytest.raises(SendError, match="refused") as refused:
        receiver(home, kind="apprise", url=broken).send(of_test("x", home.root), "msg_1")
    assert TOKEN not in str(refused.value)
    with pytest.raises(SendError, match="none that apprise understands") as odd:
        receiver(home, {"TOKEN": TOKEN}.get, kind="apprise", url="nosuch://${TOKEN}")
    assert TOKEN not in str(odd.value)


def test_where_the_extra_is_missing_a_sentence_says_so_at_once_and_the_message_waits(home, monkeypatch):
    monkeypatch.setattr("orchestrator.sinks.notify.services.find_spec", lambda name: None)
    with sink_of(home, settings({"x": {"kind": "apprise", "url": "json://127.0.0.1:1"}})) as (sink, said):
        assert "pip install 'local-orchestrator[notify]'" in said[0].message
        sink.write([finished(notify=Notify(channels=("x",)))])
        until(lambda: [entry.error for entry in waiting(home)] == [MISSING], "the attempt")


# ── on the way ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def quick(monkeypatch):
    """Waits are drawn from a hundredth of a second."""
    monkeypatch.setattr(lane, "FIRST_DELAY_S", 0.01)


def test_a_message_is_tried_until_it_arrives_with_one_id_and_then_is_gone(home, listener, quick):
    listener.answers += [(503, {}, b""), (500, {}, b"")]
    with sink_of(home, settings({"x": {"kind": "webhook", "url": listener.url}})) as (sink, said):
        sink.write([finished(notify=Notify(channels=("x",)))])
        until(lambda: len(listener.heard) == 3 and not waiting(home), "the third attempt")
        sink.write([finished(notify=Notify(channels=("x",)))])
        until(lambda: outbox.published(home.notify)["x"]["sent"] == 1, "the count")
    assert len(set(listener.ids)) == 1
    assert "attempt 3)" in listener.messages[2]["data"]["text"]
    assert [notice.level for notice in said] == ["warning", "info"]
    assert "answered 503" in said[0].message


def test_what_waits_is_durable_and_private_and_the_next_daemon_sends_it(home, listener):
    channels = {"x": {"kind": "webhook", "url": ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b"]}}
    with sink_of(home, settings(channels)) as (sink, _):
        sink.write([finished(notify=Notify(channels=("x",)))])
        until(lambda: all(entry.error for entry in waiting(home)), "the attempts")
    assert {entry.receiver for entry in waiting(home)} == {"x", "x/2"}
    for path in Path(home.notify).iterdir():
        assert path.stat().st_mode & 0o077 == 0
        if path.name.startswith("msg_"):
            path.write_text(path.read_text().replace('"not_before":', '"not_before":0.0,"was":'))
    for path in Path(home.notify).glob("msg_*"):
        parts = json.loads(path.read_text())
        del parts["was"]
        path.write_text(json.dumps(parts))
    (Path(home.notify) / "msg_0123456789abcdef01234567.json").write_text('{"id": "cut sho')
    channels["x"]["url"] = [listener.url, listener.url]
    with sink_of(home, settings(channels)):
        until(lambda: len(listener.heard) == 2 and not waiting(home), "both")
    assert not list(Path(home.notify).glob("msg_*"))


def test_a_receiver_that_hangs_holds_up_no_other_and_not_the_end(home, listener):
    listener.go.clear()
    with Listener() as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        channels = {
            "dead": {"kind": "webhook", "url": listener.url, "timeout": "10m"},
            "well": {"kind": "webhook", "url": other.url},
        }
        with sink_of(home, settings(channels)) as (sink, _):
            for number in range(3):
                sink.write([finished(notify=Notify(channels=("dead", "well")), number=number)])
            until(lambda: len(other.heard) == 3 and len(listener.heard) == 1, "the living one")
        assert len(waiting(home)) == 3
        other.shutdown()


def test_a_storm_becomes_a_digest_and_a_digest_outlasts_a_restart(home, listener, quick):
    channel = {"x": {"kind": "webhook", "url": "http://127.0.0.1:1/", "per_minute": 3}}
    events = [finished(notify=Notify(channels=("x",)), number=number) for number in range(100)]
    with sink_of(home, settings(channel)) as (sink, _):
        sink.write(events)
        until(lambda: len(waiting(home)) == 1 and waiting(home)[0].attempts, "the digest")
    channel["x"]["url"] = listener.url
    with sink_of(home, settings(channel)) as (sink, _):
        until(lambda: listener.heard and not waiting(home), "the digest to arrive")
        sink.write(events)  # the same ends, told again
    (message,) = listener.messages
    assert (message["type"], message["data"]["messages"], message["data"]["counts"]) == ("digest", 100, {"failed": 100})
    assert "and 80 more" in message["data"]["text"]


def test_no_more_are_sent_in_a_minute_than_the_channel_allows(home, listener, monkeypatch):
    with sink_of(home, settings({"x": {"kind": "webhook", "url": listener.url, "per_minute": 3}})) as (sink, _):
        for number in range(10):
            sink.write([finished(notify=Notify(channels=("x",)), number=number)])
            until(lambda n=number: len(listener.heard) == min(3, n + 1), "those that may go")
        assert len(waiting(home)) + 3 == 10
        monkeypatch.setattr(lane, "monotonic", lambda real=lane.monotonic: real() + 61)
        sink.write([finished(notify=Notify(channels=("x",)), number=10)])
        until(lambda: not waiting(home), "the rest, a minute later")
    together = [message["data"].get("messages", 1) for message in listener.messages]
    assert (together[:3], sum(together), len(together) <= 5) == ([1, 1, 1], 11, True)


def test_what_is_too_old_is_given_up_counted_and_told(home, quick):
    channel = {"x": {"kind": "webhook", "url": "http://127.0.0.1:1/"}}
    with sink_of(home, settings(channel, give_up=50)) as (sink, said):
        sink.write([finished(notify=Notify(channels=("x",)))])
        until(lambda: outbox.published(home.notify).get("x", {}).get("given_up"), "the end of patience")
        assert waiting(home) == []
    assert [notice.level for notice in said] == ["warning", "error"]
    assert "gave up 1 message" in said[1].message
    assert "no connection" in said[1].message


def test_what_no_disk_takes_is_sent_all_the_same(home, listener, monkeypatch):
    with sink_of(home, settings({"x": {"kind": "webhook", "url": listener.url}})) as (sink, said):

        def full(path, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("orchestrator.spool.files.replace_file", full)
        sink.write([finished(notify=Notify(channels=("x",)))])
        until(lambda: listener.heard, "the message")
    assert "can't be kept on disk (No space left on device)" in said[0].message


def test_more_than_may_wait_is_dropped_and_counted(home, monkeypatch):
    monkeypatch.setattr(lane, "MOST", 2)
    label = Lane("x", Outbox(home.notify), lambda: None, Terms, lambda *said: None, lambda: None)
    assert label.room == 2
    with sink_of(home, settings({"x": {"kind": "webhook", "url": "http://127.0.0.1:1/"}})) as (sink, said):
        sink.write([finished(notify=Notify(channels=("x",)), number=number) for number in range(5)])
        assert outbox.published(home.notify)["x"]["dropped"] == 3
    assert "too many messages wait for channel x" in " ".join(notice.message for notice in said)


def test_a_clock_that_is_set_back_does_not_hold_a_message_for_ever(home, listener):
    entry = Entry(new_id(), "x", of_test("x", home.root), now(), attempts=1, not_before=now() + 10 * 86_400)
    (box := Outbox(home.notify)).open()
    box.put([entry])
    with sink_of(home, settings({"x": {"kind": "webhook", "url": listener.url}})):
        until(lambda: listener.heard, "the message")


# ── whom to tell ───────────────────────────────────────────────────────────────────────────────────


def wanted(home, configured, *events):
    """The receivers of what a sink would send, and how loudly."""
    sink = NotifySink(home, configured)
    entries = []
    sink._post = type("Kept", (), {"put": lambda self, new: entries.extend(new), "close": lambda *_: None})()
    sink.write(list(events))
    return [(entry.receiver, entry.message.level) for entry in entries]


def test_a_task_that_says_nothing_is_told_by_the_default_and_one_that_does_by_itself(home):
    configured = settings(
        {"team": {"kind": "desktop"}, "pager": {"kind": "desktop", "level": "error"}}, default={"channels": ["team"]}
    )
    tell = Notify(channels=("team", "pager"))
    assert wanted(home, configured, finished(), finished("ok")) == [("team", "error")]
    assert wanted(home, configured, finished("blocked")) == [("team", "warning")]
    assert wanted(home, configured, finished("skipped", reason="needs_failed: a failed")) == [("team", "warning")]
    assert wanted(home, configured, finished("skipped", reason=f"{UNNEEDED}: nothing failed")) == []
    assert wanted(home, configured, finished("ok", Notify())) == [("team", "info")]
    assert wanted(home, configured, finished("failed", Notify(channels=()))) == []
    assert wanted(home, configured, finished("ok", tell)) == [("team", "info")]
    assert wanted(home, configured, finished("failed", tell)) == [("team", "error"), ("pager", "error")]
    assert wanted(home, configured, finished("failed", Notify(channels=("pager",), level="warn"))) == []
    only = Notify(channels=("team",), on=("timed_out", "ok"))
    assert wanted(home, configured, finished("failed", only), finished("ok", only)) == [("team", "info")]


def test_troubles_are_told_when_they_begin_and_end_and_errors_not_again_and_again(home):
    configured = settings({"ops": {"kind": "desktop", "troubles": True, "level": "error"}, "team": {"kind": "desktop"}})

    def trouble(level):
        return Notice(level=level, message="the disk is full", trouble="disk")

    events = [trouble("info"), trouble("error"), trouble("error"), trouble("info"), trouble("error")]
    assert wanted(home, configured, *events) == [("ops", "error"), ("ops", "info"), ("ops", "error")]
    error = Notice(level="error", message="the lock was replaced")
    assert wanted(home, configured, error, error, Notice(level="warning", message="w")) == [("ops", "error")]
    ours = Notice(level="error", message="gave up", details={"channel": "ops"})
    assert wanted(home, configured, ours) == []


# ── the whole of it ────────────────────────────────────────────────────────────────────────────────


def test_an_end_is_told_once_wherever_the_daemon_dies_between_it_and_the_answer(house, listener):
    configure(house, f'[notify.default]\nchannels = ["x"]\n[channels.x]\nkind = "webhook"\nurl = "{listener.url}"\n')
    for number, point in enumerate(["notify.kept", "notify.sent", "notify.told"]):
        house.drop(smoke(f"t{number}", "false"))
        die(house, point)
        if point == "notify.kept":  # as if it had died after telemetry had heard of it, and before the outbox had
            with open(next(Path(house.home.telemetry).glob("*")), "a") as lines:
                lines.write('{"event":"task_finished","id":"t0","run":1}\n')
            for file in Path(house.home.notify).glob("msg_*"):
                file.unlink()
    house.run("run", "--once")
    told = {message["data"]["id"]: message["id"] for message in listener.messages}
    assert sorted(told) == ["t0", "t1", "t2"]
    assert len(listener.heard) == 4  # the one that was sent and not noted, twice
    assert len(set(listener.ids)) == 3
    assert waiting(house.home) == []


def test_after_a_death_between_a_digest_and_its_parts_only_the_digest_is_sent(home, listener):
    (box := Outbox(home.notify)).open()
    parts = [Entry(new_id(), "x", of_test("x", "/h"), now()) for _ in range(3)]
    whole = Entry(new_id(), "x", digest(part.message for part in parts), now(), members=tuple(p.id for p in parts))
    box.put([*parts, whole])
    with sink_of(home, settings({"x": {"kind": "webhook", "url": listener.url}})):
        until(lambda: not waiting(home), "the digest")
    assert listener.ids == [whole.id]


def test_a_daemon_ends_although_a_receiver_hangs_and_the_next_one_reaches_it(house, listener):
    listener.go.clear()
    configure(house, f'[channels.x]\nkind = "webhook"\nurl = "{listener.url}/${{TOKEN}}"\ntimeout = "10m"\n')
    secrets = Path(house.home.config) / "secrets.env"
    secrets.touch(0o600)
    secrets.write_text(f"TOKEN={TOKEN}\n")
    house.start()
    house.drop(smoke("t", notify={"channels": ["x", "y", "log"], "on": ["ok"]}))
    until(lambda: listener.heard, "the message")
    assert house.stop() == 0
    assert [entry.attempts for entry in waiting(house.home)] == [1]
    listener.go.set()
    house.start()
    (Path(house.home.config) / "local.toml").write_text(f'[channels.new]\nkind = "webhook"\nurl = "{listener.url}"\n')
    until(lambda: len(listener.heard) == 2, "the message again")
    house.process.send_signal(1)
    until(lambda: "were read again" in (house.root / "daemon.log").read_text(), "the reload")
    house.drop(smoke("after", notify={"channels": ["new"]}))
    until(lambda: len(listener.heard) == 3, "a message to the channel that is new")
    house.stop()
    assert listener.ids[0] == listener.ids[1] != listener.ids[2]
    assert house.result("t")["notes"] == ["notify.channels: no channel `y`; there are x: nobody is told there"]
    everything = [path for path in house.root.rglob("*") if path.is_file() and path != secrets]
    assert not [path for path in everything if TOKEN.encode() in path.read_bytes()]
    assert "notify: Test t: OK" in (house.root / "daemon.log").read_text()


def test_the_command_line_tries_channels_lists_them_and_names_what_is_not_there(
    house, listener, tmp_path, monkeypatch, capsys
):
    configure(
        house,
        f'[channels.team]\nkind = "webhook"\nurl = "{listener.url}/${{TOKEN}}"\n'
        '[channels.broken]\nkind = "command"\ncommand = ["false"]\n',
    )

    def orchestrator(*argv):
        code = run(["--home", str(house.root), *argv])
        return code, capsys.readouterr()

    code, said = orchestrator("doctor")
    assert "${TOKEN} is not set" in said.out
    monkeypatch.setenv("TOKEN", TOKEN)
    code, said = orchestrator("notify", "test", "team")
    assert (code, said.out[:7]) == (0, "✅ team:")
    assert listener.messages[0]["id"] in said.out
    code, said = orchestrator("notify", "test", "broken", "--json")
    assert (code, json.loads(said.out)[0]["answer"]) == (1, "false exited with 1")
    code, said = orchestrator("notify", "test", "teem")
    assert (code, "Did you mean 'team'?" in said.err) == (2, True)
    code, said = orchestrator("notify", "list", "--json")
    assert [(row["name"], row["waiting"]) for row in json.loads(said.out)] == [("team", []), ("broken", [])]
    _, said = orchestrator("notify", "list")
    assert (TOKEN in said.out, listener.url.removesuffix("hooks") + "***" in said.out) == (False, True)
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(smoke("t", notify={"channels": ["teem"]})))
    for verb in ("validate", "submit"):
        code, said = orchestrator(verb, str(spec))
        assert (code, "no channel `teem` (did you mean 'team'?)" in said.out + said.err) == (0, True)
