"""Reviewers' verdicts on what code tasks have made: `state/verdicts/YYYY-MM.ndjson`, a line for each.

Rule: lines are only ever appended, each durable before the reviewer is told; of several about one run the last counts.
The command line writes them here, not into inbox: a task may write there, and must not be able to praise its own
work. A daemon is not needed, and does not read them.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator

import orjson

from orchestrator.event import CodeVerdict
from orchestrator.home import Home
from orchestrator.spool import files

_FILE = re.compile(r"\d{4}-\d\d\.ndjson")
_WORDS = ("accepted", "revise")


def give(home: Home, verdict: CodeVerdict) -> None:
    """Write a verdict down, durably. Raises OSError."""
    os.makedirs(home.verdicts, mode=0o700, exist_ok=True)
    path = f"{home.verdicts}/{verdict.ts[:7]}.ndjson"
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        torn = size and os.pread(fd, 1, size - 1) != b"\n"
        files.write_all(fd, (b"\n" if torn else b"") + orjson.dumps(verdict, option=orjson.OPT_APPEND_NEWLINE))
        os.fsync(fd)
    finally:
        os.close(fd)
    files.sync_folder(home.verdicts)


def latest(home: Home, day: str = "") -> tuple[dict[tuple[str, int], CodeVerdict], int]:
    """The verdict that counts on each run, by its task's id and its number, of those given in the month of `day`
    (`2026-01-31`) and later; and how many lines could not be read."""
    found: dict[tuple[str, int], CodeVerdict] = {}
    torn = 0
    for line in _lines(home, day[:7]):
        verdict = _read(line)
        if verdict is None:
            torn += 1
        else:
            found[verdict.id, verdict.run] = verdict
    return found, torn


def verdict_files(home: Home) -> list[str]:
    """The files' names, oldest first."""
    try:
        return sorted(name for name in os.listdir(home.verdicts) if _FILE.fullmatch(name))
    except FileNotFoundError:
        return []


def _lines(home: Home, month: str) -> Iterator[bytes]:
    for name in verdict_files(home):
        if name[:7] < month:
            continue
        try:
            with open(f"{home.verdicts}/{name}", "rb") as file:
                yield from (line for line in file if line.strip())
        except FileNotFoundError:
            continue  # retention took it away


def _read(line: bytes) -> CodeVerdict | None:
    try:
        found = CodeVerdict(**orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError):
        return None
    texts = (found.id, found.note, found.by, found.via, found.ts)
    sound = all(isinstance(text, str) for text in texts) and isinstance(found.run, int)
    return found if sound and found.verdict in _WORDS else None
