"""What a command does to files: which of its words it reads, writes, deletes, moves, sends, or opens to others.

Rule: what a program does is said once, here, so that one rule can speak of "whatever writes there". A program that
is not in the table reads what its operands name and writes what its `--output` names; that is all it is taken to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

from orchestrator.policy.paths import PathClass
from orchestrator.policy.programs import (
    CONFIG_OPTIONS,
    KEY_OPTIONS,
    KEYED,
    NO_CONFIG,
    NO_KEY,
    NO_READERS,
    OUTPUT,
    PROGRAMS,
    SENDERS,
    Row,
)
from orchestrator.policy.scene import Seen, see
from orchestrator.shell import Command, found_by, received

# `…_tree`: with all that is in it. Whoever deletes a tree deletes, whoever sends reads.
Kind = Literal["reads", "writes", "deletes", "deletes_tree", "moves", "permits", "permits_tree", "sends"]
KINDS: dict[str, tuple[Kind, ...]] = {
    "reads": ("reads", "sends"),
    "writes": ("writes",),
    "deletes": ("deletes", "deletes_tree"),
    "deletes_tree": ("deletes_tree",),
    "moves": ("moves",),
    "permits": ("permits", "permits_tree"),
    "permits_tree": ("permits_tree",),
    "sends": ("sends",),
    "changes": ("writes", "deletes", "deletes_tree", "moves", "permits", "permits_tree"),
}
# Who deletes or moves a symbolic link does that to the link; everybody else goes through it.
_TAKES_THE_LINK = frozenset(("deletes", "deletes_tree", "moves"))
# Devices that keep nothing, and the sockets of bash, which rules about the network speak of.
_NO_FILE = re.compile(
    r"/dev/(?:null|zero|full|tty\w*|std\w+|u?random|fd/.*|tcp/.*|udp/.*|ptmx|pts/.*)|/proc/self/fd/.*"
)
_LOCAL = re.compile(r"(?:\w+://)?(?:[^@/]*@)?(?:localhost|127\.[\d.]+|0\.0\.0\.0|\[::1\])(?:[:/]|$)")
_REMOTE = re.compile(r"(?:[^/\s]*[\w\])]:(?!\\)|rsync://|s3://|gs://|\w+://)")


class Touch(NamedTuple):
    """One path that a command may touch, as rules write it, and the class that it falls in."""

    path: str
    place: PathClass | None


def effects(seen: Seen) -> dict[Kind, list[Touch]]:
    """What a command does, and to which paths. Worked out once."""
    if seen.touched is None:
        seen.touched = {}
        for kind, word, expands in _raw(seen):
            seen.touched.setdefault(kind, []).extend(_touches(seen, kind, word, expands))
    return seen.touched


def touched(seen: Seen, kind: str) -> Iterator[Touch]:
    """The paths to which a command does what the kind says, the stronger forms of it included."""
    done = effects(seen)
    for one in KINDS[kind]:
        yield from done.get(one, ())


_Raw = tuple[Kind, str, bool]


def _touches(seen: Seen, kind: Kind, word: str, expands: bool) -> Iterator[Touch]:
    places = seen.places
    paths = places.resolve(word, expands)
    if kind not in _TAKES_THE_LINK:
        paths = tuple(map(places.through, paths))
    for path in paths:
        place = None if path[:5] in ("/dev/", "/proc") and _NO_FILE.fullmatch(path) else places.classify_path(path)
        yield Touch(places.shown(path), place)
        if expands:
            for hidden in places.hidden(path):
                yield Touch(hidden, place)
    if not paths:
        yield Touch(word, "unknown")


def _raw(seen: Seen) -> Iterator[_Raw]:
    command = seen.command
    socket = any(item.target.startswith(("/dev/tcp/", "/dev/udp/")) for item in command.redirects)
    sender = seen.name in SENDERS and not any(_LOCAL.match(word) for word in command.words[1:])
    for redirect in command.redirects:
        if redirect.writes:
            yield "writes", redirect.target, redirect.expands
        elif redirect.op in ("<", "<>"):
            yield "sends" if sender else "reads", redirect.target, redirect.expands
    if len(command.words) > 1:
        for kind, word, expands in _SPECIAL.get(seen.name, _by_table)(seen):
            yield "sends" if socket and kind == "reads" else kind, word, expands
    if socket or sender:
        for source in (*command.upstream, *command.fed):
            for kind, word, expands in _raw(see(source, seen.places)):
                if kind in ("reads", "sends"):
                    yield "sends", word, expands


def _by_table(seen: Seen) -> Iterator[_Raw]:
    rows = PROGRAMS.get(seen.name)
    if rows is None:
        return _unknown(seen)
    row = next((row for row in rows if not row.needs or any(map(seen.has_flag, row.needs))), None)
    return _unknown(seen) if row is None else _by_row(seen, row)


def _by_row(seen: Seen, row: Row) -> Iterator[_Raw]:
    tree = any(map(seen.has_flag, row.tree))
    operands, filled, target = [], False, False
    for word, at, kinds in _arguments(seen.command, row.values):
        if kinds is None:
            operands.append((word, at))
            continue
        filled |= kinds[:1] == "-"
        target |= kinds == "writes" and "writes" in row.operands
        yield from _as(kinds, word, at, seen.command, tree)
    wanted = [kind for kind in row.operands if not (filled and kind == "-") and not (target and kind == "writes")]
    for (word, at), kinds in zip(operands, _spread(wanted, len(operands)), strict=False):
        yield from _as(kinds, word, at, seen.command, tree)


def _as(kinds: str, word: str, at: int, command: Command, tree: bool) -> Iterator[_Raw]:
    for kind in kinds.split("+"):
        if kind in KINDS and word != "-":
            whole = kind in ("deletes", "permits") and (tree or (kind == "deletes" and word.endswith(("/*", "/.*"))))
            yield f"{kind}_tree" if whole else kind, word, at in command.expands  # type: ignore[misc]


def _spread(wanted: list[str], count: int) -> list[str]:
    """One kind for each of so many operands: the one with `*` is repeated as needed."""
    star = next((at for at, kind in enumerate(wanted) if kind.endswith("*")), None)
    if star is None:
        return wanted
    after = wanted[star + 1 :] if count > len(wanted) - 2 else []
    return [*wanted[:star], *[wanted[star][:-1]] * (count - star - len(after)), *after]


def _arguments(command: Command, values: Mapping[str, str]) -> Iterator[tuple[str, int, str | None]]:
    """Operands (with None) and the values of the options that are named (with what they are)."""
    words, at, ended = command.words, 1, False
    while at < len(words):
        word = words[at]
        if ended or word[:1] != "-" or word == "-":
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


def _valued(word: str, values: Mapping[str, str]) -> str:
    """The option in this word that takes the next one: itself, or the last letter of a cluster."""
    if word in values:
        return word
    last = f"-{word[-1]}"
    return last if word[:2] != "--" and word[1:].isalpha() and last in values and word[:2] not in values else ""


_NAMED_FILE = re.compile(r"(?:@|-[A-Za-z](?=[~/])|[A-Za-z_-]+[=:]@?|--[a-z-]+=)(?=[~/$.])")
_OUTPUT_KEY = re.compile(r"(?i)--?(?:[a-z_-]+-)?(?:out\w*|log-?file|dest\w*|target-dir\w*|save\w*|write\w*|dump\w*)$")


def _unknown(seen: Seen) -> Iterator[_Raw]:
    """A program that is not in the table. Only what looks like a path is asked after, for the sake of speed."""
    command, name = seen.command, seen.name
    if name in NO_READERS:
        return
    words, moved, fetches = command.words, seen.places.moved, False
    for at in range(1, len(words)):
        word, before = words[at], words[at - 1]
        fetches |= "://" in word
        if before in OUTPUT:
            yield "writes", word, at in command.expands
        elif before in KEY_OPTIONS and _is_key(name, before, word):
            continue
        elif found := _NAMED_FILE.match(word):
            key, rest = found.group().rstrip("=:@"), word[found.end() :]
            kind: Kind = "writes" if key in OUTPUT or _OUTPUT_KEY.match(key) else "reads"
            if key not in KEY_OPTIONS or not _is_key(name, key, rest):
                yield kind, rest, at in command.expands or rest[:1] == "~"
        elif word[:1] != "-" and (moved or "/" in word or word[:1] in ".~$"):
            last = fetches and at == len(words) - 1 and before[:1] != "-" and "://" not in word
            yield "writes" if last else "reads", word, at in command.expands
        elif word[:2] in OUTPUT and len(word) > 2 and "/" in word:
            yield "writes", word[2:], at in command.expands


def _is_key(name: str, option: str, value: str) -> bool:
    """Whether what an option names is a key or a configuration that the program works with."""
    if NO_KEY.search(value) or (option in CONFIG_OPTIONS and NO_CONFIG.search(value)):
        return False
    return option != "-i" or name in KEYED


def _container(seen: Seen) -> Iterator[_Raw]:
    """`docker cp` goes between the machine and a container."""
    command, operands = seen.command, seen.operands
    if len(operands) < 3 or seen.words_after_options[:1] != ("cp",):
        yield from _unknown(seen)
        return
    for at in operands[1:]:
        if ":" not in command.words[at].partition("/")[0]:
            yield "writes" if at == operands[-1] else "reads", command.words[at], at in command.expands


_ADDRESS = re.compile(r"(?i)(?:open|file|create|gopen):([^,]+)")


def _socat(seen: Seen) -> Iterator[_Raw]:
    for at, word in enumerate(seen.command.words):
        if found := _ADDRESS.match(word):
            writes = re.search(r"(?i)^create|,(?:creat|trunc|append|wronly)", word)
            yield "writes" if writes else "sends", found.group(1), at in seen.command.expands


def _cpio(seen: Seen) -> Iterator[_Raw]:
    """It packs the files that it is told on its input."""
    yield from _by_table(seen)
    if any(map(seen.has_flag, ("-o", "--create", "-p"))):
        yield from (("reads", word, word[:1] == "~") for word in (received(seen.command) or "").split())


def _dd(seen: Seen) -> Iterator[_Raw]:
    for at, word in enumerate(seen.command.words):
        key, mark, path = word.partition("=")
        if mark and key in ("of", "if"):
            expands = at in seen.command.expands or path[:1] == "~"
            yield "writes" if key == "of" else "reads", path, expands


def _tar(seen: Seen) -> Iterator[_Raw]:
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
    folders += [(at, word[12:]) for at, word in enumerate(command.words) if word.startswith("--directory=")]
    if "--remove-files" in seen.flags:
        for at in seen.operands:
            for folder in [f"{word}/" for _, word in folders if command.words[at][:1] != "/"] or [""]:
                yield "deletes_tree", folder + command.words[at], at in command.expands
    if unpacks:
        yield from (("writes", word, at in command.expands) for at, word in folders)
        if "-P" in seen.flags or "P" in mode or "--absolute-names" in seen.flags:
            yield "writes", "/etc", False
    elif packs:
        for at in seen.operands:
            yield "reads", command.words[at], at in command.expands
        for at, word in folders:
            yield "reads", word, at in command.expands
            for other in seen.operands:
                if command.words[other][:1] not in "/~$" and other != at:
                    yield "reads", f"{word}/{command.words[other]}", at in command.expands


def _find(seen: Seen) -> Iterator[_Raw]:
    words = seen.command.words
    for at, word in enumerate(words[:-1]):
        if word in ("-fprintf", "-fprint", "-fprint0", "-fls"):
            yield "writes", words[at + 1], at + 1 in seen.command.expands
    if "-delete" in words:
        for path, expands in found_by(seen.command):
            yield "deletes_tree" if path.endswith("/*") else "deletes", path, expands


def _rsync(seen: Seen) -> Iterator[_Raw]:
    yield from _copies(seen)
    command, paths = seen.command, _paths(seen)
    if len(paths) < 2:
        return
    if any(map(seen.has_flag, ("-n", "--dry-run"))):
        return
    deletes = [flag for flag in seen.flags if flag == "--del" or flag.startswith("--delete")]
    if deletes and not _REMOTE.match(command.words[paths[-1]]):
        yield "deletes_tree", command.words[paths[-1]], paths[-1] in command.expands
    if "--remove-source-files" in seen.flags:
        for at in paths[:-1]:
            yield "deletes_tree", command.words[at], at in command.expands


def _paths(seen: Seen) -> list[int]:
    """The operands that name files, values of options aside."""
    valued = ("-e", "--rsh", "-i", "-P", "-F", "-o", "-l", "-c", "-J", "-S", "--exclude", "--include", "--rsync-path")
    return [at for at in seen.operands if seen.command.words[at - 1] not in valued]


def _copies(seen: Seen) -> Iterator[_Raw]:
    """Programs that copy here or there: what goes to another machine is sent."""
    command, paths = seen.command, _paths(seen)
    if not paths:
        return
    words = command.words
    away = any(_REMOTE.match(words[at]) for at in paths[-1:]) or seen.name == "sftp"
    for at in paths[:-1]:
        if not _REMOTE.match(words[at]):
            yield "sends" if away else "reads", words[at], at in command.expands
    if not away:
        yield "writes", words[paths[-1]], paths[-1] in command.expands


def _objects(seen: Seen) -> Iterator[_Raw]:
    """Clients of object stores: `aws s3 cp FILE s3://…`. Each path that is no address may leave."""
    words = seen.command.words
    for at in seen.operands:
        if "/" in words[at] or words[at][:1] in ".~$":
            yield "sends", words[at].removeprefix("file://"), at in seen.command.expands


def _curl(seen: Seen) -> Iterator[_Raw]:
    command = seen.command
    local = any(_LOCAL.match(word) for word in command.words[1:])
    leaves: Kind = "reads" if local else "sends"
    for word, at, kinds in _arguments(command, _CURL_VALUES):
        expands = at in command.expands
        if kinds == "data":
            for part in _CURL_FILE.split(word)[1:]:
                yield leaves, part, expands or part[:1] == "~"
        elif kinds:
            yield leaves if kinds == "sends" else kinds, word, expands  # type: ignore[misc]
        elif word.startswith("file://"):
            yield "reads", word[7:], expands
    if command.stdin is None and "@-" in command.words:
        for redirect in command.redirects:
            if redirect.op == "<":
                yield leaves, redirect.target, redirect.expands


_CURL_FILE = re.compile(r"^@|[=<;]@|=<|(?<=\w)@")
_CURL_VALUES = {
    **dict.fromkeys(("-d", "--data", "--data-binary", "--data-ascii", "--data-urlencode", "--json"), "data"),
    **dict.fromkeys(("-F", "--form"), "data"),
    **dict.fromkeys(("-T", "--upload-file"), "sends"),
    **dict.fromkeys(("-o", "--output", "--output-dir", "-D", "--dump-header", "-c", "--cookie-jar"), "writes"),
    **dict.fromkeys(("-K", "--config", "--trace", "--etag-save"), "reads"),
    **dict.fromkeys(("-H", "--header", "-X", "--request", "-u", "--user", "-A", "-e", "-b", "-m", "-w"), ""),
}  # fmt: skip


def _git(seen: Seen) -> Iterator[_Raw]:
    """What it takes out of the working tree; all else that it writes are its own records."""
    command = seen.command
    subcommand = seen.words_after_options[:1]
    if subcommand not in (("mv",), ("rm",), ("clean",)):
        return
    folder = next((f"{value}/" for option, value in pairwise(command.words) if option == "-C"), "")
    paths = [at for at in seen.operands[1:] if command.words[at - 1] != "-C"]
    if subcommand == ("clean",):
        if (seen.has_flag("-f") or seen.has_flag("--force")) and (folder or seen.places.moved):
            yield "deletes_tree", folder or ".", False
        return
    for at in paths[: -1 if subcommand == ("mv",) else None]:
        kind: Kind = "moves" if subcommand == ("mv",) else "deletes"
        if not seen.has_flag("--cached") and not seen.has_flag("-n"):
            yield kind, folder + command.words[at], at in command.expands


_SPECIAL: dict[str, Callable[[Seen], Iterable[_Raw]]] = {
    "dd": _dd, "dcfldd": _dd, "dc3dd": _dd, "tar": _tar, "bsdtar": _tar, "gtar": _tar, "find": _find,
    "rsync": _rsync, "scp": _copies, "sftp": _copies, "rclone": _objects, "aws": _objects, "gsutil": _objects,
    "gcloud": _objects, "az": _objects, "s3cmd": _objects, "mc": _objects, "curl": _curl, "git": _git,
    "docker": _container, "podman": _container, "kubectl": _container, "socat": _socat, "cpio": _cpio, "pax": _cpio,
}  # fmt: skip
