"""What a command does to files: which of its words it reads, writes, deletes, moves, sends, or opens to others.

Rule: what a program does is said once, here and in what this room imports, so that one rule can speak of "whatever
writes there".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

from orchestrator.policy.copying import REMOTE
from orchestrator.policy.credentials import METADATA, printed_by
from orchestrator.policy.paths import PathClass, Places, is_whole
from orchestrator.policy.programs import PROGRAMS, SENDERS
from orchestrator.policy.scene import Seen, see
from orchestrator.policy.special import LOCAL, SPECIAL
from orchestrator.policy.tabled import KINDS, Kind, Raw, by_table
from orchestrator.policy.tested import is_tested
from orchestrator.shell import Command, find_commands, started_by

# Who deletes or moves a symbolic link does that to the link; everybody else goes through it.
_TAKES_THE_LINK = frozenset(("deletes", "deletes_tree", "moves"))
_GOES_DOWN = frozenset(("deletes_tree", "permits_tree"))
# Devices that keep nothing, and the sockets of bash, which rules about the network speak of.
_NO_FILE = re.compile(
    r"/dev/(?:null|zero|full|tty\w*|std\w+|u?random|fd/.*|tcp/.*|udp/.*|ptmx|pts/.*)|/proc/self/fd/.*"
)


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
            if kind == "deletes_tree" and expands and _descends(seen) and not is_tested(seen, word):
                seen.touched.setdefault("emptied", []).extend(_emptied(seen.places, word))
    return seen.touched


def _descends(seen: Seen) -> bool:
    """Whether it deletes folders with all in them, where it is told such: `rm -f x/*` takes the files alone."""
    return seen.name != "rm" or any(map(seen.has_flag, ("-r", "-R", "--recursive")))


def _emptied(places: Places, word: str) -> Iterator[Touch]:
    return (Touch(places.shown(path), places.classify_path(path)) for path in places.emptied(word))


def touched(seen: Seen, kind: str) -> Iterator[Touch]:
    """The paths to which a command does what the kind says, the stronger forms of it included."""
    done = effects(seen)
    for one in KINDS[kind]:
        yield from done.get(one, ())


def _touches(seen: Seen, kind: Kind, word: str, expands: bool) -> Iterator[Touch]:
    places = seen.places
    if word.startswith("secret:"):
        yield Touch(word, None)
        return
    paths = places.resolve(word, expands)
    if kind not in _TAKES_THE_LINK:
        paths = tuple(map(places.through, paths))
    for path in paths:
        place = None if path[:5] in ("/dev/", "/proc") and _NO_FILE.fullmatch(path) else places.classify_path(path)
        yield Touch(places.shown(path), place)
        if places.binds and kind in _GOES_DOWN:
            yield from (Touch(places.shown(folder), places.classify_path(folder)) for folder in places.below(path))
        if expands or "*" in path or "?" in path:
            for hidden in places.hidden(path):
                yield Touch(hidden, place)
    if not paths:
        yield Touch(word, "unknown")


def _raw(seen: Seen) -> tuple[Raw, ...]:
    """What a command does, and what it sends of that which others have read for it. Each is worked out once: there are
    more ways through a long pipeline than anybody can go."""
    known, key = seen.places.known, (id(seen.command), id(seen.places), bool(seen.before))
    if key not in known:
        known[key] = (seen, tuple(dict.fromkeys(_worked_out(seen))))  # who is kept keeps its id
    return known[key][1]


def _worked_out(seen: Seen) -> Iterator[Raw]:
    command = seen.command
    socket = any(item.target.startswith(("/dev/tcp/", "/dev/udp/")) for item in command.redirects)
    sender = _sends(seen)
    if secret := printed_by(command):
        yield "sends" if socket else "reads", secret, False
    for redirect in command.redirects:
        if redirect.writes:
            yield "writes", redirect.target, redirect.expands
            if redirect.expands and is_whole(redirect.target) and redirect.op != ">>":
                yield "deletes_tree", redirect.target, True
        elif redirect.op in ("<", "<>"):
            yield "sends" if sender else "reads", redirect.target, redirect.expands
    if len(command.words) > 1:
        # Of clients that nobody describes, what they are handed leaves.
        away = sender and seen.name not in SPECIAL and seen.name not in PROGRAMS
        for kind, word, expands in SPECIAL.get(seen.name, by_table)(seen):
            if kind == "writes" and expands and is_whole(word):
                # What is written over all that is in a folder leaves nothing of it.
                yield "deletes_tree", word, True
            yield "sends" if (socket or away) and kind in ("reads", "uses") else kind, word, expands
    if not _PUBLISHES.isdisjoint(seen.words_after_options[:2]) and seen.name in _PUBLISHERS:
        yield from _published(seen)
    if socket or sender:
        for word, expands in _fed_to(seen):
            # Who keeps secrets is told them.
            if not word.startswith("secret:") or not _KEEPS.intersection(seen.words_after_options[:2]):
                yield "sends", word, expands


# Words by which a client is told a secret that others shall use, and nobody read.
_KEEPS = frozenset(("secret", "secrets", "secretsmanager", "keyvault", "config:set", "apply", "variable", "credential"))


def _fed_to(seen: Seen) -> Iterator[tuple[str, bool]]:
    """What is read by all that is piped into a command, stands in a substitution in it, or made what it names."""
    command = seen.command
    told = [source for source in command.fed if not printed_by(source) or _is_said(source.text, command)]
    for given in (_as_seen(source, seen) for source in (*command.upstream, *told)):
        yield from _read_by(given.command, given.places)
    for earlier in _same_things(seen):
        for source in (earlier.command, *earlier.command.upstream):
            yield from _read_by(source, earlier.places)


def _sends(seen: Seen) -> bool:
    """Whether a command speaks to another machine."""
    words = seen.command.words
    if seen.name == "rsync" and not any(map(REMOTE.match, words[1:])):
        return False
    if seen.name == "getent" and words[1:2] not in (("hosts",), ("ahosts",)):
        return False
    asks = seen.name == "git" and not _GIT_ASKS.isdisjoint(seen.words_after_options[:1])
    return (seen.name in SENDERS or asks) and not any(
        LOCAL.match(word) or ("$(" not in word and METADATA.search(word)) for word in words[1:]
    )


# What follows these, or stands behind them, is how somebody proves who he is to whom he knows.
_PROVES = re.compile(r"-[pau]|--?(?:pass\w*|user\w*|token\w*|[\w-]*-key)(?:=.*)?")


def _is_said(text: str, command: Command) -> bool:
    """Whether a text is a part of what a command says, rather than a password that it logs in with."""
    within = [(before, word) for before, word in pairwise(command.words) if text in word]
    if not within:
        # What is fed in stands in no word.
        return command.stdin is not None or bool(command.redirects) or "/dev/fd/63" in command.words
    return any(
        not _PROVES.fullmatch(before) and not (word[:1] == "-" and _PROVES.match(word)) for before, word in within
    )


_TAKE_CODE = frozenset(("sh", "bash", "zsh", "dash", "python", "python3", "node", "ruby", "perl", "php"))


def _read_by(source: Command, places: Places) -> Iterator[tuple[str, bool]]:
    """What a command that is piped into another reads: by itself, and by what it starts."""
    for kind, word, expands in _raw(see(source, places)):
        if kind in ("reads", "uses", "sends", "moves"):
            yield word, expands
    code = find_commands(source.words).commands if source.name in _TAKE_CODE else ()
    for inner in (*started_by(source), *(item for item in code if item.words != source.words)):
        yield from _read_by(inner, places)


def _as_seen(source: Command, seen: Seen) -> Seen:
    """What is piped in, with all that was found out of it where it was seen by itself."""
    same = (earlier for earlier in reversed(seen.earlier[-_LOOK_BACK:]) if earlier.command.words == source.words)
    return next(same, see(source, seen.places))


# An address may hold what it is to carry away.
_GIT_ASKS = frozenset(("ls-remote", "fetch", "clone", "pull", "push", "archive"))
# What these read is in what they write.
_COPIERS = frozenset(
    ("cp", "mv", "install", "ln", "rsync", "tar", "zip", "7z", "gzip", "cat", "base64", "dd", "openssl", "xxd")
)


_IMAGES = (("cp",), ("build",), ("buildx",), ("import",))
# What is handed to these goes into what is pushed.
_ADDS = {
    "git": (("add",), ("stage",), ("hash-object",), ("commit",), ("tag",), ("notes",)),
    "docker": _IMAGES,
    "podman": _IMAGES,
    "nerdctl": _IMAGES,
    "buildah": _IMAGES,
}


def _published(seen: Seen) -> Iterator[Raw]:
    """What was copied before it was added to a repository, a package or an image goes out with a push."""
    for earlier in seen.earlier[-_LOOK_BACK:]:
        adds = earlier.words_after_options[:1] in _ADDS.get(earlier.name, ())
        keeps = any(item.writes and item.target[:5] != "/dev/" for item in earlier.command.redirects)
        for source in (*earlier.command.upstream, *earlier.command.fed) if keeps or adds else ():
            yield from (("sends", word, expands) for word, expands in _read_by(source, earlier.places))
        if earlier.name in _COPIERS or adds or keeps:
            for kind, word, expands in _raw(earlier):
                # Of an image the folder that it is made from goes out, not the secrets that the build is lent.
                if kind == "reads" or (kind == "uses" and (keeps or word in earlier.words_after_options)):
                    for path in (word,) if word[:7] == "secret:" else earlier.places.resolve(word, expands):
                        yield "sends", path, expands


_PUBLISHERS = frozenset(("git", "npm", "yarn", "pnpm", "docker", "podman", "twine", "cargo", "gem", "poetry", "gh"))
_PUBLISHES = frozenset(("push", "publish", "upload", "send-email", "send-pack"))
_NAMES = re.compile(r"[^\s@=:,<>\"'`]+")
_LOOK_BACK = 30


def _same_things(seen: Seen) -> Iterator[Seen]:
    """Earlier commands that name a file, or set a variable, which this one names too: what they read is in it."""
    if not seen.before:
        return
    sources = (seen.command, *seen.command.upstream)
    text = " ".join([word for source in sources for word in source.words])
    names = set(_NAMES.findall(" ".join([word for source in sources for word in source.words[1:]])))
    names |= {item.target for source in sources for item in source.redirects if not item.writes}
    before = seen.earlier[-_LOOK_BACK:]
    for at, earlier in reversed([*enumerate(before)]):
        command = earlier.command
        if earlier.name in SENDERS and earlier.name not in ("openssl", "gh") and not printed_by(command):
            continue
        own = {word for word in command.words[1:] if "." in word or "/" in word}
        own |= {redirect.target for redirect in command.redirects} | {*command.words[2:][-1:]}
        within = command.text and (f"$({command.text}" in text or f"{command.text})" in text)
        if within and printed_by(command) and not _is_said(command.text, seen.command):
            continue
        if not names.isdisjoint(own) or within:
            # What it was made from may have been made from something else.
            names |= {word.removeprefix("./") for word in command.words[1:] if word[:1] != "-"}
            yield earlier
            yield from _told(earlier, before[at + 1 :])
        elif given := [name for name, _ in command.assigns if f"${name}" in text or f"${{{name}" in text]:
            proof = not any(_is_said(form, seen.command) for name in given for form in (f"${name}", f"${{{name}"))
            yield from (see(item, earlier.places) for item in command.fed if not (proof and printed_by(item)))
            yield earlier


def _told(shell: Seen, after: Sequence[Seen]) -> Iterator[Seen]:
    """What a shell was told, which stands behind it."""
    via = (*shell.command.via, shell.name)
    return takewhile(lambda item: item.command.via == via, after)
