"""What one stream of a step printed: a bounded file on disk and a short tail in memory.

The file is, at every moment and so also after a crash, `printed[:H] + marker(N) + printed[H+N:]`, with H half
the limit and no marker while N is 0. It never grows past the limit. A disk that fails costs the file, never
the step: what could not be written is counted, and the tail goes on. While no descriptor is left for the file, what
was printed is held in memory, up to 64 KiB.
"""

from __future__ import annotations

import os
from typing import Any

from orchestrator.errors import is_limit
from orchestrator.masking import Masker
from orchestrator.outcome import Call

TAIL = 4096
HELD = 64 * 1024
MIN_LIMIT = 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


class Capture:
    """Takes chunks through `feed`. One thread at a time may use it; `close` before reading the results.

    `total` is what was printed, `cut` what fell out of the middle of the file, `lost` what the disk refused,
    all in bytes; `error` says why it was refused.
    """

    __slots__ = ("_fd", "_head", "_held", "_limit", "_size", "_tail", "cut", "error", "lost", "path", "total")

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.total = 0
        self.cut = 0
        self.lost = 0
        self.error: str | None = None
        self._limit = limit if limit > MIN_LIMIT else MIN_LIMIT
        self._head = self._limit // 2
        self._fd = -1
        self._size = 0
        self._tail = b""
        self._held = b""

    def feed(self, data: bytes | memoryview) -> None:
        """Append a chunk. Never raises for the disk."""
        count = len(data)
        self.total += count
        if count >= TAIL:
            self._tail = bytes(data[-TAIL:])
        else:
            self._tail = (self._tail + bytes(data))[-TAIL:] if self._tail else bytes(data)
        if self.error is not None:
            self.lost += count
            return
        self._store(data)

    def close(self) -> None:
        if self._held:
            self._store(b"", last=True)
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
            except OSError as error:  # NFS and quota report a failed write only here
                self._give_up(error)

    def tail_text(self) -> str:
        """The last 4 KiB as text. It starts at a character, and what is not UTF-8 is replaced."""
        tail = self._tail
        start = 0
        if self.total > len(tail):
            while start < 3 and start < len(tail) and tail[start] & 0xC0 == 0x80:
                start += 1
        return tail[start:].decode("utf-8", "replace")

    def _store(self, data: bytes | memoryview, *, last: bool = False) -> None:
        try:
            if self._fd < 0:
                self._open()
                if self._held:
                    data, self._held = self._held + bytes(data), b""
            if self._size + len(data) <= self._limit:
                self._write(data)
            else:
                self._cut_middle(memoryview(data))
        except OSError as error:
            if self._fd < 0 and not last and is_limit(error) and len(self._held) + len(data) <= HELD:
                self._held += bytes(data)
            else:
                self._give_up(error)

    def _open(self) -> None:
        try:
            self._fd = os.open(self.path, _FLAGS, 0o600)
        except FileExistsError:
            # An earlier attempt's file, or something that a step put in its place: never written into.
            os.unlink(self.path)
            self._fd = os.open(self.path, _FLAGS, 0o600)

    def _write(self, data: bytes | memoryview) -> None:
        written = os.write(self._fd, data)
        self._size += written
        while written < len(data):
            data = memoryview(data)[written:]
            written = os.write(self._fd, data)
            self._size += written

    def _cut_middle(self, data: memoryview) -> None:
        """Make room: keep the head, and of all that came after it the last quarter of the limit."""
        if self._size < self._head:
            missing = self._head - self._size
            self._write(data[:missing])
            data = data[missing:]
        keep = self._limit // 4
        reused = min(max(keep - len(data), 0), self._body())
        kept = os.pread(self._fd, reused, self._size - reused) + bytes(data[-keep:])
        os.ftruncate(self._fd, self._head)
        self._size = self._head
        self.cut = self.total - self._head - len(kept)
        self._write(marker(self.cut) + kept)

    def _body(self) -> int:
        """How many printed bytes stand in the file after its head."""
        return self._size - self._head - (len(marker(self.cut)) if self.cut else 0)

    def _give_up(self, error: OSError) -> None:
        self.error = f"{self.path} could not be written: {error.strerror}"
        in_file = self._size - (len(marker(self.cut)) if self.cut else 0)
        self.lost = max(self.total - self.cut - in_file, 0)


class MaskedCapture(Capture):
    """The same for what may hold secrets: file and tail never do, and what is counted is what they became."""

    __slots__ = ("_stream",)

    def __init__(self, path: str, limit: int, masker: Masker) -> None:
        super().__init__(path, limit)
        self._stream = masker.stream()

    def feed(self, data: bytes | memoryview) -> None:
        if told := self._stream.feed(bytes(data)):
            super().feed(told)

    def close(self) -> None:
        if rest := self._stream.close():
            super().feed(rest)
        super().close()


def capture(call: Call, path: str) -> Capture:
    """For one stream of a call."""
    if call.mask is None:
        return Capture(path, call.output_limit)
    return MaskedCapture(path, call.output_limit, call.mask)


def printed(out: Capture, err: Capture) -> dict[str, Any]:
    """What a `Finished` says of two streams that are closed."""
    return {
        "stdout_tail": out.tail_text(),
        "stderr_tail": err.tail_text(),
        "stdout_bytes": out.total,
        "stderr_bytes": err.total,
        "truncated": out.cut > 0 or err.cut > 0,
        "lost_bytes": out.lost + err.lost,
    }


def marker(cut: int) -> bytes:
    """The line that stands in a file where bytes of its middle were left out."""
    return b"\n[orchestrator: %d bytes cut here]\n" % cut
