"""The temporary folders of tasks, and their end."""

from __future__ import annotations

import os
import stat


def remove_tree(folder: str) -> None:
    """Remove a folder that no process uses any more, however deep it is and whatever was closed in it.

    Folders are moved up beside each other before they are emptied, so that neither the depth of recursion nor the
    length of a path has a limit to run into. Raises OSError for what can't be removed; not for what is not there.
    """
    if not os.path.lexists(folder):
        return
    count = 0
    pending = [folder]
    while pending:
        current = pending[-1]
        os.chmod(current, stat.S_IRWXU)
        below = []
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                else:
                    os.unlink(entry.path)
        for path in below:
            os.chmod(path, stat.S_IRWXU)  # a folder that changes its parent must be writable itself
            count += 1
            moved = f"{folder}.{count}"
            os.rename(path, moved)
            pending.insert(0, moved)
        os.rmdir(current)
        pending.remove(current)
