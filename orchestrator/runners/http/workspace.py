"""Files of the workspace that a request sends, or that its answer is saved as.

Rule: a file appears under its name only when it is whole.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from orchestrator.runners.fence import Fence, why
from orchestrator.runners.http.failure import Code, HttpFailure

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SavedFile:
    """A file that is being written under a temporary name. `keep` makes it appear; `close` removes it otherwise."""

    def __init__(self, fence: Fence, path: str) -> None:
        self._path = path
        self._temporary = ""
        self._fd = self._folder = -1
        try:
            self._folder, self._name = fence.folder_of(path)
            self._temporary = f".{self._name[:200]}.{secrets.token_hex(4)}.part"
            self._fd = os.open(self._temporary, _WRITE, 0o644, dir_fd=self._folder)
        except OSError as error:
            self.close()
            raise self._failure(error) from error

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise self._failure(error) from error

    def keep(self) -> None:
        """Give the whole file its name, in the place of what stood there."""
        try:
            os.fsync(self._fd)
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            raise self._failure(error) from error
        self._temporary = ""

    def close(self) -> None:
        """Remove what was not kept."""
        if self._fd >= 0 and self._temporary:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._folder)
        for descriptor in (self._fd, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._folder = -1

    def _failure(self, error: OSError) -> HttpFailure:
        return HttpFailure(Code.NOT_SAVED, f"the answer can't be saved as {self._path}: {why(error)}")


def open_body(fence: Fence, path: str) -> tuple[int, int]:
    """A descriptor of a file that is to be sent, and its size in bytes. Raises HttpFailure."""
    try:
        descriptor = fence.open_file(path)
    except OSError as error:
        raise HttpFailure(Code.NOT_READ, f"the body_file {path} can't be read: {why(error)}") from error
    return descriptor, os.fstat(descriptor).st_size
