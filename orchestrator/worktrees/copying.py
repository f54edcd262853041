"""Copies what git does not track and a task needs all the same: `.env`, caches, what was installed.

Rule: whoever works in the repository meanwhile may turn any folder into a link. So every part of a path is opened by
itself, through no link, beneath the one before; and a link is copied only where it points to something inside.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

from orchestrator.errors import TaskError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_files(source: str, target: str, names: Iterable[str], goes_on: Callable[[], bool]) -> None:
    """Copy files by their names relative to `source`, with modes and times; what is at the target already stays.

    `goes_on` is asked before each. Raises TaskError("worktree_refused") for what is neither a file nor a link to
    something inside, OSError for what can't be read or written."""
    for name in names:
        if not goes_on():
            return
        with ExitStack() as stack, suppress(FileExistsError):
            folders = os.path.dirname(name).split("/") if "/" in name else []
            try:
                above = _beneath(source, folders, stack, make=False)
            except FileNotFoundError:
                continue  # gone since git listed it
            except NotADirectoryError as error:
                raise _refused(name, "is reached through a symbolic link") from error
            except OSError as error:
                raise _refused(name, f"can't be reached: {error.strerror}") from error
            _copy(name, above, _beneath(target, folders, stack, make=True))


def _beneath(top: str, folders: list[str], stack: ExitStack, *, make: bool) -> int:
    """The innermost of these folders, opened."""
    fd = os.open(top, _FOLDER)
    stack.callback(os.close, fd)
    for folder in folders:
        if make:
            with suppress(FileExistsError):
                os.mkdir(folder, dir_fd=fd)
        fd = os.open(folder, _FOLDER, dir_fd=fd)
        stack.callback(os.close, fd)
    return fd


def _copy(name: str, above: int, into: int) -> None:
    last = os.path.basename(name)
    try:
        status = os.stat(last, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        leads = os.readlink(last, dir_fd=above)
        inside = os.path.normpath(f"{os.path.dirname(name)}/{leads}" if "/" in name else leads)
        if os.path.isabs(leads) or inside == ".." or inside.startswith("../"):
            raise _refused(name, f"is a symbolic link out of the repository, to {leads}")
        os.symlink(leads, last, dir_fd=into)
    elif stat.S_ISREG(status.st_mode):
        _copy_content(last, above, into)
    else:
        raise _refused(name, "is neither a file nor a folder")


def _copy_content(name: str, above: int, into: int) -> None:
    with os.fdopen(os.open(name, _READ, dir_fd=above), "rb") as old:
        status = os.fstat(old.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refused(name, "is no file any more")
        with os.fdopen(os.open(name, _WRITE, stat.S_IMODE(status.st_mode) & 0o777, dir_fd=into), "wb") as new:
            shutil.copyfileobj(old, new)
            new.flush()
            os.utime(new.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _refused(name: str, why: str) -> TaskError:
    return TaskError("worktree_refused", f"workspace.worktree.copy: {name} {why}")
