"""A folder by its path, and by no other way: what steps may write can turn into a symbolic link at any moment."""

from __future__ import annotations

import os

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_real_folder(path: str) -> int:
    """A descriptor to be used as `dir_fd`. Raises OSError, also where a part of the absolute path is a link."""
    current = os.open("/", _FOLDER)
    for name in filter(None, path.split("/")):
        try:
            below = os.open(name, _FOLDER, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current
