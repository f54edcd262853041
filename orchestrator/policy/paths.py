"""Which part of the machine a word names: the classes that rules speak of.

Rule: text only, but for symbolic links in the workspace and in temporary folders, where whoever asks can tell them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from copy import copy
from fnmatch import fnmatchcase, translate
from typing import Any, Literal

from orchestrator.policy.mounts import Mounts

PathClass = Literal[
    "root", "system", "under_system", "home", "under_home", "above", "workspace", "inside", "tmp", "outside", "unknown"
]

_SYSTEM_FOLDERS = """
    /Applications /Library /System /Users /bin /boot /dev /etc /home /lib /lib32 /lib64 /opt /proc /root /run /sbin
    /srv /sys /usr /var /private /private/etc /private/var /usr/bin /usr/lib /usr/local /usr/sbin /usr/share
    /var/lib /var/log /libx32 /lib/modules /lib/systemd /lib/x86_64-linux-gnu /usr/lib32 /usr/lib64 /usr/libexec
    /usr/include /usr/local/bin /usr/local/lib /usr/lib/x86_64-linux-gnu /usr/lib/systemd /etc/pam.d /etc/ssl
    /etc/systemd /var/lib/dpkg /var/lib/rpm /var/spool /nix /nix/store /snap /opt/homebrew
