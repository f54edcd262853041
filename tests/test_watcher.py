"""The watcher, with the real kernel."""

import asyncio
import os
import sys

import pytest

from orchestrator.watcher import watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
async def watched(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    hints: asyncio.Queue = asyncio.Queue()
    watcher = watch(str(inbox), asyncio.get_running_loop(), hints.put_nowait)
    watcher.start()
    yield inbox, hints, watcher
    watcher.close()


async def until(hints, name):
    while True:
        changed = await asyncio.wait_for(hints.get(), 10)
        if changed is None or name in changed:
            return changed


async def test_a_file_written_in_place_renamed_or_linked_into_the_folder_is_named(watched, tmp_path):
    inbox, hints, _ = watched
    (inbox / "written").write_text("x")
    await until(hints, "written")
    (tmp_path / "outside").write_text("x")
    os.rename(tmp_path / "outside", inbox / "renamed")
    await until(hints, "renamed")
    (tmp_path / "other").write_text("x")
    os.link(tmp_path / "other", inbox / "linked")
    await until(hints, "linked")


async def test_taking_files_out_of_the_folder_causes_no_hint(watched, tmp_path):
    inbox, hints, _ = watched
    (inbox / "a").write_text("x")
    await until(hints, "a")
    os.rename(inbox / "a", tmp_path / "a")
    (inbox / "b").write_text("x")
    seen: set = set()
    while "b" not in seen:
        seen |= await until(hints, "b")
    assert "a" not in seen


async def test_a_replaced_folder_is_noticed_and_watched_again(watched, tmp_path):
    inbox, hints, watcher = watched
    os.rename(inbox, tmp_path / "old")
    inbox.mkdir()
    while await asyncio.wait_for(hints.get(), 10) is not None:
        pass
    assert watcher.renew()
    assert not watcher.renew()
    (inbox / "new").write_text("x")
    await until(hints, "new")


async def test_a_removed_folder_is_watched_again_when_it_is_there_also_under_its_old_number(watched):
    inbox, hints, watcher = watched
    inbox.rmdir()
    inbox.mkdir()  # most file systems give the same inode again
    while await asyncio.wait_for(hints.get(), 10) is not None:
        pass
    watcher.renew()
    (inbox / "new").write_text("x")
    await until(hints, "new")


async def test_file_names_of_any_bytes_arrive_as_python_spells_them(watched):
    inbox, hints, _ = watched
    name = os.fsdecode(b"sp ace-\xff-\xc3\xbc.json")
    (inbox / name).write_text("x")
    await until(hints, name)
