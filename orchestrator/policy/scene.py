"""A call as the rules see it: its commands, each with the folder that it runs in.

Rule: pure. What a `cd` leads to is followed by text, and where that is uncertain every possible folder is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from orchestrator.outcome import Call
from orchestrator.policy.mounts import Mounts
from orchestrator.policy.paths import Places
from orchestrator.policy.travel import MOVES, Travel
from orchestrator.shell import ENTERS, LEAVES, Command, Found, Reader, Redirect, find_commands

if TYPE_CHECKING:
    from orchestrator.policy.effects import Touch
    from orchestrator.policy.tabled import Kind

# Long options are matched by their beginning; shorter ones than this would match too much.
_SHORTEST_ABBREVIATION = 4
_REDIS_VALUES = (
    "-h -p -a -n -u -s -r -i -d -D -X -t --user --pass --sni --cert --cacert --cacertdir --key --tls-ciphers"
)
_REDIS = frozenset(_REDIS_VALUES.split())
_CONTAINERS_VALUES = """
    -H --host -c --context --config -l --log-level --url --connection --identity --root --runroot --storage-driver
    --storage-opt --tmpdir -n --namespace -a --address --runtime-endpoint --cgroup-manager --ssh --timeout
"""
_CONTAINERS = frozenset(_CONTAINERS_VALUES.split())
_GLOBAL_VALUES: dict[str, frozenset[str]] = {
    "git": frozenset(("-c", "-C", "--git-dir", "--work-tree", "--namespace", "--config-env", "--super-prefix")),
    **dict.fromkeys(("docker", "podman", "nerdctl", "crictl", "ctr"), _CONTAINERS),
    "kubectl": frozenset(("-n", "--namespace", "--context", "--kubeconfig", "--cluster", "-s", "--server", "--user")),
    "docker compose": frozenset(("-f", "--file", "-p", "--project-name", "--profile", "--env-file")),
    "podman-compose": frozenset(("-f", "--file", "-p", "--project-name", "--profile", "--env-file")),
    "docker-compose": frozenset(("-f", "--file", "-p", "--project-name", "--profile", "--env-file")),
    **dict.fromkeys(("redis-cli", "valkey-cli", "keydb-cli", "iredis"), _REDIS),
    "cargo": frozenset(("--manifest-path", "-Z", "--config", "-C")),
    "helm": frozenset(("-n", "--namespace", "--kube-context", "--kubeconfig")),
    "npm": frozenset(("--prefix", "-w", "--workspace", "-C", "--registry", "--tag", "--otp", "--userconfig")),
    "pnpm": frozenset(("-C", "--dir", "--filter", "-F")),
    "yarn": frozenset(("--cwd",)),
    "systemctl": frozenset(("-H", "--host", "-M", "--machine", "-t", "--type")),
    "aws": frozenset(("--profile", "--region", "--endpoint-url", "--output")),
    "gh": frozenset(("-R", "--repo")),
}
_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "fish", "csh", "tcsh", "rbash"))
# Whoever opens a shell in these, opens it elsewhere, or for a person at a terminal.
_HOSTS_TEXT = """
    docker podman nerdctl kubectl oc lxc incus vagrant ssh tmux screen heroku dokku scalingo fly flyctl gcloud aws eb
