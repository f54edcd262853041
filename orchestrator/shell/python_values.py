"""What Python expressions say without being run: names through imports, constants through the ways of hiding them.

Rule: only what the text itself settles. A listing of files (`os.walk`, `glob`, `iterdir`) becomes the wildcard that
stands for it, the home folder `~`; everything else that a run would tell is None.
"""

from __future__ import annotations

import ast
import base64
import binascii
import operator
import posixpath
import shlex
import zlib
from collections.abc import Callable
from typing import Any

MAX_ITEMS = 8
_MAX_TEXT = 64 * 1024
_OPERATORS: dict[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.BitXor: operator.xor, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv, ast.RShift: operator.rshift,
}  # fmt: skip
# Methods that keep what they are called on, as far as a path or a script is concerned.
_SAME = frozenset(("expanduser", "resolve", "absolute", "strip", "as_posix", "encode", "lstrip", "rstrip", "copy"))
_METHODS = frozenset(("replace", "lower", "upper", "split", "format", "title", "swapcase", "zfill", "removeprefix"))
_ITERATORS = frozenset(("sorted", "list", "tuple", "set", "reversed", "iter", "tqdm", "dict.fromkeys"))
_CONSTANTS = {"sep": "/", "curdir": ".", "pardir": ".."}
# What Python makes for itself lies in the temporary folder, under a name that nobody else has.
_MADE = "/tmp/made-by-python"  # noqa: S108 - a name, not a file
_TEMPORARY = ("mkdtemp", "TemporaryDirectory", "NamedTemporaryFile", "mktemp")
_ROOTS = frozenset(("pathlib.Path", "Path", "pathlib.PosixPath", "pathlib.PurePath"))


