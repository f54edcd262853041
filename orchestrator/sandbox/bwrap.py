"""A reach as the arguments of bwrap.

Order is everything: each mount lies over the ones before it. `/` read-only first; then what is private or empty; then
what may be written; then what may not be written even there; then what is hidden wherever it lies; last what is seen
all the same.
"""

from __future__ import annotations

import os

from orchestrator.sandbox.host import NAMESPACES
from orchestrator.sandbox.places import KERNEL_SWITCHES
from orchestrator.sandbox.reach import PRIVATE, Reach, is_under

STATUS_FD = 3
_REAL_PRIVATE = tuple(place for place in PRIVATE if os.path.realpath(place) == place)
TMP = (*_REAL_PRIVATE, PRIVATE[0])[0]
"""The task's own temporary folder, seen from inside."""
# What the loader and the C library obey before `main`: they would work in bwrap itself, outside of its walls.
_OBEYED_BY_LIBC = ("LD_", "GLIBC_", "GCONV_", "LOCPATH", "NLSPATH", "MALLOC_", "LIBC_", "RES_OPTIONS")


def arguments(program: str, reach: Reach, empty: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What comes before and after the mount of the task's own /tmp. `empty` is a file that hides others."""
    before = [program, "--json-status-fd", str(STATUS_FD), *NAMESPACES, "--new-session"]
    if not reach.network:
        before.append("--unshare-net")
    before += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
    if os.geteuid() == 0:
        # bwrap means to cover these itself, but root's check of /proc/sys says "closed" though its files are open.
        for path in filter(os.path.exists, KERNEL_SWITCHES):
            before += ["--ro-bind", path, path]
    after: list[str] = []
    for path in reach.kept:
        after += ["--ro-bind", path, path]
    for source, place in reach.caches:
        after += ["--bind", source, place]
    for path in reach.writable:
        after += ["--bind", path, path]
    for path in reach.pinned:
        after += ["--bind", path, path]
    for path in reach.readonly:
        after += ["--ro-bind", path, path]
    for path in reach.reopened:
        after += ["--bind", path, path]
    for path in reach.readonly:
        if any(is_under(path, opened) and path != opened for opened in reach.reopened):
            after += ["--ro-bind", path, path]  # what was just opened lies over it
    folders = [path for path in reach.hidden if os.path.isdir(path)]
    for path in reach.hidden:
        after += ["--tmpfs", path] if path in folders else ["--ro-bind", empty, path]
    for path in reach.shown:
        after += ["--ro-bind", path, path]
    for path in ("/run", *folders):
        after += ["--remount-ro", path]
    return tuple(before), tuple(after)


def private_tmp(scratch: str) -> tuple[str, ...]:
    """The mounts of the task's own temporary folder."""
    return tuple(word for place in _REAL_PRIVATE for word in ("--bind", scratch, place))


def kept_from_bwrap(env: dict[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Variables that would change bwrap itself, as arguments that set them inside; and the rest."""
    risky = [name for name in env if name.startswith(_OBEYED_BY_LIBC)]
    if not risky:
        return (), env
    words = tuple(word for name in risky for word in ("--setenv", name, env[name]))
    return words, {name: value for name, value in env.items() if name not in risky}
