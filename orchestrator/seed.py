"""The seed: what a new home is made from, and the planting of it.

In an installed package the seed lies in `orchestrator/_seed`; in a checkout the repository's own top-level
folders are the seed. What stands in the home already is never overwritten.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home

FOLDERS = ("config", "policy", "skills", "queue/examples")
_NEVER = {"__pycache__", "__init__.py", "local.toml", "secrets.env", ".gitkeep"}


@dataclass(slots=True)
class Planted:
    """Paths relative to the home: what was made, what stood there as it is in the seed, what differs from it."""

    made: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def seed_root() -> str:
    """Where the seed lies. Raises FatalError for an installation without one."""
    package = os.path.dirname(os.path.abspath(__file__))
    for candidate in (f"{package}/_seed", os.path.dirname(package)):
        if os.path.isfile(f"{candidate}/{MARKER}"):
            return candidate
    raise FatalError(f"this installation is incomplete: {package}/_seed is missing; install local-orchestrator again")


def plant(home: Home) -> Planted:
    """Copy the seed into a home and make its folders. Raises FatalError where a file stands in the way."""
    root, planted = seed_root(), Planted()
    try:
        os.makedirs(home.root, mode=0o700, exist_ok=True)
        for path in _seeds(root):
            _plant_one(f"{root}/{path}", f"{home.root}/{path}", path, planted)
        home.prepare()
    except (FileExistsError, NotADirectoryError) as error:
        raise FatalError(f"{error.filename}: a file stands where a folder has to be", exit_code=2) from error
    return planted


def changed_from_seed(home: Home, top: str) -> list[str]:
    """The files of a seed folder that a home lacks or has otherwise. Raises FatalError as `seed_root`."""
    root = seed_root()
    paths = [path for path in _seeds(root) if path.startswith(f"{top}/")]
    return [path for path in paths if not _same(f"{root}/{path}", f"{home.root}/{path}")]


def unchanged_from_seed(folder: str, top: str) -> frozenset[str]:
    """The names of a folder's files that are as in the seed; none where it is the seed's own, or there is no seed."""
    try:
        seed = f"{seed_root()}/{top}"
    except FatalError:
        return frozenset()
    if os.path.realpath(seed) == os.path.realpath(folder):
        return frozenset()
    return frozenset(name for name in os.listdir(seed) if _same(f"{seed}/{name}", f"{folder}/{name}"))


def _same(source: str, target: str) -> bool:
    return os.path.isfile(target) and filecmp.cmp(source, target, shallow=False)


def _seeds(root: str) -> Iterator[str]:
    for top in FOLDERS:
        for folder, below, names in os.walk(f"{root}/{top}"):
            below[:] = sorted(set(below) - _NEVER)
            for name in sorted(set(names) - _NEVER):
                yield os.path.relpath(f"{folder}/{name}", root)


def _plant_one(source: str, target: str, path: str, planted: Planted) -> None:
    if os.path.lexists(target):
        (planted.same if _same(source, target) else planted.kept).append(path)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.access(source, os.X_OK) else 0o644)
    planted.made.append(path)
