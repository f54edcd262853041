"""Files of the workspace that the daemon opens for a request: nothing outside, nothing of its own, nothing half."""

import os

import pytest
from http_calls import Caller, response, serving

from orchestrator.home import Home
from orchestrator.runners.fence import Fence
from orchestrator.runners.http.failure import Code, HttpFailure
from orchestrator.runners.http.workspace import SavedFile, open_body


@pytest.fixture
def caller(tmp_path):
    return Caller(tmp_path)


@pytest.fixture
def house_fence(tmp_path):
    """A workspace that is the home itself, as it is by default."""
    home = Home(str(tmp_path / "house"))
    home.prepare()
    for folder in (home.config, home.policy, home.skills, f"{home.root}/.git", f"{home.root}/src"):
        os.mkdir(folder)
    return Fence(home.root, home), home


async def test_an_answer_is_saved_whole_and_not_printed(caller):
    (caller.workspace / "data").mkdir()
    (caller.workspace / "data" / "a.bin").write_text("earlier")
    body = os.urandom(700_000)
    async with serving(response(body)) as server:
        finished = await caller.get(server.url(), save="data/a.bin")
    assert (finished.status, finished.stdout_bytes) == ("ok", 0)
    assert (caller.workspace / "data" / "a.bin").read_bytes() == body
    assert os.listdir(caller.workspace / "data") == ["a.bin"]
    assert (caller.workspace / "data" / "a.bin").stat().st_mode & 0o022 == 0


@pytest.mark.parametrize(
    "answer", [response(b"sorry", "500 Oops"), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_an_answer_that_failed_leaves_what_was_there(caller, answer):
    (caller.workspace / "a").write_text("earlier")
    async with serving(answer) as server:
        finished = await caller.get(server.url(), save="a", timeout=300)
    assert finished.status in ("failed", "timed_out")
    assert (caller.workspace / "a").read_text() == "earlier"
    assert os.listdir(caller.workspace) == ["a"]


async def test_a_place_that_cannot_be_written_is_told_before_anything_is_asked(caller):
    async with serving(response()) as server:
        finished = await caller.get(server.url(), save="missing/a")
    assert (finished.code, finished.error) == (
        Code.NOT_SAVED, "the answer can't be saved as missing/a: No such file or directory",
    )  # fmt: skip
    assert server.requests == []


async def test_a_missing_body_file_is_told_before_anything_is_asked(caller):
    async with serving(response()) as server:
        finished = await caller.get(server.url(), method="PUT", body_file="missing")
    assert (finished.code, finished.error) == (
        Code.NOT_READ, "the body_file missing can't be read: No such file or directory",
    )  # fmt: skip
    assert server.requests == []


async def test_no_link_is_followed_anywhere(caller, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (caller.workspace / "folder").symlink_to(outside)
    (caller.workspace / "file").symlink_to(outside / "secret")
    (caller.workspace / "dangling").symlink_to(outside / "new")
    async with serving(response(b"answer")) as server:
        for path in ("folder/secret", "file"):
            finished = await caller.get(server.url(), method="PUT", body_file=path)
            assert (finished.code, finished.stderr_tail.count("link")) == (Code.NOT_READ, 1)
        finished = await caller.get(server.url(), save="folder/new")
        assert finished.code == Code.NOT_SAVED
        assert server.requests == []
        for path in ("file", "dangling"):
            assert (await caller.get(server.url(), save=path)).status == "ok"
            assert (caller.workspace / path).read_text() == "answer"
            assert not (caller.workspace / path).is_symlink()
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
async def test_only_a_plain_file_is_sent(caller, kind):
    path = caller.workspace / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif os.geteuid() == 0:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    else:
        pytest.skip("only root can make a device")
    finished = await caller.get("http://localhost:1/", method="PUT", body_file="x")
    assert finished.code == Code.NOT_READ


@pytest.mark.parametrize(
    "folder", ["config", "policy", "skills", "state", "queue", "queue/inbox", "state/runs", ".git", ".GIT"]
)
def test_what_is_the_orchestrators_or_gits_own_is_out_of_reach(house_fence, folder):
    fence, home = house_fence
    if folder == ".GIT":
        os.mkdir(f"{home.root}/.GIT")
    with open(f"{home.root}/{folder}/x", "w") as file:
        file.write("secret")
    for forbidden in (lambda path: open_body(fence, path), lambda path: SavedFile(fence, path)):
        with pytest.raises(HttpFailure, match=r"belongs to the orchestrator|out of reach"):
            forbidden(f"{folder}/x")
    assert sorted(os.listdir(f"{home.root}/{folder}"))[-1] == "x"


def test_a_workspace_within_the_orchestrators_folders_has_no_files(house_fence):
    _, home = house_fence
    with pytest.raises(HttpFailure, match="the workspace lies in"):
        SavedFile(Fence(home.inbox, home), "x.json")


def test_other_folders_of_the_home_are_in_reach(house_fence):
    fence, home = house_fence
    saved = SavedFile(fence, "src/x")
    saved.write(b"whole")
    assert not os.path.exists(f"{home.root}/src/x")
    saved.keep()
    saved.close()
    descriptor, size = open_body(fence, "src/x")
    assert os.read(descriptor, 10) == b"whole"
    os.close(descriptor)
    assert size == 5


@pytest.mark.parametrize("path", ["..", "../x", "src/../../x", "/etc/passwd", ".", "src/.", "src//x", ""])
def test_even_a_path_that_nobody_checked_stays_inside(house_fence, path):
    fence, _ = house_fence
    with pytest.raises(HttpFailure):
        open_body(fence, path)
    with pytest.raises(HttpFailure):
        SavedFile(fence, path)


def test_no_descriptor_is_left_open(house_fence):
    fence, home = house_fence
    before = len(os.listdir("/dev/fd"))
    for path in ("config/x", "src/missing/x", "../x", "src/.git"):
        with pytest.raises(HttpFailure):
            open_body(fence, path)
        with pytest.raises(HttpFailure):
            SavedFile(fence, path)
    SavedFile(fence, "src/y").close()
    assert len(os.listdir("/dev/fd")) == before
    assert os.listdir(f"{home.root}/src") == []
