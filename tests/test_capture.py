"""What a stream leaves behind: the file's form at every moment, and the tail."""

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runners.capture import MIN_LIMIT, TAIL, Capture, marker


def expected_file(printed, cut, limit):
    """The file's rule: the head, then nothing cut or a marker, then all that follows what was cut."""
    head = limit // 2
    if cut == 0:
        return printed
    return printed[:head] + marker(cut) + printed[head + cut :]


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(MIN_LIMIT, 4 * MIN_LIMIT),
    sizes=st.lists(st.integers(1, 6 * MIN_LIMIT), max_size=25),
    seed=st.randoms(use_true_random=False),
)
def test_after_every_chunk_the_file_is_head_marker_tail_within_the_limit(tmp_path_factory, limit, sizes, seed):
    path = tmp_path_factory.mktemp("capture") / "out"
    capture = Capture(str(path), limit)
    printed = b""
    for size in sizes:
        chunk = seed.randbytes(size)
        printed += chunk
        capture.feed(chunk)
        content = path.read_bytes()
        assert content == expected_file(printed, capture.cut, limit)
        assert len(content) <= limit
        assert (capture.cut == 0) == (len(printed) <= limit)
    capture.close()
    assert capture.total == len(printed)
    assert capture.lost == 0
    assert capture._tail == printed[-TAIL:]


def test_at_least_a_quarter_of_the_limit_is_kept_of_the_end(tmp_path):
    capture = Capture(str(tmp_path / "out"), 10_000)
    for number in range(5000):
        capture.feed(b"%07d\n" % number)
    capture.close()
    after_marker = (tmp_path / "out").read_bytes().split(b" bytes cut here]\n")[1]
    assert 2500 <= len(after_marker) <= 5000
    assert after_marker.endswith(b"0004999\n")


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_the_limit_itself_is_not_cut(tmp_path, extra):
    capture = Capture(str(tmp_path / "out"), 2000)
    capture.feed(b"x" * (2000 + extra))
    capture.close()
    assert bool(capture.cut) == (extra > 0)


def test_the_tail_begins_at_a_character(tmp_path):
    capture = Capture(str(tmp_path / "out"), 100_000)
    capture.feed(("ä" * 5000 + "x").encode())
    capture.close()
    text = capture.tail_text()
    assert "\ufffd" not in text
    assert len(text.encode()) in range(TAIL - 3, TAIL + 1)


def test_a_tail_of_broken_utf8_is_replaced_not_lost(tmp_path):
    capture = Capture(str(tmp_path / "out"), 100_000)
    capture.feed(b"ok \xff\xfe\x00 end")
    capture.close()
    assert capture.tail_text() == "ok \ufffd\ufffd\x00 end"


def test_a_file_or_link_that_is_in_the_way_is_replaced_never_written_into(tmp_path):
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    capture = Capture(str(tmp_path / "out"), 2000)
    capture.feed(b"new")
    capture.close()
    assert (tmp_path / "precious").read_text() == "keep me"
    assert (tmp_path / "out").read_text() == "new"
    assert not (tmp_path / "out").is_symlink()


def test_a_short_write_is_completed(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:100])))
    capture = Capture(str(tmp_path / "out"), 100_000)
    data = os.urandom(5000)
    capture.feed(data)
    capture.close()
    assert (tmp_path / "out").read_bytes() == data


def test_what_the_disk_refuses_is_counted_and_the_tail_goes_on(tmp_path, monkeypatch):
    real = os.write
    capture = Capture(str(tmp_path / "out"), 100_000)
    capture.feed(b"a" * 1000)

    def full(fd, data):
        if len(data) > 100:
            return real(fd, bytes(data[:100]))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    capture.feed(b"b" * 150)
    capture.feed(b"c" * 30)
    monkeypatch.undo()
    capture.close()
    assert (tmp_path / "out").read_bytes() == b"a" * 1000 + b"b" * 100
    assert capture.lost == 80
    assert capture.tail_text().endswith("b" * 150 + "c" * 30)
    assert "No space left on device" in capture.error


def test_a_folder_that_is_gone_costs_the_file_only(tmp_path):
    capture = Capture(str(tmp_path / "gone" / "out"), 2000)
    capture.feed(b"hello")
    capture.close()
    assert (capture.total, capture.lost, capture.tail_text()) == (5, 5, "hello")
    assert "No such file" in capture.error
