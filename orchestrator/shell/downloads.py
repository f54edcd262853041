"""What a command fetches from elsewhere, by its words: the files and folders that it leaves.

Rule: names only. A file is told by the name that the fetching command gives it or by the end of its address, a clone
by its folder. Where only a run would tell, a wildcard stands for the name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import pairwise

from orchestrator.shell.builders import is_source
from orchestrator.shell.command import Command
from orchestrator.shell.fetched_code import DATA, MEDIA, speaks
from orchestrator.shell.prints import printed, received
from orchestrator.shell.shells import SHELLS
from orchestrator.shell.strangers import TEXT_TAKERS

_FETCHERS_TEXT = """
    curl wget wget2 fetch aria2c axel http https xh lwp-download lwp-mirror nc ncat netcat socat telnet ftp lftp tftp
    sftp scp rclone gsutil aws az gcloud mc s3cmd lynx w3m links elinks dig drill croc wormhole yt-dlp adb ipfs ssh
    smbclient smbget whois finger snarf lwp-request GET POST curlie
"""
FETCHERS = frozenset(_FETCHERS_TEXT.split())
_COPIES = {
    "scp": "", "sftp": "", "rsync": "", "docker": "cp", "podman": "cp", "nerdctl": "cp", "kubectl": "cp", "oc": "cp",
    "aws": "cp sync mv get-object", "gsutil": "cp rsync mv", "gcloud": "cp scp rsync",
    "rclone": "copy copyto sync move moveto", "mc": "cp mirror get", "s3cmd": "get sync", "adb": "pull",
    "limactl": "copy", "multipass": "transfer", "lxc": "pull",
}  # fmt: skip
_REMOTE = re.compile(r"\$\([^)]*\):|[^/\s]*[\w\]]::?(?!\\)|[\w-]+/[\w-]+:/|\w+://")
_FOLDER_OPTIONS = frozenset(
    ("-P", "--directory-prefix", "--output-dir", "-d", "--dir", "--dest", "-D", "--pack-destination")
)
_OUTPUTS = frozenset(
    ("-o", "--output", "-O", "--output-document", "--output-file", "--out", "--out-file", "--file", "-f")
)
_ADDRESS = re.compile(r"\w+://(?!(?:localhost|127\.)[:/])(?:[^/@\s]*@)?([^/:?#\s]+)")
_INTERPRETERS = ("python", "perl", "ruby", "php", "node", "lua", "deno", "bun")
_BY_ORDERS = frozenset(("sftp", "ftp", "lftp", "tftp", "smbclient", "ncftp"))
_HERE = re.compile(r"^(?:\$\{?PWD\}?|\$\(pwd\)|`pwd`)(?:/|$)")
_CREATES = re.compile(r"(?i)^(?:create|file|open):([^,]+)")
_GETS = re.compile(r"\b(?:m?get|pget|mirror)\s+(?:-\w+\s+)*(\S+)(?:\s+-o\s+(\S+)|\s+([^\s;-]\S*))?")

_RUNS_ELSEWHERE = frozenset(("run", "exec", "get", "kustomize"))
_FETCH_BY_WORD = {
    **dict.fromkeys(("gh", "glab"), frozenset(("api",))), "openssl": frozenset(("s_client",)),
    "git": frozenset(("--remote",)),
    **dict.fromkeys(("docker", "podman", "nerdctl", "kubectl", "oc"), _RUNS_ELSEWHERE),
}  # fmt: skip
_COPIERS = frozenset(("cp", "mv", "ln", "install", "rsync", "scp", "cat", "tee", "tar", "echo", "printf", "test", "["))
_DRAWS_OUT = ("-o", "-out", "--output", "-xf", "-w", "--outfile", "-of")


def carves(command: Command) -> bool:
    """Whether what a command prints is cut out of a file of data, or made readable from one."""
    if command.name in ("cp", "mv", "ln", "install"):
        return any(MEDIA.fullmatch(word) for word in command.words[1:-1]) and not DATA.fullmatch(command.words[-1])
    if command.name in ("tar", "rsync", "scp") or (command.name in _COPIERS and not command.upstream):
        return False
    # Asked first whether it is of data: each stage that asked about all before it would have them ask again.
    return _of_data(command) or any(
        _of_data(source) and (source.name == "cat" or carves(source)) for source in command.upstream
    )


def _of_data(command: Command) -> bool:
    given = [word.removeprefix("if=") for word in command.words[1:] if "." in word]
    given += [item.target for item in command.redirects if item.op == "<"]
    return bool(given) and any(DATA.fullmatch(name) and not is_source(name) for name in given)


def carved_files(command: Command) -> Iterator[str]:
    """The files that a command writes with what it carves."""
    yield from (item.target for item in command.redirects if item.writes)
    if command.name in ("unzip", "7z", "unrar", "unar", "bsdtar"):
        return
    yield from (word[3:] for word in command.words if word.startswith("of="))
    yield from (value for option, value in command.followed if option in _DRAWS_OUT)
    if command.name in ("tee", "cp", "mv", "ln", "install"):
        yield from (word for word in command.words[-1:] if word[:1] != "-")


def runs_data(command: Command) -> bool:
    """Whether it is a picture, a sound or the like that is run, or that a shell is given."""
    words = command.words
    if command.name in SHELLS and (first := next((word for word in words[1:] if word[:1] != "-"), "")):
        return MEDIA.fullmatch(first) is not None
    return bool(words) and "/" in words[0] and MEDIA.fullmatch(words[0]) is not None


_DECODE = frozenset(("-d", "-D", "-di", "-id", "--decode", "-r", "-rp", "-pr"))
_DECODERS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("base64", "gbase64", "base32", "basenc", "xxd", "openssl", "ascii85", "base91"), _DECODE),
    **dict.fromkeys(("uudecode", "yydecode"), frozenset[str]()),
}


def path_of(name: str) -> str:
    """A file's name as it is compared."""
    return posixpath.normpath(_HERE.sub("", name) or ".") if name else ""


