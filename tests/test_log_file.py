"""The log in a file of its own, and a real `tail -F` that reads along."""

import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from conftest import require_program, until

from orchestrator.event import Notice
from orchestrator.sinks.log_file import LogFile
from orchestrator.sinks.telemetry import TelemetrySink


def log_files(folder):
    return sorted(os.listdir(folder))


def test_a_full_log_gives_way_by_renames_and_so_many_are_kept(tmp_path):
    log = LogFile(f"{tmp_path}/log/daemon.log", max_bytes=100, keep=2)
    for number in range(9):
        log.write(f"{number}" * 39 + "\n")
    assert log_files(tmp_path / "log") == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    kept = "".join((tmp_path / "log" / name).read_text() for name in reversed(log_files(tmp_path / "log")))
    assert [line[0] for line in kept.splitlines()] == ["4", "5", "6", "7", "8"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "log").iterdir()} == {0o600}


def test_a_restart_goes_on_with_the_log_and_one_that_was_moved_or_removed_is_begun_anew(tmp_path):
    path = tmp_path / "daemon.log"
    LogFile(str(path), max_bytes=1000, keep=0).write("first\n")
    log = LogFile(str(path), max_bytes=1000, keep=0)
    log.write("second\n")
    assert path.read_text() == "first\nsecond\n"
    path.rename(tmp_path / "shipped")
    log.write("third\n")
    assert path.read_text() == "third\n"
    log.write("x" * 1000 + "\n")
    assert log_files(tmp_path) == ["daemon.log", "shipped"]


def test_lines_of_many_threads_stay_whole(tmp_path):
    log = LogFile(f"{tmp_path}/daemon.log", max_bytes=10_000, keep=1000)
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(log.write, f"{number:04}" * 10 + "\n") for number in range(2000)]:
            each.result()
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(lines) == [f"{number:04}" * 10 for number in range(2000)]


@pytest.fixture
def tail(tmp_path):
    """A real `tail -F` on a file, and a way to wait until it has shown a line."""
    require_program("tail")
    shown = tmp_path / "shown"
    programs = []

    def begin(path):
        programs.append(
            subprocess.Popen(
                ["tail", "-n", "+1", "-s", "0.1", "-F", path], stdout=shown.open("wb"), stderr=subprocess.DEVNULL
            )
        )
        return shown

    yield begin
    for program in programs:
        program.kill()
        program.wait()


def test_a_real_tail_misses_nothing_of_a_log_that_gives_way(tmp_path, tail):
    log = LogFile(f"{tmp_path}/daemon.log", max_bytes=64 * 1024, keep=3)
    shown = tail(f"{tmp_path}/daemon.log")
    for number in range(4_000):
        log.write(f"line {number:06} {'x' * 60}\n")
        if number % 500 == 499:  # a log is not written faster than tail looks, once a second where it is not told
            until(lambda last=f"line {number:06} ": last in shown.read_text(), "tail")
    lines = [line.split()[1] for line in shown.read_text().splitlines()]
    assert lines == [f"{number:06}" for number in range(4_000)]
    assert "daemon.log.3" in log_files(tmp_path)


def test_a_real_tail_misses_nothing_of_telemetry_whose_file_is_moved_away(tmp_path, tail):
    sink = TelemetrySink(str(tmp_path / "telemetry"), today=lambda: "2026-03-01")
    path = tmp_path / "telemetry/2026-03-01.ndjson"
    path.parent.mkdir()
    shown = tail(path)
    for number in range(20):
        sink.write([Notice(level="info", message=f"notice {number}.")])
        if number % 5 == 4:
            until(lambda last=f"notice {number}.": last in shown.read_text(), "tail")
            path.rename(tmp_path / f"shipped-{number}")
            sink.write([Notice(level="info", message=f"after {number}.")])
            until(lambda last=f"after {number}.": last in shown.read_text(), "tail")
    wanted = [text for n in range(20) for text in (f"notice {n}.", f"after {n}.")[: 2 if n % 5 == 4 else 1]]
    assert [orjson.loads(line)["message"] for line in shown.read_text().splitlines()] == wanted


def test_a_daemon_logs_into_a_file_where_it_is_told_to(house):
    house.start(env={"ORCHESTRATOR_LOG__FILE": "state/log/daemon.log"})
    path = house.root / "state/log/daemon.log"
    until(lambda: path.exists() and "daemon started" in path.read_text(), "the log")
    assert (house.root / "daemon.log").read_text() == ""
