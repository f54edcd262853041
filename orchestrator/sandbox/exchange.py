"""Two steps at once: one may turn a folder into a link just while the other's sandbox is made, which then opens what
the link leads to.

So where another step could do that, the sandbox looks at its own mounts before the program starts. It rarely can: all
steps of a workspace have the same folders mounted, and what is mounted can't be exchanged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from orchestrator.sandbox.reach import Reach, is_under

_ESCAPED = {ord(character): f"\\{ord(character):03o}" for character in " \t\n\\"}
# Each wanted mount is struck off the list when it is seen; what is left was opened somewhere else.
_LOOK = """want=$1; shift
while read -r _ _ _ root at how _; do
  case $how in rw|rw,*) ;; *) continue ;; esac
  case $want in *"|$root $at|"*) want="${want%%"|$root $at|"*}|${want#*"|$root $at|"}" ;; esac
done < /proc/self/mountinfo
case $want in
  */*) echo "the sandbox was not made: meanwhile another step exchanged one of its folders for a link" >&2; exit 126 ;;
esac
exec "$@"
"""


def exchangeable(reach: Reach, others: Iterable[Reach]) -> list[str]:
    """What is mounted on itself to be written, and could be exchanged by a step with one of the other reaches."""
    rivals = list(others)
    return [path for path in _opened(reach) if any(_may_exchange(rival, path) for rival in rivals)]


def look(paths: Iterable[str]) -> tuple[str, ...]:
    """What goes before a program, inside: it starts only where these are what they are outside. Raises OSError."""
    mounts = _mounts()
    wanted = "".join(f"|{_root(path, mounts)} {path.translate(_ESCAPED)}|" for path in dict.fromkeys(paths))
    return (shutil.which("sh", path="/bin:/usr/bin") or "/bin/sh", "-c", _LOOK, "sh", wanted)


def _opened(reach: Reach) -> tuple[str, ...]:
    return (*reach.writable, *reach.pinned, *reach.reopened)


def _may_exchange(rival: Reach, path: str) -> bool:
    def is_within(roots: Iterable[str]) -> bool:
        return any(is_under(path, root) and path != root for root in roots)

    if path in (*_opened(rival), *rival.readonly):
        return False
    return is_within(rival.reopened) or (is_within(rival.writable) and not is_within(rival.readonly))


def _mounts() -> dict[str, str]:
    """Where something is mounted, and which part of its file system; of several at one place, the last."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return {fields[4]: fields[3] for fields in map(str.split, table)}


def _root(path: str, mounts: dict[str, str]) -> str:
    """The path within its file system, as the kernel's table writes it."""
    at = path
    while at.translate(_ESCAPED) not in mounts:
        at = os.path.dirname(at)
    root = mounts[at.translate(_ESCAPED)]
    return os.path.join(root, path[len(at) :].strip("/").translate(_ESCAPED)).rstrip("/") or "/"
