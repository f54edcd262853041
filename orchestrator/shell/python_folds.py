"""What Python's own functions and methods give back for values that are known: they are called, with these values.

Rule: only what is pure, and only where neither the input nor the result can grow large. Paths have their own readings:
the home folder stays `~`, the working folder `.`, and nothing is looked up. What cannot be worked out is None.
"""

from __future__ import annotations

import ast
import base64
import binascii
import codecs
import functools
import html
import itertools
import json
import operator
import posixpath
import re
import shlex
import string
import struct
import textwrap
import urllib.parse
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MAX_TEXT = 64 * 1024
_MAX_PRODUCT = 1 << 20
_MAX_NUMBERS = 1024
FAILURES = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, zlib.error, struct.error, SyntaxError)
_PURE = (str, bytes, int, float, dict, list)
# Paths are text here; these give the same path in another form, or a reading that cannot be had without looking.
_SAME = frozenset(("expanduser", "resolve", "absolute", "as_posix", "joinpath", "with_name", "read", "getvalue"))
_MUTATES = frozenset(("append", "extend", "insert", "remove", "clear", "sort", "update", "reverse", "setdefault"))
_WIDTH = re.compile(r"\d{4,}")
_SLOW_CODECS = frozenset(("idna", "punycode"))


def size(value: object) -> int:
    """How long a value is, all that is in it counted."""
    if isinstance(value, (list, tuple)):
        return sum(map(size, value)) + 1
    if isinstance(value, dict):
        return sum(size(key) + size(item) for key, item in value.items()) + 1
    if isinstance(value, int):
        return value.bit_length() // 8 + 1
    return len(value) if isinstance(value, (str, bytes)) else 1


def is_known(value: object) -> bool:
    """Whether all of a value is known."""
    if isinstance(value, (list, tuple)):
        return all(map(is_known, value))
    if isinstance(value, dict):
        return all(map(is_known, value.values()))
    return isinstance(value, _PURE)


def folded(name: str, values: Sequence[object], keywords: Mapping[str, object]) -> object:
    """What the function of this full name gives back. What it sorts by is beside the point."""
    keywords = {key: value for key, value in keywords.items() if key not in ("key", "reverse", "default", "strict")}
    if not is_known([*values, *keywords.values()]) or size(list(values)) > MAX_TEXT:
        return None
    made = FOLDS.get(name)
    try:
        if made is not None:
            return made(*values, **keywords)
        owner, _, method = name.partition(".")
        if owner in ("str", "bytes", "dict", "list", "int") and values and method:
            return called(values[0], method, values[1:], keywords)
    except FAILURES:
        return None
    return None


def called(own: object, method: str, values: Sequence[object], keywords: Mapping[str, object]) -> object:
    """What a method of a known value gives back; the value itself stays as it is."""
    if method == "pop" and isinstance(own, (list, dict)):
        return _popped(own, values)
    if method == "get" and isinstance(own, dict) and values:
        key = values[0] if isinstance(values[0], (str, bytes, int)) else None
        return own.get(key, values[1] if len(values) > 1 else None)
    if method in ("values", "items", "keys") and isinstance(own, dict):
        return [list(item) if isinstance(item, tuple) else item for item in getattr(own, method)()]
    given = [*values, *keywords.values()]
    if not is_known([own, *given]) or _may_grow(own, method, given):
        return None
    if isinstance(own, str) and method in _SAME:
        return joined(own, *values) if method in ("joinpath", "with_name") else own
    if method == "decode" and isinstance(own, str):
        return own
    if own == "." and method in ("rsplit", "rpartition"):
        return ["..", "."]
    if method in _MUTATES or method[:1] == "_" or not isinstance(own, _PURE):
        return None
    try:
        made = getattr(own, method)(*values, **keywords)
    except FAILURES:
        return None
    return list(made) if isinstance(made, tuple) else made


