"""Commands within containers, as far as they reach this machine: `exec`, and `run` with what of the host it is given.

Rule: a container of its own harms nobody. Where a folder of the host is mounted, marks around what runs there say what
it is called within; where it is privileged or shares the host's processes or devices, all it does happens here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from orchestrator.shell.command import Command, Unwrapped
from orchestrator.shell.prints import received

_EXEC_VALUES = frozenset(("-u", "--user", "-w", "--workdir", "-e", "--env", "-n", "-c", "--index"))
# Options of `run` that stand alone; all others take the next word, or have theirs after `=`.
_ALONE_WORDS = """
    -d -i -t -it -ti -dit -itd -P --rm --privileged --init --detach --interactive --tty --read-only --no-healthcheck
    --publish-all --oom-kill-disable --sig-proxy --disable-content-trust -q --quiet --replace
"""
_ALONE = frozenset(_ALONE_WORDS.split())
ENTERS, LEAVES = "container-enters", "container-leaves"
"""Marks around what runs within a container: `container-enters FOLDER walls|open SOURCE TARGET SOURCE TARGET …`."""
_HOST_OPTIONS = ("--privileged", "--pid=host", "--device", "--cap-add=ALL", "--cap-add=SYS_ADMIN")


def container_commands(command: Command) -> Unwrapped:
    """`docker exec NAME command`, `kubectl exec POD -- command`, `docker run -v /:/host IMAGE command`."""
    words = command.words
    if "compose" in words[:2] and (text := received(command)):
        yield from compose_commands(text, (*command.via, command.name))
    if "exec" in words:
        yield from _exec(command, words.index("exec"))
    elif words[1:2] == ("debug",) and "--" in words:
        yield from _exec(command, 1)
    elif starts := next((at for at, word in enumerate(words[:5]) if at and word in ("run", "create")), 0):
        yield from _run(command, starts + 1)


_HOST_KEYS = re.compile(r"(?m)^[\s-]*[\"']?(pid|ipc|network_mode|userns_mode|uts)[\"']?:\s*[\"']?host\b")
_MOUNTS = re.compile(
    r"[\s\[,\"'-]((?:/|~|\$\{?HOME\}?)[^\s:\"',\]]*):(/[^\s:\"',\]]*)|source:\s*[\"']?((?:/|~)[^\s\"',}]*)"
)
_CAPABILITIES = re.compile(r"\b(ALL|SYS_[A-Z_]+|NET_ADMIN)\b")
_COMMAND = re.compile(r"(?m)^\s*(?:command|entrypoint):\s*(\S.*)$")
_REMARK = re.compile(r"(?m)(?:^|\s)#.*$")
# What many containers are shown of their host, to tell the same time.
_CLOCKS = ("/etc/localtime", "/etc/timezone")


def compose_commands(text: str, via: tuple[str, ...]) -> Iterator[Command]:
    """The services of a compose file that get something of the host, as what `docker run` would be told."""
    if "services:" not in text:
        return
    text = _REMARK.sub("", text)
    options = ["--privileged"] if re.search(r"privileged[\"']?:\s*true", text) else []
    options += [f"--{found.group(1).removesuffix('_mode')}=host" for found in _HOST_KEYS.finditer(text)]
    for source, target, bound in _MOUNTS.findall(text):
        if (source or bound).startswith(_CLOCKS):
            continue
        options += ["-v", f"{source or bound}:{target or '/bound'}"]
    options += [f"--cap-add={name}" for name in _CAPABILITIES.findall(text.partition("cap_add")[2])]
    said = next((found.group(1).strip("\"'[] ") for found in _COMMAND.finditer(text)), "")
    if options:
        yield Command(("docker", "run", *options, "image", *re.sub(r"[\"',]", " ", said).split()), "compose", via=via)


def _exec(command: Command, at: int) -> Iterator[Command]:
    words = command.words
    start = words.index("--", at) + 1 if "--" in words[at:] else command.operands(_EXEC_VALUES, at + 1) + 1
    if inner := command.tail(start):
        project = command.name.endswith("compose") or "compose" in words[:at]
        yield replace(inner, words=tuple(map(_in_project, inner.words))) if project else inner


# Where the images of a project have its files.
_PROJECT_FILE = re.compile(
    r"(^|[\s=])(?:/app|/usr/src/app|/code|/workspace|/var/www/html|/srv/app)/(?=[\w.@-])(?!\.\.)"
)


def _in_project(word: str) -> str:
    """A word of a command in a service of the project: what it does within the project's own files there, harms none
    outside of them."""
    return _PROJECT_FILE.sub(r"\1./service/", word)


def _run(command: Command, at: int) -> Iterator[Command]:
    words, mounts, host, program, folder = command.words, [], False, "", ""
    while at < len(words) and words[at][:1] == "-":
        option, _, value = words[at].partition("=")
        takes = not value and option not in _ALONE and at + 1 < len(words)
        value = words[at + 1] if takes else value
        host |= words[at].startswith(_HOST_OPTIONS) or (option in ("--pid", "--device") and value != "")
        if option in ("-v", "--volume", "--mount"):
            mounts += _mount(value)
        elif option == "--entrypoint":
            program = value
        elif option in ("-w", "--workdir"):
            folder = value
        at += 2 if takes else 1
    inner = command.tail(at if program else at + 1)
    if inner is None:
        return
    begins = "" if program else _begins(words[at], inner.words[0])
    if not (host or mounts or begins):
        return
    if program:
        inner = replace(inner, words=(program, *inner.words[1:]))
    elif begins:
        inner = replace(inner, words=(begins, *inner.words), expands=tuple(index + 1 for index in inner.expands))
    # What is piped into a program that has no folders comes from outside.
    yield from within(inner, mounts, folder, walls=bool(mounts) and not host)


def within(inner: Command, mounts: list[tuple[str, str]], folder: str = "", *, walls: bool = True) -> Iterator[Command]:
    """A command with what says that it runs in a container, which has these folders (source, target) of the host."""
    pairs = [word for mount in mounts for word in mount]
    expands = tuple(at for at, word in enumerate(pairs, 3) if word[:1] in ("~", "$"))
    yield Command((ENTERS, folder, "walls" if walls else "open", *pairs), "", expands)
    yield inner
    yield Command((LEAVES,), "")


# Images that begin with a program of their own, which the words behind them are for.
_PROGRAM_IMAGES = {
    "curl": "curl", "aws-cli": "aws", "rclone": "rclone", "git": "git", "ansible": "ansible", "awscli": "aws",
    "restic": "restic", "kubectl": "kubectl", "terraform": "terraform", "mc": "mc", "s3cmd": "s3cmd", "nmap": "nmap",
}  # fmt: skip


def _begins(image: str, first: str) -> str:
    """The program that an image begins with, where what it is told is not that itself; empty where none is known."""
    name = _PROGRAM_IMAGES.get(image.rpartition("/")[2].partition(":")[0].partition("@")[0], "")
    return name if first != name and first[:1] != "/" else ""


def _mount(value: str) -> list[tuple[str, str]]:
    """The folder of the host, and what it is called within."""
    if "=" in value.partition(",")[0]:
        parts = dict(part.partition("=")[::2] for part in value.split(","))
        source = parts.get("source", parts.get("src", ""))
        target = parts.get("target", parts.get("destination", parts.get("dst", "")))
    else:
        source, _, rest = value.partition(":")
        target = rest.partition(":")[0]
    return [(source, target)] if source[:1] in ("/", "~", "$", ".") and source and target else []
