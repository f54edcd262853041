"""The script files that a task names, and the symbolic links on its paths, looked at for the gate.

Rule: what was judged is what is remembered. Each file is read once per judgement, and its digest is kept, so that an
approval can be bound to it and a later judgement can tell that it has changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys

from orchestrator.errors import is_shortage
from orchestrator.outcome import Call
from orchestrator.shell import ELF, LARGEST_SCRIPT

# Programs of the system are known by their names; their contents say nothing to the gate.
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/proc/", "/sys/", "/dev/", "/nix/", "/snap/")
_FOR_ALL = "/dev/shm/"  # noqa: S108 - lies among the system's folders, and anybody may write there
_HASHED = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
# Programs of macOS, of either byte order and for several machines. Elsewhere these bytes begin a script like any other.
_MACH_O = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe") if sys.platform == "darwin" else ()


class ScriptFiles:
    """Looks at files for one judgement. `read` and `real` are the gate's; afterwards `digests` tells what was read.

    Nothing in the `workspace` is the system's, wherever it lies. Where that is a worktree, what it holds is known by
    its name in the repository `repo`, and read there as long as the worktree is not made.
    """

    __slots__ = ("_absent", "_digests", "_own", "_real", "_repo", "_texts", "_worktree")

    def __init__(self, workspace: str = "", repo: str = "") -> None:
        self._own = (f"{workspace.rstrip('/')}/", _FOR_ALL) if workspace else (_FOR_ALL,)
        self._repo, self._worktree = repo, workspace if repo else ""
        self._real: dict[str, str] = {}
        self._texts: dict[str, str | None] = {}
        self._digests: dict[str, str] = {}
        self._absent: set[str] = set()

    def read(self, path: str) -> str | None:
        """The text of a regular file, of one that is too long to be judged its beginning, by which the gate can tell;
        None for anything else, and for programs of the system. Raises OSError where it can't be read only at present:
        what a step may yet read must be judged."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def real(self, path: str) -> str:
        """The path with all symbolic links in it followed."""
        if path not in self._real:
            self._real[path] = self._follow(path)
        return self._real[path]

    def _follow(self, path: str) -> str:
        there = self._there(path)
        real = os.path.realpath(there)
        return f"{self._worktree}{real[len(self._repo) :]}" if there != path and real.startswith(self._repo) else real

    def _named(self, path: str) -> str:
        """What it is known by, in this run and any other."""
        inside = self._repo and path.startswith(f"{self._worktree}/")
        return f"{self._repo}{path[len(self._worktree) :]}" if inside else path

    def _there(self, path: str) -> str:
        """Where it can be looked at."""
        return path if not self._repo or os.path.isdir(self._worktree) else self._named(path)

    @property
    def looked(self) -> bool:
        return bool(self._texts or self._real)

    @property
    def asked(self) -> bool:
        """Whether the judgement depended on what a file holds, be it there or not."""
        return bool(self._texts)

    def digests(self) -> tuple[tuple[str, str], ...]:
        """Path and SHA-256 of every script that was read; past 64 MiB its inode and times stand for the rest."""
        return tuple(sorted(self._digests.items()))

    def missing(self, call: Call) -> tuple[str, ...]:
        """The scripts that a call names itself and that were not there when they were asked for. Others (a Makefile of
        another spelling, say) nobody expects."""
        named = (os.path.normpath(os.path.join(call.cwd, os.path.expanduser(arg))) for arg in call.args)
        return tuple(path for path in dict.fromkeys(named) if path in self._absent)

    def _read(self, path: str) -> str | None:
        if path.startswith(_SYSTEM) and not path.startswith(self._own):
            return None
        try:
            # Without O_NONBLOCK a FIFO of that name would hold up the gate.
            fd = os.open(self._there(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            if is_shortage(error):  # among them EAGAIN, while someone holds a lease on it
                raise
            if isinstance(error, FileNotFoundError):
                self._absent.add(path)
            return None  # the step will find out by itself that it is not there
        try:
            content = _content(fd)
        except OSError as error:
            if is_shortage(error):
                raise
            return None
        finally:
            os.close(fd)
        if content is None:
            return None
        text, digest = content
        if not text.startswith(ELF):  # what a task builds and then starts need not be as it was approved
            self._digests[self._named(path)] = digest
        return text


def _content(fd: int) -> tuple[str, str] | None:
    """A script as a shell would take it, which passes over NUL, and its digest; None for what no shell takes."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return None
    content = b""
    while chunk := os.read(fd, LARGEST_SCRIPT + 1 - len(content)):
        content += chunk
        if content.startswith(_MACH_O):
            return None
    digest = hashlib.sha256(content)
    while len(content) > LARGEST_SCRIPT and os.lseek(fd, 0, os.SEEK_CUR) < _HASHED and (chunk := os.read(fd, _CHUNK)):
        digest.update(chunk)
    if status.st_size > _HASHED:
        digest.update(repr((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)).encode())
    return content.replace(b"\0", b"").decode("utf-8", "replace"), digest.hexdigest()
