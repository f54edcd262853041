"""A step that runs beside another can't open a folder to it by exchanging one for a link while its sandbox is made.

The moment is met for certain here: between the making of a call and its start.
"""

import sys

import pytest
from process_calls import Stage
from sandbox_stage import yard

from orchestrator.errors import TaskError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a sandbox here")
LEAVE = "touch left-here && echo left"


@pytest.fixture
async def walls(tmp_path):
    (tmp_path / "work of mine" / "inner").mkdir(parents=True)
    async with yard(tmp_path, workspace="work of mine") as ready:
        yield ready


async def start(walls, call, beside):
    """While the other call is alive."""
    assert beside.confinement
    stage: Stage = walls.stage
    return await stage.runner.run(call, out_path=str(stage.out), err_path=str(stage.err), mark="m")


async def test_a_workspace_that_a_step_above_exchanges_for_a_link_is_not_opened(walls):
    inner = walls.workspace / "inner"
    above = walls.call("/bin/true", run="above.1")
    call = walls.call("/bin/bash", "-c", LEAVE, cwd=inner, run="below.1")
    inner.rmdir()
    inner.symlink_to("../user")
    finished = await start(walls, call, above)
    assert (finished.status, finished.code) == ("failed", 126)
    assert "exchanged one of its folders" in finished.stderr_tail
    assert not (walls.user / "left-here").exists()


async def test_a_repository_that_a_step_makes_and_exchanges_for_a_link_is_not_opened(walls):
    older = walls.call("/bin/true", run="older.1")
    made = walls.workspace / ".git"
    for name in ("objects", "refs"):
        (made / name).mkdir(parents=True)
    (made / "HEAD").write_text("ref: refs/heads/main\n")
    call = walls.call("/bin/bash", "-c", f"cd ../user && {LEAVE}", run="newer.1")
    made.rename(walls.workspace / "elsewhere")
    made.symlink_to("../user")
    (walls.user / "hooks").mkdir()
    finished = await start(walls, call, older)
    assert (finished.status, finished.code) == ("failed", 126)
    assert not (walls.user / "left-here").exists()


async def test_steps_beside_each_other_run_as_ever_where_nothing_is_exchanged(walls):
    inner = walls.workspace / "inner"
    above = walls.call("/bin/true", run="above.1")
    finished = await walls.bash("touch made; echo $1; exit 7", cwd=inner, run="below.1")
    assert (finished.code, (inner / "made").exists()) == (7, True)
    same = walls.call("/bin/true", run="beside.1").confinement.argv
    assert not [word for word in same if "mountinfo" in word], "who has the same folders mounted is no danger"
    assert above.confinement


async def test_the_look_ends_with_the_other_step(walls):
    inner = walls.workspace / "inner"
    above = walls.call("/bin/true", run="above.1")
    assert any("mountinfo" in word for word in walls.call("/bin/true", cwd=inner).confinement.argv)
    del above
    assert not any("mountinfo" in word for word in walls.call("/bin/true", cwd=inner).confinement.argv)


async def test_a_library_that_could_deceive_the_look_is_refused(walls):
    above = walls.call("/bin/true", run="above.1")
    with pytest.raises(TaskError, match="LD_PRELOAD is set"):
        walls.call("/bin/true", cwd=walls.workspace / "inner", env={"LD_PRELOAD": "/evil.so"})
    assert above.confinement


async def test_what_is_removed_after_a_step_is_not_looked_for_through_a_link(walls):
    """Git's configuration may include a file of a folder that the step makes a link to one of the user's."""
    (walls.user / "precious").write_text("kept")
    made = (
        "mkdir -p .git/objects .git/refs .git/hooks; echo 'ref: refs/heads/main' > .git/HEAD;"
        "printf '[include]\\n\\tpath = ../way/precious\\n' > .git/config"
    )
    assert (await walls.bash(made)).code == 0
    finished = await walls.bash("ln -s ../user way")
    assert finished.status == "failed"
    assert "remove it" in finished.error
    assert (walls.user / "precious").read_text() == "kept"
