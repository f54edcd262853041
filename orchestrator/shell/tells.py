"""Programs that tell where something is: your home, a repository, the device that holds a file system.

Rule: each prints the name that the rest of the gate knows the place by (`$HOME`, `$PWD`, `/dev/found`), not its path.
"""

from __future__ import annotations

import re

from orchestrator.shell.command import Command


def home(command: Command) -> str | None:
    """Programs that say who you are, or where your home is, in the words that a shell has for it."""
    words = command.words
    match command.name:
        case "whoami" | "logname":
            return "$USER"
        case "id":
            return "$USER" if any(word[:1] == "-" and "n" in word and "u" in word for word in words[1:]) else None
        case "printenv":
            return f"${words[1]}" if words[1:] in (("HOME",), ("PWD",), ("USER",)) else None
        case "xdg-user-dir":
            return "$HOME" if words[1:] == ("HOME",) else None
        case "getent":
            return "$HOME" if words[1:2] == ("passwd",) and len(words) > 2 else None
        case "git":
            return _git_place(words)
        case "eval":
            return " ".join(words[2:]) if words[1:2] == ("echo",) and words[2:3] and words[2][:1] == "~" else None
    return None


def _git_place(words: tuple[str, ...]) -> str | None:
    """Where git keeps what `git rev-parse` is asked for."""
    if "--show-toplevel" in words:
        return "$PWD"
    if "--git-path" in words[:-1]:
        return f".git/{words[words.index('--git-path') + 1]}"
    return ".git" if {"--git-dir", "--git-common-dir", "--absolute-git-dir"}.intersection(words) else None


_DEVICE = "/dev/found"
LISTS_DEVICES = {
    "df": f"{_DEVICE} 1 1 1 1% /\n", "mount": f"{_DEVICE} on / type ext4\n", "findmnt": f"{_DEVICE}\n",
    "blkid": f"{_DEVICE}\n", "swapon": f"{_DEVICE}\n",
}  # fmt: skip


def device(command: Command) -> str | None:
    """Programs that tell which device holds a file system: which one, does not matter to what is done to it."""
    words = command.words[1:]
    columns = next((word for word in words if re.match(r"[A-Z,]+$|--output=", word)), "")
    if command.name == "lsblk":
        full = "PATH" in columns or ("NAME" in columns and any(word[:1] == "-" and "p" in word for word in words))
        return f"{_DEVICE}\n" if full else None
    if command.name in ("mount", "swapon") and any(word[:1] != "-" for word in words):
        return None
    if columns:
        return f"{_DEVICE}\n" if re.search("(?i)source|device", columns) else None
    return LISTS_DEVICES[command.name]
