"""What a command does to files by the table of programs, and what a program that is not in it is taken to do.

Rule: a program that is not in the table reads what its operands and options name, and writes what its output options
name; that is all it is taken to do, unless a word of its own says that it deletes. Only of the plain readers is it
known that they do no more than read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Literal

from orchestrator.policy.paths import OWN_FOLDERS, is_whole
from orchestrator.policy.programs import (
    CONFIG_OPTIONS,
    KEY_OPTIONS,
    KEYED,
    NO_CONFIG,
    NO_KEY,
    NO_READERS,
    OUTPUT,
    PROGRAMS,
    READERS,
    RUNNERS,
    Row,
)
from orchestrator.policy.scene import Seen
from orchestrator.shell import Command

# `…_tree`: with all that is in it. Whoever deletes a tree deletes, whoever sends reads.
Kind = Literal[
    "reads",
    "uses",
    "writes",
    "deletes",
    "deletes_tree",
    "moves",
    "permits",
    "permits_tree",
    "sends",
    "serves",
    "emptied",
]
# `emptied`: what would be deleted with all that is in it if the variables that nobody knows were empty.
KINDS: dict[str, tuple[Kind, ...]] = {
    "emptied": ("emptied",),
    "reads": ("reads", "uses", "sends"),
    "uses": ("uses",),
    "writes": ("writes",),
    "deletes": ("deletes", "deletes_tree"),
    "deletes_tree": ("deletes_tree",),
    "moves": ("moves",),
    "permits": ("permits", "permits_tree"),
    "permits_tree": ("permits_tree",),
    "sends": ("sends",),
    "serves": ("serves",),
    "changes": ("writes", "deletes", "deletes_tree", "moves", "permits", "permits_tree"),
}
Raw = tuple[Kind, str, bool]


def by_table(seen: Seen) -> Iterator[Raw]:
    rows = PROGRAMS.get(seen.name)
    if rows is None:
        return unknown(seen)
    row = next((row for row in rows if not row.needs or any(map(seen.has_flag, row.needs))), None)
    return unknown(seen) if row is None else _by_row(seen, row)


def _by_row(seen: Seen, row: Row) -> Iterator[Raw]:
    # Which options an unknown word brings, a run would tell.
    tree = any(map(seen.has_flag, row.tree)) or (bool(row.tree) and any("$" in flag for flag in seen.flags))
    operands, filled, target = [], False, False
    for word, at, kinds in arguments(seen.command, row.values):
        if kinds is None:
            operands.append((word, at))
            continue
        filled |= kinds[:1] == "-"
        target |= kinds == "writes" and "writes" in row.operands
        yield from _as(kinds, word, at, seen.command, tree)
    wanted = [kind for kind in row.operands if not (filled and kind == "-") and not (target and kind == "writes")]
    for (word, at), kinds in zip(operands, _spread(wanted, len(operands)), strict=False):
        yield from _as(kinds, word, at, seen.command, tree)


def _as(kinds: str, word: str, at: int, command: Command, tree: bool) -> Iterator[Raw]:
    for kind in kinds.split("+"):
        if kind in KINDS and word != "-":
            whole = kind in ("deletes", "permits") and (tree or _is_whole(word, at, command))
            yield f"{kind}_tree" if whole else kind, word, at in command.expands  # type: ignore[misc]


def _is_whole(word: str, at: int, command: Command) -> bool:
    """Whether a word means all that is in a folder."""
    return at in command.expands and is_whole(word)


def _spread(wanted: list[str], count: int) -> list[str]:
    """One kind for each of so many operands: the one with `*` is repeated as needed."""
    star = next((at for at, kind in enumerate(wanted) if kind.endswith("*")), None)
    if star is None:
        return wanted
    after = wanted[star + 1 :] if count > len(wanted) - 2 else []
    return [*wanted[:star], *[wanted[star][:-1]] * (count - star - len(after)), *after]


def arguments(command: Command, values: Mapping[str, str]) -> Iterator[tuple[str, int, str | None]]:
    """Operands (with None) and the values of the options that are named (with what they are)."""
    words, at, ended = command.words, 1, False
    while at < len(words):
        word = words[at]
        if ended or word[:1] != "-" or word == "-" or (command.name == "chmod" and _TAKEN.fullmatch(word)):
            yield word, at, None
        elif word == "--":
            ended = True
        elif (option := _valued(word, values)) and at + 1 < len(words):
            at += 1
            yield words[at], at, values[option]
        elif word[:2] == "--":
            key, mark, value = word.partition("=")
            if mark and key in values:
                yield value, at, values[key]
        elif word[:2] in values and len(word) > 2:
            yield word[2:].removeprefix("="), at, values[word[:2]]
        at += 1


# `chmod -x FILE` takes a right away: a mode, no option.
_TAKEN = re.compile(r"-[rwxXst]+")


def _valued(word: str, values: Mapping[str, str]) -> str:
    """The option in this word that takes the next one: itself, or the last letter of a cluster."""
    if word in values:
        return word
    last = f"-{word[-1]}"
    return last if word[:2] != "--" and word[1:].isalpha() and last in values and word[:2] not in values else ""


_NAMED_FILE = re.compile(r"(?:[\w.-]*@|-[A-Za-z](?=[~/])|(?:--[a-z-]+=)?[A-Za-z_.-]+[=:]@?)(?=[~/$.])")
_WITHIN = re.compile(r"[,=:@](?=[~/])([~/][^,;:=]+)")
_OUTPUT_KEY = re.compile(r"(?i)--?(?:[a-z_-]+-)?(?:out\w*|log-?file|dest\w*|target-dir\w*|save\w*|write\w*|dump\w*)$")


def unknown(seen: Seen) -> Iterator[Raw]:
    """A program that is not in the table. Only what looks like a path is asked after, for the sake of speed."""
    command, name = seen.command, seen.name
    if name in NO_READERS:
        return
    yield from _generated(seen)
    words, moved, fetches = command.words, seen.places.moved, False
    handed: Kind = "reads" if name in READERS else "deletes_tree" if _deletes(seen) else "uses"
    program = next(iter(seen.operands), 0) if RUNNERS.match(name) else 0
    for at in range(1, len(words)):
        word, before = words[at], words[at - 1]
        fetches |= "://" in word
        if before in OUTPUT:
            yield "writes", word, at in command.expands
        elif before in KEY_OPTIONS and _is_key(name, before, word):
            continue
        elif "," in word and "/" in word and (inner := _WITHIN.findall(word)):
            yield from ((handed, path, path[:1] == "~") for path in inner)
        elif found := _NAMED_FILE.match(word):
            key, rest = found.group().rstrip("=:@"), word[found.end() :]
            kind: Kind = "writes" if key in OUTPUT or _OUTPUT_KEY.match(key) else handed
            if key not in KEY_OPTIONS or not _is_key(name, key, rest):
                yield kind, rest, at in command.expands or rest[:1] == "~"
        elif word[:1] != "-" and (moved or "/" in word or word[:1] in ".~$" or handed == "deletes_tree"):
            last = fetches and at == len(words) - 1 and before[:1] != "-" and "://" not in word
            plain = at == program or (word in OWN_FOLDERS and handed == "uses")
            yield "writes" if last else "reads" if plain else handed, word, at in command.expands
        elif word[:2] in OUTPUT and len(word) > 2 and "/" in word:
            yield "writes", word[2:], at in command.expands


# Where what a generator or an installer makes goes, and the words by which they are told to make something.
_MADE_IN = re.compile(
    r"(?:-[otd]|--(?:target|out\w*|output\S*|dest\w*|install-dir|target-dir|dir|directory|prefix|\w+_out))$"
)
_MAKES_TEXT = """
    create init new clone startproject startapp generate scaffold venv virtualenv install add i ci dlx x degit tiged
