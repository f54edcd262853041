"""What a command is known to print, where its words say it: `echo`, `printf`, decoders, and pipes of these.

Rule: only programs whose output is their own arguments or input, changed in a way that is worked out here
exactly. Anything else prints None: not known.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import gzip
import lzma
import posixpath
import re
import zlib
from collections.abc import Callable
from dataclasses import replace

from orchestrator.shell.command import Command
from orchestrator.shell.fields import awk, cut
from orchestrator.shell.finds import carried
from orchestrator.shell.pieces import Field, decode_ansi
from orchestrator.shell.tells import LISTERS, device, home, listed_in, picked

MAX_TEXT = 64 * 1024
_ONE_LINER = 80
_SILENT = Command(("",), "")
_DIRECTIVE = re.compile(r"%(?:%|-?\d*(?:\.\d+)?([sbqdc]))")
_OCTAL = re.compile(r"\\0([0-7]{1,3})")
_SUBSTITUTE = re.compile(r"s(.)((?:\\.|(?!\1).)*)\1((?:\\.|(?!\1).)*)\1(g?)")


def printed(command: Command) -> Field | None:
    """The output of a command, piped input included; None where it is not known."""
    maker = _PRINTERS.get(command.name)
    if any(redirect.writes for redirect in command.redirects):
        return None
    if maker is None:
        return printed(inner) if (inner := carried(command)) is not command else None
    if command.upstream and command.stdin is None and command.name in _FILTERS:
        # Asked once: each stage that asked twice would double what all before it cost.
        text = received(command)
        command = replace(command, upstream=(_SILENT,)) if text is None else replace(command, stdin=text)
    said = maker(command)
    if said is None and command.name in _FILTERS:
        said = picked(_read(command) or "")
    if said is None or len(said) > MAX_TEXT:
        return None
    # `pwd` prints what `$PWD` stands for, which is known by its name.
    return Field(said, bool(command.expands) or command.name in _NAMES_PLACES or said.startswith(("$HOME", "$PWD")))


def received(command: Command) -> str | None:
    """The text on a command's standard input: a here-document, or what is piped into it."""
    if command.stdin is not None:
        return command.stdin
    if not command.upstream:
        return None
    last = command.upstream[-1]
    # All commands of a group print one after the other; only a single one is followed.
    within = [source.words for source in last.fed]
    upstream = tuple([other for other in command.upstream if other is last or other.words not in within])
    if any(other.then not in ("|", "|&") for other in upstream):
        return _together(upstream)
    said = printed(last)
    return None if said is None else said.text


def _read(command: Command) -> str | None:
    """The text that a filter reads: what comes to it, or a file that lists the same on every machine."""
    if (text := received(command)) is not None or command.upstream:
        return text
    names = (*command.words[2:], *(item.target for item in command.redirects if item.op == "<"))
    return next(filter(None, map(listed_in, names)), None)


def _together(commands: tuple[Command, ...]) -> str | None:
    parts = [printed(command) for command in commands]
    known = [part.text for part in parts if part is not None]
    return "".join(known) if len(known) == len(parts) else None


def partly_received(command: Command) -> str:
    """What is known of the text on a command's standard input, where some of its sources print what nobody knows."""
    known = received(command)
    return "".join(said.text for said in map(printed, command.upstream) if said) if known is None else known


def _echo(command: Command) -> str | None:
    words, newline, escapes = list(command.words[1:]), "\n", False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        option = words.pop(0)
        newline = "" if "n" in option else newline
        escapes = escapes or "e" in option
    text = " ".join(words)
    return (_decode(text) if escapes else text) + newline


def _decode(text: str) -> str:
    """The escapes of `echo -e` and `%b`: as in `$'…'`, but for octal numbers, which a zero precedes."""
    return decode_ansi(_OCTAL.sub(r"\\\1", text))


