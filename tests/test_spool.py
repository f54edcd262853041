"""The queue's transitions, on real files."""

import os
import socket
import stat
import sys
import tempfile
import threading

import pytest

from orchestrator.home import Home
from orchestrator.spool import exclusive, files, names, reading
from orchestrator.spool.queue import NameTaken, Spool


@pytest.fixture
def spool(tmp_path):
    home = Home(str(tmp_path))
    home.prepare()
    return Spool(home)


def listing(folder):
    return sorted(os.listdir(folder))


def test_a_submitted_spec_stands_whole_in_inbox_readable_by_its_owner_only(spool):
    path = spool.submit("a.json", b"{}")
    assert listing(spool.home.inbox) == ["a.json"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(spool.home.inbox).st_mode) == 0o700


def test_a_second_spec_of_a_waiting_name_is_refused_and_the_first_one_kept(spool):
    spool.submit("a.json", b"first")
    with pytest.raises(NameTaken, match="already waits"):
        spool.submit("a.json", b"second")
    with open(f"{spool.home.inbox}/a.json", "rb") as handle:
        assert handle.read() == b"first"
    assert listing(spool.home.inbox) == ["a.json"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x.json",
        "a/b.json",
        ".hidden.json",
        "x.json~",
        "x.tmp",
        "x.txt",
        "x.result.json",
        "a\0.json",
    ],
)
def test_names_that_no_spec_may_have_are_refused_with_a_reason(spool, name):
    with pytest.raises(ValueError, match=r".+"):
        spool.submit(name, b"{}")
    assert listing(spool.home.inbox) == []


@pytest.mark.parametrize(
    "name", ["with space.json", "qu'o\"te.json", "-leading.json", "ümlaut 日本.json", "a.b.c.yaml"]
)
def test_unusual_but_harmless_names_go_through_all_states(spool, name, tmp_path):
    spool.submit(name, b"{}")
    spool.claim(name)
    assert listing(spool.home.running) == [name]
    run_result = tmp_path / "result.json"
    run_result.write_bytes(b"{}")
    spool.finish(name, "done", b"{}", str(run_result), None)
    assert listing(spool.home.done) == sorted([name, names.stem_of(name) + ".result.json"])


