"""watchdog on one folder, for systems without inotify. Its thread only says "look again"."""

from __future__ import annotations

import asyncio
import os

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from orchestrator.watcher import Hint


class ObserverWatcher:
    """See `orchestrator.watcher`."""

    def __init__(self, folder: str, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._folder = folder
        self._loop = loop
        self._hint = hint
        self._inode = 0

    def start(self) -> None:
        self._observer = Observer()
        self._observer.schedule(_Handler(self._loop, self._hint), self._folder, recursive=False)
        self._observer.start()
        self._inode = os.stat(self._folder).st_ino

    def renew(self) -> bool:
        try:
            inode = os.stat(self._folder).st_ino
        except FileNotFoundError:
            return False
        if inode == self._inode and self._observer.is_alive():
            return False
        self.close()
        self.start()
        return True

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(5)


class _Handler(FileSystemEventHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._loop = loop
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in {"opened", "closed_no_write", "deleted"}:
            self._loop.call_soon_threadsafe(self._hint, None)
