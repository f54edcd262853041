"""Signals to a real daemon: what each does, and that nothing is lost at any of them. See also test_daemon.py."""

import json
import os
import pty
import random
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import smoke, until

from orchestrator.cli import house as faces
from orchestrator.home import daemon_pid


def log_of(house):
    return (house.root / "daemon.log").read_text()


class Terminal:
    """A command whose controlling terminal we hold: what is typed there goes where a person's keys go."""

    def __init__(self, house, *args):
        self.pid, self._keys = pty.fork()
        if self.pid == 0:
            os.execve(house.command()[0], house.command(*args), {**house.environ, "NO_COLOR": "1"})
        self.shown = b""

    def type(self, keys):
        os.write(self._keys, keys)

    def shows(self, text):
        while text not in self.shown:
            self.shown += os.read(self._keys, 4096)

    def end(self):
        """Wait for its end; returns the exit code."""
        try:
            while data := os.read(self._keys, 4096):
                self.shown += data
        except OSError:  # the terminal is gone with the last process that had it
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._keys)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize(("args", "code"), [(["run"], 0), (["run", "--once"], 130)])
def test_ctrl_c_on_a_terminal_lets_what_runs_end_and_spares_its_steps(house, tmp_path, args, code):
    os.mkfifo(tmp_path / "gate")
    house.drop(smoke("running", f"touch {tmp_path}/begun; read x < {tmp_path}/gate; echo went on"))
    terminal = Terminal(house, *args)
    until((tmp_path / "begun").exists, "the step to start")
    terminal.type(b"\x03")
    terminal.shows(b"SIGINT: finishing what runs; once more ends it at once")
    (tmp_path / "gate").write_text("go\n")
    assert terminal.end() == code
    assert (house.result("running")["status"], house.result("running")["results"][0]["stdout"]) == ("ok", "went on\n")


def test_a_second_ctrl_c_ends_what_runs_at_once(house, tmp_path):
    house.drop(smoke("running", f"touch {tmp_path}/begun; exec sleep 1000"))
    terminal = Terminal(house, "run", "--once")
    until((tmp_path / "begun").exists, "the step to start")
    terminal.type(b"\x03")
    terminal.shows(b"once more")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert house.result("running")["status"] == "interrupted"


def test_hup_reads_all_of_the_configuration_again_and_says_what_needs_a_start(daemon):
    (Path(daemon.home.config) / "local.toml").write_text("[steps]\noutput_limit = 70000\n[log]\nlevel = 'debug'\n")
    (Path(daemon.home.policy) / "99-mine.toml").write_text(
        "[[rule]]\nid = 'mine'\ndescription = 'd'\neffect = 'deny'\nreason = 'not here'\nsuggestion = 's'\n"
        "pattern = 'frobnicate'\nmatch = ['frobnicate x']\nnot_match = ['true']\n"
    )
    told = daemon.run("models")
    assert f"`kill -HUP {daemon.process.pid}` has it read them" in told.stderr, (
        "a face reads the new, the daemon the old"
    )
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "what changed in [log] takes effect at the next start" in log_of(daemon), "the reload")
    until(lambda: faces.unread(daemon.home) is None, "the daemon to have said so")
    (Path(daemon.home.config) / "prompts/code.md").touch()
    assert faces.unread(daemon.home) is None, "a prompt is read by each task"
    daemon.drop(smoke("denied", "frobnicate x"))
    daemon.drop(smoke("loud", "head -c 200000 /dev/zero"))
    assert daemon.result("denied")["status"] == "denied"
    assert daemon.result("loud")["results"][0]["truncated"]


def test_a_refused_reload_changes_nothing_and_the_log_and_doctor_say_so_until_one_succeeds(daemon):
    local = Path(daemon.home.config) / "local.toml"
    broken = Path(daemon.home.policy) / "99-mine.toml"
    local.write_text("[steps]\noutput_limit = 70000\n")  # sound by itself, but all of it or nothing
    broken.write_text("[[rule]]\nid = 'mine'\n")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "reload refused, the old configuration stays" in log_of(daemon), "the refusal")
    daemon.drop(smoke("loud", "head -c 200000 /dev/zero"))
    assert not daemon.result("loud")["results"][0]["truncated"]
    findings = json.loads(daemon.run("doctor", "--json").stdout)["findings"]
    (told,) = [finding for finding in findings if "was refused" in finding["text"]]
    assert (told["subject"], "99-mine.toml" in told["text"]) == ("daemon", True)
    assert told["advice"] == f"correct it, then `kill -HUP {daemon.process.pid}`"
    broken.unlink()
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "read again" in log_of(daemon), "the reload")
    assert "was refused" not in daemon.run("doctor").stdout


def test_no_signal_in_any_order_loses_a_task_or_runs_one_twice_or_tears_what_is_told_of_it(house, tmp_path):
    chosen = random.Random(20260301)
    for round_number in range(2):
        process = subprocess.Popen(
            house.command("run"), env=house.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if chosen.random() < 0.7:
            until(lambda process=process: daemon_pid(house.home) == process.pid, "the daemon")
        for number in range(10):
            name = f"t{round_number}_{number}"
            house.drop(smoke(name, f"echo {name} >> {tmp_path}/witness; sleep 0.{chosen.randint(0, 2)}"))
            if process.poll() is None and chosen.random() < 0.3:
                process.send_signal(signal.SIGHUP)
        for _ in range(chosen.randint(1, 4)):
            if process.poll() is None:
                process.send_signal(chosen.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    house.run("run", "--once")
    assert house.names("inbox") == house.names("running") == []
    names = {f"t{round_number}_{number}" for round_number in range(2) for number in range(10)}
    ends = {name: house.result(name)["status"] for name in names}
    assert set(ends.values()) <= {"ok", "interrupted"}
    ran = (tmp_path / "witness").read_text().split()
    assert len(ran) == len(set(ran))
    assert {name for name, status in ends.items() if status == "ok"} <= set(ran)
    told = [line["id"] for line in house.telemetry() if line["event"] == "task_finished"]
    assert sorted(told) == sorted(names)