"""
_SYSTEM = frozenset(_SYSTEM_FOLDERS.split())
_IMPORTANT = ("/etc", "/usr", "/home", "/bin", "/lib", "/boot", "/var", "/root", "/opt", "/usr/bin", "/usr/lib")
_SECRETS = (
    "~/.ssh/id_rsa",
    "~/.ssh/id_ed25519",
    "~/.aws/credentials",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/group",
    "/etc/sudoers",
    "~/.kube/config",
    "/proc/1/environ",
)
_TMP = ("/tmp", "/var/tmp", "/private/tmp", "/dev/shm", "/var/folders")  # noqa: S108 - names to compare with
OWN_FOLDERS = ("config", "policy", "skills", "state")
_NAMED_FOLDERS = (*OWN_FOLDERS, "queue")
"""What the orchestrator goes by, within its home. The sandbox keeps tasks from writing there, so nothing is lost where
a project whose root is the home has a `config/` of its own."""
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::?\?[^}]*|-)?\})")
_USER = re.compile(r"\$(?:USER|LOGNAME)\b|\$\{(?:USER|LOGNAME)\}|\$\((?:whoami|id -un)\)|`(?:whoami|id -un)`")
# Without a folder of its own choice it makes them in the temporary one.
_MADE = re.compile(r"(?:\$\(|`)mktemp(?:\s+-[dqut]+|\s+--directory|\s+[\w.-]*X{3,})*\s*(?:\)|`)(?=/|$)")
_PROC_ROOT = re.compile(r"^/proc/[^/]+/(?:task/[^/]+/)?root(?:/|$)")
_PROC_CWD = re.compile(r"^/proc/(?:thread-)?self/cwd(?=/|$)")
# All, or nearly all, that is in a folder.
_WHOLE = re.compile(
    r"(?:/+(?:\*+|\.\*|\.\[[^/]*|\[(?:[!^]|[^]/]*a-z)[^]/]*\]\*|!\([^)/]*\)|\{\*?,?\.?\*?\})(?:\([^)/]*\))?)+/*$"
)
# What only a run tells, and which may be nothing at all; `${X:?}` stops where it is.
_MAY_BE_EMPTY = re.compile(
    r"\$(?:[A-Za-z_]\w*|[0-9@*]|\{[A-Za-z_0-9@*]\w*-?\}|\((?!mktemp)[^()]*(?:\([^()]*\)[^()]*)*\))|`[^`]*`"
)
_KNOWN = re.compile(r"\$\{?(?:HOME|PWD|TMPDIR|USER|LOGNAME)\b(?!-)")


class Places:
    """Where a call stands: the user's home folder, the workspace, the orchestrator's home, and the folders that a
    relative path may mean.

    `folders` is empty where a `cd` went to a place that is not known; `perhaps` are then those where it still stands if
    that failed. All paths are absolute strings.
    """

    __slots__ = (
        "binds",
        "emptied_folders",
        "folders",
        "home",
        "known",
        "links",
        "mounts",
        "moved",
        "old",
        "orchestrator",
        "perhaps",
        "real",
        "workspace",
    )

    def __init__(
        self,
        home: str,
        workspace: str,
        folders: tuple[str, ...],
        orchestrator: str = "",
        real: Callable[[str], str] | None = None,
    ) -> None:
        self.home = home.rstrip("/")
        self.workspace = workspace.rstrip("/")
        self.folders = folders
        self.orchestrator = orchestrator
        self.real = real
        # What is known already of commands in these places and in those that were made of them; see `effects`.
        self.known: dict[tuple[int, int, bool], tuple[object, tuple[Any, ...]]] = {}
        # Whether a `cd` was followed, and the symbolic links that the script has made: (link, where it points to).
        self.moved = False
        self.links: tuple[tuple[str, str], ...] = ()
        self.perhaps: tuple[str, ...] = ()
        # Where it stands if the variables that a `cd` was told are empty.
        self.emptied_folders: tuple[str, ...] = ()
        self.mounts: Mounts | None = None
        # Folders that are to be seen at another place too: whoever goes down a tree goes down them. (where, which)
        self.binds: tuple[tuple[str, str], ...] = ()
        # Where it stood before the last `cd`.
        self.old: tuple[str, ...] = ()

    def at(self, folders: tuple[str, ...], perhaps: tuple[str, ...] = (), emptied: tuple[str, ...] = ()) -> Places:
        """The same in other folders."""
        places = copy(self)
        places.moved, places.folders, places.perhaps, places.emptied_folders = True, folders, perhaps, emptied
        return places

    def linked(self, link: str, target: str) -> Places:
        """The same with a symbolic link."""
        places = copy(self)
        places.links = (*self.links, (link, target))
        return places

    def within(self, mounts: Mounts, folder: str) -> Places:
        """The places of a container that stands in such a folder of its own."""
        places = self.at((folder,) if folder or mounts.walls else self.folders)
        places.mounts = mounts
        return places

    def emptied(self, word: str) -> tuple[str, ...]:
        """The absolute paths that a word that expands means if what is not known of it, or of where it stands, is
        empty. A folder that is only named `$X/` is none: who deletes `/` is stopped."""
        bare = _MAY_BE_EMPTY.sub(lambda found: found[0] if _KNOWN.match(found[0]) else "", word)
        if bare == word:
            folders = self.emptied_folders if word[:1] not in ("/", "~", "$") else ()
            return tuple(path for folder in folders for path in self.at((folder,)).resolve(word, True))
        return self.resolve(bare, True) if bare[:1] in ("/", "~", "$") and bare.strip("/") else ()

    def bound(self, point: str, folder: str) -> Places:
        """The same with a folder that is mounted at another place."""
        places = self.linked(point, folder)
        places.binds = (*self.binds, (point, folder))
        return places

    def unbound(self, points: tuple[str, ...]) -> Places:
        """The same without what was mounted there; without all of it where that is not known."""
        places = copy(self)
        places.binds = tuple(item for item in self.binds if points and item[0] not in points)
        places.links = tuple(item for item in self.links if item in places.binds or item not in self.binds)
        return places

    def below(self, path: str) -> Iterator[str]:
        """The folders that are mounted in the tree at a path."""
        root = path.rstrip("*").rstrip("/")
        yield from (folder for point, folder in self.binds if point.startswith(f"{root}/"))

    def resolve(self, word: str, expands: bool) -> tuple[str, ...]:
        """The absolute paths that a word may mean, normalised; empty where that is not known. A symbolic link at the
        end is not followed: see `through`."""
        paths = self.named(word, expands)
        if not (self.links or self.real or self.mounts):
            return paths
        found = tuple(map(self._follow, paths))
        # What is in a folder is asked for, not the link that may stand for it.
        return tuple(map(self.through, found)) if word.endswith(("/", "/.", "/*")) else found

    def named(self, word: str, expands: bool) -> tuple[str, ...]:
        """As `resolve`, but as whoever runs there calls them: no link followed, and within a container by its names."""
        if expands:
            if "$" in word or "`" in word:
                word = _USER.sub(self.home.rpartition("/")[2], word)
            if word[:1] == "~":
                user, _, rest = word[1:].partition("/")
                base = self.home if not user else "/root" if user == "root" else f"/home/{user}"
                word = f"{base}/{rest}"
            elif variable := _VARIABLE.match(word):
                if (variable.group(1) or variable.group(2)) == "OLDPWD":
                    return tuple(_normal(f"{folder}{word[variable.end() :]}") for folder in self.old)
                known = {"HOME": self.home, "PWD": "", "TMPDIR": "/tmp"}.get(variable.group(1) or variable.group(2))  # noqa: S108
                if known is None:
                    return ()
                word = (known or ".") + word[variable.end() :]
            elif made := _MADE.match(word):
                word = "/tmp/made-by-mktemp" + word[made.end() :]  # noqa: S108
            elif word[:1] in ("$", "`"):
                return ()
            word = _WHOLE.sub("/", word)
            if word[:1] != "!" and _WHOLE.fullmatch(f"/{word}"):
                word = "."
        if word[:6] == "/proc/":
            word = _PROC_CWD.sub(".", word)
        # All that is where it stands is worth a thought; of one name, most places have none.
        folders = self.folders or (self.perhaps if word in (".", "./") else ())
        return (_normal(word),) if word[:1] == "/" else tuple([_normal(f"{folder}/{word}") for folder in folders])

    def through(self, path: str) -> str:
        """Where a path leads that is opened: through a symbolic link at its end too."""
        return self.real(path) if self.real is not None and self._may_hold_links(path) else path

    def _may_hold_links(self, path: str) -> bool:
        """Elsewhere links are the system's or the user's own, and rules know places by the names in front of them."""
        return path.startswith((f"{self.workspace}/", *_TMP))

    def _follow(self, path: str) -> str:
        if self.mounts is not None:
            path = self.mounts.on_host(path)
        for link, target in self.links:
            if path == link or path.startswith(link + "/"):
                path = _normal(target + path[len(link) :])
        if self.real is not None and self._may_hold_links(path):
            folder, _, name = path.rpartition("/")
            path = f"{self.real(folder)}/{name}"
        return path

    def classify(self, word: str, expands: bool) -> tuple[PathClass, ...]:
        """The classes that a word may fall in: one for each path that it may mean."""
        return tuple(self.classify_path(path) for path in self.resolve(word, expands)) or ("unknown",)

    def classify_path(self, path: str) -> PathClass:
        """The class of one absolute, normalised path. The parent folders of home count as system or home, because it
        goes with them; those of the workspace, and of the orchestrator's own home, are `above`."""
        if path == "/":
            return "root"
        if "*" in path or "?" in path or "[" in path:
            path = self._widest(path)
        if path == self.home:
            return "home"
        if self.workspace and path.startswith(self.workspace + "/"):
            return "inside"
        if path in _SYSTEM:
            return "system"
        if self.home.startswith(path + "/"):
            return "home"
        if path == self.workspace:
            return "workspace"
        if self.workspace.startswith(path + "/") or f"{self.orchestrator}/".startswith(path + "/"):
            return "above"
        if path[:2] == "/$" and path.count("/") == 1:
            return "system"
        if path.startswith(_TMP) and any(path.startswith(folder + "/") for folder in _TMP):
            return "tmp"
        if self.home and path.startswith(self.home + "/"):
            return "under_home"
        if f"/{path.split('/', 2)[1]}" in _SYSTEM:
            return "under_system"
        return "outside"

    def _widest(self, path: str) -> str:
        """What a wildcard may mean at worst: a system folder, home or the workspace, where it fits one."""
        try:
            pattern = re.compile(translate(path))
        except re.error:
            return path
        candidates = (*_IMPORTANT, self.home, posixpath.dirname(self.home), self.workspace)
        return next(
            (known for known in candidates if known and path.count("/") == known.count("/") and pattern.match(known)),
            path,
        )

    def hidden(self, path: str) -> Iterator[str]:
        """The well-known secret files, and the orchestrator's own, that a wildcard may mean, as `shown` writes them."""
        if "*" in path or "?" in path or "[" in path or "!(" in path:
            yield from self._own_behind(path)
            folder, _, name = path.rpartition("/")
            if name[:1] == "." and fnmatchcase(".git", name):
                yield f"{folder}/.git"
            shown = path.replace(self.home + "/", "~/", 1)
            if shown.count("/") > 1 and shown.strip("~/*?") != "":
                yield from (
                    known for known in _SECRETS if fnmatchcase(known, shown) and known.count("/") == shown.count("/")
                )

    def _own_behind(self, path: str) -> Iterator[str]:
        """A wildcard that says nothing (`*`) is not asked: what deletes the whole workspace is judged as that."""
        if not self.orchestrator or not path.startswith(self.orchestrator + "/") or self._own_worktree(path):
            return
        first, mark, rest = path[len(self.orchestrator) + 1 :].partition("/")
        if first[:2] == "!(":
            spared = first[2:].rstrip(")").split("|")
            yield from (f"@home/{folder}" for folder in OWN_FOLDERS if not any(fnmatchcase(folder, s) for s in spared))
            return
        if first.strip("*?[]!.") and not first.isalnum():
            yield from (f"@home/{folder}{mark}{rest}" for folder in OWN_FOLDERS if fnmatchcase(folder, first))

    def _own_worktree(self, path: str) -> bool:
        """Whether it lies in a workspace that is itself a part of the orchestrator's home: a task's worktree is no more
        the orchestrator's own than any other workspace."""
        return path.startswith(self.workspace + "/") and self.workspace.startswith(self.orchestrator + "/")

    def shown(self, path: str) -> str:
        """A path as rules write it: the home folder as `~`, the orchestrator's own folders as `@home/policy`, …"""
        if self.orchestrator and path.startswith(self.orchestrator + "/") and not self._own_worktree(path):
            inner = path[len(self.orchestrator) + 1 :]
            if inner.partition("/")[0] in _NAMED_FOLDERS:
                return f"@home/{inner}"
        return f"~{path[len(self.home) :]}" if self.home and path.startswith(self.home + "/") else path


def is_whole(word: str) -> bool:
    """Whether a word that expands means all that is in a folder."""
    return _WHOLE.search(f"/{word}") is not None


def _normal(path: str) -> str:
    path = posixpath.normpath("/" + path.lstrip("/"))
    # What the kernel offers as another way to the same folders.
    return _PROC_ROOT.sub("/", path) if path[:6] == "/proc/" else path
