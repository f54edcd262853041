"""What Python expressions say without being run: names through imports, values through the ways of hiding them.

Rule: only what the text itself settles. A listing of files (`os.walk`, `glob`, `iterdir`) becomes the wildcard that
stands for it, the home folder `~`; everything else that a run would tell is None. What an expression gives is a value
(`constant`) or something that can be called (`meant`); lists and dictionaries hold both.
"""

from __future__ import annotations

import ast
import os
import signal
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.shell.python_folds import FOLDS, combined, folded, text_of
from orchestrator.shell.python_listings import EVERY_PROCESS, narrowed
from orchestrator.shell.python_names import (
    Callable,
    Function,
    Partial,
    Partly,
    Ref,
    ancestor,
    callable_of,
    canonical,
    parts_of,
    unary,
)

MAX_ITEMS = 8
_MANY = 1000
_KNOWN_NAMES: dict[str, object] = {
    "os.sep": "/", "os.path.sep": "/", "os.curdir": ".", "os.pardir": "..", "os.path.pardir": "..",
    "__file__": "./code.py", "sys.executable": "python3", "sys.argv": ["./code.py"], "os.linesep": "\n",
    "__name__": "__main__", "site.USER_SITE": "~/.local/lib/python3/site-packages",
}  # fmt: skip
_NUMBERS = {"stat": stat, "os": os, "signal": signal}
_TEXTS = (str, bytes, int, float)
_BUILT_IN = frozenset((*FOLDS, "open", "exec", "eval", "print"))
_LOADS_LIBRARY = ("CDLL", "LoadLibrary", "PyDLL", "WinDLL", "dlopen")


