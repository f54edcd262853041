"""One output pipe of a step, and the copying from it into its capture.

Read without blocking and never waited on for its end: a process that outlives the step may hold it open.
"""

from __future__ import annotations

import os

from orchestrator.runners.capture import Capture

CHUNK = 256 * 1024
# What a pipe can hold at most: 64 KiB by default, 1 MiB if a step has enlarged it (the kernel's limit for
# ordinary users). What was printed before a step ended is among the first so many bytes read after its end.
PIPE_CAPACITY = 1024 * 1024


class Stream:
    """The reading end of a pipe. Used by the loop until the pump adopts it, and then by the pump alone."""

    __slots__ = ("capture", "fd")

    def __init__(self, fd: int, capture: Capture) -> None:
        self.fd = fd
        self.capture = capture

    def copy(self, buffer: memoryview) -> int:
        """Copy one chunk; its bytes. 0 when every writer is gone, -1 when there is nothing at present."""
        try:
            count = os.readv(self.fd, (buffer,))
        except BlockingIOError:
            return -1
        if count:
            self.capture.feed(buffer[:count])
        return count

    def drain(self, buffer: memoryview) -> None:
        """Copy what is there. A writer that never stops can't hold us: what it wrote in time fits in."""
        left = PIPE_CAPACITY
        # A read that does not fill the buffer has emptied the pipe.
        while left > 0 and self.copy(buffer) == len(buffer):
            left -= len(buffer)

    def close(self) -> None:
        os.close(self.fd)
        self.capture.close()
