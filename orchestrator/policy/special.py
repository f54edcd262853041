"""Programs whose words no row of the table can describe: dd, tar, find, rsync, curl, docker cp, servers, …

Rule: one function for each, from what was seen of a command to the paths that it reads, writes, deletes, sends, serves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from orchestrator.policy.archives import cpio, tar, unpacked_here
from orchestrator.policy.copying import PUT, copies, into, objects, rclone, rsync
from orchestrator.policy.paths import OWN_FOLDERS
from orchestrator.policy.scene import Seen
from orchestrator.policy.tabled import Kind, Raw, arguments, by_table, unknown
from orchestrator.shell import FINDERS, found_by, received

LOCAL = re.compile(r"(?:\w+://)?(?:[^@/]*@)?(?:localhost|127\.[\d.]+|0\.0\.0\.0|\[::1\])(?:[:/]|$)")


def _container(seen: Seen) -> Iterator[Raw]:
    """`docker cp` goes between the machine and a container."""
    command, operands = seen.command, seen.operands
    if len(operands) < 3 or seen.words_after_options[:1] != ("cp",):
        yield from unknown(seen)
        return
    for at in operands[1:]:
        if ":" not in command.words[at].partition("/")[0]:
            yield "writes" if at == operands[-1] else "reads", command.words[at], at in command.expands


def _transfers(seen: Seen) -> Iterator[Raw]:
    """Clients that are told by commands of their own what to put where."""
    yield from unknown(seen)
    for text in (*seen.command.words[1:], received(seen.command) or ""):
        yield from (("sends", path, path[:1] in "~$") for path in PUT.findall(text))
    words = seen.command.words
    if "put" in words[:-1]:
        yield "sends", words[words.index("put") + 1], words.index("put") + 1 in seen.command.expands


def _renames(seen: Seen) -> Iterator[Raw]:
    """Each operand may be a file, or what its name is made of."""
    for at in seen.operands:
        word = seen.command.words[at]
        yield "moves", word, at in seen.command.expands or "*" in word


_ADDRESS = re.compile(r"(?i)(?:open|file|create|gopen):([^,]+)")


def _socat(seen: Seen) -> Iterator[Raw]:
    for at, word in enumerate(seen.command.words):
        if found := _ADDRESS.match(word):
            writes = re.search(r"(?i)^create|,(?:creat|trunc|append|wronly)", word)
            last = at == len(seen.command.words) - 1 and "-U" not in seen.flags
            if last and not writes:
                yield "writes", found.group(1), at in seen.command.expands
            yield "writes" if writes else "sends", found.group(1), at in seen.command.expands


_SERVER = re.compile(
    r"http\.server|SimpleHTTPServer|pyftpdlib|httpd|-ehttpd|http-server|serve|-S|proxy|\S*file[-_]server\S*"
)
_ONLY_SERVE_TEXT = """
    http-server serve twistd darkhttpd webfsd miniserve dufs simple-http-server static-web-server goshs updog
    uploadserver wsgidav live-server filebrowser