def fetches(command: Command) -> bool:
    """Whether what a command prints or leaves comes from elsewhere, or can't be read before it is decoded."""
    name, words = command.name, command.words
    if name in FETCHERS or _decodes(command):
        return True
    if name in _FETCH_BY_WORD and not _FETCH_BY_WORD[name].isdisjoint(word.partition("=")[0] for word in words[1:4]):
        return True
    for item in command.redirects:
        if item.target.startswith("/dev/tcp/"):
            return True
    if name.startswith(_INTERPRETERS) and any(map(speaks, words[1:])):
        return True
    return name not in TEXT_TAKERS and "://" in " ".join(words) and any(map(_ADDRESS.match, words[1:]))


def _decodes(command: Command) -> bool:
    """Whether a command makes readable what nobody has read."""
    options = _DECODERS.get(command.name)
    if options is None or (options and options.isdisjoint(command.words)):
        return False
    return printed(command) is None


def fetched_files(command: Command, gets: bool) -> Iterator[str]:
    """The files that a command leaves which it got from elsewhere; `gets` says that it `fetches`."""
    words, name = command.words, command.name
    if name in _BY_ORDERS:
        orders = " ".join(words[1:]) + "\n" + (received(command) or "")
        yield from (next(filter(None, found.groups()[::-1])) for found in _GETS.finditer(orders))
    if name == "aws" and "get-object" in words:
        yield words[-1]
    elif name in _COPIES and (not _COPIES[name] or not set(_COPIES[name].split()).isdisjoint(words[1:4])):
        yield from _copied(command)
    elif name in ("gh", "glab") and words[1:3] in (("release", "download"), ("run", "download")):
        given = [value for option, value in pairwise(words) if option in ("-p", "--pattern", "-O", "--output", "-n")]
        yield from _within(command, given or ["*"])
    elif name in ("pip", "pip3") and "download" in words[1:3]:
        yield from _within(command, ["*.whl", "*.tar.gz"])
    elif name == "npm" and words[1:2] == ("pack",) and any(word[:1] not in "-./" for word in words[2:]):
        yield from _within(command, ["*.tgz"])
    elif gets and name not in _FETCH_BY_WORD:
        yield from _named(command)