def _popped(own: list[Any] | dict[Any, Any], values: Sequence[object]) -> object:
    try:
        return own[values[0] if values else -1]  # type: ignore[call-overload]
    except FAILURES:
        return None


def _may_grow(own: object, method: str, given: Sequence[object]) -> bool:
    wide = any(isinstance(item, int) and item > MAX_TEXT for item in given)
    form = own if isinstance(own, str) and method in ("format", "format_map") else ""
    slow = any(item in _SLOW_CODECS for item in given if isinstance(item, str))
    return wide or slow or bool(_WIDTH.search(form)) or size(own) * max(1, size(list(given))) > _MAX_PRODUCT


def combined(left: object, op: ast.operator, right: object) -> object:
    """The result of an operator."""
    if isinstance(op, ast.Add) and isinstance(left, list) and isinstance(right, list):
        return [*left, *right]
    if not is_known([left, right]) or size(left) + size(right) > MAX_TEXT:
        return None
    if isinstance(op, ast.Div) and isinstance(left, str) and isinstance(right, str):
        return joined(left, right)
    if isinstance(op, (ast.Mult, ast.Pow, ast.LShift)) and (
        not isinstance(right, int) or size(left) * abs(right) > MAX_TEXT
    ):
        return None
    if isinstance(op, ast.Mod) and isinstance(left, (str, bytes)):
        form = left if isinstance(left, str) else left.decode(errors="replace")
        if "%" not in form or _WIDTH.search(form):
            return None
        right = tuple(right) if isinstance(right, list) else right
    try:
        return _OPERATORS[type(op)](left, right)
    except (*FAILURES, KeyError):
        return None


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], object]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.BitXor: operator.xor, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv, ast.RShift: operator.rshift,
    ast.LShift: operator.lshift, ast.Mult: operator.mul, ast.Pow: operator.pow,
}  # fmt: skip


def text_of(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def joined(*parts: object) -> str:
    """Paths one below the other; one that begins anew takes the place of those before it."""
    path = ""
    for part in map(text_of, parts):
        path = part if part[:1] in ("/", "~") or not path else f"{path.rstrip('/')}/{part}"
    return path


def _above(path: object) -> str:
    return f"{text_of(path)}/.."


def _rot13(text: object, how: str) -> str:
    if how.replace("-", "").replace("_", "") != "rot13":
        raise ValueError(how)
    return codecs.encode(text_of(text), "rot13")


def _decoded(text: Any, how: str = "utf-8", *_: object) -> object:
    if "64" in how:
        return base64.b64decode(text)
    if "hex" in how:
        return bytes.fromhex(text_of(text))
    return _rot13(text, how) if "rot" in how else called(text, "decode", (how,), {})


def _decompressed(data: bytes) -> bytes:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, MAX_TEXT)


def _numbers(*bounds: int) -> list[int]:
    return list(range(*bounds)[:_MAX_NUMBERS])


def _integer(value: Any, *base: int) -> object:
    # What stands for each of many processes stays that.
    return value if isinstance(value, str) and value[:1] == "$" else int(value, *base)


def _to_bytes(number: int, length: int = 1, byteorder: Any = "big", **_: object) -> bytes:
    if length > MAX_TEXT:
        raise ValueError(length)
    return number.to_bytes(length, byteorder)


def _bytes(value: Any) -> bytes:
    if isinstance(value, int) and value > MAX_TEXT:
        raise ValueError(value)
    return value.encode() if isinstance(value, str) else bytes(value)


def _filled(form: str, *given: Mapping[str, object], **values: object) -> str:
    return string.Template(form).safe_substitute(*given, **values)


def _listed(value: object) -> object:
    return value if isinstance(value, _PURE) else [list(one) if isinstance(one, tuple) else one for one in value]  # type: ignore[attr-defined]


def _pure(function: Callable[..., Any]) -> Callable[..., object]:
    return lambda *values, **keywords: _listed(function(*values, **keywords))


