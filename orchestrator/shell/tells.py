"""Programs that tell where something is: your home, a repository, the device that holds a file system.

Rule: each prints the name that the rest of the gate knows the place by (`$HOME`, `$PWD`, `/dev/found`), not its path.
"""

from __future__ import annotations

import re

from orchestrator.shell.command import Command


def listed_in(path: str) -> str | None:
    """What is in a file that lists the users or the devices of every machine."""
    return USERS if path == USERS_FILE else DEVICE_FILES.get(path)


def picked(text: str) -> str | None:
    """What somebody who picks a part out of such a list is after: a device, or a home."""
    return f"{_DEVICE}\n" if _DEVICE in text else "$HOME\n" if text.startswith("$USER:x:") else None


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
            return USERS if words[1:2] == ("passwd",) else None
        case "systemd-path":
            return "$HOME" if words[1:] == ("user",) else None
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


# A line of the list of users, as `getent` and the file of that name have it.
USERS = "$USER:x:1000:1000:user:$HOME:/bin/bash\n"
USERS_FILE = "/etc/passwd"
_DEVICE = "/dev/found"
LISTS_DEVICES = {
    "df": f"{_DEVICE} 1 1 1 1% /\n", "mount": f"{_DEVICE} on / type ext4\n", "findmnt": f"{_DEVICE}\n",
    "blkid": f"{_DEVICE}\n", "swapon": f"{_DEVICE}\n", "lsscsi": f"[0:0:0:0] disk ATA x 1 {_DEVICE}\n",
    "pvs": f"{_DEVICE}\n", "nvme": f"{_DEVICE}\n",
}  # fmt: skip
# Lists of devices that the kernel keeps.
DEVICE_FILES = {
    "/proc/mounts": f"{_DEVICE} / ext4 rw 0 0\n", "/etc/mtab": f"{_DEVICE} / ext4 rw 0 0\n",
    "/proc/self/mounts": f"{_DEVICE} / ext4 rw 0 0\n", "/etc/fstab": f"{_DEVICE} / ext4 rw 0 0\n",
    "/proc/swaps": f"{_DEVICE} partition 1 0 -2\n",
}  # fmt: skip
LISTERS = (*LISTS_DEVICES, "lsblk", "fdisk", "sfdisk", "parted", "losetup")


def device(command: Command) -> str | None:
    """Programs that tell which device holds a file system: which one, does not matter to what is done to it."""
    words, name = command.words[1:], command.name
    columns = next((word for word in words if re.match(r"[A-Z,]+$|--output=", word)), "")
    if name == "lsblk":
        full = "PATH" in columns or (("NAME" in columns or not columns) and _clustered(words, "p"))
        return f"{_DEVICE}\n" if full else None
    if name == "losetup":
        # A loop over a device is that device; one over an image is none.
        return next((f"{word}\n" for word in words if word.startswith("/dev/") and "loop" not in word), None)
    if name in ("fdisk", "sfdisk", "parted"):
        return f"Disk {_DEVICE}: 1 GiB\n" if _clustered(words, "l") else None
    if name == "blkid":
        return None if "value" in words or "-s" in words or "full" in words else LISTS_DEVICES[name]
    if name in ("mount", "swapon") and any(word[:1] != "-" for word in words):
        return None
    if columns:
        return f"{_DEVICE}\n" if re.search("(?i)source|device|name", columns) else None
    return LISTS_DEVICES[name]


def _clustered(words: tuple[str, ...], letter: str) -> bool:
    return any(word[:1] == "-" and word[:2] != "--" and letter in word for word in words)
