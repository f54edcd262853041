"""watchdog on one folder, for systems without inotify. Its thread only says "look again"."""

from __future__ import annotations

import asyncio
import os

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from orchestrator.watcher import Hint


class ObserverWatcher:
    """See `orchestrator.watcher`."""

    def __init__(self, folder: str, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._folder = folder
        self._loop = loop
        self._hint = hint
        self._inode = 0
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        observer = Observer()
        observer.schedule(_Handler(self._loop, self._hint), self._folder, recursive=False)
        observer.start()
        self._observer = observer
        self._inode = os.stat(self._folder).st_ino

    def renew(self) -> bool:
        before = self._inode
        if self._observer is not None and self._observer.is_alive() and os.stat(self._folder).st_ino == before:
            return False
        self.close()
        self.start()
        return before not in (0, self._inode)

    def close(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None


class _Handler(FileSystemEventHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._loop = loop
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in {"opened", "closed_no_write", "deleted"}:
            self._loop.call_soon_threadsafe(self._hint, None)
