"""The tasks of a backlog become files of inbox: each exactly once, whatever cuts that off.

They are first written in a folder of their own, `queue/.backlogs/<digest>/`, which gets its name when all of it is
durable. Then the backlog's own file leaves inbox, and only then is each task renamed into it. So what stands in the
folder is what is still to come, and whoever finds one goes on where it was left.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping

from orchestrator import failpoint
from orchestrator.home import Home
from orchestrator.spool import files

_OF = ".of.json"
"""Says which file of inbox the folder was made from."""


def stage(home: Home, name: str, sha256: str, specs: Mapping[str, bytes]) -> str:
    """Write the specs of a backlog, by file name; durable when this returns the folder. Once is enough."""
    folder = f"{_folder(home)}/{hashlib.sha256(f'{name}/{sha256}'.encode(errors='surrogateescape')).hexdigest()[:32]}"
    if os.path.isdir(folder):
        return folder
    temporary = f"{folder}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary, mode=0o700)
    for file, data in specs.items():
        files.write_new(f"{temporary}/{file}", data)
    files.write_new(f"{temporary}/{_OF}", json.dumps([name, sha256]).encode())
    files.sync_file_systems(temporary)
    os.rename(temporary, folder)
    files.sync_folder(_folder(home))
    failpoint.reach("backlog.staged")
    return folder


def left(home: Home) -> Iterator[str]:
    """The folders of which the backlog itself is in inbox no more: what is in them is to be placed."""
    try:
        found = sorted(name for name in os.listdir(_folder(home)) if not name.endswith(".tmp"))
    except FileNotFoundError:
        return
    for name in found:
        folder = f"{_folder(home)}/{name}"
        if not _still_waits(home, folder):
            yield folder


def place(home: Home, folder: str) -> tuple[list[str], bool]:
    """Rename what is in the folder into inbox; returns the names, and whether these are all. One that waits there
    already is left in the folder, which is removed when it is empty."""
    placed = []
    names = sorted(name for name in _names(folder) if name != _OF)
    for name in names:
        try:
            files.rename_no_replace(f"{folder}/{name}", f"{home.inbox}/{name}")
        except FileExistsError:
            continue
        placed.append(name)
        failpoint.reach("backlog.placed")
    files.sync_folder(home.inbox)
    whole = len(placed) == len(names)
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
        failpoint.reach("backlog.unpacked")
    return placed, whole


def _folder(home: Home) -> str:
    return f"{home.queue}/.backlogs"


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _still_waits(home: Home, folder: str) -> bool:
    """Whether inbox holds the very file that the folder was made from: then that is what is to be taken up."""
    try:
        with open(f"{folder}/{_OF}", encoding="utf-8") as file:
            name, sha256 = json.load(file)
        with open(f"{home.inbox}/{name}", "rb") as spec:
            return hashlib.sha256(spec.read()).hexdigest() == str(sha256)
    except FileNotFoundError:
        return False
