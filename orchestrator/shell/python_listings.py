"""Python's ways to list files, processes and disks, as the wildcard that stands for all that they list.

Rule: from a call's name and what it is given to a list; None where it lists nothing, or nobody knows what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EVERY_PROCESS = "$every-process"
# Longer lists hold no wildcards: they are counted out.
_LONGEST = 64
_NAMES = frozenset(("os.listdir", "listdir"))
_GLOBS = frozenset(("glob.glob", "glob.iglob"))


def listed(
    name: str, own: object, method: str, values: Sequence[object], keywords: Mapping[str, object]
) -> list[object] | None:
    """What a call lists. `own` is what it is a method of."""
    path = values[0] if values else keywords.get("path", keywords.get("top", "."))
    path = path.decode(errors="replace") if isinstance(path, bytes) else path
    if name == "psutil.disk_partitions":
        return ["/dev/found"]
    if name in ("psutil.process_iter", "psutil.pids"):
        return [EVERY_PROCESS]
    if isinstance(path, str):
        if name == "os.walk":
            return [[path, ["*"], ["*"]]]
        if name == "os.fwalk":
            return [[path, [_all_in(path)], [_all_in(path)], None]]
        if name in _NAMES:
            return ["*"]
        if name == "os.scandir":
            return [_all_in(path)]
        if name in _GLOBS or method in ("iglob", "glob1"):
            return [path]
    return _of_a_path(own, method, path) if isinstance(own, str) else None


def _of_a_path(own: str, method: str, pattern: object) -> list[object] | None:
    if method == "iterdir":
        return [_all_in(own)]
    if method in ("glob", "rglob") and isinstance(pattern, str):
        return [f"{own.rstrip('/')}/{pattern}"]
    return [[own, ["*"], ["*"]]] if method == "walk" else None


def _all_in(path: str) -> str:
    return f"{path.rstrip('/')}/*"


def narrowed(value: object) -> object:
    """What is left of a listing once a test has let some of it through."""
    if isinstance(value, list) and len(value) <= _LONGEST:
        return list(map(narrowed, value))
    if not isinstance(value, str) or not value.endswith("*") or value[-2:-1] not in ("/", ""):
        return value
    return f"{value[:-1]}found"
