"""What a script fetches from the network, by the words of its commands, and whether it then runs it.

Rule: names only. A file is told by the name that the fetching command gives it, a clone by its folder.
"""

from __future__ import annotations

import posixpath
from itertools import pairwise

from orchestrator.shell.command import Command

FETCHERS = frozenset(("curl", "wget", "fetch", "aria2c", "scp", "axel", "http", "xh", "gsutil", "aws"))
_FOLDER_OPTIONS = frozenset(("-P", "--directory-prefix", "--output-dir", "-d", "--dir"))
_RUNNERS_WORDS = """
    sh bash dash zsh ksh ash mksh fish node nodejs deno bun perl ruby php lua luajit python python3 pypy tclsh expect
    Rscript julia source . java osascript pwsh
"""
_RUNNERS = frozenset(_RUNNERS_WORDS.split())


def path_of(name: str) -> str:
    """A file's name as it is compared."""
    return posixpath.normpath(name) if name else ""


def downloaded(command: Command) -> list[str]:
    """The files that a fetching command leaves."""
    words, names = command.words, []
    folders = [value for option, value in pairwise(words) if option in _FOLDER_OPTIONS or option[-1:] == "P"]
    for option, value in command.followed:
        if (
            option in ("-o", "--output", "-O", "--output-document")
            and value
            and not (command.name == "curl" and option == "-O")
        ):
            names.append(value)
        elif option.startswith(("--output=", "--output-document=")):
            names.append(option.partition("=")[2])
        elif option[:2] in ("-o", "-O") and len(option) > 2 and command.name in ("curl", "wget"):
            names.append(option[2:])
        elif option[:1] == "-" and option[:2] != "--" and option[-1] in "oO" and value and value[:1] != "-":
            names.append(value)
        if "/" in option and option[:1] != "-":
            name = option.partition("?")[0].rstrip("/").rpartition("/")[2]
            names += [name, *(f"{folder}/{name}" for folder in folders)]
    if command.name == "scp" and len(words) > 2:
        names.append(words[-1])
    return [path_of(name) for name in names if name]


def runs_download(command: Command, downloads: set[str]) -> bool:
    """Whether a command runs a file that was fetched."""
    words = command.words
    if not words:
        return False
    if path_of(words[0]) in downloads and "/" in words[0]:
        return True
    runs = command.name in _RUNNERS
    if not runs and not command.name.startswith("python"):
        return False
    operand = next((word for word in words[1:] if word[:1] != "-"), "")
    read_in = [redirect.target for redirect in command.redirects if redirect.op == "<"]
    return any(path_of(name) in downloads for name in (operand, *read_in) if name)


def runs_clone(command: Command, clones: set[str]) -> bool:
    """Whether a command runs or installs what the same script has just cloned."""
    words = command.words
    if not words:
        return False
    inside = [word for word in words if any(path_of(word).startswith(f"{clone}/") for clone in clones)]
    if command.name in ("make", "gmake", "pip", "pip3", "npm"):
        return "install" in words and any(path_of(word) in clones for word in words)
    runs = command.name in _RUNNERS or command.name.startswith("python")
    return bool(inside) and (words[0] == inside[0] or (runs and inside[0] in words[1:2]))
