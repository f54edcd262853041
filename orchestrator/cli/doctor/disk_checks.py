"""The disk under the home: whether it takes anything, how much more it would take, and what has filled it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import monotonic

from orchestrator.cli.doctor.finding import Finding
from orchestrator.home import Home
from orchestrator.spool import files

_LITTLE, _TOO_LITTLE = 1024**3, 100 * 1024**2
_FEW, _TOO_FEW = 10_000, 1_000
_PATIENCE_S = 3.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def disk(home: Home) -> Iterator[Finding]:
    if not os.path.isdir(home.root):
        return
    found = os.statvfs(home.root)
    free = found.f_bavail * found.f_frsize
    yield _room("disk", f"{size(free)} free", free < _LITTLE, free < _TOO_LITTLE)
    if found.f_files:  # some file systems have no fixed number
        left = found.f_favail
        yield _room("inodes", f"{left:,} free", left < _FEW, left < _TOO_FEW)
    yield from _takes_a_file(home)


def kept(home: Home) -> Iterator[Finding]:
    """What the state consists of, by size. Long looking is cut short: the numbers are then a lower bound."""
    until = monotonic() + _PATIENCE_S
    parts = []
    for folder in (home.runs, home.telemetry, home.journal, home.caches, home.worktrees):
        count, used = _measure(folder, until)
        if count:
            parts.append(f"{os.path.basename(folder)} {size(used)} in {count:,} files")
    if parts:
        more = "more than: " if monotonic() >= until else ""
        yield Finding("state", "ok", more + ", ".join(parts))


def size(count: float) -> str:
    """Bytes for people: `1.2 GiB`."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit < 2 or count >= 100 else f"{count:.1f} {_UNITS[unit]}"


def _room(subject: str, text: str, little: bool, too_little: bool) -> Finding:
    if too_little:
        return Finding(subject, "fail", text, "make room: nothing is claimed on a full disk")
    if little:
        return Finding(subject, "warn", text, "make room, or keep less (docs/operations.md, retention)")
    return Finding(subject, "ok", text)


def _takes_a_file(home: Home) -> Iterator[Finding]:
    """Quotas, a file system that went read-only and a dying disk show only when something is written."""
    if not os.path.isdir(home.state):
        return
    path = f"{home.state}/.doctor.{os.getpid()}.tmp"
    try:
        files.write_new(path, b"x" * 4096, sync=True)
        os.unlink(path)
    except PermissionError:
        return  # said among the folders
    except OSError as error:
        text = f"nothing can be written in {home.state}: {error.strerror or error}"
        yield Finding("disk", "fail", text, "nothing is claimed until it can")


def _measure(folder: str, until: float) -> tuple[int, int]:
    """How many files lie below a folder, and the bytes that they take on the disk; no link is followed."""
    count = used = 0
    pending = [folder]
    while pending and monotonic() < until:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        count += 1
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:  # gone meanwhile, or closed to this user: not counted
            continue
    return count, used