"""
_ONLY_SERVE = frozenset(_ONLY_SERVE_TEXT.split())
_SERVERS = ("python", "python2", "python3", "php", "npx", "busybox", "deno", "caddy", *_ONLY_SERVE)
_SERVED = ("-d", "--directory", "-t", "-h", "--www", "--root", "-w", "-r", "--path")


def _kubectl(seen: Seen) -> Iterator[Raw]:
    for word in seen.command.words:
        if word.startswith(("--from-file=", "--from-env-file=")):
            path = word.partition("=")[2].rpartition("=")[2]
            yield "sends", path, path[:1] in "~$"
    if seen.words_after_options[:1] == ("cp",):
        yield from (
            ("sends", word, at in seen.command.expands)
            for kind, word, _ in _container(seen)
            if kind == "reads"
            for at in seen.operands
            if seen.command.words[at] == word
        )
        return
    yield from _server(seen) if seen.words_after_options[:1] == ("proxy",) else _container(seen)


def _ruby(seen: Seen) -> Iterator[Raw]:
    """`ruby -run -e rm_rf -- PATH` is rm; `-e httpd` serves."""
    if "-run" not in seen.flags:
        yield from by_table(seen)
    elif any(word[:2] == "rm" for word in seen.command.words):
        for at in seen.operands:
            yield "deletes_tree", seen.command.words[at], at in seen.command.expands
    else:
        yield from _server(seen)


def _server(seen: Seen) -> Iterator[Raw]:
    """A program that can serve a folder to the network: the one that is named, or where it stands."""
    words = seen.command.words
    if not {"zipfile", "tarfile"}.isdisjoint(words[:4]) and not {"-e", "--extract"}.isdisjoint(words):
        yield "writes", words[-1], len(words) - 1 in seen.command.expands
    start = next((at for at, word in enumerate(words) if at and _SERVER.fullmatch(word)), 0)
    if not start and seen.name not in _ONLY_SERVE:
        yield from unknown(seen)
        return
    given = enumerate(pairwise(words), 1)
    named = [(value, at) for at, (option, value) in given if option in _SERVED and value[:1] != "-"]
    named += [(word.partition("=")[2], at) for at, word in enumerate(words) if word.partition("=")[0] in _SERVED]
    named += [(words[at], at) for at in seen.operands if at > start and words[at][:1] in "/.~"]
    folder, at = next(((value, at) for value, at in named if value), (".", 0))
    yield "serves", folder, at in seen.command.expands


def _dd(seen: Seen) -> Iterator[Raw]:
    for at, word in enumerate(seen.command.words):
        key, mark, path = word.partition("=")
        if mark and key in ("of", "if", "wipe", "hof", "ofs"):
            expands = at in seen.command.expands or path[:1] == "~"
            yield "reads" if key == "if" else "writes", path, expands


def _find(seen: Seen) -> Iterator[Raw]:
    words = seen.command.words
    for at, word in enumerate(words[:-1]):
        if word in ("-fprintf", "-fprint", "-fprint0", "-fls"):
            yield "writes", words[at + 1], at + 1 in seen.command.expands
    if "-delete" in words:
        for path, expands in found_by(seen.command):
            yield "deletes_tree" if path.endswith("/*") else "deletes", path, expands


def _curl(seen: Seen) -> Iterator[Raw]:
    command = seen.command
    local = any(LOCAL.match(word) for word in command.words[1:])
    leaves: Kind = "reads" if local else "sends"
    for word, at, kinds in arguments(command, _CURL_VALUES):
        expands = at in command.expands
        if kinds == "data":
            for part in _CURL_FILE.split(word)[1:]:
                yield leaves, part, expands or part[:1] == "~"
        elif kinds:
            yield leaves if kinds == "sends" else kinds, word, expands  # type: ignore[misc]
        elif word.startswith("file://"):
            yield "reads", word[7:], expands
    if command.stdin is None and "@-" in command.words:
        for redirect in command.redirects:
            if redirect.op == "<":
                yield leaves, redirect.target, redirect.expands


_CURL_FILE = re.compile(r"^@|[=<;]@|=<|(?<=\w)@")
_CURL_VALUES = {
    **dict.fromkeys(("-d", "--data", "--data-binary", "--data-ascii", "--data-urlencode", "--json"), "data"),
    "--variable": "data",
    **dict.fromkeys(("-F", "--form"), "data"),
    **dict.fromkeys(("-T", "--upload-file"), "sends"),
    **dict.fromkeys(("-o", "--output", "--output-dir", "-D", "--dump-header", "-c", "--cookie-jar"), "writes"),
    **dict.fromkeys(("-K", "--config", "--trace", "--etag-save"), "reads"),
    **dict.fromkeys(("-H", "--header", "-X", "--request", "-u", "--user", "-A", "-e", "-b", "-m", "-w"), ""),
}  # fmt: skip


_SQL_READS = re.compile(
    r"(?is)\s*(?:\.(?:tables|schema|headers?|mode|dump|indexes|databases|show|width|separator|nullvalue|timer|quit|exit)\b"
    r"[^\n]*|(?:select|explain|values|pragma\s+[\w.]+(?:\([^)]*\))?\s*$|with\b(?!.*\b(?:insert|update|delete)\b))[^;]*)"
)


def _sqlite(seen: Seen) -> Iterator[Raw]:
    """A database is written where not all that is asked of it are questions."""
    command = seen.command
    if not seen.operands:
        return
    given = [command.words[at] for at in seen.operands[1:]]
    given += [value for option, value in pairwise(command.words) if option == "-cmd"]
    fed = received(command)
    unknown_input = (
        fed is None and not given and (command.upstream or any(item.op == "<" for item in command.redirects))
    )
    statements = [part for text in (*given, fed or "") for part in re.split(r"[;\n]", text) if part.strip()]
    asks = "-readonly" in seen.flags or (not unknown_input and all(map(_SQL_READS.match, statements)))
    at = seen.operands[0]
    yield "reads" if asks else "writes", command.words[at].removeprefix("file:"), at in command.expands


_SED_WRITES = re.compile(r"(?:^|[;}\s/,\d])w\s+(\S[^;}\n]*)")


def _sed(seen: Seen) -> Iterator[Raw]:
    """Its `w` writes a file too."""
    yield from by_table(seen)
    for word in seen.command.words[1:]:
        if "w " in word:
            yield from (("writes", found.group(1).strip(), False) for found in _SED_WRITES.finditer(word))


_PATCHED = re.compile(r"(?m)^\+\+\+ (?:[ab]/)?(\S+)")


def _patch(seen: Seen) -> Iterator[Raw]:
    """What is patched, the patch itself says, where it is known."""
    yield from unpacked_here(seen)
    yield from (("writes", path, False) for text in _texts(seen) for path in _PATCHED.findall(text))


def _texts(seen: Seen) -> tuple[str, ...]:
    """What a command is fed, and what it reads of what the script has written."""
    return (received(seen.command) or "", *seen.command.named)


# What takes out of the working tree, or puts back, what the paths behind it name; what fills a folder that is named.
_GIT_TAKES = frozenset(("checkout", "restore", "stash", "reset", "mv", "rm", "clean", "sparse-checkout"))
_GIT_FILLS = frozenset(("apply", "am", "checkout-index", "read-tree"))
_GIT_MAKES = frozenset(("clone", "worktree", "init", "submodule", "subtree"))
_GIT_HERE = frozenset(("checkout", "restore", "apply", "am", "reset", "stash", "pull", "clone", "init", "clean"))


def _git_folder(seen: Seen) -> str:
    """The folder of the working tree that it is told, with a slash behind it; empty where it is told none."""
    assigned = dict(seen.command.assigns).get("GIT_WORK_TREE", "")
    told = [value for option, value in pairwise(seen.command.words) if option in ("-C", "--work-tree")]
    told += [word.partition("=")[2] for word in seen.flags if word.startswith("--work-tree=")]
    return f"{(*told, assigned)[0]}/" if told or assigned else ""


def _git(seen: Seen) -> Iterator[Raw]:
    """What it takes out of the working tree; all else that it writes are its own records."""
    command = seen.command
    subcommand = seen.words_after_options[:1]
    folder = _git_folder(seen)
    if (folder or seen.places.moved) and not _GIT_HERE.isdisjoint(subcommand):
        yield "writes", folder or ".", folder[:1] in ("~", "$")
    if not _GIT_MAKES.isdisjoint(subcommand):
        for at in seen.operands[1:]:
            if command.words[at].startswith((*OWN_FOLDERS, *(f"./{name}" for name in OWN_FOLDERS))):
                yield "writes", command.words[at], False
    for word in seen.flags:
        if word.startswith("--output="):
            yield "writes", word.partition("=")[2], word[9:10] in ("~", "$")
    if subcommand in (("add",), ("stage",)) and (seen.places.moved or folder):
        told = [(folder + command.words[at], at in command.expands) for at in seen.operands[1:]]
        for word, expands in told or [(folder or ".", True)]:
            yield "reads", word, expands or folder[:1] in ("~", "$")
    if "--no-index" in command.words:
        for at in seen.operands[1:]:
            yield "reads", command.words[at], at in command.expands
    if subcommand in (("apply",), ("am",)):
        yield from (("writes", path, False) for text in _texts(seen) for path in _PATCHED.findall(text))
    for word in command.words:
        if word.startswith(("--directory=", "--prefix=")) and not _GIT_FILLS.isdisjoint(subcommand):
            yield "writes", word.partition("=")[2], False
    if not _GIT_TAKES.isdisjoint(subcommand):
        yield from _git_takes(seen, subcommand[0], folder)
        return
    for at in seen.operands[1:]:
        if command.words[at][:1] in "/~" and command.words[at - 1] != "-C":
            last = subcommand == ("clone",) and at == seen.operands[-1]
            yield "writes" if last else "reads", command.words[at], at in command.expands


def _git_takes(seen: Seen, verb: str, folder: str) -> Iterator[Raw]:
    """What is taken out of the working tree, or put back as it was, by the paths that are given."""
    paths = list(_pathspecs(seen, folder))
    if verb == "reset" or (verb == "restore" and seen.has_flag("--staged") and not seen.has_flag("--worktree")):
        return  # of these only the index knows
    if verb == "sparse-checkout":
        for word in _excluded(seen):
            yield "deletes_tree", f"{folder}{word[1:].strip('/')}", "*" in word
        if "set" in seen.words_after_options:
            kept = [word.strip("/") for word in seen.words_after_options[2:]]
            gone = () if not kept or {"*", "."}.intersection(kept) else OWN_FOLDERS
            # What is not kept is taken away, the orchestrator's own folders too.
            yield from (("deletes_tree", folder + name, False) for name in gone if name not in kept)
    elif verb == "clean":
        if seen.has_flag("-f") or seen.has_flag("--force"):
            if folder or ((seen.places.moved or seen.places.binds) and not paths):
                yield "deletes_tree", folder or ".", folder[:1] in ("~", "$")
            yield from (("deletes_tree", path, expands) for path, expands in paths)
    elif verb in ("mv", "rm"):
        if not seen.has_flag("--cached") and not seen.has_flag("-n"):
            taken: Kind = "moves" if verb == "mv" else "deletes_tree" if seen.has_flag("-r") else "deletes"
            yield from ((taken, path, expands) for path, expands in paths[: -1 if verb == "mv" else None])
    else:
        yield from (("writes", path, expands) for path, expands in paths)


_MAGIC = re.compile(r":(?:/|\([^()]*\)|(?=[^/!^(]))")
_EXCLUDES = re.compile(r":(?:[!^]|\([^()]*exclude[^()]*\))")


def _pathspecs(seen: Seen, folder: str) -> Iterator[tuple[str, bool]]:
    """The paths that git is given, which it expands by itself: each, and whether it holds a wildcard."""
    command = seen.command
    given = [(command.words[at], at in command.expands) for at in seen.operands[1:] if command.words[at - 1] != "-C"]
    if any(word.startswith("--pathspec-from-file") for word in command.words):
        given += [(line, False) for line in (received(command) or "").splitlines()]
    for word, expands in given:
        if not _EXCLUDES.match(word):
            path = folder + _MAGIC.sub("", word, count=1)
            yield path, expands or folder[:1] in ("~", "$") or any(mark in path for mark in "*?[")


def _excluded(seen: Seen) -> Iterator[str]:
    """The patterns that leave something out, as words or on lines of its input."""
    lines = (received(seen.command) or "").splitlines()
    yield from (word for word in (*seen.words_after_options[1:], *lines) if word[:1] == "!")


SPECIAL: dict[str, Callable[[Seen], Iterable[Raw]]] = {
    **dict.fromkeys(("cp", "mv", "install", "ln"), into),
    "dd": _dd, "dcfldd": _dd, "dc3dd": _dd, "sg_dd": _dd, "tar": tar, "bsdtar": tar, "gtar": tar,
    **dict.fromkeys(FINDERS, _find),
    "rsync": rsync, "scp": copies, "sftp": copies, "rclone": rclone, "aws": objects, "gsutil": objects,
    "gcloud": objects, "az": objects, "s3cmd": objects, "mc": objects, "curl": _curl, "git": _git, "gh": objects,
    "docker": _container, "podman": _container, "kubectl": _kubectl, "ruby": _ruby, "socat": _socat,
    **dict.fromkeys(("ftp", "lftp", "tftp", "smbclient", "ncftp", "psftp", "cadaver"), _transfers),
    "glab": objects, "azcopy": objects,
    "cpio": cpio, "pax": cpio, "patch": _patch, "sqlite3": _sqlite, "sqlite": _sqlite, "sed": _sed, "gsed": _sed,
    **dict.fromkeys(("unzip", "unar", "unrar", "7z", "7za", "7zz", "split", "csplit", "wget"), unpacked_here),
    **dict.fromkeys(_SERVERS, _server),
    **dict.fromkeys(("rename", "prename", "file-rename", "perl-rename", "rename.ul", "mmv", "mcp"), _renames),
    **dict.fromkeys(("nomino", "rnr"), _renames),
}  # fmt: skip
