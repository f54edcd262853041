"""What a command puts into a project's own files by the program that keeps them: npm's scripts, git's aliases.

Rule: text in, text out; the file is then read as any other that the script has written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise

from orchestrator.shell.command import Command

KEEPERS = ("npm", "git")
_ALIAS = "alias."
_SETS = frozenset(("-c", "config"))


def settled(command: Command, text_of: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    """Each file that a command changes, with its new text. `text_of` gives a file's text, None where none is known."""
    words = command.words
    if command.name == "npm" and words[1:3] == ("pkg", "set"):
        yield "package.json", _with_settings(text_of("package.json"), words[3:])
    elif command.name == "git" and not _SETS.isdisjoint(words) and any(map(_is_alias, words)):
        given = list(pairwise(words)) if "config" in words else []
        given += [value.partition("=")[::2] for option, value in pairwise(words) if option == "-c"]
        named = [(name, value) for name, value in given if _is_alias(name) and "=" not in name]
        lines = [f"{name[len(_ALIAS) :]} = {json.dumps(value)}" for name, value in named]
        yield ".git/config", "\n".join((text_of(".git/config") or "", "[alias]", *lines))


def _is_alias(word: str) -> bool:
    return word.lower().startswith(_ALIAS)


def _with_settings(text: str | None, settings: tuple[str, ...]) -> str:
    try:
        package = json.loads(text or "{}")
    except (ValueError, RecursionError):
        package = {}
    if not isinstance(package, dict):
        return ""
    for word in settings:
        key, mark, value = word.partition("=")
        part, _, name = key.partition(".")
        if mark and name:
            known = package.get(part)
            package[part] = {**(known if isinstance(known, dict) else {}), name: value}
    return json.dumps(package)
