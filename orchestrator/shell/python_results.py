"""What Python's calls give back, as far as the text settles it: folders, listings, decoded texts, applied functions.

Rule: nothing is done here. What a call does stands in `python_deeds`.
"""

from __future__ import annotations

import ast
import posixpath
import shlex
from collections.abc import Mapping, Sequence

from orchestrator.shell.command import Command
from orchestrator.shell.prints import printed
from orchestrator.shell.python_folds import called, folded, is_known, text_of
from orchestrator.shell.python_listings import listed
from orchestrator.shell.python_names import Function, Opened, Ref
from orchestrator.shell.python_values import Values

# What Python makes for itself lies in the temporary folder, under a name that nobody else has.
_MADE = "/tmp/made-by-python"  # noqa: S108 - a name, not a file
_TEMPORARY = ("mkdtemp", "TemporaryDirectory", "NamedTemporaryFile", "mktemp")
_ENVIRONMENT = {"HOME": "~", "PWD": ".", "USER": "$USER", "LOGNAME": "$USER", "TMPDIR": posixpath.dirname(_MADE)}
_OWN_HOME = {"ORCHESTRATOR_HOME": "."}
_PACKAGE_FOLDERS: dict[str, object] = {
    "site.getusersitepackages": "~/.local/lib/python3/site-packages", "site.getuserbase": "~/.local",
    "site.getsitepackages": ["/usr/lib/python3/dist-packages"], "sysconfig.get_path": "/usr/lib/python3/dist-packages",
    "sysconfig.get_paths": {"purelib": "/usr/lib/python3/dist-packages", "platlib": "/usr/lib/python3/dist-packages"},
}  # fmt: skip
_HOMES = ("Path.home", "PosixPath.home", "getpwuid().pw_dir")
_SAYS_USER = frozenset(("getpass.getuser", "os.getlogin"))
_STARTERS = ("subprocess.", "os.popen", "commands.getoutput")


class Results(Values):
    """Values, with what calls give."""

    def variable(self, name: object, otherwise: object = None) -> object:
        name = text_of(name)
        return self.environment.get(name, _ENVIRONMENT.get(name, _OWN_HOME.get(name, otherwise)))

    def result(self, node: ast.Call) -> object:
        """What a call that only changes values gives back."""
        name = self.dotted(node.func)
        if name.endswith(_HOMES):
            return "~"
        if name.endswith(("Path.cwd", "os.getcwd", "os.getcwdb")) or name == "getcwd":
            return "."
        if name in _SAYS_USER:
            return "$USER"
        if name in _PACKAGE_FOLDERS:
            return _PACKAGE_FOLDERS[name]
        values, keywords = self.arguments(node)
        if isinstance(node.func, ast.BinOp):
            # An array of the C library's: `(c_char_p * 2)(b"x", None)`.
            return [value for value in values if value is not None]
        if name.startswith("tempfile."):
            return self._temporary(name.removeprefix("tempfile."), values, keywords)
        if name in ("os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault", "os.environb.get"):
            return self.variable(values[0] if values else None, (*values, None)[1])
        if name in ("os.environ.copy", "dict") and (not values or self._is_environment(node)):
            return {**_ENVIRONMENT, **self.environment, **keywords} if name != "dict" or values else dict(keywords)
        if name in ("psutil.Process", "os.pidfd_open") and values:
            return values[0]
        own = self.holder(node.func)
        if getattr(node.func, "attr", "") in ("read_text", "read_bytes") or isinstance(own, Opened):
            path = own.path if isinstance(own, Opened) else text_of(own)
            # Whoever has written the number of a process there means that one.
            return self.files.get(posixpath.normpath(path), f"$(cat {path})" if path.endswith(".pid") else None)
        if (found := listed(name, own, getattr(node.func, "attr", ""), values, keywords)) is not None:
            return found
        if name in ("map", "filter", "functools.reduce") or name in ("eval", "compile"):
            return self._functional(name, node, values)
        if isinstance(function := self.meant(node.func), Function) and isinstance(function.node, ast.Lambda):
            return self.applied(function, values)
        if name.startswith(_STARTERS) and values:
            return _said(values[0])
        if isinstance(node.func, ast.Attribute) and own is not None:
            if node.func.attr in ("substitute", "safe_substitute"):
                return folded("substitute", [own, *values], keywords)
            if node.func.attr == "communicate":
                return [own, ""]
            return called(own, node.func.attr, values, keywords)
        return folded(name, values, keywords)

    def _is_environment(self, node: ast.Call) -> bool:
        return bool(node.args) and self.dotted(node.args[0]) == "os.environ"

    def _functional(self, name: str, node: ast.Call, values: list[object]) -> object:
        if name == "eval":
            known = values[0] if values else None
            return self.constant(ast.parse(known.strip(), mode="eval").body) if isinstance(known, str) else None
        if name == "compile":
            return values[0] if values else None
        items = self.sequence(node.args[1]) if len(node.args) > 1 else [None]
        if name == "filter":
            return items
        made = [self.applied(values[0], [item]) for item in items]
        return made if name == "map" else folded(name, [0, *values[1:]], {})

    def applied(self, function: object, values: Sequence[object]) -> object:
        """What a function gives for values, where that takes no more than to look at its expression."""
        if isinstance(function, Ref):
            return folded(function.name, values, {})
        if not isinstance(function, Function) or not isinstance(function.node, ast.Lambda):
            return None
        before = dict(self.values)
        self.take(function, values, {})
        made = self.constant(function.node.body)
        self.values = before
        return made

    def take(self, function: Function, values: Sequence[object], keywords: Mapping[str, object]) -> None:
        """Bind a function's parameters to what it is given."""
        given = function.node.args
        names = [*given.posonlyargs, *given.args][function.method :]
        defaults = dict(zip([item.arg for item in names[::-1]], given.defaults[::-1], strict=False))
        for at, item in enumerate(names):
            value = values[at] if at < len(values) else keywords.get(item.arg)
            default = defaults.get(item.arg)
            self.bind(ast.Name(item.arg), self.anything(default) if value is None and default else value)
        for item, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            value = keywords.get(item.arg)
            self.bind(ast.Name(item.arg), self.anything(default) if value is None and default else value)
        if given.vararg:
            self.bind(ast.Name(given.vararg.arg), list(values[len(names) :]))
        if given.kwarg:
            self.bind(ast.Name(given.kwarg.arg), dict(keywords))

    @staticmethod
    def _temporary(name: str, values: list[object], keywords: Mapping[str, object]) -> object:
        """The place of what `tempfile` makes, where it is not told another folder."""
        if name == "gettempdir":
            return posixpath.dirname(_MADE)
        if "dir" in keywords or len(values) > 2:
            return None
        return [None, _MADE] if name == "mkstemp" else _MADE if name in _TEMPORARY else None


def _said(started: object) -> object:
    """What a program prints that is told here."""
    try:
        words = shlex.split(started) if isinstance(started, str) else started
    except ValueError:
        return None
    if not isinstance(words, list) or not words or not is_known(words):
        return None
    expands = tuple(at for at, word in enumerate(map(text_of, words)) if word[:1] in ("~", "$"))
    said = printed(Command(tuple(map(text_of, words)), "", expands))
    return said.text.strip("\n") if said else None
