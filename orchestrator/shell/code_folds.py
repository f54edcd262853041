"""What well-known functions of scripting languages give back for constants: decoders, joins, reversals.

Rule: each gets what it is called on and its arguments, and answers None where these do not settle it. It may raise
what a conversion raises.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable

UNKNOWN = "$unknown"
Value = str | list[str]
Fold = Callable[[Value, list[Value]], Value | None]


def any_of(value: Value) -> str:
    """A value as a part of a longer one: of several in turn, what a shell makes of braces."""
    if isinstance(value, str):
        return value
    return "{" + ",".join(value) + "}" if len(value) > 1 and not any(map(_MARKS.search, value)) else " ".join(value)


_MARKS = re.compile(r"[\s{},]|^$")


def _decoded(text: Value) -> str:
    return base64.b64decode(str(text) + "===").decode(errors="replace")


def _from_buffer(_: Value, arguments: list[Value]) -> Value | None:
    kind = arguments[1] if len(arguments) > 1 else ""
    if isinstance(arguments[0], list):
        return "".join(chr(int(item)) for item in arguments[0])
    if kind in ("base64", "base64url"):
        return _decoded(arguments[0])
    return bytes.fromhex(str(arguments[0])).decode(errors="replace") if kind == "hex" else arguments[0]


def _joined(own: Value, arguments: list[Value]) -> Value | None:
    """`path.join(a, b)`, `[a, b].join("")`, `implode("", [a, b])`."""
    lists = [item for item in (own, *arguments) if isinstance(item, list)]
    first = arguments[0] if arguments else ""
    if own == UNKNOWN and isinstance(first, str) and (first == "~" or (first[:1] in "/~." and len(first) > 1)):
        return "/".join(map(any_of, arguments)).replace("//", "/")
    if lists:
        glue = next((item for item in arguments if isinstance(item, str)), "," if own in lists else "")
        return glue.join(lists[0])
    if own != UNKNOWN and isinstance(own, str):
        return None
    return "/".join(map(str, arguments)).replace("//", "/")


def _reversed(own: Value, arguments: list[Value]) -> Value | None:
    value = arguments[0] if own == UNKNOWN and arguments else own
    return None if value == UNKNOWN else value[::-1]


def _characters(_: Value, arguments: list[Value]) -> Value | None:
    return "".join(chr(int(str(item))) for part in arguments for item in (part if isinstance(part, list) else [part]))


def _split(own: Value, arguments: list[Value]) -> Value | None:
    if not isinstance(own, str) or own == UNKNOWN:
        return None
    mark = str(arguments[0]) if arguments else " "
    return own.split(mark) if mark else list(own)


def _replaced(own: Value, arguments: list[Value]) -> Value | None:
    if not isinstance(own, str) or own == UNKNOWN or len(arguments) != 2 or UNKNOWN in arguments:
        return None
    return own.replace(str(arguments[0]), str(arguments[1]))


def _packed(_: Value, arguments: list[Value]) -> Value | None:
    if str(arguments[0])[:1] == "H":
        return bytes.fromhex(str(arguments[1])).decode(errors="replace")
    return _characters(UNKNOWN, arguments[1:]) if str(arguments[0])[:1] in "CUc" else None


def _same(own: Value, arguments: list[Value]) -> Value | None:
    value = own if own != UNKNOWN else (arguments[0] if arguments else UNKNOWN)
    return None if value == UNKNOWN else value


def _first(_: Value, arguments: list[Value]) -> Value | None:
    return arguments[0] if arguments and arguments[0] != UNKNOWN else None


FOLDS: dict[str, Fold] = {
    **dict.fromkeys(("homedir", "home"), lambda *_: "~"),
    **dict.fromkeys(("cwd", "getcwd", "pwd"), lambda *_: "."),
    **dict.fromkeys(("new", "File", "Pathname"), lambda _, arguments: arguments[0] if len(arguments) == 1 else None),
    **dict.fromkeys(("getenv",), lambda _, arguments: "~" if arguments == ["HOME"] else None),
    **dict.fromkeys(("join", "resolve", "implode", "joinpath", "catfile"), _joined),
    **dict.fromkeys(("atob", "base64_decode", "decode_base64", "decode64", "strict_decode64"),
                    lambda _, arguments: _decoded(arguments[0])),
    **dict.fromkeys(("strrev", "reverse"), _reversed),
    **dict.fromkeys(("fromCharCode", "fromCodePoint", "chr", "char"), _characters),
    **dict.fromkeys(("split", "str_split", "chars"), _split),
    **dict.fromkeys(("replace", "replaceAll", "gsub", "sub"), _replaced),
    **dict.fromkeys(("toString", "trim", "to_s", "chomp", "strip", "valueOf", "String", "escapeshellarg",
                     "shellescape", "expand_path",
                     "realpath", "flat"), _same),
    "cwd": lambda *_: ".",
    "dirname": lambda _, arguments: f"{arguments[0]}/.." if arguments and arguments[0] != UNKNOWN else None,
    "glob": _first,
    **dict.fromkeys(("readdirSync", "readdir", "scandir", "children", "entries", "opendir"), lambda *_: "*"),
    "str_rot13": lambda _, arguments: codecs.encode(str(arguments[0]), "rot13"),
    "hex2bin": lambda _, arguments: bytes.fromhex(str(arguments[0])).decode(errors="replace"),
    "concat": lambda own, arguments: str(own) + "".join(map(str, arguments)) if own != UNKNOWN else None,
    "toLowerCase": lambda own, _: str(own).lower() if own != UNKNOWN else None,
    "from": _from_buffer,
    "pack": _packed,
}  # fmt: skip
