"""What a `find` finds, by its own words: the paths that it would name to the command that it feeds.

Rule: a test narrows what is found unless it lets nearly everything through (`-type f`, `-name '*'`, anything
negated). What is found unfiltered is all that lies under the roots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from orchestrator.shell.command import Command

FINDERS = ("find", "bfs", "gfind")
_ACTIONS = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
_NAMES = "-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -samefile -inum"
_NAMED = frozenset(_NAMES.split())
# These choose nothing by themselves; each with how many words it takes.
_NEUTRAL = {
    "-maxdepth": 1, "-mindepth": 1, "-depth": 0, "-d": 0, "-xdev": 0, "-mount": 0, "-follow": 0, "-print": 0,
    "-print0": 0, "-ls": 0, "-delete": 0, "-prune": 0, "-o": 0, "-or": 0, "-a": 0, "-and": 0, "-noleaf": 0, "-quit": 0,
    "-printf": 1, "-fprint": 1, "-fprintf": 2, "-fls": 1, "-warn": 0, "-true": 0, "-nowarn": 0,
    "-user": 1, "-group": 1, "-uid": 1, "-gid": 1, "-readable": 0, "-writable": 0,
}  # fmt: skip
_EVERYTHING = frozenset(("*", "**", "*.*", ".*", "?*", "*?", ".", "/*", "*/*", "./*"))


_MACHINE = frozenset(
    ("", "/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/bin", "/usr/lib", "/usr/sbin")
)


def found_by(command: Command) -> Iterator[tuple[str, bool]]:
    """The paths that a `find` speaks of, and whether they expand: all under its roots where it filters nothing."""
    words = command.words
    end = next(
        (at for at, word in enumerate(words) if at and word[:1] in ("-", "(", "!") and word not in "-H-L-P"), len(words)
    )
    name, filtered = _filters(words[end:])
    roots = [(words[at], at in command.expands) for at in range(1, end) if words[at][:1] != "-"] or [(".", False)]
    for root, expands in roots:
        base = root.rstrip("/")
        # On the whole machine, old or large files are as vital as any other; so are all of an ending in its folders.
        if (name and not (base in _MACHINE and name.startswith("*."))) or (filtered and base):
            # A path is told from the root on where the search begins there.
            named = name if name[:1] == "/" else f"{base}/{name.removeprefix('./').lstrip('*') or 'found'}"
            yield named, expands or any(mark in name for mark in "*?[")
        else:
            yield f"{base}/*", True


def named_by(sources: tuple[Command, ...]) -> list[tuple[str, bool]]:
    """What a pipe that begins with a program that lists files would name, and whether it expands."""
    first = carried(sources[0])
    if first.name in FINDERS:
        return list(found_by(first))
    if first.name in ("fd", "fdfind"):
        return [(path, True) for path in fd_found(first.words[1:])]
    if first.name in ("ls", "echo", "printf", "locate"):
        whole = first.name == "ls" and not any(word[:1] == "-" and "d" in word for word in first.words)
        named = [word for word in first.words[1:] if word[:1] != "-" and "%" not in word]
        all_here = not named or named in (["*"], ["."]) or (named == ["*/"] and len(sources) > 1)
        if all_here and first.name == "ls" and all(map(_keeps_most, sources[1:])):
            return [("*", True)]
        if all_here and first.name == "ls" and (picked := _chosen(sources[1:])):
            return picked
        return [
            (word.rstrip("/") + "/*" if whole and "*" not in word else word, True)
            for word in named
            if word[:1] in "/~$" or "/" in word or "*" in word
        ]
    if first.name == "git" and "ls-files" in first.words:
        paths = [word for word in first.words[first.words.index("ls-files") + 1 :] if word[:1] != "-"]
        narrowed = any(re.match(r"-[a-y]|--\w", word) for word in first.words[2:])
        return [(path, "*" in path) for path in paths] or ([] if narrowed else [("*", True)])
    if first.name in _NAMERS and any("l" in word for word in first.words[1:] if re.match(r"-\w", word)):
        places = [word for word in first.words[2:] if "/" in word or word.isalpha()]
        return [(word if "." in word else f"{word}/found", "*" in word) for word in places]
    return [("$INPUT", True)] if first.name in ("cat", "curl", "awk", "tac") else []


_FD_VALUES = frozenset(
    ("-t", "--type", "-d", "--max-depth", "--min-depth", "-E", "--exclude", "-j", "--threads", "-c", "--color")
)
# Each of these chooses some of what there is.
_FD_CHOOSES = re.compile(r"-[eSo]|--(?:extension|size|owner|changed-\w+|newer|older)\b")


def fd_found(words: tuple[str, ...]) -> list[str]:
    """The paths that `fd PATTERN FOLDER…` speaks of."""
    operands, chosen, at = [], False, 0
    while at < len(words):
        word = words[at]
        chosen |= _FD_CHOOSES.match(word) is not None
        at += 1 + (word in _FD_VALUES or (_FD_CHOOSES.fullmatch(word) is not None))
        if word[:1] != "-":
            operands.append(word)
    chosen |= bool(operands) and operands[0] not in (*_EVERYTHING, "", "^", "$", ".+")
    return [f"{root.rstrip('/')}/{'found' if chosen else '*'}" for root in operands[1:] or ["."]]


def carried(command: Command) -> Command:
    """The command that a plain wrapper starts, or itself."""
    while command.name in _CARRIED and (inner := command.tail(command.operands(_CARRIED_VALUES))):
        command = inner
    return command


_PLAIN_PATTERN = re.compile(r"\^?[\w.-]+\$?")


def _chosen(filters: tuple[Command, ...]) -> list[tuple[str, bool]]:
    """The names that a `grep` lets through of all that is there, as wildcards."""
    if len(filters) != 1 or filters[0].name not in ("grep", "egrep") or _keeps_most(filters[0]):
        return []
    pattern = next((word for word in filters[0].words[1:] if word[:1] != "-"), "").replace("\\|", "|")
    front, back = "^" if pattern[:1] == "^" else "", "$" if pattern[-1:] == "$" else ""
    bare = pattern.removeprefix("^").removesuffix("$")
    names = bare[1:-1].split("|") if bare[:1] == "(" and bare[-1:] == ")" else []
    given = [front + name + back for name in names] or pattern.split("|")
    if not all(map(_PLAIN_PATTERN.fullmatch, given)):
        return []
    return [(("" if one[0] == "^" else "*") + one.strip("^$") + ("" if one[-1] == "$" else "*"), True) for one in given]


def _keeps_most(command: Command) -> bool:
    """Whether a command in a pipe lets through all it gets, but for what it is told to leave out."""
    if command.name in ("grep", "egrep", "rg"):
        return any(re.match(r"-\w*v|--invert", word) for word in command.words[1:])
    return command.name in ("sort", "cat", "tac", "shuf", "uniq")


# What lists may be started by another program.
_CARRIED = frozenset(("sudo", "doas", "nice", "command", "busybox", "nohup", "time"))
_CARRIED_VALUES = frozenset(("-u", "-g", "-n"))
# With `-l` these print the names of files.
_NAMERS = frozenset(("grep", "egrep", "fgrep", "rg", "ag", "ack"))
_PICKS = frozenset(("head", "tail", "sort", "shuf", "uniq", "tac", "grep", "fzf"))


def listed_by(commands: list[Command]) -> str | None:
    """The names that the last of these commands would print, where it lists files or picks some of those listed."""
    names = listed(commands[-1])
    if names is None and len(commands) == 2 and commands[-1].name in _PICKS:
        names = listed(commands[0])
    return names


def listed(command: Command) -> str | None:
    """The names that `ls` or `find` would print, as a wildcard; None where nothing is known about them."""
    if command.name in FINDERS:
        paths = [path for path, _ in found_by(command)]
        return paths[0] if len(paths) == 1 else None
    if command.name not in ("ls", "dir", "exa", "eza"):
        return None
    named = [word for word in command.words[1:] if word[:1] != "-"]
    if any("*" in word for word in named):
        return named[0]
    return "*"


_DOES = _ACTIONS | {"-delete"}


def _branch(words: tuple[str, ...]) -> tuple[str, ...]:
    """Of alternatives (`-o`) the one that does something."""
    if "-o" not in words and "-or" not in words:
        return words
    branches: list[list[str]] = [[]]
    for word in words:
        branches.append([]) if word in ("-o", "-or") else branches[-1].append(word)
    doing = [branch for branch in branches if not _DOES.isdisjoint(branch)]
    return tuple(doing[0]) if len(doing) == 1 and "(" not in words else words


def _filters(words: tuple[str, ...]) -> tuple[str, bool]:
    """The one name that it looks for, if it does, and whether any test narrows the search."""
    words = _branch(words)
    names: list[str] = []
    filtered, negated, by_path, at = False, False, False, 0
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        at += 1
        if word in ("!", "-not"):
            negated = True
            continue
        if word == "-delete" and not (names or filtered):
            # Tests behind it choose nothing any more.
            break
        if word in _ACTIONS:
            at = next((i for i in range(at, len(words)) if words[i] in (";", "+")), len(words))
        elif word in _NEUTRAL:
            at += _NEUTRAL[word]
        elif word in _NAMED:
            at += 1
            if not negated and value not in _EVERYTHING and not by_path:
                # A path says more than a name.
                by_path = word.endswith("path")
                names = [value] if by_path else [*names, value]
        elif word == "-type":
            at += 1
            filtered |= not negated and not {"f", "d"} & set(value)
        elif word[:1] == "-":
            filtered |= not negated
        negated = False
    return (names[0] if len(names) == 1 else "found" if names else ""), filtered


def find_commands_in(command: Command) -> Iterator[Command]:
    """What `-exec` and its like run, with the paths filled in."""
    words = command.words
    for at, word in enumerate(words):
        if word in _ACTIONS and at + 1 < len(words):
            end = next((i for i in range(at, len(words)) if words[i] in (";", "+")), len(words))
            inner = replace(
                command,
                words=words[at + 1 : end],
                expands=tuple(i - at - 1 for i in command.expands if at < i < end),
                via=(*command.via, command.name),
            )
            for path, expands in found_by(command) if inner.words else ():
                yield _filled(inner, path, expands)


def _filled(inner: Command, path: str, expands: bool) -> Command:
    marks = tuple(at for at, word in enumerate(inner.words) if "{}" in word)
    words = tuple(word.replace("{}", path) if at in marks else word for at, word in enumerate(inner.words))
    # A file that is run by itself is only known by then.
    runs = (0,) if 0 in marks else ()
    return replace(inner, words=words, expands=(*inner.expands, *(marks if expands else runs)))
