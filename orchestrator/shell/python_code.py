"""Python given on a command line becomes the commands that it amounts to: `shutil.rmtree(x)` is `rm -r x`.

Rule: read with `ast`, never run. Names are followed through imports, constants through the simple ways of
hiding them. What a call does with values that are not known is kept, with `$unknown` for the value; code that
is built at run time becomes the command `python-dynamic`, everything that is called or read goes to `python-code`.
"""

from __future__ import annotations

import ast
import base64
import binascii
import shlex
from collections.abc import Callable, Iterator

from orchestrator.shell.command import Command, Redirect

MAX_CODE = 64 * 1024
_MAX_DEPTH = 3
_UNKNOWN = "$unknown"
_SCRIPTS = frozenset(("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"))
_PROGRAMS = frozenset(
    [f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")]
    + ["pty.spawn", "os.posix_spawn", "os.posix_spawnp", "asyncio.create_subprocess_exec"]
)
_FILES: dict[str, tuple[str, ...]] = {
    "os.remove": ("rm",), "os.unlink": ("rm",), "os.rmdir": ("rmdir",), "os.removedirs": ("rm", "-r"),
    "shutil.rmtree": ("rm", "-r"), "shutil.move": ("mv",), "os.rename": ("mv",), "os.replace": ("mv",),
    "os.chmod": ("chmod",), "os.chown": ("chown",), "os.truncate": ("truncate",), "shutil.copy": ("cp",),
    "shutil.copyfile": ("cp",), "shutil.copytree": ("cp", "-r"), "os.symlink": ("ln", "-s"),
}  # fmt: skip
_METHODS = {"unlink": ("rm",), "rmdir": ("rmdir",), "read_text": ("cat",), "read_bytes": ("cat",)}
_CODE = frozenset(("exec", "eval", "builtins.exec", "builtins.eval", "compile"))


def python_commands(code: str, via: tuple[str, ...]) -> list[Command | str]:
    """What the code would run: commands, and scripts for a shell."""
    if len(code) > MAX_CODE:
        return [Command(("python-dynamic",), "", via=via)]
    try:
        return _Reader(via).read(code, 0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [Command(("python-dynamic",), code.splitlines()[0] if code else "", via=via)]


class _Reader:
    def __init__(self, via: tuple[str, ...]) -> None:
        self.via = via
        self.names: dict[str, str] = {}
        self.values: dict[str, object] = {}
        self.mentioned: dict[str, None] = {}
        self.found: list[Command | str] = []
        self.depth = 0

    def read(self, code: str, depth: int) -> list[Command | str]:
        self.depth = depth
        tree = ast.parse(code)
        nodes = list(_in_order(tree))
        for node in nodes:
            self.learn(node)
        for node in nodes:
            if isinstance(node, ast.Call):
                self.call(node)
            elif isinstance(node, (ast.Attribute, ast.Name)) and (name := self.dotted(node)):
                self.mentioned[name] = None
            elif isinstance(node, ast.While):
                self.loop(node)
        if depth == 0:
            self.add("python-code", *self.mentioned)
        return self.found

    def add(self, *words: str, redirects: tuple[Redirect, ...] = (), forks: bool = False) -> None:
        expands = tuple(at for at, word in enumerate(words) if at and word[:1] in ("~", "$"))
        text = shlex.join(words) if words[0] != "python-code" else "the Python code"
        self.found.append(Command(words, text, expands, redirects=redirects, via=self.via, forks=forks))

    def learn(self, node: ast.AST) -> None:
        """Imports and plain assignments."""
        if isinstance(node, ast.Import):
            self.names.update({item.asname: item.name for item in node.names if item.asname})
        elif isinstance(node, ast.ImportFrom):
            self.names.update({item.asname or item.name: f"{node.module}.{item.name}" for item in node.names})
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            value = self.constant(node.value)
            if value is not None:
                self.values[name] = value
            elif dotted := self.dotted(node.value):
                self.names[name] = dotted

    def dotted(self, node: ast.expr) -> str:
        """The full name of what an expression means: `os.system`; empty where it has none."""
        match node:
            case ast.Name(id=name):
                return self.names.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                base = self.dotted(value)
                return f"{base}.{attr}" if base else ""
            case ast.Call(func=func, args=[first, *rest]):
                name = self.dotted(func)
                if name in ("__import__", "importlib.import_module") and isinstance(known := self.constant(first), str):
                    return known
                if name == "getattr" and rest and isinstance(known := self.constant(rest[0]), str):
                    return f"{self.dotted(first)}.{known}"
        return ""

    def constant(self, node: ast.expr) -> object:
        """The value of an expression that says it; None where it does not. `~` stands for the home folder."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return -number
            case ast.Name(id=name):
                return self.values.get(name)
            case ast.BinOp(left=left, op=ast.Add() | ast.Div() | ast.Mult() as op, right=right):
                return _combined(self.constant(left), op, self.constant(right))
            case ast.JoinedStr(values=values):
                parts = [self.constant(item.value if isinstance(item, ast.FormattedValue) else item) for item in values]
                return "".join(map(str, parts)) if None not in parts else None
            case ast.List(elts=items) | ast.Tuple(elts=items):
                members = [self.constant(item) for item in items]
                return members if None not in members else None
            case ast.Subscript(value=value, slice=ast.Constant(value="HOME")) if self.dotted(value) == "os.environ":
                return "~"
            case ast.Subscript(value=value, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp())):
                known = self.constant(value)
                return known[::-1] if isinstance(known, str) else None
            case ast.Call():
                return self.called(node)
        return None

    def called(self, node: ast.Call) -> object:
        """What a call that only changes constants gives back."""
        name = self.dotted(node.func)
        values = [self.constant(item) for item in node.args]
        if name in ("pathlib.Path.home", "Path.home"):
            return "~"
        if name in ("os.getenv", "os.environ.get") and values[:1] == ["HOME"]:
            return "~"
        if name in _FOLDS and None not in values:
            try:
                return _FOLDS[name](*values)
            except (TypeError, ValueError, binascii.Error):
                return None
        if isinstance(node.func, ast.Attribute) and node.func.attr in (
            "decode",
            "join",
            "expanduser",
            "resolve",
            "strip",
        ):
            own = self.constant(node.func.value)
            if isinstance(own, bytes):
                return own.decode(errors="replace")
            if node.func.attr == "join" and isinstance(own, str) and values and isinstance(values[0], list):
                return own.join(map(str, values[0]))
            return own if node.func.attr != "join" else None
        return None

    def word(self, node: ast.expr) -> str:
        value = self.constant(node)
        return _UNKNOWN if value is None else str(value)

    def call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _SCRIPTS:
            self.script(node.args[:1])
        elif name in _PROGRAMS or name.startswith(("os.exec", "os.spawn")):
            self.program(node, name)
        elif name in _FILES:
            self.file(_FILES[name], node)
        elif name in _CODE:
            self.code(node.args[:1])
        elif name in ("open", "io.open", "os.open", "builtins.open"):
            self.opened(node, self.word(node.args[0]) if node.args else _UNKNOWN)
        elif method in _METHODS and isinstance(node.func, ast.Attribute):
            self.file(_METHODS[method], node, self.word(node.func.value))
        elif method in ("write_text", "write_bytes") and isinstance(node.func, ast.Attribute):
            self.written(self.word(node.func.value))
        elif name in ("os.kill", "os.killpg"):
            self.add("kill", *(f"-{word}" for word in map(self.word, node.args[1:2])), *map(self.word, node.args[:1]))
        if not name and not method and not isinstance(node.func, (ast.Lambda, ast.Call)):
            self.add("python-dynamic")

    def script(self, arguments: list[ast.expr]) -> None:
        known = self.constant(arguments[0]) if arguments else None
        if isinstance(known, str):
            self.found.append(known)
        else:
            self.add("python-dynamic")

    def program(self, node: ast.Call, name: str) -> None:
        arguments = node.args
        if name.startswith(("os.exec", "os.spawn", "os.posix_spawn", "asyncio.")):
            arguments = arguments[1:] if name.startswith("os.spawn") else arguments
            flat = arguments if "v" not in name[7:] and name[:3] != "os.p" else arguments[1:2]
            arguments = [ast.List(elts=list(flat[1:] if "l" in name else flat))] if len(flat) != 1 else list(flat)
        shell = any(word.arg == "shell" and self.constant(word.value) is not False for word in node.keywords)
        if not arguments:
            return
        first = arguments[0]
        if isinstance(first, (ast.List, ast.Tuple)) and first.elts and not shell:
            self.add(*map(self.word, first.elts)) if self.word(first.elts[0]) != _UNKNOWN else self.add(
                "python-dynamic"
            )
            return
        known = self.constant(first)
        if isinstance(known, list) and known and not shell:
            self.add(*map(str, known))
        elif isinstance(known, str) and (shell or " " not in known):
            self.found.append(known)
        elif isinstance(known, str):
            self.found.append(shlex.join(shlex.split(known)))
        else:
            self.add("python-dynamic")

    def file(self, words: tuple[str, ...], node: ast.Call, own: str = "") -> None:
        targets = [own] if own else list(map(self.word, node.args[:2]))
        if words[0] in ("rm", "rmdir"):
            targets = targets[:1]
            # Which file it is, a run would tell; it may be any of them.
            words = ("rm", "-r") if targets == [_UNKNOWN] else words
        elif words[0] in ("chmod", "chown", "truncate"):
            targets = targets[1:] + targets[:1]
        self.add(*words, *targets)

    def code(self, arguments: list[ast.expr]) -> None:
        known = self.constant(arguments[0]) if arguments else None
        if isinstance(known, bytes):
            known = known.decode(errors="replace")
        if arguments and not isinstance(arguments[0], ast.Constant):
            self.add("python-dynamic")
        if isinstance(known, str) and self.depth < _MAX_DEPTH:
            self.read(known, self.depth + 1)

    def opened(self, node: ast.Call, path: str) -> None:
        modes = [self.constant(item) for item in node.args[1:2]]
        modes += [self.constant(item.value) for item in node.keywords if item.arg == "mode"]
        if modes and isinstance(modes[0], str) and set(modes[0]) & set("wax+"):
            self.written(path)
        elif path != _UNKNOWN:
            self.add("cat", path)

    def written(self, path: str) -> None:
        if path != _UNKNOWN:
            self.add("cat", redirects=(Redirect(">", path, path[:1] == "~"),))

    def loop(self, node: ast.While) -> None:
        calls = {self.dotted(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
        if "os.fork" in calls and self.constant(node.test):
            self.add("python-fork", forks=True)


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes as they stand in the text, each after what it contains is announced."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _combined(left: object, operator: ast.operator, right: object) -> object:
    if isinstance(operator, ast.Div) and isinstance(left, str) and isinstance(right, str):
        return f"{left}/{right}"
    if isinstance(operator, ast.Add):
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, list) and isinstance(right, list):
            return left + right
    if isinstance(operator, ast.Mult) and isinstance(left, str) and isinstance(right, int) and right < 1000:
        return left * right
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


_FOLDS: dict[str, Callable[..., object]] = {
    "chr": chr,
    "str": str,
    "bytes": bytes,
    "os.path.expanduser": str,
    "os.path.expandvars": str,
    "os.path.abspath": str,
    "os.path.join": lambda *parts: "/".join(map(str, parts)),
    "pathlib.Path": lambda *parts: "/".join(map(str, parts)),
    "Path": lambda *parts: "/".join(map(str, parts)),
    "bytes.fromhex": bytes.fromhex,
    "binascii.unhexlify": binascii.unhexlify,
    "base64.b64decode": lambda text: base64.b64decode(text),
    "codecs.decode": lambda text, how: base64.b64decode(text) if "64" in how else _rot13(_text(text), how),
    "shlex.split": lambda text: shlex.split(text),
}


def _rot13(text: str, how: str) -> str:
    if how not in ("rot13", "rot_13"):
        raise ValueError(how)
    small, large = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text.translate(str.maketrans(small + large, small[13:] + small[:13] + large[13:] + large[:13]))
