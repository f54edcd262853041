"""What names in Python code stand for: functions, modules, parts of functions, open files.

Rule: full names, as imports make them; what has several names is known by one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

# Other names of the same: the C library by ctypes, the modules behind `os`, the built-ins by their module.
_ALIASES = {
    "libc": "os", "posix": "os", "posixpath": "os.path", "ntpath": "os.path", "builtins": "", "__builtins__": "",
    "__builtin__": "", "_io": "io",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ref:
    """A function, class or module that is not of the code's own, by its full name."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the code's own; of a method, the first parameter is the object."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    method: bool = False


@dataclass(frozen=True, slots=True)
class Partial:
    """A function with some of its arguments."""

    target: Callable
    values: tuple[object, ...] = ()
    keywords: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened: its path."""

    path: str


@dataclass(frozen=True, slots=True)
class Partly:
    """A text of which only parts are known, `$unknown` for the others."""

    text: str


Callable = Ref | Function | Partial


def canonical(name: str) -> str:
    """The name by which everything is known that has several."""
    first, mark, rest = name.partition(".")
    if first not in _ALIASES:
        return name
    base = _ALIASES[first]
    return f"{base}.{rest}" if base and mark else base or rest or name


def callable_of(value: object) -> Callable | None:
    return value if isinstance(value, (Ref, Function, Partial)) else None


def parts_of(value: object, targets: list[ast.expr]) -> list[object]:
    count = len(targets)
    star = next((at for at, item in enumerate(targets) if isinstance(item, ast.Starred)), None)
    if not isinstance(value, list) or len(value) < count - 1 or (star is None and len(value) != count):
        return [None] * count
    if star is None:
        return value
    end = len(value) - (count - star - 1)
    return [*value[:star], value[star:end], *value[end:]]


def unary(op: ast.unaryop, known: object) -> object:
    if isinstance(op, ast.Not):
        return None if known is None else not known
    if not isinstance(known, int):
        return None
    return -known if isinstance(op, ast.USub) else ~known if isinstance(op, ast.Invert) else known


def ancestor(path: object, key: object) -> object:
    """`path.parents[2]`; from its end they are counted from the root."""
    if not isinstance(path, str) or not isinstance(key, int):
        return None
    return "/" if key < 0 else path + "/.." * (key + 1)