def test_of_many_claimers_exactly_one_wins_each_name(spool):
    for number in range(200):
        files.write_new(f"{spool.home.inbox}/{number}.json", b"{}")
    won: list[str] = []
    start = threading.Barrier(4)

    def claim_all():
        for number in range(200):
            start.wait()  # all reach for the same name at once
            try:
                spool.claim(f"{number}.json")
            except FileNotFoundError:
                continue
            won.append(f"{number}.json")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # and take turns between any two system calls
    try:
        threads = [threading.Thread(target=claim_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert sorted(won) == sorted(f"{number}.json" for number in range(200))
    assert len(listing(spool.home.running)) == 200


def test_a_claim_never_overwrites_what_runs_under_that_name(spool):
    files.write_new(f"{spool.home.running}/a.json", b"runs")
    files.write_new(f"{spool.home.inbox}/a.json", b"waits")
    with pytest.raises(FileExistsError):
        spool.claim("a.json")
    assert open(f"{spool.home.running}/a.json", "rb").read() == b"runs"
    assert open(f"{spool.home.inbox}/a.json", "rb").read() == b"waits"


def test_without_the_kernels_flag_a_rename_still_never_overwrites(tmp_path, monkeypatch):
    monkeypatch.setattr(exclusive, "_no_replace_call", lambda: None)
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")
    new.write_text("new")
    with pytest.raises(FileExistsError):
        files.rename_no_replace(str(old), str(new))
    new.unlink()
    files.rename_no_replace(str(old), str(new))
    assert new.read_text() == "old"
    assert not old.exists()


def finish(spool, name, state, text):
    run_result = f"{spool.home.state}/result-{text}"
    files.replace_file(run_result, text.encode())
    spool.finish(name, state, text.encode(), run_result, None)


def test_a_later_run_of_a_name_takes_the_earlier_ones_place_in_whatever_state_it_ended(spool):
    for state, text in (("failed", "1"), ("done", "2"), ("done", "3"), ("failed", "4")):
        spool.submit("a.json", text.encode())
        spool.claim("a.json")
        finish(spool, "a.json", state, text)
        ended = {name: state for state in ("done", "failed") for name in listing(f"{spool.home.queue}/{state}")}
        assert ended == {"a.json": state, "a.result.json": state}
        assert open(f"{spool.home.queue}/{state}/a.result.json").read() == text
        assert open(f"{spool.home.queue}/{state}/a.json").read() == text


def test_a_spec_never_stands_at_its_end_without_its_result(spool, monkeypatch):
    spool.submit("a.json", b"{}")
    spool.claim("a.json")

    def cut(old, new):
        raise OSError(5, "power cut")

    with monkeypatch.context() as patch:
        patch.setattr(files, "rename_no_replace", cut)
        with pytest.raises(OSError, match="power cut"):
            finish(spool, "a.json", "done", "first")
    assert listing(spool.home.done) == ["a.result.json"]
    assert listing(spool.home.running) == ["a.json"]


def test_a_yaml_run_takes_the_place_of_a_json_run_of_the_same_name(spool):
    for name in ("a.json", "a.yaml"):
        spool.submit(name, b"{}")
        spool.claim(name)
        finish(spool, name, "done", name)
    assert listing(spool.home.done) == ["a.result.json", "a.yaml"]


def test_put_back_brings_an_ended_spec_to_inbox_and_takes_its_result_away(spool):
    spool.submit("a.json", b"{}")
    spool.claim("a.json")
    finish(spool, "a.json", "failed", "x")
    spool.put_back("a.json", "failed")
    assert listing(spool.home.inbox) == ["a.json"]
    assert listing(spool.home.failed) == []


def test_a_folder_dropped_in_inbox_is_moved_to_failed_whole_and_a_second_one_destroys_nothing(spool):
    for number in (1, 2):
        os.mkdir(f"{spool.home.inbox}/folder")
        files.write_new(f"{spool.home.inbox}/folder/mine-{number}", b"precious")
        spool.refuse("folder", spool.stage_refusal(b"{}"))
    kept = {
        f"{folder}/{name}"
        for folder in listing(spool.home.failed)
        if not folder.endswith(".json")
        for name in listing(f"{spool.home.failed}/{folder}")
    }
    assert {path.rsplit("/", 1)[1] for path in kept} == {"mine-1", "mine-2"}


def test_a_result_name_always_fits_a_file_system(spool):
    for stem in ("a", "x" * 250, "日" * 84, "ü" * 120):
        name = names.result_name(stem)
        assert len(name.encode()) <= 255
        assert name.endswith(".result.json")
    assert names.result_name("x" * 250) != names.result_name("x" * 249 + "y")


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "socket"])
def test_what_is_no_regular_file_is_refused_and_never_opened_for_its_content(tmp_path, kind):
    path = str(tmp_path / "x.json")
    if kind == "link":
        (tmp_path / "secret").write_text("{}")
        os.symlink(tmp_path / "secret", path)
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        socket.socket(socket.AF_UNIX).bind(path)
    seen = reading.look(path)
    assert isinstance(seen, reading.Refused)
    assert "not a file" in seen.why


def test_a_device_is_refused():
    assert isinstance(reading.look("/dev/null"), reading.Refused)


@pytest.mark.skipif(not hasattr(__import__("fcntl"), "F_SETLEASE"), reason="only Linux tells who has a file open")
def test_a_file_that_is_open_for_writing_is_not_read_until_it_is_closed(tmp_path):
    path = str(tmp_path / "x.json")
    with open(path, "w") as writer:
        writer.write("{")
        writer.flush()
        assert isinstance(reading.look(path), reading.Writing)
    assert isinstance(reading.look(path), reading.Content)


def test_a_short_write_is_completed_or_leaves_nothing(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:3]))
    files.write_new(str(tmp_path / "a"), b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"

    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(OSError, match="No space left"):
        files.write_new(str(tmp_path / "b"), b"0123456789")
    assert not (tmp_path / "b").exists()


def test_no_data_folder_is_an_importable_package():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder in ("queue", "skills", "policy", "config"):
        found = [root for root, _, listed in os.walk(f"{here}/{folder}") if "__init__.py" in listed]
        assert found == []


def test_a_file_of_the_longest_name_can_be_replaced(tmp_path):
    path = f"{tmp_path}/{'€' * 85}"
    files.replace_file(path, b"one")
    files.replace_file(path, b"two")
    assert os.listdir(tmp_path) == ["€" * 85]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all file systems are synced at once")
def test_of_several_folders_each_file_system_is_synced_once(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "_sync_file_system", synced.append)
    (tmp_path / "a").mkdir()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        files.sync_file_systems(str(tmp_path), elsewhere, str(tmp_path / "a"))
        devices = [os.stat(path).st_dev for path in synced]
        assert sorted(devices) == sorted({os.stat(tmp_path).st_dev, os.stat(elsewhere).st_dev})