class Values(ABC):
    """The names and values that the code has set so far. What calls give, `result` tells."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, object] = {}
        self.functions: dict[str, Function] = {}
        self.classes: set[str] = set()
        # Attributes of all objects, and what calls have given: the nodes are kept, so that none takes another's place.
        self.fields: dict[str, object] = {}
        self.results: dict[ast.AST, object] = {}
        self.environment: dict[str, object] = {}
        # The texts of files that the code, or the script that holds it, has written.
        self.files: dict[str, str] = {}

    @abstractmethod
    def result(self, node: ast.Call) -> object:
        """What a call gives back that only changes values."""

    @abstractmethod
    def variable(self, name: object, otherwise: object = None) -> object:
        """What a variable of the environment holds."""

    def learn(self, node: ast.AST) -> None:
        """Imports and assignments."""
        match node:
            case ast.Import(names=names):
                self.names.update({item.asname: item.name for item in names if item.asname})
            case ast.ImportFrom(module=module, names=names):
                self.names.update({item.asname or item.name: f"{module}.{item.name}" for item in names})
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.bind(target, self.anything(value), value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.bind(target, self.anything(value), value)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self.bind(target, self.constant(value), value)
            case ast.NamedExpr(target=target, value=value):
                self.bind(target, self.anything(value), value)
            case ast.AugAssign(target=target, op=op, value=value):
                self.bind(target, combined(self.constant(target), op, self.constant(value)))

    def bind(self, target: ast.expr, value: object, source: ast.expr | None = None) -> None:
        """Give a value to a name, or its parts to several."""
        if isinstance(target, (ast.Tuple, ast.List)):
            for item, part in zip(target.elts, parts_of(value, target.elts), strict=True):
                self.bind(item.value if isinstance(item, ast.Starred) else item, part)
        elif isinstance(target, ast.Attribute):
            self.fields[target.attr] = value
        elif isinstance(target, ast.Subscript):
            self._stored(target, value)
        elif isinstance(target, ast.Name):
            self.values.pop(target.id, None)
            self.names.pop(target.id, None)
            if isinstance(value, Ref):
                self.names[target.id] = value.name
            elif value is not None:
                self.values[target.id] = value
            elif source is not None and (dotted := self.dotted(source)):
                self.names[target.id] = dotted

    def _stored(self, target: ast.Subscript, value: object) -> None:
        key = self.constant(target.slice)
        if isinstance(target.value, ast.Call) and self.dotted(target.value.func) in ("globals", "locals", "vars"):
            self.bind(ast.Name(str(key)), value)
        elif self.dotted(target.value) == "os.environ":
            self.environment[text_of(key)] = value
        elif isinstance(holder := self.constant(target.value), dict):
            holder.update({key: value} if isinstance(key, (str, int)) else {})
        elif isinstance(holder, list) and isinstance(key, int) and -len(holder) <= key < len(holder):
            holder[key] = value

    def dotted(self, node: ast.expr) -> str:
        """The full name of what an expression means: `os.system`; empty where it has none."""
        match node:
            case ast.Name(id=name):
                return canonical(self.names.get(name, name))
            case ast.Attribute(value=value, attr=attr):
                base = self.dotted(value)
                return canonical(f"{base}.{attr}") if base or self._is_builtins(value) else ""
            case ast.Subscript(value=value, slice=key):
                return self._member(value, self.constant(key))
            case ast.Call(func=ast.Call(func=maker, args=[name]), args=[holder]) if self.dotted(maker).endswith(
                "attrgetter"
            ):
                return f"{self.dotted(holder)}.{self.constant(name)}"
            case ast.Call(func=func, args=args):
                return self._given_by(self.dotted(func), args)
        return ""

    def _is_builtins(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and self.names.get(node.id, node.id) in ("builtins", "__builtins__")

    def _given_by(self, name: str, args: list[ast.expr]) -> str:
        """`__import__("os")`, `getattr(os, "system")`, `ctypes.CDLL(None)`: calls that give something with a name."""
        if name.endswith(_LOADS_LIBRARY):
            return "libc"
        first = self.constant(args[0]) if args else None
        if name.endswith(("__import__", "import_module")) and isinstance(first, str):
            return canonical(first)
        if name == "getattr" and len(args) > 1 and isinstance(known := self.constant(args[1]), str):
            base = self.dotted(args[0])
            return canonical(f"{base}.{known}") if base else known if self._is_builtins(args[0]) else ""
        return ""

    def _member(self, value: ast.expr, key: object) -> str:
        """`vars(os)["system"]`, `os.__dict__["system"]`, `sys.modules["os"]`, `libc["reboot"]`."""
        if not isinstance(key, str):
            return ""
        if isinstance(value, ast.Call) and self.dotted(value.func) in ("vars", "globals", "locals"):
            return f"{self.dotted(value.args[0])}.{key}" if value.args else self.names.get(key, key)
        name = self.dotted(value)
        if name == "sys.modules":
            return canonical(key)
        return (
            canonical(f"{name.removesuffix('.__dict__')}.{key}")
            if name.endswith(".__dict__") or name in ("os", "libc")
            else ""
        )

    def meant(self, node: ast.expr) -> Callable | None:
        """What is called, where an expression stands for something that can be."""
        match node:
            case ast.Lambda():
                return Function(node)
            case ast.Name(id=name) if name in self.values:
                return callable_of(self.values[name])
            case ast.Name(id=name) if name in self.functions and name not in self.names:
                return self.functions[name]
            case ast.IfExp(body=body, orelse=orelse):
                return self.meant(body) or self.meant(orelse)
            case ast.Attribute(attr=attr) if (known := callable_of(self.fields.get(attr))) is not None:
                return known
            case ast.Subscript():
                if (known := callable_of(self.constant(node))) is not None:
                    return known
            case ast.Call(func=func):
                if (known := callable_of(self.results.get(node))) is not None:
                    return known
                if self.dotted(func) in ("functools.partial", "partial") and node.args:
                    values, keywords = self.arguments(node)
                    target = callable_of(values[0])
                    return Partial(target, tuple(values[1:]), keywords) if target else None
        name = self.dotted(node)
        return Ref(name) if name and not isinstance(self.constant(node), (str, bytes, int)) else None

    def anything(self, node: ast.expr) -> object:
        """Its value, or else what it stands for as a function; of a name that nothing is known of, neither."""
        value = self.constant(node)
        if value is not None:
            return value
        if _is_text_made_of_parts(node) and (text := self._partly(node)).strip("$") != "unknown":
            return Partly(text)
        if isinstance(node, ast.Name) and isinstance(known := self.values.get(node.id), Partly):
            return known
        found = self.meant(node)
        bare = isinstance(node, ast.Name) and isinstance(found, Ref) and node.id == found.name
        return None if bare and isinstance(found, Ref) and found.name not in _BUILT_IN else found

    def _partly(self, node: ast.expr) -> str:
        if isinstance(node, ast.BinOp) and _is_text_made_of_parts(node):
            between = "/" * isinstance(node.op, ast.Div)
            return self._partly(node.left) + between + self._partly(node.right)
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._partly, node.values))
        known = self.anything(node.value if isinstance(node, ast.FormattedValue) else node)
        return known.text if isinstance(known, Partly) else text_of(known) if isinstance(known, _TEXTS) else "$unknown"

    def arguments(self, node: ast.Call) -> tuple[list[object], dict[str, object]]:
        """What a call is given: `*` and `**` are taken apart, where that is known."""
        keywords: dict[str, object] = {}
        for item in node.keywords:
            if item.arg is not None:
                keywords[item.arg] = self.anything(item.value)
            elif isinstance(more := self.constant(item.value), dict):
                keywords.update({str(key): value for key, value in more.items()})
        return self._spread(node.args), keywords

    def _spread(self, nodes: Sequence[ast.expr]) -> list[object]:
        made: list[object] = []
        for node in nodes:
            known = self.constant(node.value) if isinstance(node, ast.Starred) else None
            made += known if isinstance(known, list) else [self.anything(node)]
        return made

    def constant(self, node: ast.expr) -> object:
        """The value of an expression that says it; None where it does not."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                known = self.values.get(name)
                return _KNOWN_NAMES.get(name) if known is None else None if isinstance(known, Partly) else known
            case ast.Attribute():
                return self._attribute(node)
            case ast.UnaryOp(op=op, operand=operand):
                return unary(op, self.constant(operand))
            case ast.IfExp(body=body, orelse=orelse):
                return self._dearer(body, orelse)
            case ast.BoolOp(values=[*operands]):
                return self._dearer(*operands)
            case ast.NamedExpr(value=value) | ast.Await(value=value) | ast.Starred(value=value):
                return self.constant(value)
            case ast.BinOp(left=left, op=op, right=right):
                return combined(self.constant(left), op, self.constant(right))
            case ast.JoinedStr(values=values):
                parts = list(map(self._formatted, values))
                return "".join(map(text_of, parts)) if None not in parts else None
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return self._spread(items)
            case ast.Dict(keys=keys, values=values):
                return self._dictionary(keys, values)
            case ast.ListComp(elt=elt) | ast.SetComp(elt=elt) | ast.GeneratorExp(elt=elt):
                made = list(self._comprehended(node.generators, [elt]))
                return [one for (one,) in made]
            case ast.DictComp(key=key, value=value):
                pairs = self._comprehended(node.generators, [key, value])
                return {one: other for one, other in pairs if isinstance(one, (str, int))}
            case ast.Subscript(value=value, slice=key):
                return self._subscript(value, key)
            case ast.Call():
                known = self.results.get(node)
                return known if known is not None else self.result(node)
        return None

    def _formatted(self, item: ast.expr) -> object:
        if not isinstance(item, ast.FormattedValue):
            return self.constant(item)
        value = self.constant(item.value)
        form = text_of(self.constant(item.format_spec)) if item.format_spec else ""
        if value is None or not (form or item.conversion == ord("r")):
            return value
        return folded("str.format", ["{" + "!r" * (item.conversion == ord("r")) + f":{form}}}", value], {})

    def _dictionary(self, keys: list[ast.expr | None], values: list[ast.expr]) -> dict[object, object]:
        made: dict[object, object] = {}
        for key, value in zip(keys, values, strict=True):
            known = self.constant(key) if key else self.constant(value)
            if key is None and isinstance(known, dict):
                made.update(known)
            elif key is not None and isinstance(known, (str, bytes, int)):
                made[known] = self.anything(value)
        return made

    def _attribute(self, node: ast.Attribute) -> object:
        attr, dotted = node.attr, self.dotted(node)
        if attr == "pw_dir":
            return "~"
        if dotted in _KNOWN_NAMES and dotted not in self.fields:
            return self.fields.get(attr) if attr in self.fields else _KNOWN_NAMES[dotted]
        module, _, name = dotted.partition(".")
        if module in _NUMBERS and name.isupper() and isinstance(number := getattr(_NUMBERS[module], name, None), int):
            return int(number)
        if attr in self.fields:
            known = self.fields[attr]
            return None if isinstance(known, (Ref, Function, Partial)) else known
        own = self.constant(node.value)
        if not isinstance(own, str):
            return None
        if attr == "parent":
            return f"{own}/.."
        return own if attr in ("path", "name", "stdout", "value", "device", "stem", "pid", "buffer") else None

    def _dearer(self, *choices: ast.expr) -> object:
        """Of values of which any may be meant, the one with most to lose."""
        known = [value for value in map(self.constant, choices) if value is not None]
        return next((value for value in known if isinstance(value, str) and value[:1] in "/~"), (*known, None)[0])

    def _comprehended(
        self, generators: list[ast.comprehension], wanted: Sequence[ast.expr]
    ) -> Iterator[tuple[object, ...]]:
        if not generators:
            yield tuple(map(self.anything, wanted))
            return
        first, *rest = generators
        before = dict(self.values)
        for item in self.sequence(first.iter):
            self.bind(first.target, item)
            if first.ifs and not self.asks_little(first.ifs):
                self.values = {name: narrowed(value) for name, value in self.values.items()}
            yield from self._comprehended(rest, wanted)
        self.values = before

    def asks_little(self, tests: Sequence[ast.expr]) -> bool:
        """Whether tests only ask what kind of file something is: what they let through is as good as all."""
        return all(isinstance(test, ast.Call) and _asked(test.func) in _KINDS for test in tests)

    def _subscript(self, holder: ast.expr, key: ast.expr) -> object:
        if isinstance(holder, ast.Attribute) and holder.attr == "parents":
            return ancestor(self.constant(holder.value), self.constant(key))
        index = self.constant(key)
        if self.dotted(holder) in ("os.environ", "os.environb"):
            return self.variable(index)
        if isinstance(holder, ast.Call) and self.dotted(holder.func)[:4] == "pwd." and index == 5:
            return "~"
        value = self.constant(holder)
        try:
            if isinstance(key, ast.Slice) and isinstance(value, (str, bytes, list)):
                bounds: list[Any] = [part and self.constant(part) for part in (key.lower, key.upper, key.step)]
                return value[slice(*bounds)]
            if isinstance(value, dict):
                return value.get(index)
            return value[index] if isinstance(value, (str, bytes, list)) and isinstance(index, int) else None
        except (IndexError, ValueError, TypeError):
            return None

    def holder(self, function: ast.expr) -> object:
        """What a method is called on."""
        if not isinstance(function, ast.Attribute):
            return None
        known = self.constant(function.value)
        return known if known is not None else self.results.get(function.value, self._field(function.value))

    def _field(self, node: ast.expr) -> object:
        return self.fields.get(node.attr) if isinstance(node, ast.Attribute) else None

    def sequence(self, node: ast.expr) -> list[object]:
        """All that a loop over an expression takes, one after the other; a single None where that is not known."""
        known = self.constant(node)
        if isinstance(known, dict):
            return list(known)
        if isinstance(known, bytes):
            return list(known)
        if isinstance(known, str):
            # A wildcard stands for each of what it lists.
            return [known] if "*" in known or known[:1] == "$" else list(known) or [None]
        return known if isinstance(known, list) and known else [None]

    def items(self, node: ast.expr) -> list[object]:
        """The first of these: what is done to more of them is the same. Of very many numbers, one is any process."""
        known = self.sequence(node)
        many = len(known) >= _MANY and isinstance(known[0], int)
        return [*known[:MAX_ITEMS], EVERY_PROCESS] if many else known[:MAX_ITEMS]


_KINDS = frozenset(
    ("is_file", "isfile", "is_dir", "isdir", "exists", "lexists", "is_symlink", "islink", "isdigit", "isnumeric",
     "isdecimal", "access")
)  # fmt: skip


def _is_text_made_of_parts(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)))


def _asked(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