def _printf(command: Command) -> str | None:
    words = list(command.words[1:])
    if words[:1] == ["--"]:
        del words[0]
    if not words or words[0] == "-v":
        return None
    form, arguments = decode_ansi(words[0]), words[1:]
    wanted = len([found for found in _DIRECTIVE.finditer(form) if found.group(1)])
    text = ""
    for _ in range(max(1, -(-len(arguments) // wanted)) if wanted else 1):

        def one(found: re.Match[str]) -> str:
            if not found.group(1):
                return "%"
            value = arguments.pop(0) if arguments else ""
            return _decode(value) if found.group(1) == "b" else value

        text += _DIRECTIVE.sub(one, form)
    return text


def _cat(command: Command) -> str | None:
    names = [word for word in command.words[1:] if word[:1] != "-" or word == "-"]
    if command.fed and ("/dev/fd/63" in names or any(item.target == "/dev/fd/63" for item in command.redirects)):
        said = printed(command.fed[-1])
        return None if said is None else said.text
    if len(names) == 1 and (listed := listed_in(names[0])) is not None:
        return listed
    return received(command) if all(name in ("-", "/dev/stdin") for name in names) else None


def _joined_lines(command: Command) -> str | None:
    """`paste -sd' '` and an `xargs` that starts nothing put lines beside each other."""
    if command.name == "xargs" and len(command.words) > 1:
        return None
    if command.name == "paste" and not any(word[:1] == "-" and "s" in word for word in command.words[1:]):
        return None
    source = printed(command.fed[-1]) if command.fed and "/dev/fd/63" in command.words else None
    text = source.text if source else received(command)
    return None if text is None else " ".join(text.split()) + "\n"


def _decoded(decode: Callable[[str], bytes], *options: str) -> Callable[[Command], str | None]:
    def maker(command: Command) -> str | None:
        source = received(command)
        flags = [word for word in command.words[1:] if word[:1] == "-"]
        if source is None or not any(flag in options for flag in flags):
            return None
        try:
            return decode(source).decode(errors="surrogateescape")
        except (binascii.Error, ValueError):
            return None

    return maker


def _base64(text: str) -> bytes:
    return base64.b64decode("".join(text.split()))


def _hex(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


def _openssl(command: Command) -> str | None:
    if command.words[1:2] in (("base64",), ("enc",)):
        return _decoded(_base64, "-d")(command)
    return None


def _rev(command: Command) -> str | None:
    source = received(command)
    return None if source is None else "\n".join(line[::-1] for line in source.split("\n"))


def _set(text: str) -> str:
    return re.sub(r"(.)-(.)", lambda f: "".join(map(chr, range(ord(f[1]), ord(f[2]) + 1))), decode_ansi(text))


def _tr(command: Command) -> str | None:
    source, words = received(command), command.words[1:]
    if source is None or not words:
        return None
    if words[0] == "-d" and len(words) == 2:
        return source.translate({ord(char): None for char in _set(words[1])})
    if len(words) != 2 or words[0][:1] == "-":
        return None
    old, new = _set(words[0]), _set(words[1])
    new = new.ljust(len(old), new[-1:]) if new else ""
    return source.translate({ord(a): b for a, b in zip(old, new, strict=False)})


def _sed(command: Command) -> str | None:
    source, words = received(command), [word for word in command.words[1:] if word != "-e"]
    found = _SUBSTITUTE.fullmatch(words[0]) if len(words) == 1 else None
    if source is None or found is None or re.search(r"[\\&]", found.group(3)):
        return None
    try:
        return re.sub(found.group(2), found.group(3), source, count=0 if found.group(4) else 1)
    except re.error:
        return None


def _unpacked(unpack: Callable[[bytes], bytes], always: bool) -> Callable[[Command], str | None]:
    def maker(command: Command) -> str | None:
        source = received(command)
        flags = "".join(word for word in command.words[1:] if word[:1] == "-")
        if source is None or not (always or "d" in flags):
            return None
        try:
            return unpack(source.encode(errors="surrogateescape"))[:MAX_TEXT].decode(errors="replace")
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
            return None

    return maker


def _part(command: Command) -> str | None:
    """`dirname` and `basename`, also of a variable."""
    names = [word for word in command.words[1:] if word[:1] != "-"]
    if len(names) != 1:
        return None
    if command.name in ("realpath", "readlink"):
        return names[0]
    if command.name == "dirname":
        return posixpath.dirname(names[0]) if names[0][:1] not in ("$", "~") or "/" in names[0] else f"{names[0]}/.."
    return posixpath.basename(names[0]) if names[0][:1] != "$" else None


def _passed(command: Command) -> str | None:
    """Programs that pass on what they get, or lines of it: which, does not matter to what may run."""
    source, words = _read(command), command.words[1:]
    if source is not None and command.name in ("head", "tail") and words[:1] == ("-c",) and len(words) > 1:
        count = int(words[1].lstrip("+")) if words[1].lstrip("+").isdigit() else None
        if count is None:
            return source
        return source[:count] if command.name == "head" else source[count - 1 :] if "+" in words[1] else source[-count:]
    if source is None and command.name == "grep":
        literal = next((word for word in words if word[:1] != "-"), "")
        exact = any(set("xo") & set(word) for word in words if word[:1] == "-" and word[:2] != "--")
        return f"{literal}\n" if exact and re.fullmatch(r"[\w.-]+", literal) else None
    return source


_SAYS = re.compile(
    r"\s*(?:import sys[;\n]\s*)?(?:print|puts|echo|say|console\.log|(?:sys|process)\.stdout\.write|io\.write|"
    r"System\.out\.println)?\s*\(?\s*(?:\"((?:[^\"\\$]|\\.)*)\"|'([^']*)')\s*\)?\s*;?\s*"
)


def _said(command: Command) -> str | None:
    """One-liners that only print a text: `python3 -c 'print("ls")'`, `jq -rn '"ls"'`."""
    asked = " ".join(command.words[1:])
    if _ASKS_SITE.search(asked):
        return "$HOME/.local/lib/python3/site-packages" + ("/os.py" if "__file__" in asked else "")
    for word in command.words[1:]:
        if word[:1] != "-" and (found := _SAYS.fullmatch(word)):
            return decode_ansi(found.group(1)) if found.group(1) is not None else found.group(2)
        if word[:1] != "-" and len(word) < _ONE_LINER and "/" not in word.replace("~/", "") and _ASKS_HOME.search(word):
            return "$HOME"
    return None


def _rot13(command: Command) -> str | None:
    source = received(command)
    return None if source is None else codecs.encode(source, "rot13")


def _listed(command: Command) -> str | None:
    """`ls -d NAME` prints the name."""
    flags = "".join(word for word in command.words[1:] if word[:1] == "-")
    names = [word for word in command.words[1:] if word[:1] != "-"]
    return "\n".join(names) if "d" in flags and "l" not in flags and names else None


def _which(command: Command) -> str | None:
    words = [word for word in command.words[1:] if word[:1] != "-"]
    if command.name == "command" and not {"-v", "-V"} & set(command.words):
        return None
    return words[0] if words else None


def _mktemp(command: Command) -> str | None:
    names = [word for word in command.words[1:] if word[:1] != "-"]
    return None if names or "-p" in command.words else "/tmp/tmp.made-by-mktemp"  # noqa: S108 - a name, not a file


# Where Python looks for what it loads by itself; which of these places it is, makes no difference.
_ASKS_SITE = re.compile(
    r"get(?:user)?sitepackages\(|--user-site|\bpurelib\b|\bget_python_lib\(|\b(?:os|site)\.__file__"
)
_ASKS_HOME = re.compile(
    r"expanduser\(\s*['\"]~/?['\"]\s*\)|Path\.home\(\)|homedir\(\)|Dir\.home\b|\bHOME\b|pw_dir|getpw(?:uid|nam)\b"
)


def _seq(command: Command) -> str | None:
    numbers = [int(word) for word in command.words[1:] if word.isdigit()]
    if not numbers or len(numbers) != len(command.words) - 1 or len(numbers) > 2 or numbers[-1] > 1000:
        return None
    first = numbers[0] if len(numbers) == 2 else 1
    return "\n".join(map(str, range(first, numbers[-1] + 1)))


_NAMES_PLACES = frozenset(
    ("pwd", "whoami", "logname", "id", "printenv", "xdg-user-dir", "getent", "git", "eval", "cut", "awk", "python",
     "python3", "node", "perl", "ruby", "php", "systemd-path")
)  # fmt: skip
# What these let through of a list of devices or users is a device, or a home.
_FILTERS = frozenset(("awk", "gawk", "mawk", "nawk", "cut", "sed", "tr", "grep", "egrep", "head", "tail", "jq", "perl"))
_PRINTERS: dict[str, Callable[[Command], str | None]] = {
    "echo": _echo,
    "printf": _printf,
    "base64": _decoded(_base64, "-d", "-D", "--decode", "-di", "-id"),
    "gunzip": _unpacked(gzip.decompress, always=True),
    "zcat": _unpacked(gzip.decompress, always=True),
    "gzip": _unpacked(gzip.decompress, always=False),
    "bunzip2": _unpacked(bz2.decompress, always=True),
    "bzip2": _unpacked(bz2.decompress, always=False),
    "unxz": _unpacked(lzma.decompress, always=True),
    "xz": _unpacked(lzma.decompress, always=False),
    "dirname": _part,
    "basename": _part,
    "realpath": _part,
    "readlink": _part,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), lambda command: awk(command.words, _read(command))),
    "cut": lambda command: cut(command.words, _read(command)),
    "base32": _decoded(lambda text: base64.b32decode("".join(text.split())), "-d", "--decode"),
    "xxd": _decoded(_hex, "-r", "-p", "-rp", "-pr"),
    "openssl": _openssl,
    "rev": _rev,
    "tr": _tr,
    "sed": _sed,
    "rot13": _rot13,
    **dict.fromkeys(("sort", "uniq", "head", "tail", "tac", "shuf", "grep", "egrep", "pv", "sponge"), _passed),
    **dict.fromkeys(("python", "python3", "perl", "ruby", "php", "node", "jq", "lua"), _said),
    "cat": _cat,
    "tee": received,
    **dict.fromkeys(("paste", "xargs"), _joined_lines),
    "which": _which,
    "ls": _listed,
    "command": _which,
    "mktemp": _mktemp,
    "pwd": lambda _: "$PWD",
    "yes": lambda command: f"{' '.join(command.words[1:]) or 'y'}\n",
    **dict.fromkeys(LISTERS, device),
    **dict.fromkeys(
        ("whoami", "logname", "id", "printenv", "xdg-user-dir", "getent", "git", "eval", "systemd-path"), home
    ),
    "seq": _seq,
}
