"""Programs that start a command somewhere else on this machine: at somebody's home, or where folders have other names.

Rule: what they start stands between the marks of a container, which say where it begins and what folders are called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.containers import ENTERS, LEAVES, within

Mount = tuple[str, str]
_LOCAL = re.compile(
    r"(?:localhost|127\.[\d.]+|::1|\[::1\]|0\.0\.0\.0|ip6-localhost|\$\{?HOSTNAME\}?|\$\(hostname[^)]*\))$"
)
# Options of bwrap by how many words they take; all others take one.
_NONE = re.compile(
    r"--(?:unshare-[\w-]+|share-net|die-with-parent|new-session|as-pid-1|clearenv|disable-userns|assert-\S+)$"
)
_TWO = re.compile(r"--(?:(?:dev-|ro-)?bind(?:-try|-data|-fd)?|ro-bind-(?:data|fd)|symlink|setenv|file|chmod)$")


def placed(folder: str, items: Unwrapped) -> Unwrapped:
    """What is started in a folder of its own."""
    yield Command((ENTERS, folder, "open"), "")
    yield from items
    yield Command((LEAVES,), "")


def at_home(user: str, items: Unwrapped) -> Unwrapped:
    """What a log-in of that user starts: it stands in his home."""
    return placed(f"~{user}", items)


# Options that name the folder which a wrapper starts its command in.
_CHDIR = {"env": ("-C", "--chdir"), "sudo": ("-D", "--chdir"), "systemd-run": ("--working-directory",)}


def starts_in(command: Command, values: frozenset[str]) -> str:
    """The folder that a wrapper is told to start its command in: by name, or as the home of whom it logs in; else
    empty. `values` are its options that take the next word."""
    words, name, at, folder, user, login = command.words, command.name, 1, "", "root", False
    if name != "sudo" and name not in _CHDIR:
        return ""
    while at < len(words) and words[at] != "--" and (words[at][:1] == "-" or "=" in words[at]):
        word = words[at]
        option, mark, value = word.partition("=")
        following = takes_next(word, values)
        value = value if mark else words[at + 1] if following and at + 1 < len(words) else word[2:]
        last = f"-{word[-1]}" if following and word[:2] != "--" else option
        if last in _CHDIR[name] or option[:2] in _CHDIR[name]:
            folder = value
        if name == "sudo" and (last in ("-u", "--user") or option[:2] == "-u"):
            user = value
        login |= name == "sudo" and (option == "--login" or (option[:2] != "--" and "i" in option.partition("u")[0]))
        at += 1 + following
    return f"~{user}" if login else folder


def takes_next(word: str, values: frozenset[str]) -> bool:
    """Whether an option takes the next word, the last of several in one word included: `-iu`."""
    if word in values:
        return True
    cluster = word[:1] == "-" and word[1:].isalpha() and f"-{word[-1]}" in values
    return cluster and not any(f"-{letter}" in values for letter in word[1:-1])


def local_user(host: str) -> str | None:
    """Whose home an ssh to this very machine begins in, empty for one's own; None for another machine."""
    user, _, name = host.removeprefix("ssh://").rpartition("@")
    return user if _LOCAL.match(name) else None


def su(command: Command) -> Unwrapped:
    """`su -c SCRIPT [USER]`, at home with `-`."""
    scripts, operands, login, words = list[str](), list[str](), False, command.words
    at = 1
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word in ("-c", "--command", "--session-command", "-s", "-g", "-G", "-w") or re.fullmatch(r"-\w+c", word):
            scripts += [value] if word[-1] == "c" or word[:2] == "--" else []
            at += 1
        elif word.startswith(("--command=", "--session-command=")):
            scripts.append(word.partition("=")[2])
        elif word[:1] != "-":
            operands.append(word)
        login |= word in ("-", "--login") or (word[:2] != "--" and word[:1] == "-" and "l" in word)
        at += 1
    if login:
        yield from at_home(operands[0] if operands else "root", iter(scripts))
    else:
        yield from scripts


def machinectl(command: Command) -> Unwrapped:
    """`machinectl shell [USER@][MACHINE] [PROGRAM …]`: on this machine where none is named."""
    words = command.words
    at = next((at for at, word in enumerate(words) if word == "shell"), 0)
    if not at or at + 1 >= len(words):
        return
    user, mark, machine = words[at + 1].rpartition("@")
    here = not machine.removesuffix(".host") or not mark
    inner = command.tail(at + 2)
    if inner and here:
        yield from at_home(user or "root", iter((inner,)))


def bwrap(command: Command) -> Unwrapped:
    """Its options, by how many words each takes; the program is the first word behind them."""
    words, at, mounts, folder = command.words, 1, list[Mount](), ""
    while at < len(words) and words[at][:2] == "--" and words[at] != "--":
        option, first, second = (*words[at : at + 3], "", "")[:3]
        count = 0 if _NONE.match(option) else 2 if _TWO.match(option) else 1
        if "bind" in option and count > 1:
            mounts.append((first, second))
        elif option == "--tmpfs":
            mounts.append((f"/tmp/container{first}", first))  # noqa: S108 - a place of its own
        elif option == "--chdir":
            folder = first
        at += 1 + count
    if inner := command.tail(at + (words[at : at + 1] == ("--",))):
        yield from within(inner, mounts, folder, walls=bool(mounts))


# How these are told a folder of the host with its name within, the root, and where to begin; and what they take.
_BINDS = ("-b", "--bind", "--bind-ro", "-B", "--mount", "--bindmount")
_ROOTS = ("-r", "-R", "-S", "--rootfs", "-D", "--directory")
_FOLDERS = ("-w", "--cwd", "--pwd", "--chdir")
_VALUES = frozenset(
    (*_BINDS, *_ROOTS, *_FOLDERS, "-q", "-k", "-i", "-M", "-u", "-H", "--home", "--env", "-E", "--overlay")
)


def rebound(command: Command) -> Unwrapped:
    """`proot -b SOURCE:TARGET program`, `systemd-nspawn --bind=…`, `apptainer exec -B … IMAGE program`."""
    words, images = command.words, command.name in ("apptainer", "singularity")
    begin = next((at + 1 for at, word in enumerate(words) if word in ("exec", "run")), 0) if images else 1
    if not begin:
        return
    at = command.operands(_VALUES, begin)
    told = list(_told(words[begin:at]))
    mounts = [pair for option, value in told if option in _BINDS for pair in _pairs(value)]
    root = next((value for option, value in told if option in _ROOTS), "/")
    if root != "/" and not images:
        mounts.append((root, "/"))
    folder = next((value for option, value in told if option in _FOLDERS), "")
    if inner := command.tail(at + images):
        yield from within(inner, mounts, folder, walls=False)


def _told(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for word, after in pairwise((*words, "")):
        option, mark, value = word.partition("=")
        yield option, value if mark else after


def _pairs(value: str) -> Iterator[Mount]:
    for one in value.split(","):
        source, _, rest = one.partition(":")
        yield source, rest.partition(":")[0] or source