"""
_MAKES = frozenset(_MAKES_TEXT.split())
_GENERATORS = frozenset(("cookiecutter", "copier", "degit", "tiged", "virtualenv", "protoc", "npx", "bunx", "uvx"))


def _generated(seen: Seen) -> Iterator[Raw]:
    """The orchestrator's own folders, where a program is told to put there what it makes."""
    words = seen.command.words
    if not any(name in word for word in words for name in OWN_FOLDERS):
        return
    makes = seen.name in _GENERATORS or not _MAKES.isdisjoint(seen.words_after_options[:2])
    own = words[: words.index("--")] if "--" in words else words
    final = next((word for word in reversed(own) if word[:1] != "-"), "")
    for before, word in pairwise(words):
        option, _, value = word.partition("=") if word[:1] == "-" else (before, "", word)
        last = makes and word == final and before[:1] != "-"
        if value.removeprefix("./").partition("/")[0] in OWN_FOLDERS and (last or (makes and _MADE_IN.match(option))):
            yield "writes", value, False


_DELETER = re.compile(
    r"(?:^|[-_.])(?:rm|rmtrash|delete|del|trash|wipe|erase|shred|nuke|purge|unlink|rimraf|deltree)\d?(?:$|[-_.])"
)
_DELETES_TEXT = """
    rm remove delete del trash wipe erase destroy purge unlink rimraf empty remove_directory --delete --remove --purge
    --wipe /MIR -MIR /PURGE
"""
_DELETES = frozenset(_DELETES_TEXT.split())
# Such a word is the name of a task for these.
_TASK_RUNNERS = frozenset(
    (
        "make",
        "gmake",
        "ninja",
        "npm",
        "yarn",
        "pnpm",
        "bun",
        "just",
        "task",
        "rake",
        "gradle",
        "mvn",
        "ant",
        "nox",
        "tox",
    )
)


def _deletes(seen: Seen) -> bool:
    """Whether a program that nobody knows says by its name or by a word of its own that it deletes."""
    if _DELETER.search(seen.name):
        return True
    if seen.name in _TASK_RUNNERS:
        return False
    said = (*seen.words_after_options[:2], *seen.words_after_options[-1:])
    return not _DELETES.isdisjoint(said) or not _DELETES.isdisjoint(seen.flags) or "trash:/" in said


def _is_key(name: str, option: str, value: str) -> bool:
    """Whether what an option names is a key or a configuration that the program works with."""
    if NO_KEY.search(value) or (option in CONFIG_OPTIONS and NO_CONFIG.search(value)):
        return False
    return option != "-i" or name in KEYED
