"""What a container calls the folders of its host: where a path within it lies outside.

Rule: pure. What is not mounted is the container's own, and harms nobody; one that shares its host's processes or
devices has no walls, so that every path is the host's.
"""

from __future__ import annotations

from typing import NamedTuple

# A place of its own, among what is temporary.
_ITS_OWN = "/tmp/container"  # noqa: S108 - a name to compare with


class Mounts(NamedTuple):
    """`pairs`: each folder as the container has it, and as the host does, both absolute and normalised."""

    pairs: tuple[tuple[str, str], ...]
    walls: bool = True

    def on_host(self, path: str) -> str:
        """The host's path for one of the container; the deepest mount decides."""
        for inner, outer in sorted(self.pairs, key=lambda pair: -len(pair[0])):
            if path == inner or path.startswith(f"{inner.rstrip('/')}/"):
                return f"{outer.rstrip('/')}/{path[len(inner) :].lstrip('/')}".rstrip("/") or "/"
        return f"{_ITS_OWN}{path}" if self.walls else path
