"""A disk that refuses everything for a while, whatever it says: the log tells, and then all goes on."""

import sys

import pytest
from conftest import require_program, smoke, until
from injector import Fault, injected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")


def test_what_a_disk_refuses_is_tried_again_and_a_claim_without_a_way_back_is_fetched(daemon, tmp_path):
    require_program("strace")
    log, trace = daemon.root / "daemon.log", tmp_path / "strace"
    for error, says in (
        ("EIO", "Input/output error"),
        ("EROFS", "Read-only file system"),
        ("EDQUOT", "Disk quota exceeded"),
    ):
        with injected(daemon.process.pid, Fault("rename", error, "1+"), daemon.home, trace):
            daemon.drop(smoke(error, f"echo {error} >> {tmp_path}/witness"))
            until(lambda says=says: f"claiming pauses: {says}" in log.read_text(), f"the log to tell of {error}")
            assert daemon.names("inbox") == [f"{error}.json"]
        assert daemon.result(error)["status"] == "ok"
    with injected(daemon.process.pid, Fault("claim", "EIO", "2+"), daemon.home, trace):
        daemon.drop(smoke("stray", f"echo stray >> {tmp_path}/witness"))
        until(lambda: daemon.names("running") == ["stray.json"], "the claim")
    assert daemon.result("stray")["status"] == "ok"
    assert (tmp_path / "witness").read_text().split() == ["EIO", "EROFS", "EDQUOT", "stray"]
    assert "internal error" not in log.read_text()
