"""Looking at the workspace: which paths a rule may name, what a glob matches, what a file is like.

Every look is bounded. A path that leaves the workspace is refused, because a task's acceptance may speak only
about the task's own files, and because the daemon sees more of the machine than a sandboxed step does: a
check must not become a way to probe the rest. For the same reason content is never read through a symbolic
link that leads out, while the mere existence of what such a link names may be asked for.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

MAX_ENTRIES = 100_000

_MAGIC = re.compile(r"[*?[]")


class RefusedError(Exception):
    """The rule can't hold as it is written; the message says why. The verdict is False."""


class UndecidedError(Exception):
    """The look was given up; the message says why. The verdict is None."""


class Stamp(NamedTuple):
    """What changes when a file changes. The times are nanoseconds."""

    mtime_ns: int
    size: int
    inode: int


def inside(path: str, workspace: str) -> str:
    """The path relative to the workspace, normalised. Raises RefusedError if it leads out of it."""
    if path.startswith("~"):
        raise RefusedError(f"{path}: `~` is not expanded; name a path relative to the workspace")
    relative = path
    if path.startswith("/"):
        roots = (os.path.normpath(workspace), os.path.realpath(workspace))
        normal = os.path.normpath(path)
        root = next((root for root in roots if normal == root or normal.startswith(root + "/")), None)
        if root is None:
            raise _outside(path)
        relative = os.path.relpath(normal, root)
    normal = os.path.normpath(relative)
    if normal == ".." or normal.startswith("../"):
        raise _outside(path)
    return normal


def _outside(path: str) -> RefusedError:
    return RefusedError(
        f"{path} is outside of the workspace; acceptance speaks about the task's own files only. "
        "To look elsewhere, use a `command` check, which the gate judges"
    )


def stamp(path: str) -> Stamp | None:
    """The stamp of what the path leads to, or None if nothing is there."""
    found = _stat(path)
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ino) if found else None


def is_folder(path: str) -> bool:
    found = _stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_inside(path: str, workspace: str) -> BinaryIO:
    """Open a regular file of the workspace for reading. Raises RefusedError with the reason, or OSError."""
    target = os.path.realpath(f"{workspace}/{inside(path, workspace)}")
    if not target.startswith(os.path.realpath(workspace).rstrip("/") + "/"):
        raise RefusedError(f"{path} leads out of the workspace through a symbolic link, so it is not read")
    try:
        # NONBLOCK: opening a FIFO that a step left behind would otherwise wait for a writer for ever.
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise RefusedError(f"{path} does not exist") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def matches(pattern: str, workspace: str) -> Iterator[str]:
    """Paths (absolute) that a literal path or a glob names.

    `*` and `?` stay within a name, `**` spans folders without following links, names that begin with a dot
    need a pattern that does. A name that holds glob signs itself is found literally first. Raises
    RefusedError, UndecidedError after MAX_ENTRIES, and at the end the first OSError that kept a folder from
    being read.
    """
    relative = inside(pattern, workspace)
    literal = f"{workspace}/{relative}"
    if _stat(literal):
        yield literal
    if _MAGIC.search(relative):
        yield from _walk(workspace, _segments(relative))


def files_beneath(folder: str) -> Iterator[str]:
    """Every entry beneath a folder that is not itself a folder; bounded as in `matches`."""
    return (path for path in _walk(folder, ("**",)) if not is_folder(path))


def _segments(relative: str) -> tuple[str, ...]:
    parts: list[str] = []
    for part in relative.split("/"):
        if part != "**" or parts[-1:] != ["**"]:
            parts.append(part)
    return tuple(parts)


def _walk(root: str, segments: tuple[str, ...]) -> Iterator[str]:
    """Depth first with a stack of our own: a hostile tree may be deeper than Python's."""
    stack = [(root, 0)]
    seen: set[tuple[str, int]] = set()
    budget = MAX_ENTRIES
    trouble: OSError | None = None
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        try:
            found, further, cost = _expand(state[0], state[1], segments)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            trouble = trouble or error
            continue
        budget -= cost
        if budget < 0:
            raise UndecidedError(f"gave up after {MAX_ENTRIES:,} files and folders; name a narrower path")
        yield from found
        stack.extend(further)
    if trouble is not None:
        raise trouble


_Expansion = tuple[list[str], list[tuple[str, int]], int]


def _expand(folder: str, index: int, segments: tuple[str, ...]) -> _Expansion:
    """One folder against one segment: the matches, where to look further, and the entries looked at."""
    segment = segments[index]
    last = index == len(segments) - 1
    if segment == "**":
        return _expand_deep(folder, index, last)
    if not _MAGIC.search(segment):
        paths = [f"{folder}/{segment}"] if _stat(f"{folder}/{segment}") else []
        cost = 1
    else:
        accepts = _acceptor(segment)
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        paths = [f"{folder}/{name}" for name in sorted(names) if accepts(name)]
        cost = len(names) + 1
    return (paths, [], cost) if last else ([], [(path, index + 1) for path in paths], cost)


def _expand_deep(folder: str, index: int, last: bool) -> _Expansion:
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda e: e.name)
    deeper = [(entry.path, index) for entry in entries if entry.is_dir(follow_symlinks=False)]
    found = [entry.path for entry in entries] if last else []
    here = [] if last else [(folder, index + 1)]
    return found, deeper + here, len(entries) + 1


def _acceptor(segment: str) -> Callable[[str], bool]:
    accepts = re.compile(fnmatch.translate(segment)).match
    shows_hidden = segment.startswith(".")
    return lambda name: bool(accepts(name)) and (shows_hidden or not name.startswith("."))