class Values:
    """The names and values that the code has set so far."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, object] = {}

    def learn(self, node: ast.AST) -> None:
        """Imports and plain assignments."""
        if isinstance(node, ast.Import):
            self.names.update({item.asname: item.name for item in node.names if item.asname})
        elif isinstance(node, ast.ImportFrom):
            self.names.update({item.asname or item.name: f"{node.module}.{item.name}" for item in node.names})
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self.bind(node.targets[0], self.constant(node.value), node.value)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self.bind(node.optional_vars, self.constant(node.context_expr))
        elif isinstance(node, ast.NamedExpr):
            self.bind(node.target, self.constant(node.value), node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            value = self.combined(self.values.get(node.target.id), node.op, self.constant(node.value))
            self.bind(node.target, value)

    def bind(self, target: ast.expr, value: object, source: ast.expr | None = None) -> None:
        """Give a value to a name, or its parts to several."""
        if isinstance(target, (ast.Tuple, ast.List)):
            parts = value if isinstance(value, list) and len(value) == len(target.elts) else [None] * len(target.elts)
            for item, part in zip(target.elts, parts, strict=True):
                self.bind(item, part)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self.bind(ast.Name(target.attr), value)
        elif isinstance(target, ast.Name):
            self.values.pop(target.id, None)
            self.names.pop(target.id, None)
            if value is not None:
                self.values[target.id] = value
            elif source is not None and (dotted := self.dotted(source)):
                self.names[target.id] = dotted

    def dotted(self, node: ast.expr) -> str:
        """The full name of what an expression means: `os.system`; empty where it has none."""
        match node:
            case ast.Name(id=name):
                return self.names.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                base = self.dotted(value)
                return f"{base}.{attr}" if base else ""
            case ast.Subscript(value=value, slice=key):
                return self._member(value, self.constant(key))
            case ast.Call(func=func, args=[first, *rest]):
                name = self.dotted(func)
                if name.endswith(("__import__", "import_module")) and isinstance(known := self.constant(first), str):
                    return known
                if name == "getattr" and rest and isinstance(known := self.constant(rest[0]), str):
                    return f"{self.dotted(first)}.{known}"
                if name in ("operator.attrgetter", "attrgetter"):
                    return ""
        return ""

    def _member(self, value: ast.expr, key: object) -> str:
        """`vars(os)["system"]`, `os.__dict__["system"]`, `sys.modules["os"]`."""
        if not isinstance(key, str):
            return ""
        if isinstance(value, ast.Call) and self.dotted(value.func) in ("vars", "globals", "locals"):
            return f"{self.dotted(value.args[0])}.{key}" if value.args else self.names.get(key, key)
        name = self.dotted(value)
        if name == "sys.modules":
            return key
        return f"{name.removesuffix('.__dict__')}.{key}" if name.endswith(".__dict__") else ""

    def constant(self, node: ast.expr) -> object:
        """The value of an expression that says it; None where it does not."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                known = self.constant(operand)
                return -known if isinstance(known, int) else None
            case ast.Name(id="__file__"):
                return "./code.py"
            case ast.Name(id=name):
                return self.values.get(name)
            case ast.IfExp(body=body, orelse=orelse):
                return self._dearer(body, orelse)
            case ast.BoolOp(values=[*operands]):
                return self._dearer(*operands)
            case ast.Attribute(attr="pw_dir"):
                return "~"
            case ast.Attribute(value=value, attr="device"):
                return self.constant(value)
            case ast.Attribute(value=ast.Name(id="os" | "path"), attr=attr) if attr in _CONSTANTS:
                return _CONSTANTS[attr]
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
                return self.values.get(attr)
            case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=key):
                return self._ancestor(self.constant(value), self.constant(key))
            case ast.Attribute(value=value, attr="name") if isinstance(known := self.constant(value), str):
                return known
            case ast.Attribute(value=value, attr="path" | "parent" as attr):
                known = self.constant(value)
                return known if attr == "path" or not isinstance(known, str) else f"{known}/.."
            case ast.BinOp(left=left, op=op, right=right):
                return self.combined(self.constant(left), op, self.constant(right))
            case ast.JoinedStr(values=values):
                parts = [self.constant(item.value if isinstance(item, ast.FormattedValue) else item) for item in values]
                return "".join(map(str, parts)) if None not in parts else None
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                members = [self.constant(item) for item in items]
                return members if None not in members else None
            case ast.ListComp(elt=elt, generators=[only]) | ast.GeneratorExp(elt=elt, generators=[only]):
                return self._comprehended(elt, only)
            case ast.Subscript(value=value, slice=ast.Constant(value="HOME")) if self.dotted(value) == "os.environ":
                return "~"
            case ast.Subscript(value=ast.Call(func=func), slice=ast.Constant(value=5)) if (
                self.dotted(func)[:4] == "pwd."
            ):
                return "~"
            case ast.Subscript(value=value, slice=key):
                return self._subscript(self.constant(value), key)
            case ast.Call():
                return self._called(node)
        return None

    def _dearer(self, *choices: ast.expr) -> object:
        """Of values of which any may be meant, the one with most to lose."""
        known = [value for value in map(self.constant, choices) if value is not None]
        return next((value for value in known if isinstance(value, str) and value[:1] in "/~"), (*known, None)[0])

    @staticmethod
    def _ancestor(path: object, key: object) -> object:
        """`path.parents[2]`; from its end they are counted from the root."""
        if not isinstance(path, str) or not isinstance(key, int):
            return None
        return "/" if key < 0 else path + "/.." * (key + 1)

    def _comprehended(self, elt: ast.expr, only: ast.comprehension) -> object:
        source = self.constant(only.iter)
        if not isinstance(source, (list, str, bytes)) or len(source) > _MAX_TEXT:
            return None
        before = dict(self.values)
        made = []
        for item in source:
            self.bind(only.target, item)
            made.append(self.constant(elt))
        self.values = before
        return made if None not in made else None

    def _subscript(self, value: object, key: ast.expr) -> object:
        if not isinstance(value, (str, bytes, list)):
            return None
        try:
            if isinstance(key, ast.Slice):
                bounds: list[Any] = [part and self.constant(part) for part in (key.lower, key.upper, key.step)]
                return value[slice(*bounds)]
            index = self.constant(key)
            return value[index] if isinstance(index, int) else None
        except (IndexError, ValueError, TypeError):
            return None

    def combined(self, left: object, op: ast.operator, right: object) -> object:
        """The result of an operator on constants."""
        if left is None or right is None:
            return None
        if isinstance(op, ast.Div) and isinstance(left, str) and isinstance(right, str):
            return right if right[:1] == "/" else f"{left.rstrip('/')}/{right}"
        if isinstance(op, ast.Mult):
            small = isinstance(right, int) and right < _MAX_TEXT
            return left * right if small and isinstance(left, (str, bytes, int)) else None  # type: ignore[operator]
        made = _OPERATORS.get(type(op))
        try:
            if made is None or (isinstance(op, ast.Mod) and isinstance(left, str) and "%" not in left):
                return None
            return made(left, tuple(right) if isinstance(op, ast.Mod) and isinstance(right, list) else right)
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None

    def _called(self, node: ast.Call) -> object:
        """What a call that only changes constants gives back."""
        name = self.dotted(node.func)
        if name.endswith("Path.home"):
            return "~"
        if name.endswith(("Path.cwd", "os.getcwd", "os.getcwdb")) or name == "getcwd":
            return "."
        if name.startswith("tempfile."):
            return self._temporary(name.removeprefix("tempfile."), node)
        values = [self.constant(item) for item in node.args]
        if name == "psutil.Process" and values:
            return values[0]
        if name in ("os.getenv", "os.environ.get") and values[:1] == ["HOME"]:
            return "~"
        if name in ("map", "builtins.map") and len(values) == 2 and isinstance(values[1], (list, str, bytes)):
            return self._mapped(self.dotted(node.args[0]), values[1])
        if name in _FOLDS and None not in values:
            try:
                return _FOLDS[name](*values)
            except (TypeError, ValueError, binascii.Error, zlib.error, OverflowError):
                return None
        return self._method(node, values) if isinstance(node.func, ast.Attribute) else None

    def _temporary(self, name: str, node: ast.Call) -> object:
        """The place of what `tempfile` makes, where it is not told another folder."""
        if name == "gettempdir":
            return posixpath.dirname(_MADE)
        if any(item.arg in ("dir", None) for item in node.keywords) or len(node.args) > 2:
            return None
        return [None, _MADE] if name == "mkstemp" else _MADE if name in _TEMPORARY else None

    def _mapped(self, name: str, source: list[object] | str | bytes) -> object:
        made = _FOLDS.get(name)
        try:
            return [made(item) for item in source] if made else None
        except (TypeError, ValueError, OverflowError):
            return None

    def _method(self, node: ast.Call, values: list[object]) -> object:
        if not isinstance(node.func, ast.Attribute):
            return None
        own, method = self.constant(node.func.value), node.func.attr
        if method == "join" and isinstance(own, (str, bytes)) and values and isinstance(values[0], (list, str)):
            return _text(own).join(map(_text, values[0]))
        if own is None or None in values:
            return None
        if method == "decode":
            return _text(own)
        if method in ("joinpath", "with_name") and isinstance(own, str):
            return "/".join((own, *map(str, values)))
        if method in _METHODS and isinstance(own, str):
            try:
                return getattr(own, method)(*values)
            except (TypeError, ValueError, IndexError, KeyError):
                return None
        if method == "translate":
            return None
        return own if method in _SAME else None

    def items(self, node: ast.expr) -> list[object]:
        """What a loop over an expression takes, one after the other; a single None where that is not known."""
        if isinstance(node, ast.Call):
            name = self.dotted(node.func)
            if name in _ITERATORS and node.args:
                return self.items(node.args[0])
            if name == "enumerate" and node.args:
                return [[None, item] for item in self.items(node.args[0])]
            if (listed := self._listed(node, name)) is not None:
                return [listed]
        known = self.constant(node)
        if isinstance(known, (list, str)) and known:
            return list(known[:MAX_ITEMS]) if isinstance(known, list) else [None]
        return [None]

    def _listed(self, node: ast.Call, name: str) -> object:
        """The wildcard for what a listing of files gives."""
        path = self.constant(node.args[0]) if node.args else "."
        if name in ("os.walk", "os.fwalk") and isinstance(path, str):
            return [path, ["*"], ["*"]]
        if name in ("os.listdir", "listdir") and isinstance(path, str):
            return "*"
        if name == "os.scandir" and isinstance(path, str):
            return f"{path.rstrip('/')}/*"
        if name in ("glob.glob", "glob.iglob", "iglob", "glob") and isinstance(path, str):
            return path
        if name == "psutil.disk_partitions":
            return "/dev/found"
        if name in ("psutil.process_iter", "psutil.pids"):
            return "$every-process"
        if isinstance(node.func, ast.Attribute) and isinstance(own := self.constant(node.func.value), str):
            if node.func.attr == "iterdir":
                return f"{own.rstrip('/')}/*"
            if node.func.attr in ("glob", "rglob") and isinstance(path, str):
                return f"{own.rstrip('/')}/{path}"
            if node.func.attr == "walk":
                return [own, ["*"], ["*"]]
        return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _joined(*parts: object) -> str:
    path = ""
    for part in map(str, parts):
        path = part if part[:1] == "/" or not path else f"{path.rstrip('/')}/{part}"
    return path


