"""The one file that a code task changes: always whole, and the old one again unless the new one was verified."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import failpoint
from orchestrator.coding import change as changes
from orchestrator.runners.fence import Fence

POINTS = ["change.noted", "change.written", "change.undone"]
CHANGER = """
import sys
from orchestrator.coding import change as changes
from orchestrator.home import Home
from orchestrator.runners.fence import Fence
workspace, path, stem, home = sys.argv[1:]
fence = Fence(workspace, Home(home))
change = changes.begin(fence, workspace, path, changes.look(fence, path), b"new\\n", stem)
changes.take_back(fence, change)
"""


@pytest.fixture
def place(home, tmp_path):
    """A workspace, a fence around it and the folder of a run."""
    (tmp_path / "work").mkdir()
    (tmp_path / "run").mkdir()
    return tmp_path, Fence(str(tmp_path / "work"), home)


def begin(place, path, new=b"new\n", seen=None):
    root, fence = place
    seen = changes.look(fence, path) if seen is None else seen
    return changes.begin(fence, f"{root}/work", path, seen, new, f"{root}/run/0-local_model.1")


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


def test_a_kept_change_stays_with_the_mode_of_the_old_file_and_its_backup(place, home):
    root, fence = place
    target = root / "work/a.sh"
    target.write_bytes(b"old\r\n\xff")
    target.chmod(0o750)
    change = changes.keep(fence, begin(place, "a.sh"))
    assert target.read_bytes() == b"new\n"
    assert target.stat().st_mode & 0o777 == 0o750
    assert Path(change.backup).read_bytes() == b"old\r\n\xff"
    assert Path(change.backup).stat().st_mode & 0o777 == Path(change.note).stat().st_mode & 0o777 == 0o600
    assert changes.open_changes(f"{root}/run") == changes.settle(home, f"{root}/run") == []
    assert everything_in(root / "work") == ["a.sh"]


def test_what_is_taken_back_is_as_it_was_byte_for_byte_folders_that_were_made_for_it_included(place):
    root, fence = place
    target = root / "work/src/old.py"
    target.parent.mkdir()
    target.write_bytes(b"\x00old\r\n")
    changes.take_back(fence, begin(place, "src/old.py"))
    assert target.read_bytes() == b"\x00old\r\n"
    change = begin(place, "src/deep/er/new.py")
    assert (root / "work/src/deep/er/new.py").read_bytes() == b"new\n"
    changes.take_back(fence, change)
    assert everything_in(root / "work") == ["src", "src/old.py"]
    changes.take_back(fence, change)  # what is done already is not done twice


def test_a_folder_made_for_the_file_stays_where_something_else_lies_in_it_now(place):
    root, fence = place
    change = begin(place, "deep/er/new.py")
    (root / "work/deep/other").write_text("mine")
    changes.take_back(fence, change)
    assert everything_in(root / "work") == ["deep", "deep/other"]


def test_what_somebody_else_changed_meanwhile_is_never_touched(place, home):
    root, fence = place
    target = root / "work/a.py"
    target.write_text("old\n")
    seen = changes.look(fence, "a.py")
    target.write_text("theirs\n")
    with pytest.raises(changes.MeddledError, match="was changed by somebody else while the model wrote it"):
        begin(place, "a.py", seen=seen)
    assert target.read_text() == "theirs\n"
    change = begin(place, "a.py")
    target.write_text("theirs again\n")
    [told] = changes.settle(home, f"{root}/run")
    assert told.startswith("a.py was changed by somebody else since: it was left as it is")
    assert change.backup in told
    assert target.read_text() == "theirs again\n"
    assert changes.settle(home, f"{root}/run") == []


@pytest.mark.parametrize("path", ["../out.py", ".git/hooks/pre-commit", "link/a.py", "folder", "file/a.py", "self.py"])
def test_no_path_leads_out_of_the_workspace_into_git_or_through_a_link(place, path):
    root, _fence = place
    (root / "work/.git/hooks").mkdir(parents=True)
    (root / "work/folder").mkdir()
    (root / "work/file").write_text("")
    (root / "elsewhere").mkdir()
    (root / "work/link").symlink_to(root / "elsewhere")
    (root / "work/self.py").symlink_to(root / "elsewhere/x")
    before = everything_in(root)
    with pytest.raises(OSError, match=r"."):
        begin(place, path, seen=changes.Before())
    assert [name for name in everything_in(root) if not name.startswith("run/")] == [
        name for name in before if not name.startswith("run/")
    ]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("old", [b"old\n", None], ids=["there was a file", "there was none"])
def test_from_a_death_at_each_point_the_next_start_makes_the_old_file(place, home, point, old):
    root, _fence = place
    if old is not None:
        (root / "work/a.py").write_bytes(old)
    path = "a.py" if old is not None else "new/folder/a.py"
    died = subprocess.run(
        [sys.executable, "-c", CHANGER, f"{root}/work", path, f"{root}/run/0-local_model.1", home.root],
        env={**os.environ, "ORCHESTRATOR_FAILPOINT": point},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    [told] = changes.settle(home, f"{root}/run")
    assert told.startswith(f"{path} is as it was before")
    assert everything_in(root / "work") == (["a.py"] if old is not None else [])
    if old is not None:
        assert (root / "work/a.py").read_bytes() == old
    [note] = [json.loads(file.read_text()) for file in (root / "run").glob("*.json")]
    assert note["state"] == "taken_back"
    assert changes.settle(home, f"{root}/run") == []


@pytest.mark.parametrize("name", ["fsync", "rename", "write", "open", "mkdir", "unlink"])
def test_whichever_call_fails_while_a_file_is_put_in_place_it_is_the_old_one_after_that(place, monkeypatch, name):
    root, fence = place
    (root / "work/a.py").write_text("old\n")
    real = getattr(os, name)
    for path in ("a.py", "new/folder/b.py"):
        for nth in range(1, 20):
            left = iter(range(nth, -99, -1))

            def failing(*args, left=left, **options):
                if next(left) == 1:
                    raise OSError(errno.EIO, "Input/output error")
                return real(*args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing)
                try:
                    change = begin(place, path)
                except OSError:
                    change = None
            if change is None:
                assert everything_in(root / "work") == ["a.py"], (path, nth)
                assert (root / "work/a.py").read_text() == "old\n"
            else:
                changes.take_back(fence, change)
            assert changes.open_changes(f"{root}/run") == []


def test_what_can_not_be_put_back_is_never_said_to_be(place, home):
    root, fence = place
    (root / "work/a.py").write_text("old\n")
    change = begin(place, "a.py")
    Path(change.backup).unlink()
    with pytest.raises(OSError, match="No such file"):
        changes.take_back(fence, change)
    [told] = changes.settle(home, f"{root}/run")
    assert told.startswith("a.py can't be put back")
    assert len(changes.open_changes(f"{root}/run")) == 1


@pytest.mark.parametrize("theirs", ["text", "folder", "link", "huge"])
def test_what_became_of_the_file_while_its_test_ran_is_somebody_elses_and_is_not_called_verified(place, theirs):
    root, fence = place
    target = root / "work/a.py"
    target.write_text("old\n")
    for settle, when in ((changes.keep, "while its test ran"), (changes.take_back, "since")):
        change = begin(place, "a.py")
        target.unlink()
        if theirs == "folder":
            target.mkdir()
        elif theirs == "link":
            target.symlink_to("elsewhere")
        else:
            target.write_text("theirs\n")
            os.truncate(target, 1 << 40 if theirs == "huge" else 7)
        with pytest.raises(changes.MeddledError, match=f"by somebody else {when}: .* is {change.backup}"):
            settle(fence, change)
        assert target.is_symlink() or target.is_dir() or target.stat().st_size in (7, 1 << 40)
        assert changes.open_changes(f"{root}/run") == []
        target.rmdir() if theirs == "folder" else target.unlink()
        target.write_text("old\n")


def test_what_is_saved_in_the_last_moment_before_the_new_file_takes_its_name_stays(place, monkeypatch):
    root, _fence = place
    target = root / "work/a.py"
    target.write_text("old\n")
    monkeypatch.setattr(failpoint, "reach", lambda name: name == "change.noted" and target.write_text("theirs\n"))
    with pytest.raises(changes.MeddledError, match="while the model wrote it"):
        begin(place, "a.py")
    assert target.read_text() == "theirs\n"
    assert everything_in(root / "work") == ["a.py"]
    assert changes.open_changes(f"{root}/run") == []


def test_a_name_may_be_as_long_as_the_disk_lets_it_and_a_file_that_no_model_is_shown_whole_is_not_read(place):
    root, fence = place
    name = "é" * 126 + ".py"
    changes.keep(fence, begin(place, name))
    assert everything_in(root / "work") == [name]
    (root / "work/huge").touch()
    os.truncate(root / "work/huge", 1 << 40)
    with pytest.raises(OSError, match="larger than 1,024 KiB"):
        changes.look(fence, "huge")


def test_what_a_model_wrote_runs_as_nobody_else(place):
    root, fence = place
    target = root / "work/a.sh"
    target.write_text("old\n")
    target.chmod(0o4755)
    change = begin(place, "a.sh")
    assert target.stat().st_mode & 0o7777 == 0o755
    changes.take_back(fence, change)
    assert target.stat().st_mode & 0o7777 == 0o4755


def test_in_its_worktree_a_task_writes_and_beside_it_not(home):
    worktree = Path(home.worktrees, "task/1")
    worktree.mkdir(parents=True)
    descriptor, name = Fence(str(worktree), home).folder_of("a.py")
    os.close(descriptor)
    assert name == "a.py"
    for folder in (home.state, home.worktrees, f"{home.worktrees}/task", home.runs):
        with pytest.raises(PermissionError, match="own folders"):
            Fence(folder, home).folder_of("1.json")
