"""Follow what grows: a task's output while it runs, and telemetry. Async, with aiofiles, by looking every 100 ms.

Polled, because the writers are files' writers and nothing else: there is no one to ask, and a face may stand on
another machine's view of the same disk.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiofiles

from orchestrator.home import Home
from orchestrator.insights.entries import find, latest_run
from orchestrator.insights.runs import Channel, OutputFile, output_files, task_id_of
from orchestrator.insights.telemetry import lines_before
from orchestrator.journal import runs
from orchestrator.sinks.telemetry import file_name, telemetry_files

POLL_S = 0.1
_CHUNK = 64 * 1024
_EDGE = 64
_MARKER = re.compile(rb"\n\[orchestrator: (\d+) bytes cut here\]\n")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes that a step printed. `cut` is how many before them were left out of the file unseen."""

    step: int
    skill: str
    stream: Channel
    data: bytes
    cut: int = 0
    attempt: int = 1


async def follow(
    home: Home,
    wanted: str,
    *,
    run: int | None = None,
    step: int | None = None,
    stream: Channel | None = None,
    poll_s: float = POLL_S,
) -> AsyncIterator[Chunk]:
    """What a task prints, from its beginning until its run has a result.

    Without `run`: the run that lasts, or the coming one of a task that waits, or else the latest one. Ends at
    once for a task that nobody knows.
    """
    chosen = await _chosen_run(home, wanted, run, poll_s)
    if chosen is None:
        return
    task_id, number = chosen
    readers: dict[str, _Reader] = {}
    while True:
        # Looked at before reading: what was printed before the result is then surely read.
        ended = await asyncio.to_thread(_is_over, home, task_id, number)
        for file in await asyncio.to_thread(output_files, home, task_id, number, step, stream):
            reader = readers.setdefault(file.path, _Reader(file))
            async for chunk in reader.news():
                yield chunk
        if ended:
            return
        await asyncio.sleep(poll_s)


async def _chosen_run(home: Home, wanted: str, run: int | None, poll_s: float) -> tuple[str, int] | None:
    while True:
        # The entry first: if the task ends between the two looks, the run is found, not waited for.
        entry = await asyncio.to_thread(find, home, wanted)
        task_id = task_id_of(home, wanted, entry)
        number = run if run is not None else latest_run(home, task_id) if task_id else None
        pending = entry is not None and entry.state in ("inbox", "scheduled", "running")
        if task_id and number and (run is not None or not pending or not _has_ended(home, task_id, number)):
            return task_id, number
        if entry is None or not pending:
            return None
        wanted = entry.name  # found at once from now on: an id may have to be searched for in many files
        await asyncio.sleep(poll_s)


def _has_ended(home: Home, task_id: str, run: int) -> bool:
    return os.path.exists(f"{home.runs}/{task_id}/{run}/{runs.RESULT}")


def _is_over(home: Home, task_id: str, run: int) -> bool:
    """Nothing more will come: it has a result, or its folder was removed, or a crash left it and it is put back."""
    if _has_ended(home, task_id, run) or not os.path.isdir(f"{home.runs}/{task_id}/{run}"):
        return True
    latest = latest_run(home, task_id)
    return latest is not None and latest > run


class _Reader:
    """Remembers how much of one output file was seen, across cuts of its middle.

    The file is what was printed, or its head, a marker that says how many bytes were left out, and its end
    (runners/capture.py). A cut rewrites all behind the head, perhaps to the same size as before: that the
    last bytes which were seen no longer stand where they stood is what tells.
    """

    def __init__(self, file: OutputFile) -> None:
        self._file = file
        self._inode = 0
        self._begin()

    def _begin(self) -> None:
        self._offset = 0  # in the file
        self._printed = 0  # in what the step printed
        self._edge = b""
        self._past_marker = False

    async def news(self) -> AsyncIterator[Chunk]:
        try:
            async with aiofiles.open(self._file.path, "rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:  # an earlier attempt's file was replaced
                    self._begin()
                    self._inode = inode
                await file.seek(self._offset - len(self._edge))
                data = await file.read()
                if data.startswith(self._edge):
                    chunks = self._take(data[len(self._edge) :])
                else:
                    await file.seek(0)
                    chunks = self._resume(await file.read())
        except FileNotFoundError:
            return
        for chunk in chunks:
            yield chunk

    def _take(self, data: bytes, cut: int = 0) -> Iterator[Chunk]:
        """New bytes of the file; the marker among them is not printed text, and comes once."""
        self._offset += len(data)
        self._edge = (self._edge + data)[-_EDGE:]
        marker = None if self._past_marker else _MARKER.search(data)
        if marker is not None:
            self._past_marker = True
            yield from self._chunk(data[: marker.start()], 0)
            data, cut = data[marker.end() :], int(marker[1])
        yield from self._chunk(data, cut)

    def _chunk(self, data: bytes, cut: int) -> Iterator[Chunk]:
        self._printed += len(data) + cut
        if data or cut:
            file = self._file
            yield Chunk(file.step, file.skill, file.stream, data, cut, file.attempt)

    def _resume(self, whole: bytes) -> Iterator[Chunk]:
        """After a cut: what follows the part that was seen, and how much was cut away before it was."""
        marker = _MARKER.search(whole)
        if marker is None:
            return  # between the two calls of a cut: the next look finds it whole
        self._past_marker = True
        kept_from = marker.start() + int(marker[1])
        self._offset = min(marker.end() + max(0, self._printed - kept_from), len(whole))
        self._edge = whole[max(0, self._offset - _EDGE) : self._offset]
        yield from self._take(whole[self._offset :], max(0, kept_from - self._printed))


async def follow_telemetry(home: Home, *, last: int = 10, poll_s: float = POLL_S) -> AsyncIterator[bytes]:
    """The last lines, then each new one as it is written, across days and segments; never ends by itself.

    Every file is looked at, not the latest alone: where the clock was set back, an earlier day goes on."""
    offsets = {file: _complete_size(home, file) for file in telemetry_files(home.telemetry)}
    newest = max(offsets, default=None)
    for line in lines_before(home, last, newest, offsets[newest]) if newest else ():
        yield line
    while True:
        found = False
        for file in telemetry_files(home.telemetry):
            size, offset = _size(home, file), offsets.get(file, 0)
            if size == offset:
                continue
            async for line, after in _lines_from(_path(home, file), min(offset, size)):
                found, offsets[file] = True, after
                yield line
        if not found:
            await asyncio.sleep(poll_s)


def _size(home: Home, file: tuple[str, int]) -> int:
    try:
        return os.stat(_path(home, file)).st_size
    except FileNotFoundError:
        return 0


def _path(home: Home, file: tuple[str, int]) -> str:
    return f"{home.telemetry}/{file_name(*file)}"


def _complete_size(home: Home, file: tuple[str, int]) -> int:
    """The size up to and with the last newline."""
    try:
        with open(_path(home, file), "rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            while size > 0:
                start = max(0, size - _CHUNK)
                opened.seek(start)
                end = opened.read(size - start).rfind(b"\n") + 1
                if end:
                    return start + end
                size = start
    except FileNotFoundError:
        return 0
    return 0


async def _lines_from(path: str, offset: int) -> AsyncIterator[tuple[bytes, int]]:
    """Complete lines from an offset, each with the offset after it."""
    try:
        async with aiofiles.open(path, "rb") as file:
            await file.seek(offset)
            rest = b""
            while data := await file.read(_CHUNK):
                *lines, rest = (rest + data).split(b"\n")  # what has no newline is still being written
                for line in lines:
                    offset += len(line) + 1
                    yield line, offset
    except FileNotFoundError:
        return