def _rot13(text: str, how: str) -> str:
    if how not in ("rot13", "rot_13"):
        raise ValueError(how)
    small, large = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text.translate(str.maketrans(small + large, small[13:] + small[:13] + large[13:] + large[:13]))


def _decompressed(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _MAX_TEXT)


def _numbers(*bounds: int) -> list[int]:
    return list(range(*bounds)[:_MAX_TEXT])


_FOLDS: dict[str, Callable[..., object]] = {
    "chr": chr,
    "ord": ord,
    "int": int,
    "str": _text,
    "hex": hex,
    "bytes": bytes,
    "bytearray": bytes,
    "range": _numbers,
    "list": list,
    "reversed": lambda value: list(value)[::-1],
    "sorted": sorted,
    "os.path.expanduser": str,
    "os.path.expandvars": str,
    "os.path.abspath": str,
    "os.path.realpath": str,
    "os.path.normpath": str,
    "os.path.dirname": lambda path: f"{path}/..",
    "os.fspath": str,
    "os.path.join": _joined,
    **dict.fromkeys(_ROOTS, _joined),
    "bytes.fromhex": bytes.fromhex,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "zlib.decompress": _decompressed,
    "base64.b64decode": lambda text, *_: base64.b64decode(text),
    "base64.standard_b64decode": base64.b64decode,
    "base64.urlsafe_b64decode": base64.urlsafe_b64decode,
    "base64.decodebytes": base64.decodebytes,
    "base64.b32decode": lambda text: base64.b32decode(text),
    "base64.b16decode": lambda text: base64.b16decode(text),
    "base64.b85decode": base64.b85decode,
    "codecs.decode": lambda text, how: (
        base64.b64decode(text)
        if "64" in how
        else bytes.fromhex(_text(text))
        if "hex" in how
        else _rot13(_text(text), how)
    ),
    "codecs.encode": lambda text, how: _rot13(_text(text), how),
    "shlex.split": lambda text: shlex.split(text),
}
