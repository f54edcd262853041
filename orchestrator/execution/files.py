"""The script files that a task names, and the symbolic links on its paths, looked at for the gate.

Rule: what was judged is what is remembered. Each file is read once per judgement, and its digest is kept, so that an
approval can be bound to it and a later judgement can tell that it has changed.
"""

from __future__ import annotations

import hashlib
import os
import stat

LARGEST = 256 * 1024
_SNIFFED = 1024
# Programs of the system are known by their names; their contents say nothing to the gate.
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/proc/", "/sys/", "/dev/", "/nix/", "/snap/")


class ScriptFiles:
    """Looks at files for one judgement. `read` and `real` are the gate's; afterwards `digests` tells what was read."""

    __slots__ = ("_digests", "_real", "_texts")

    def __init__(self) -> None:
        self._real: dict[str, str] = {}
        self._texts: dict[str, str | None] = {}
        self._digests: dict[str, str] = {}

    def read(self, path: str) -> str | None:
        """The text of a regular file of at most 256 KiB; None for anything else, and for programs of the system."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def real(self, path: str) -> str:
        """The path with all symbolic links in it followed."""
        if path not in self._real:
            self._real[path] = os.path.realpath(path)
        return self._real[path]

    @property
    def looked(self) -> bool:
        return bool(self._texts or self._real)

    @property
    def asked(self) -> bool:
        """Whether the judgement depended on what a file holds, be it there or not."""
        return bool(self._texts)

    def digests(self) -> tuple[tuple[str, str], ...]:
        """Path and SHA-256 of every file that was read."""
        return tuple(sorted(self._digests.items()))

    def _read(self, path: str) -> str | None:
        if path.startswith(_SYSTEM):
            return None
        try:
            # Without O_NONBLOCK a FIFO of that name would hold up the gate.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError:
            return None  # the step will find out by itself that it is not there
        try:
            content = _content(fd)
        except OSError:
            return None
        finally:
            os.close(fd)
        if content is None:
            return None
        self._digests[path] = hashlib.sha256(content).hexdigest()
        return content.decode("utf-8", "replace")


def _content(fd: int) -> bytes | None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
        return None
    content = b""
    while chunk := os.read(fd, LARGEST + 1 - len(content)):
        content += chunk
        if b"\0" in content[:_SNIFFED] or len(content) > LARGEST:
            return None
    return content
