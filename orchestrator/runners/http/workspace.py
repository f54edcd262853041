"""Files of the workspace, opened by the daemon on behalf of a step.

No sandbox stands around the daemon, so this is the fence. Rule: a path is walked from the workspace's own descriptor,
one folder at a time and through no link, into nothing that belongs to the orchestrator or to git; and a file appears
under its name only when it is whole.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress

from orchestrator.home import Home
from orchestrator.runners.http.failure import Code, HttpFailure

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO would hold up the daemon until somebody opens its other end.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Fence:
    """What of a workspace may be reached. `home` names the orchestrator's own folders, which may not."""

    def __init__(self, workspace: str, home: Home) -> None:
        self._workspace = workspace
        self._own = (home.config, home.policy, home.skills, home.queue, home.state)

    def folder_of(self, path: str) -> tuple[int, str]:
        """A descriptor of the folder that a path's last part lies in, and that part. Raises OSError."""
        if any(f"{self._workspace}/".startswith(f"{folder}/") for folder in self._own):
            raise PermissionError(errno.EPERM, "the workspace lies in the orchestrator's own folders")
        *folders, name = path.split("/")
        current = os.open(self._workspace, _FOLDER)
        try:
            for folder in folders:
                below = self._enter(current, folder)
                os.close(current)
                current = below
            self._refuse(name)
        except OSError:
            os.close(current)
            raise
        return current, name

    def _enter(self, parent: int, name: str) -> int:
        self._refuse(name)
        below = os.open(name, _FOLDER, dir_fd=parent)
        try:
            # By identity, because a name may be written in another case, or be mounted elsewhere.
            if self._is_own(os.fstat(below)):
                raise PermissionError(errno.EPERM, f"`{name}` belongs to the orchestrator")
        except OSError:
            os.close(below)
            raise
        return below

    def _refuse(self, name: str) -> None:
        if name in ("", ".", ".."):
            raise PermissionError(errno.EPERM, "the path is not a plain one")
        if name.casefold() == ".git":
            raise PermissionError(errno.EPERM, "git's own files are out of reach")

    def _is_own(self, status: os.stat_result) -> bool:
        for folder in self._own:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(folder), status):
                    return True
        return False


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
        return HttpFailure(Code.NOT_SAVED, f"the answer can't be saved as {self._path}: {_why(error)}")


def open_body(fence: Fence, path: str) -> tuple[int, int]:
    """A descriptor of a file that is to be sent, and its size in bytes. Raises HttpFailure."""
    try:
        folder, name = fence.folder_of(path)
        try:
            descriptor = os.open(name, _READ, dir_fd=folder)
        finally:
            os.close(folder)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise PermissionError(errno.EPERM, "it is not a plain file")
    except OSError as error:
        raise HttpFailure(Code.NOT_READ, f"the body_file {path} can't be read: {_why(error)}") from error
    return descriptor, status.st_size


def _why(error: OSError) -> str:
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return "there is a link or a file where a folder should be"
    return error.strerror or str(error)