"""
_HOSTS = frozenset(_HOSTS_TEXT.split())
_MOUNTERS = frozenset(("mount", "umount", "bindfs"))
_BINDS = re.compile(r"--r?bind|-[BRM]|--move|(?:\S*,)?r?bind(?:,\S*)?")
# They are told users by name.
_BY_USER = frozenset(("pkill", "killall", "skill", "slay", "loginctl", "pgrep"))
_TELLS_USER = frozenset(("-u", "-U", "--user", "--euid", "--uid", "terminate-user", "kill-user"))
_PIPES = ("|", "|&")
_LEAVES = frozenset(("exit", "return", "die"))
_NO_VALUES: frozenset[str] = frozenset()


@dataclass(slots=True)
class Seen:
    """One command in its place; what rules ask of it is worked out once."""

    command: Command
    places: Places
    name: str
    flags: tuple[str, ...]
    operands: tuple[int, ...]
    words_after_options: tuple[str, ...] = ()
    # What `effects` found out, once it was asked.
    touched: dict[Kind, list[Touch]] | None = None
    # The commands of the call, of which so many came before it, and what it is piped into.
    before: Sequence[Seen] = ()
    count: int = 0
    into: Command | None = None

    @property
    def earlier(self) -> Sequence[Seen]:
        """The commands that came before it in the call, in their order."""
        return self.before[: self.count]

    def has_flag(self, flag: str) -> bool:
        """Whether an option is given: `-r` also within `-rf`, `--force` also as `--for` or `--force=x`."""
        if flag in self.flags:
            return True
        if flag[:2] == "--":
            return any(
                len(given) >= _SHORTEST_ABBREVIATION and flag.startswith(given.partition("=")[0])
                for given in self.flags
                if given[:2] == "--"
            )
        if len(flag) != 2:
            return False
        return any(flag[1] in given[1:] for given in self.flags if given[:2] != "--" and given[0] == "-")

    @property
    def bare_shell(self) -> bool:
        """Whether another program starts a shell that nobody has given anything to do: it waits for orders."""
        command = self.command
        if self.name not in _SHELLS or self.operands or not command.via or not _HOSTS.isdisjoint(command.via[-1:]):
            return False
        fed = command.stdin is not None or command.upstream or any(item.op == "<" for item in command.redirects)
        # With options for scripts it is one that `make` is told: SHELL="bash -o pipefail".
        return not fed and not any(map(self.has_flag, ("-c", "-o", "--norc", "--noprofile", "--version", "--help")))

    @property
    def runs_stdin(self) -> bool:
        """Whether an interpreter reads its program from what is piped into it."""
        words = self.words_after_options
        if any(self.has_flag(flag) for flag in ("-c", "-e", "-m", "-p", "-n")) and self.name not in (
            "bash",
            "sh",
            "zsh",
        ):
            return False
        return not words or words[0] in ("-", "/dev/stdin", "/dev/fd/63") or "-s" in self.flags


@dataclass(slots=True)
class Scene:
    """A whole call: its commands in order, and the raw text that is judged where it could not be split."""

    call: Call
    seen: list[Seen]
    found: Found

    @property
    def raw(self) -> str:
        return "\n".join(self.found.scripts)


class Files(Protocol):
    """The files that a judgement may depend on, by absolute path."""

    @property
    def looked(self) -> bool:
        """Whether any of them was asked about."""

    def read(self, path: str) -> str | None:
        """The text of a script file; None where there is none to be read."""

    def real(self, path: str) -> str:
        """The path with all symbolic links in it followed."""


def look(call: Call, user_home: str, workspace: str, home_dir: str = "", files: Files | None = None) -> Scene:
    """Work out what a call would run, and where. `user_home` is what `~` means where the call's own environment
    does not say, `home_dir` the orchestrator's home; without `files`, text is all there is."""
    home = call.env.get("HOME") or user_home
    real = None if files is None else files.real
    places = Places(home, workspace or call.cwd, (call.cwd or workspace,), home_dir, real)
    found = find_commands(call.argv, call.env, None if files is None else _by_word(files.read, places))
    seen: list[Seen] = []
    before = places.folders
    errexit, travel = False, Travel(call.env)
    socket: Redirect | None = None
    outside: list[tuple[Places, tuple[str, ...]]] = []
    for at, command in enumerate(found.commands):
        if command.name == ENTERS:
            outside.append((places, before))
            places = _within(command, places)
            before = places.folders
            continue
        if command.name == LEAVES and outside:
            places, before = outside.pop()
            continue
        if command.redirects:
            socket = _socket(command) or socket
            command = command if socket is None else _connected(command, socket)
        now = see(command, places)
        now.before, now.count = seen, len(seen)
        if command.upstream and seen and seen[-1].command.then in _PIPES:
            seen[-1].into = command
        seen.append(now)
        travel.note(command)
        if command.words and command.words[0] in MOVES:
            after, stood = travel.after(command, places), places.folders
            # Only `&&` and its like make sure that what follows runs in the new folder.
            emptied = _if_empty(command, places)
            if command.then == "&&" or errexit or _or_leaves(found.commands, at):
                places = places.at(after, (), emptied)
            else:
                # Where it went is not known; perhaps it went nowhere.
                stays, before = before, tuple(dict.fromkeys(before + after)) if after else ()
                places = places.at(before, stays, emptied)
            places.old = stood
        elif command.words[:1] == ("set",):
            errexit = errexit or any(re.match(r"-[a-z]*e|errexit$", word) for word in command.words[1:])
        elif command.words and command.words[0] in _LEAVES:
            continue
        elif command.name == "mknod" and {"b", "c"} & set(command.words[2:]):
            places = _made_device(seen[-1], places)
        elif command.name in _MOUNTERS:
            places = _mounted(seen[-1], places)
        elif command.name == "ln" and "s" in "".join(seen[-1].flags):
            places = _linked(seen[-1], places)
        elif command.then not in ("&&", "|") and places.folders != before:
            places = places.at(tuple(dict.fromkeys(before + places.folders)))
            before = places.folders
    return Scene(call, seen, found)


def _by_word(read: Reader, places: Places) -> Reader:
    """The reader for names as a command has them."""

    def read_word(word: str) -> str | None:
        return next((text for path in places.resolve(word, True) if (text := read(path)) is not None), None)

    return read_word


