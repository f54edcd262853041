"""What well-known functions of scripting languages give back for constants: decoders, joins, reversals.

Rule: each gets what it is called on and its arguments, and answers None where these do not settle it. It may raise
what a conversion raises.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable
from urllib.parse import unquote

UNKNOWN = "$unknown"
Value = str | list[str]
Fold = Callable[[Value, list[Value]], Value | None]


def any_of(value: Value) -> str:
    """A value as a part of a longer one: of several in turn, what a shell makes of braces."""
    if isinstance(value, str):
        return value
    return "{" + ",".join(value) + "}" if len(value) > 1 and not any(map(_MARKS.search, value)) else " ".join(value)


_MARKS = re.compile(r"[\s{},]|^$")


def flat(items: list[Value]) -> list[str]:
    """All texts in a list of values."""
    return [part for item in items for part in ([item] if isinstance(item, str) else item)]


def dearer(one: Value, other: Value) -> Value:
    """Of values of which any may be meant, the one with most to lose."""
    known = [value for value in (one, other) if value != UNKNOWN]
    return next((value for value in known if any_of(value)[:1] in ("/", "~")), (*known, UNKNOWN)[0])


def calculated(left: Value, operator: str, right: Value) -> Value:
    """The result of an operator on whole numbers, or on each of several."""
    if isinstance(left, list):
        return flat([calculated(one, operator, right) for one in left])
    if not (isinstance(left, str) and isinstance(right, str) and left.lstrip("-").isdigit() and right.isdigit()):
        return UNKNOWN
    one, other = int(left), int(right)
    return str(one ^ other if operator == "^" else one - other if operator == "-" else one * other % (1 << 64))


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
        return own
    return "/".join(map(str, arguments)).replace("//", "/")


def _reversed(own: Value, arguments: list[Value]) -> Value | None:
    value = arguments[0] if own == UNKNOWN and arguments else own
    return None if value == UNKNOWN else value[::-1]


def _characters(own: Value, arguments: list[Value]) -> Value | None:
    arguments = arguments or [own]
    return "".join(chr(int(str(item))) for part in arguments for item in (part if isinstance(part, list) else [part]))


def _split(own: Value, arguments: list[Value]) -> Value | None:
    if not isinstance(own, str) or own == UNKNOWN:
        return None
    mark = str(arguments[0]) if arguments else " "
    return own.split(mark) if mark else list(own)


def _replaced(own: Value, arguments: list[Value]) -> Value | None:
    if isinstance(own, str) and own != UNKNOWN and arguments and all(str(item).isdigit() for item in arguments):
        # Lua's `("text"):sub(2, 3)`.
        return own[int(str(arguments[0])) - 1 : int(str(arguments[1])) if len(arguments) > 1 else None]
    if not isinstance(own, str) or own == UNKNOWN or len(arguments) != 2 or UNKNOWN in arguments:
        return None
    return own.replace(str(arguments[0]), str(arguments[1]))


def _packed(own: Value, arguments: list[Value]) -> Value | None:
    if isinstance(own, list):
        arguments = [*arguments, *own]
    if str(arguments[0])[:1] in "Aa":
        return arguments[1]
    if str(arguments[0])[:1] == "m":
        return _decoded(arguments[1])
    if str(arguments[0])[:1] == "H":
        return bytes.fromhex(str(arguments[1])).decode(errors="replace")
    return _characters(UNKNOWN, arguments[1:]) if str(arguments[0])[:1] in "CUc" else None


def _same(own: Value, arguments: list[Value]) -> Value | None:
    value = own if own != UNKNOWN else (arguments[0] if arguments else UNKNOWN)
    return None if value == UNKNOWN else value


def _first(_: Value, arguments: list[Value]) -> Value | None:
    return arguments[0] if arguments and arguments[0] != UNKNOWN else None


def _all_in(_: Value, arguments: list[Value]) -> Value | None:
    return f"{str(arguments[0]).rstrip('/')}/*" if arguments and arguments[0] != UNKNOWN else None


def _concatenated(own: Value, arguments: list[Value]) -> Value | None:
    if own == UNKNOWN and arguments and isinstance(arguments[0], list):
        return any_of(arguments[1] if len(arguments) > 1 else "").join(arguments[0])
    if isinstance(own, list):
        return [*own, *flat(arguments)]
    return own + "".join(map(any_of, arguments)) if own != UNKNOWN else None


def _subject(own: Value, arguments: list[Value]) -> tuple[Value, list[Value]]:
    """What a function is about: what it is a method of, or its first argument."""
    return (own, arguments) if own != UNKNOWN else (arguments[0], arguments[1:]) if arguments else (UNKNOWN, [])


def _text_method(method: str) -> Fold:
    def one(own: Value, arguments: list[Value]) -> Value | None:
        text, _ = _subject(own, arguments)
        return getattr(text, method)() if isinstance(text, str) and text != UNKNOWN else None

    return one


def _sliced(own: Value, arguments: list[Value]) -> Value | None:
    value, numbers = _subject(own, arguments)
    first = int(str(numbers[0])) if numbers else 0
    length = int(str(numbers[1])) if len(numbers) > 1 else None
    # PHP and Perl say how many, JavaScript where it ends.
    end = first + length if length is not None and own == UNKNOWN and length > 0 else length
    return None if value == UNKNOWN else value[first:end]


def _unquoted(own: Value, arguments: list[Value]) -> Value | None:
    text, _ = _subject(own, arguments)
    return None if text == UNKNOWN else unquote(str(text))


def _last(own: Value, _: list[Value]) -> Value | None:
    return own[-1] if isinstance(own, list) and own else None


def _foremost(own: Value, arguments: list[Value]) -> Value | None:
    value, _ = _subject(own, arguments)
    return value[0] if isinstance(value, list) and value else None


def _parsed(_: Value, arguments: list[Value]) -> Value | None:
    """Of data, the texts in it, whatever they are called."""
    found = re.findall(r"\"((?:[^\"\\]|\\.)*)\"(?!\s*:)", str(arguments[0]))
    return found[0] if len(found) == 1 else found or None


def _pushed(own: Value, arguments: list[Value]) -> Value | None:
    own, arguments = _subject(own, arguments)
    if isinstance(own, list) and len(own) < _MAX_ITEMS:
        own += [any_of(item) for item in arguments]
    return None


def _formatted(own: Value, arguments: list[Value]) -> Value | None:
    form, values = _subject(own, arguments)
    if not isinstance(form, str) or form == UNKNOWN or form.count("%") != len(values):
        return None

    def one(found: re.Match[str]) -> str:
        value = any_of(values.pop(0))
        return chr(int(value)) if found.group() == "%c" and value.isdigit() else value

    values = list(values)
    return re.sub(r"%[sdic]", one, form)


_TEXT_METHODS = {
    **dict.fromkeys(("toLowerCase", "downcase", "strtolower", "lc", "lower"), "lower"),
    **dict.fromkeys(("toUpperCase", "upcase", "strtoupper", "uc", "upper"), "upper"),
    **dict.fromkeys(("trim", "strip", "chomp", "ltrim", "rtrim", "trimStart", "trimEnd"), "strip"),
    "swapcase": "swapcase", "capitalize": "capitalize",
}  # fmt: skip
_MAX_ITEMS = 200
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
    **dict.fromkeys(("toString", "to_s", "valueOf", "String", "escapeshellarg",
                     "shellescape", "expand_path",
                     "realpath", "flat"), _same),
    "cwd": lambda *_: ".",
    "dirname": lambda _, arguments: f"{arguments[0]}/.." if arguments and arguments[0] != UNKNOWN else None,
    "glob": _first,
    **dict.fromkeys(("readdirSync", "readdir", "scandir", "children", "entries", "opendir"), lambda *_: "*"),
    "str_rot13": lambda _, arguments: codecs.encode(str(arguments[0]), "rot13"),
    "hex2bin": lambda _, arguments: bytes.fromhex(str(arguments[0])).decode(errors="replace"),
    "concat": _concatenated,
    "map": lambda _, arguments: arguments[-1] if arguments else None,
    **{name: _text_method(method) for name, method in _TEXT_METHODS.items()},
    **dict.fromkeys(("slice", "substring", "substr", "mb_substr"), _sliced),
    **dict.fromkeys(("decodeURIComponent", "decodeURI", "unescape", "urldecode", "rawurldecode"), _unquoted),
    **dict.fromkeys(("at", "pop", "last", "end", "find"), _last),
    **dict.fromkeys(("shift", "first", "next", "current"), _foremost),
    **dict.fromkeys(("parse", "json_decode"), _parsed),
    **dict.fromkeys(("push", "append", "unshift"), _pushed),
    **dict.fromkeys(("normalize", "Number", "parseInt", "to_i", "intval", "toNamespacedPath"), _same),
    "fileURLToPath": lambda _, arguments: re.sub(r"^file://", "", str(arguments[0])) if arguments else None,
    **dict.fromkeys(("sprintf", "format"), _formatted),
    **dict.fromkeys(("unpack1", "unpack"), lambda own, arguments: _decoded(own) if arguments[0] == "m" else None),
    **dict.fromkeys(("getPathname", "getRealPath", "to_path", "cleanpath"), _same),
    **dict.fromkeys(("RecursiveDirectoryIterator", "DirectoryIterator", "FilesystemIterator"), _all_in),
    **dict.fromkeys(("RecursiveIteratorIterator", "IteratorIterator"), _first),
    "explode": lambda _, arguments: str(arguments[1]).split(str(arguments[0])),
    "parent": lambda own, _: f"{own}/.." if own != UNKNOWN else None,
    "str_replace": lambda _, arguments: str(arguments[2]).replace(str(arguments[0]), str(arguments[1])),
    "repeat": lambda own, arguments: str(own) * min(int(str(arguments[0])), 64) if own != UNKNOWN else None,
    "str_repeat": lambda _, arguments: str(arguments[0]) * min(int(str(arguments[1])), 64),
    "padStart": lambda own, arguments: str(own).rjust(min(int(str(arguments[0])), 999), str(arguments[1])[0]),
    "reduce": lambda own, _: "".join(own) if isinstance(own, list) else None,
    "raw": _first,
    "URL": lambda _, arguments: re.sub(r"^file://", "", str(arguments[0])) if arguments else None,
    "from": _from_buffer,
    "pack": _packed,
}  # fmt: skip