_BASE = ("b64decode", "standard_b64decode", "urlsafe_b64decode", "b32decode", "b16decode", "b85decode", "a85decode",
         "decodebytes", "b64encode", "b32encode", "b16encode", "urlsafe_b64encode")  # fmt: skip
_PLAIN_PATHS = ("os.path.expanduser", "os.path.abspath", "os.path.realpath", "os.path.normpath", "os.fspath",
                "os.path.expandvars", "os.path.relpath", "io.StringIO", "io.BytesIO",
                "contextlib.nullcontext", "contextlib.closing", "os.scandir.close")  # fmt: skip
_PATHS = ("pathlib.Path", "Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath", "os.path.join")
_BUILT_IN: tuple[Callable[..., object], ...] = (
    chr, ord, hex, oct, bin, list, sorted, min, max, abs, len, enumerate, zip, sum, round, ascii, repr, tuple, iter,
)  # fmt: skip
FOLDS: dict[str, Callable[..., Any]] = {
    **{function.__name__: _pure(function) for function in _BUILT_IN},
    **{f"base64.{name}": _pure(getattr(base64, name)) for name in _BASE},
    **dict.fromkeys(_PLAIN_PATHS, lambda path, *_: path),
    **dict.fromkeys(_PATHS, joined),
    "str": lambda value="", *_: text_of(value),
    "int": _integer,
    **dict.fromkeys(("bytes", "bytearray", "memoryview"), lambda value=b"", *_: _bytes(value)),
    **dict.fromkeys(("set", "frozenset"), lambda items=(): list(dict.fromkeys(items))),
    "dict": dict,
    "range": _numbers,
    "next": lambda items, *_: items[0],
    "reversed": lambda items: list(items)[::-1],
    "collections.deque": list,
    "os.path.dirname": _above,
    "os.path.split": lambda path: [_above(path), posixpath.basename(path)],
    "os.path.basename": posixpath.basename,
    "os.path.splitext": lambda path: list(posixpath.splitext(path)),
    "os.path.commonpath": posixpath.commonpath,
    "os.path.commonprefix": lambda paths: posixpath.commonprefix(paths),
    "bytes.fromhex": bytes.fromhex,
    "bytearray.fromhex": bytes.fromhex,
    "os.fsdecode": text_of,
    "os.fsencode": lambda path: text_of(path).encode(),
    "str.maketrans": str.maketrans,
    "int.from_bytes": int.from_bytes,
    "int.to_bytes": _to_bytes,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "zlib.decompress": lambda data, *_: _decompressed(data),
    "gzip.decompress": _decompressed,
    "codecs.decode": _decoded,
    "codecs.encode": _rot13,
    "shlex.split": lambda text, *_, **__: shlex.split(text),
    "shlex.join": shlex.join,
    "shlex.quote": lambda text: text if text[:1] in ("~", "$") else shlex.quote(text),
    "json.loads": json.loads,
    "json.dumps": lambda value, **_: json.dumps(value),
    "ast.literal_eval": ast.literal_eval,
    "textwrap.dedent": textwrap.dedent,
    "html.unescape": html.unescape,
    "urllib.parse.unquote": urllib.parse.unquote,
    "urllib.parse.unquote_plus": urllib.parse.unquote_plus,
    "struct.pack": lambda form, *values: b"" if _WIDTH.search(form) else struct.pack(form, *values),
    "string.Template": lambda form: form,
    "itertools.chain": _pure(itertools.chain),
    "itertools.chain.from_iterable": _pure(itertools.chain.from_iterable),
    "itertools.product": lambda *items: [[one] for one in items[0]] if len(items) == 1 else None,
    "functools.reduce": lambda _, items, *first: functools.reduce(operator.add, [*first, *items]),
    "operator.add": operator.add,
    "operator.concat": operator.add,
    "dict.fromkeys": lambda keys, value=None: dict.fromkeys(keys, value),
    "substitute": _filled,
}
