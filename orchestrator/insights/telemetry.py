"""Read telemetry: the last lines, and all lines of some days. Torn lines are left to the caller to count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from typing import Any

import orjson

from orchestrator.home import Home
from orchestrator.sinks.telemetry import file_name, telemetry_files

_BLOCK = 64 * 1024
_LARGE_BLOCK = 256 * 1024
_LATELY = 5_000
_ENDS = (b'"task_finished"', b'"task_retrying"')


def telemetry_lines(home: Home, n: int) -> list[bytes]:
    """The last `n` complete lines, oldest first, without their newlines; the files' ends are read, not the files."""
    files = telemetry_files(home.telemetry)
    return lines_before(home, n, files[-1]) if files else []


def lines_before(home: Home, n: int, last: tuple[str, int], end: int | None = None) -> list[bytes]:
    """As `telemetry_lines`, of the files up to `last` (day and segment), and of that one up to the offset `end`."""
    lines: list[bytes] = []
    for found in reversed(telemetry_files(home.telemetry)):
        if len(lines) >= n:
            break
        if found <= last:
            limit = end if found == last else None
            lines = _last_lines(f"{home.telemetry}/{file_name(*found)}", n - len(lines), limit) + lines
    return lines


def lines_since(home: Home, day: str) -> Iterator[bytes]:
    """Every line of the files of `day` (UTC, `2026-01-31`) and later; the last may be without its newline."""
    for found, segment in telemetry_files(home.telemetry):
        if found < day:
            continue
        try:
            with open(f"{home.telemetry}/{file_name(found, segment)}", "rb") as file:
                yield from file
        except FileNotFoundError:
            continue  # retention took it away


def lines_with(home: Home, day: str, mark: bytes) -> Iterator[bytes]:
    """Those of `lines_since` in which `mark` stands. The rest is not even cut into lines: one kind of line among the
    months of all others is found at the speed of the disk."""
    for found, segment in telemetry_files(home.telemetry):
        if found < day:
            continue
        try:
            with open(f"{home.telemetry}/{file_name(found, segment)}", "rb", buffering=0) as file:
                yield from _marked(file, mark)
        except FileNotFoundError:
            continue  # retention took it away


def _marked(file: FileIO, mark: bytes) -> Iterator[bytes]:
    rest = b""
    while block := file.read(_LARGE_BLOCK):
        data = rest + block if rest else block
        end = data.rfind(b"\n") + 1
        yield from _marked_in(data, end, mark)
        rest = data[end:]
    yield from _marked_in(rest, len(rest), mark)


def _marked_in(data: bytes, end: int, mark: bytes) -> Iterator[bytes]:
    at = data.find(mark, 0, end)
    while at >= 0:
        newline = data.find(b"\n", at, end)
        after = end if newline < 0 else newline
        yield data[data.rfind(b"\n", 0, at) + 1 : after]
        at = data.find(mark, after, end)


def ended_lately(home: Home) -> set[tuple[str | None, int]]:
    """Id and run of each task of whose end, or of whose next attempt, the last lines tell."""
    lines = (line for line in telemetry_lines(home, _LATELY) if any(event in line for event in _ENDS))
    ends = (record for line in lines if isinstance(record := _parsed(line), dict))
    return {(record.get("id"), record.get("run", 0)) for record in ends}


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _last_lines(path: str, n: int, end: int | None) -> list[bytes]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only the opening may find it gone
    except FileNotFoundError:
        return []
    with file:
        position = file.seek(0, os.SEEK_END) if end is None else end
        data = b""
        # One newline more than lines: what stands before the first of them may be half a line.
        while position > 0 and data.count(b"\n") <= n:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    complete = data[: data.rfind(b"\n") + 1]
    return [line for line in complete.splitlines() if line][-n:] if n > 0 else []