def _socket(command: Command) -> Redirect | None:
    """The connection that `exec 3<>/dev/tcp/…` opens for what follows."""
    if command.name != "exec":
        return None
    return next((item for item in command.redirects if item.target.startswith(("/dev/tcp/", "/dev/udp/"))), None)


def _connected(command: Command, socket: Redirect) -> Command:
    """A command whose `<&3` is that connection: which descriptor has it is not known, so any above 2 may."""
    redirects = tuple(
        socket if item.op in ("<&", ">&") and item.target.isdigit() and int(item.target) > 2 else item
        for item in command.redirects
    )
    return command if redirects == command.redirects else replace(command, redirects=redirects)


def _linked(seen: Seen, places: Places) -> Places:
    """The places once a symbolic link has been made: what is under it lies where it points to."""
    if len(seen.operands) != 2:
        return places
    target, link = (places.resolve(seen.command.words[at], at in seen.command.expands)[:1] for at in seen.operands)
    return places.linked(link[0], target[0]) if target and link else places


def _within(command: Command, places: Places) -> Places:
    """The places of a container, by what it is told of folders and devices of its host."""
    pairs = []
    folder, walls, *mounted = command.words[1:]
    for at in range(0, len(mounted) - 1, 2):
        outer = places.resolve(mounted[at], at + 3 in command.expands)[:1] or ("/mounted",)
        inner = places.named(mounted[at + 1], at + 4 in command.expands)[:1]
        pairs.append((inner[0] if inner else "/mounted", outer[0]))
    stands = places.named(folder, folder[:1] in ("~", "$"))[:1] if folder else ("",)
    return places.within(Mounts(tuple(pairs), walls == "walls"), *stands)


def _mounted(seen: Seen, places: Places) -> Places:
    """The places once a folder has been made to be seen at another place too, or no more."""
    words, at = seen.command.words, seen.operands[-2:]
    resolved = [places.resolve(words[index], index in seen.command.expands)[:1] for index in at]
    if seen.name == "umount":
        return places.unbound(tuple(path for paths in resolved for path in paths))
    binds = seen.name != "mount" or any(map(_BINDS.fullmatch, words[1:]))
    if not binds or len(resolved) != 2 or not all(resolved):
        return places
    return places.bound(resolved[1][0], resolved[0][0])


def _made_device(seen: Seen, places: Places) -> Places:
    """The places once a device has been made: what is written to the node goes to the device."""
    node = places.resolve(seen.command.words[seen.operands[0]], seen.operands[0] in seen.command.expands)[:1]
    return places.linked(node[0], "/dev/made") if node else places


def _or_leaves(commands: list[Command], at: int) -> bool:
    """Whether a command is followed by `|| exit`, so that what comes after runs only where it worked."""
    if commands[at].then != "||":
        return False
    for command in commands[at + 1 : at + 4]:
        if command.name in _LEAVES:
            return True
        if command.name not in ("echo", "printf"):
            return False
    return False


_BARE_VARIABLE = re.compile(r"(?:cd|pushd)\s+(?:-\w+\s+)*\$(?:\w+|\{\w+\})$")


def _if_empty(command: Command, places: Places) -> tuple[str, ...]:
    """Where a `cd` goes if the variables that it is told are empty: home where one stands there alone, unquoted."""
    at = next((index for index, word in enumerate(command.words) if index and word[:1] != "-"), 0)
    word = command.words[at]
    if _BARE_VARIABLE.match(command.text) and at in command.expands and not places.resolve(word, True):
        return (places.home,)
    return places.emptied(f"{word}." if word[-1:] == "/" else word) if at else ()


def see(command: Command, places: Places) -> Seen:
    """A command in its place, its options told from its operands."""
    words, name = command.words, command.name
    if len(words) < 2:
        return Seen(command, places, name, (), ())
    if name in _BY_USER and (user := places.home.rpartition("/")[2]) in words:
        # Whoever spells out the name of the user whom this runs as means the same.
        words = words[:1] + tuple(
            "$USER" if word == user and before in _TELLS_USER else word for before, word in pairwise(words)
        )
        command = replace(command, words=words)
    values = _GLOBAL_VALUES.get(name, _NO_VALUES)
    flags: list[str] = []
    operands: list[int] = []
    at, ended = 1, False
    while at < len(words):
        word = words[at]
        if ended or word[:1] != "-" or word == "-":
            if not operands:
                # What follows a first word has options of its own: `docker compose -f x down`.
                values = _GLOBAL_VALUES.get(f"{name} {word}", _NO_VALUES)
            operands.append(at)
        elif word == "--":
            ended = True
        else:
            flags.append(word)
            if word in values or (name in _SHELLS and word[:2] != "--" and word[-1] in "oO"):
                at += 1
        at += 1
    after = tuple([words[index] for index in operands])
    return Seen(command, places, name, tuple(flags), tuple(operands), after)
