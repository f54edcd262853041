"""Where `cd`, `pushd` and `popd` lead, by what the script has done before: CDPATH, the folder before, the stack.

Rule: by text; where more than one folder may be meant, all are.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.policy.paths import Places
from orchestrator.shell import Command

MOVES = frozenset(("cd", "pushd", "popd", "chdir"))
Folders = tuple[str, ...]


class Travel:
    """What decides where a script goes besides the words of its commands."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.search = env.get("CDPATH", "")
        self.stack: list[Folders] = []

    def note(self, command: Command) -> None:
        """Take in what a command sets."""
        for word in command.words[1:] if command.name in ("export", "declare") else ():
            if word.startswith("CDPATH="):
                self.search = word.partition("=")[2]
        self.search = dict(command.assigns).get("CDPATH", self.search)

    def after(self, command: Command, places: Places) -> Folders:
        """Where the script stands after a command that goes elsewhere; nowhere that is known where that is unknown."""
        words = command.words
        at = next((at for at, word in enumerate(words) if at and (word[:1] != "-" or word == "-")), 0)
        if words[0] == "popd":
            return self.stack.pop() if self.stack else ()
        if words[0] == "pushd":
            self.stack.append(places.folders)
            if not at:
                return self.stack[0]
        if not at:
            return ("/root",) if places.mounts is not None and places.mounts.walls else (places.home,)
        if words[at] == "-":
            return places.old
        found = places.named(words[at], at in command.expands)
        return tuple(dict.fromkeys((*self._searched(words[at], places), *found)))

    def _searched(self, word: str, places: Places) -> Folders:
        if not self.search or word[:1] in ("/", ".", "~", "$", ""):
            return ()
        entries = [entry for entry in self.search.split(":") if entry.strip(".")]
        return tuple(path for entry in entries for path in places.named(f"{entry.rstrip('/')}/{word}", True))
