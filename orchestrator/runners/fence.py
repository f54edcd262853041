"""Files of the workspace, opened by the daemon on behalf of a step.

No sandbox stands around the daemon, so this is the fence. Rule: a path is walked from the workspace's own descriptor,
one folder at a time and through no link, into nothing that belongs to the orchestrator or to git.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from orchestrator.home import Home

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO would hold up the daemon until somebody opens its other end.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Fence:
    """What of a workspace may be reached. `home` names the orchestrator's own folders, which may not."""

    def __init__(self, workspace: str, home: Home) -> None:
        self._workspace = workspace
        self._own = (home.config, home.policy, home.skills, home.queue, home.state)
        inside = (f"{workspace}/".startswith(f"{folder}/") for folder in self._own)
        self._closed = any(inside) and not home.is_worktree(workspace)

    def folder_of(self, path: str, made: list[str] | None = None) -> tuple[int, str]:
        """A descriptor of the folder that a path's last part lies in, and that part. With `made`, folders that are
        missing are made, and their paths go there, the outermost first. Raises OSError."""
        if self._closed:
            raise PermissionError(errno.EPERM, "the workspace lies in the orchestrator's own folders")
        *folders, name = path.split("/")
        current = os.open(self._workspace, FOLDER)
        try:
            for depth, folder in enumerate(folders, 1):
                if made is not None and self._make(current, folder):
                    made.append("/".join(folders[:depth]))
                below = self._enter(current, folder)
                os.close(current)
                current = below
            self._refuse(name)
        except OSError:
            os.close(current)
            raise
        return current, name

    def open_file(self, path: str) -> int:
        """A descriptor of a plain file, for reading. Raises OSError."""
        folder, name = self.folder_of(path)
        try:
            descriptor = os.open(name, _READ, dir_fd=folder)
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PermissionError(errno.EPERM, "it is not a plain file")
        return descriptor

    def _make(self, parent: int, name: str) -> bool:
        """Whether a folder was missing, and now is not."""
        self._refuse(name)
        try:
            os.mkdir(name, dir_fd=parent)
        except FileExistsError:
            return False
        return True

    def _enter(self, parent: int, name: str) -> int:
        self._refuse(name)
        below = os.open(name, FOLDER, dir_fd=parent)
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


def why(error: OSError) -> str:
    """What kept a path from being reached, for people."""
    if error.errno == errno.ELOOP:
        return "it is a link, or lies behind one"
    if error.errno == errno.ENOTDIR:
        return "there is a link or a file where a folder should be"
    return error.strerror or str(error)