def _copied(command: Command) -> Iterator[str]:
    """A copy from another place: the last operand, and what it is called there."""
    operands = [word for word in command.words[1:] if word[:1] != "-"]
    if len(operands) < 2 or _REMOTE.match(operands[-1]):
        return
    if command.name == "mc" or any(_REMOTE.match(word) for word in operands[:-1]):
        target = operands[-1]
        yield target
        for source in operands[:-1]:
            yield f"{target}/{posixpath.basename(source.rpartition(':')[2].rstrip('/'))}"


def _named(command: Command) -> Iterator[str]:
    """What a downloader leaves: under the name that it is given, and the one at the end of the address."""
    names: list[str] = []
    for option, value in command.followed:
        if option in _OUTPUTS and value and not (command.name == "curl" and option in ("-O", "-f")):
            names.append(value)
        elif option.partition("=")[0] in _OUTPUTS and "=" in option:
            names.append(option.partition("=")[2])
        elif option[:2] in ("-o", "-O") and len(option) > 2 and command.name in ("curl", "wget"):
            names.append(option[2:])
        elif option[:1] == "-" and option[:2] != "--" and option[-1] in "oO" and value and value[:1] != "-":
            names.append(value)
        elif found := _CREATES.match(option):
            names.append(found.group(1))
        if "/" in option and option[:1] != "-":
            names.append(option.partition("?")[0].rstrip("/").rpartition("/")[2])
            if command.name == "wget" and (host := _ADDRESS.match(option)):
                yield f"{host.group(1)}/*"
        if option[:1] != "-" and names and "://" not in option and _behind_address(command, option):
            names.append(option)
    names += [next(filter(None, found.groups()[::-1])) for found in _GETS.finditer(" ".join(command.words[1:]))]
    yield from _within(command, names)


def _behind_address(command: Command, word: str) -> bool:
    """Whether a word stands behind an address: `lwp-download URL FILE`."""
    return any("://" in before for before in command.words[1 : command.words.index(word)])


def _within(command: Command, names: list[str]) -> Iterator[str]:
    folders = [value for option, value in pairwise(command.words) if option in _FOLDER_OPTIONS or option[-1:] == "P"]
    folders += [word.partition("=")[2] for word in command.words if word.partition("=")[0] in _FOLDER_OPTIONS]
    for name in filter(None, names):
        yield name
        yield from (f"{folder}/{name}" for folder in folders if folder)


_CLONES = {
    "git": ("clone", "submodule", "add"), **dict.fromkeys(("hg", "jj"), ("clone",)), "bzr": ("branch",),
    **dict.fromkeys(("svn", "cvs"), ("checkout", "co", "export")), **dict.fromkeys(("gh", "glab"), ("repo clone",)),
    "fossil": ("open",), **dict.fromkeys(("sshfs", "degit", "tiged"), ("",)),
}  # fmt: skip


def fetched_folder(command: Command) -> str:
    """The folder that a clone leaves; empty where the command makes none."""
    words = command.words
    for verb in _CLONES.get(command.name, ()):
        wanted = verb.split()
        at = words.index(wanted[0]) if wanted and wanted[0] in words[1:4] else 0
        if (wanted and at and tuple(wanted) == words[at : at + len(wanted)]) or not wanted:
            return _clone_name([word for word in words[at + max(len(wanted), 1) :] if word[:1] != "-"])
    return ""


def _clone_name(operands: list[str]) -> str:
    if not operands:
        return ""
    last = operands[-1]
    named = len(operands) > 1 and "://" not in last and "@" not in last and not last.isdigit()
    return path_of(last) if named else posixpath.basename(last.rstrip("/").removesuffix(".git")).rpartition(":")[2]
