"""Archives: what is packed is read, and where, and as what, things are unpacked is written.

Rule: one function for each program, from what was seen of a command to the paths that it reads, writes and deletes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.policy.paths import OWN_FOLDERS
from orchestrator.policy.scene import Seen
from orchestrator.policy.tabled import Raw, by_table
from orchestrator.shell import Command, named_by, received


def cpio(seen: Seen) -> Iterator[Raw]:
    """It packs the files that it is told on its input."""
    yield from by_table(seen)
    if seen.places.moved and any(map(seen.has_flag, ("-i", "--extract", "-r"))):
        yield "writes", ".", False
    if any(map(seen.has_flag, ("-o", "--create", "-p"))):
        said = received(seen.command)
        yield from (("reads", word, word[:1] == "~") for word in (said or "").split())
        if said is None and (sources := seen.command.upstream or seen.command.fed):
            yield from (("reads", word, expands) for word, expands in named_by(sources))
    else:
        # Which of its members it is to unpack.
        yield from (("writes", seen.command.words[at], True) for at in seen.operands)


def tar(seen: Seen) -> Iterator[Raw]:
    """What it packs is read; where it unpacks is written."""
    command = seen.command
    first = command.words[1]
    mode = "".join(flag for flag in (first, *seen.flags) if flag[:2] != "--" and (flag[0] == "-" or flag is first))
    modes = frozenset(flag for flag in seen.flags if flag[:2] == "--")
    packs = "c" in mode or "r" in mode.lstrip("-")[:1] or not modes.isdisjoint(("--create", "--append", "--update"))
    unpacks = not packs and ("x" in mode or not modes.isdisjoint(("--extract", "--get")))
    folders = [
        (words_at, word)
        for words_at, (word, before) in enumerate(zip(command.words[1:], command.words, strict=False), 1)
        if before in ("-C", "--directory")
    ]
    folders += [
        (at, word.partition("=")[2])
        for at, word in enumerate(command.words)
        if word.startswith(("--directory=", "--one-top-level="))
    ]
    if "--remove-files" in seen.flags:
        for at in seen.operands:
            for folder in [f"{word}/" for _, word in folders if command.words[at][:1] != "/"] or [""]:
                yield "deletes_tree", folder + command.words[at], at in command.expands or folder[:1] in ("~", "$")
    archive = _archive(seen, first)
    if packs and archive and command.words[archive].startswith(("/dev/", "/etc/", "/usr/", "/boot/", *OWN_FOLDERS)):
        yield "writes", command.words[archive], archive in command.expands
    if unpacks:
        yield from (("writes", word, at in command.expands) for at, word in folders or [(0, ".")])
        base = f"{folders[-1][1].rstrip('/')}/" if folders else ""
        printed = seen.has_flag("-O") or seen.has_flag("--to-stdout") or (first[:1] != "-" and "O" in first)
        # What it is to unpack, and nothing else.
        for member, expands in _members(seen, archive) if archive and not printed else ():
            yield "writes", base + member, expands or base[:1] in ("~", "$")
        for name in (*_from_git(command), *_transformed(command)):
            yield "writes", base + name, base[:1] in ("~", "$")
        if "-P" in seen.flags or "P" in mode or "--absolute-names" in seen.flags:
            yield "writes", "/etc", False
    elif packs:
        if seen.has_flag("-T") or seen.has_flag("--files-from"):
            yield from (("reads", line, line[:1] in ("~", "$")) for text in command.named for line in text.splitlines())
        for at in seen.operands:
            yield "reads", command.words[at], at in command.expands
        for at, word in folders:
            yield "reads", word, at in command.expands
            for other in seen.operands:
                if command.words[other][:1] not in "/~$" and other != at:
                    yield "reads", f"{word}/{command.words[other]}", at in command.expands


def _members(seen: Seen, archive: int) -> Iterator[tuple[str, bool]]:
    command = seen.command
    for at in seen.operands:
        if at not in (1, archive) and command.words[at - 1] not in _TAR_VALUES:
            yield command.words[at], at in command.expands
    for option, value in pairwise((*command.words, "")):
        if option.partition("=")[0] == "--include":
            yield option.partition("=")[2] or value, True


def _transformed(command: Command) -> Iterator[str]:
    """What `--transform 's,^,FOLDER/,'` puts before the names."""
    for option, value in command.followed:
        key, mark, attached = option.partition("=")
        rule = attached if mark else value
        parts = rule[1:].split(rule[1:2]) if rule[:1] == "s" and len(rule) > 1 else []
        if key in ("--transform", "--xform", "-s") and "".join(parts[2:3]):
            yield parts[2]


def _from_git(command: Command) -> Iterator[str]:
    """What `git archive` packs, where that is piped in: the paths that it is told, under the prefix."""
    source = command.upstream[-1] if command.upstream else None
    if source is None or source.name != "git" or "archive" not in source.words:
        return
    prefix = next((word.partition("=")[2] for word in source.words if word.startswith("--prefix=")), "")
    behind = [word for word in source.words[source.words.index("archive") + 1 :] if word[:1] != "-"]
    yield from (f"{prefix}{path}" for path in behind[1:] or ([""] if prefix else []))


_TAR_VALUES_TEXT = """
    -C --directory -X --exclude-from -I --use-compress-program -T --files-from -g --listed-incremental -N --newer
    --exclude --strip-components --transform --xform --owner --group --mode --mtime --format --label --suffix
    --checkpoint-action --to-command --record-size --file --after-date -b -K --starting-file
"""
_TAR_VALUES = frozenset(_TAR_VALUES_TEXT.split())


def _archive(seen: Seen, first: str) -> int:
    """Where the archive's name stands: behind `f`, in a bare first word or at the end of options; 0 for none."""
    words = seen.command.words
    if first[:1] != "-":
        return 2 if "f" in first and len(words) > 2 else 0
    named = (at + 1 for at, word in enumerate(words[:-1]) if word == "--file" or re.fullmatch(r"-\w*f", word))
    return next(named, 0)


def unpacked_here(seen: Seen) -> Iterator[Raw]:
    """Programs that put what they make into the folder they stand in, under the names that they are told."""
    yield from by_table(seen)
    if seen.name == "unzip" and not any(map(seen.has_flag, ("-l", "-p", "-t", "-v", "-z", "-Z"))):
        words = seen.command.words
        end = words.index("-x") if "-x" in words else len(words)
        folder = next((value for option, value in pairwise(words) if option == "-d"), "")
        members = (words[at] for at in seen.operands[1:] if at < end and words[at - 1] != "-d")
        yield from (("writes", f"{folder.rstrip('/')}/{name}" if folder else name, False) for name in members)
    elif seen.name in _SEVEN and seen.words_after_options[:1] in (("x",), ("e",)):
        base = next((f"{flag[2:].rstrip('/')}/" for flag in seen.flags if flag[:2] == "-o"), "")
        yield from (("writes", base + seen.command.words[at], True) for at in seen.operands[2:])
    if seen.places.moved:
        yield "writes", ".", False


_SEVEN = frozenset(("7z", "7za", "7zz", "unrar", "rar"))
