"""The one thread that copies the output of steps that live longer than a moment.

It exists so that a slow disk holds up neither the event loop nor a short step, and so that a file can be
followed while its step runs. All work comes in through `_orders`, so that the selector has one user.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence

from orchestrator.runners.process.stream import CHUNK, Stream


class Pump:
    """`adopt` gives it streams; `finish` drains and closes them and then calls back, in the pump's thread."""

    def __init__(self) -> None:
        # poll needs no leave of the kernel for each pipe, as epoll does: this thread must not die of a limit.
        self._selector = selectors.PollSelector() if sys.platform == "linux" else selectors.DefaultSelector()
        self._orders: deque[Callable[[], None]] = deque()
        self._buffer = memoryview(bytearray(CHUNK))
        self._running = True
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="output-pump", daemon=True)
        self._thread.start()

    def adopt(self, streams: Sequence[Stream]) -> None:
        self._order(lambda: self._adopt(streams))

    def finish(self, streams: Sequence[Stream], done: Callable[[], object]) -> None:
        """For streams that were adopted, and for those that were not."""
        self._order(lambda: self._finish(streams, done))

    def stop(self) -> None:
        """Returns when what was ordered before is done."""
        self._order(self._stop)
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            return  # so many wake-ups are waiting already that it will come round

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select():
                if key.data is not None and key.data.copy(self._buffer) == 0:
                    self._selector.unregister(key.fd)
            self._obey()

    def _obey(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return
        while self._orders:
            self._orders.popleft()()

    def _adopt(self, streams: Sequence[Stream]) -> None:
        for stream in streams:
            self._selector.register(stream.fd, selectors.EVENT_READ, stream)

    def _finish(self, streams: Sequence[Stream], done: Callable[[], object]) -> None:
        registered = self._selector.get_map()
        for stream in streams:
            if stream.fd in registered:
                self._selector.unregister(stream.fd)
            stream.drain(self._buffer)
            stream.close()
        done()

    def _stop(self) -> None:
        self._running = False
