"""The script files that a task names, read for the gate.

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
    """Reads script files for one judgement. `read` is the gate's; afterwards `digests` tells what it depended on."""

    __slots__ = ("_digests", "_texts")

    def __init__(self) -> None:
        self._texts: dict[str, str | None] = {}
        self._digests: dict[str, str] = {}

    def read(self, path: str) -> str | None:
        """The text of a regular file of at most 256 KiB; None for anything else, and for programs of the system."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    @property
    def asked(self) -> bool:
        """Whether the judgement depended on any file, be it there or not."""
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
