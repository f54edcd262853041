"""Programs that copy and move: cp into a folder, rsync, scp, rclone, clients of object stores.

Rule: what goes to another machine is sent; what a copy makes the same, it may delete, there as well as here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.policy.scene import Seen
from orchestrator.policy.tabled import Raw, by_table

REMOTE = re.compile(r"(?:[^/\s]*[\w\])]:(?!\\)|rsync://|s3://|gs://|\w+://)")


def into(seen: Seen) -> Iterator[Raw]:
    """Copies into a folder: there they have the names of what is copied."""
    yield from by_table(seen)
    words = seen.command.words
    operands = [at for at in seen.operands if words[at - 1] not in ("-m", "-o", "-g", "-S")]
    told = next((at for at, (option, _) in enumerate(pairwise(words), 1) if option in ("-t", "--target-directory")), 0)
    if len(operands) < 2:
        return
    target = told or operands[-1]
    folder, expands = words[target], target in seen.command.expands
    if told or folder.endswith(("/", "/.")) or folder in _FOLDERS:
        for at in operands:
            name = words[at].rstrip("/").rpartition("/")[2]
            # What a wildcard names is not known, and nothing else of the folder is written over.
            if at != target and name not in ("", ".", "..") and not {"*", "?", "["}.intersection(name):
                yield "writes", f"{folder.rstrip('/')}/{name}", expands or at in seen.command.expands


# Folders, whatever is in them.
_FOLDERS = frozenset((".", "..", "~", "/etc", "/etc/sudoers.d", "/etc/pam.d", "/bin", "/usr/bin", "/sbin", "/boot"))


def rsync(seen: Seen) -> Iterator[Raw]:
    """It copies, and deletes at either end where it is told to."""
    rehearsed = any(map(seen.has_flag, ("-n", "--dry-run")))
    yield from (found for found in copies(seen) if not rehearsed or found[0] != "writes")
    command, paths = seen.command, _paths(seen)
    if len(paths) < 2 or rehearsed:
        return
    deletes = [flag for flag in seen.flags if flag == "--del" or flag.startswith("--delete")]
    target = command.words[paths[-1]]
    if not REMOTE.match(target) and (target in _FOLDERS or target.endswith("/")):
        for at in paths[:-1]:
            name = command.words[at].rpartition("/")[2]
            if name.strip(".*"):
                yield "writes", f"{target.rstrip('/')}/{name}", paths[-1] in command.expands
    if deletes and not REMOTE.match(target):
        yield "deletes_tree", target, paths[-1] in command.expands
    elif deletes and (path := _far(target)):
        yield "deletes_tree", path, True
    if "--remove-source-files" in seen.flags:
        for at in paths[:-1]:
            yield "deletes_tree", command.words[at], at in command.expands


def _far(target: str) -> str:
    """The path of `[user@]host:path`: any on this machine, of others the home and what belongs to the system."""
    host, _, path = target.partition(":")
    path = path or "~"
    if host.rpartition("@")[2] in ("localhost", "127.0.0.1", "[", "ip6-localhost"):
        return path if path[:1] in "/~" else f"~/{path}"
    plain = path.rstrip("/") or "/"
    return (
        path
        if plain in ("/", "~", ".") or re.fullmatch(r"/(?:bin|boot|etc|home|lib\w*|opt|root|s?bin|usr|var)", plain)
        else ""
    )


def _paths(seen: Seen) -> list[int]:
    """The operands that name files, values of options aside."""
    valued = ("-e", "--rsh", "-i", "-P", "-F", "-o", "-l", "-c", "-J", "-S", "--exclude", "--include", "--rsync-path")
    return [at for at in seen.operands if seen.command.words[at - 1] not in valued]


PUT = re.compile(r"\bm?put\s+(?:-\w+\s+)*(\S+)")


def copies(seen: Seen) -> Iterator[Raw]:
    """Programs that copy here or there: what goes to another machine is sent."""
    command, paths = seen.command, _paths(seen)
    for found in PUT.finditer(command.stdin or "" if seen.name == "sftp" else ""):
        yield "sends", found.group(1), found.group(1)[:1] in "~$"
    if not paths:
        return
    words = command.words
    away = any(REMOTE.match(words[at]) for at in paths[-1:]) or seen.name == "sftp"
    for at in paths[:-1]:
        if not REMOTE.match(words[at]):
            yield "sends" if away else "reads", words[at], at in command.expands
    if not away or (seen.name == "sftp" and len(paths) > 1):
        yield "writes", words[paths[-1]], paths[-1] in command.expands


_EMPTIES = {"delete": 1, "purge": 1, "deletefile": 1, "rmdirs": 1, "move": 1, "moveto": 1, "sync": 2}


def rclone(seen: Seen) -> Iterator[Raw]:
    """It also works between folders of this machine: what it empties is one of its two operands."""
    yield from objects(seen)
    at = seen.operands[_EMPTIES.get(seen.words_after_options[0], 0) :][:1] if seen.operands else ()
    if at and at[0] != seen.operands[0] and not seen.has_flag("--dry-run") and ":" not in seen.command.words[at[0]]:
        yield "deletes_tree", seen.command.words[at[0]], at[0] in seen.command.expands


_PATH = re.compile(r"[\"'](?:file://)?((?:~|\$HOME|/)[^\"'\s]+)[\"']")
_MIRRORS = frozenset(("sync", "rsync", "mirror", "cp", "copy"))
_MIRRORS_WHOLE = re.compile(r"-d|--(?:delete(?!=false)|remove|del)\b.*")


def objects(seen: Seen) -> Iterator[Raw]:
    """Clients of object stores: `aws s3 cp FILE s3://…`. Each path that is no address may leave."""
    words = seen.command.words
    if seen.operands and any(map(_MIRRORS_WHOLE.fullmatch, seen.flags)) and not _MIRRORS.isdisjoint(words):
        # What is not there is deleted here.
        last = seen.operands[-1]
        if not REMOTE.match(words[last]) and not any(map(seen.has_flag, ("-n", "--dryrun", "--dry-run"))):
            yield "deletes_tree", words[last], last in seen.command.expands
    fetches = any(REMOTE.match(words[at]) for at in seen.operands[:-1])
    for at in seen.operands:
        if fetches and at == seen.operands[-1] and not REMOTE.match(words[at]):
            yield "writes", words[at], at in seen.command.expands
        elif "/" in words[at] or words[at][:1] in ".~$":
            path = words[at].partition("=@")[2] or words[at].removeprefix("file://")
            yield "sends", path, at in seen.command.expands
    # A file of settings that the script has written may name what is to go.
    yield from (("sends", path, True) for text in seen.command.named for path in _PATH.findall(text))
