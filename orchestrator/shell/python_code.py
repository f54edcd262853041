"""Python given on a command line becomes the commands that it amounts to: `shutil.rmtree(x)` is `rm -r x`.

Rule: read with `ast`, never run. It is gone through as it would run, loops over known items and calls of its own
functions included; a function that is handed on is called with what is handed on beside it. What a call does with
values that are not known is kept, with `$unknown` for the value; code that is built at run time becomes the command
`python-dynamic`, everything that is called or read goes to `python-code`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.shell.command import Command
from orchestrator.shell.python_calls import CODE, CODE_METHODS, OPENERS, SENDERS
from orchestrator.shell.python_deeds import UNKNOWN, Call, Deeds
from orchestrator.shell.python_folds import FAILURES, text_of
from orchestrator.shell.python_listings import narrowed
from orchestrator.shell.python_loops import endless, multiplies, starts_itself
from orchestrator.shell.python_names import Function, Opened, Partial, Ref

MAX_CODE = 64 * 1024
_MAX_DEPTH = 3
_MAX_VISITS = 20_000
_LISTS_PROCESSES = re.compile(r"['\"]/proc\b|\bpids\(\)|['\"]ps['\" ]|\bpgrep\b")
_LOOKS_CLOSER = re.compile(r"cmdline|/comm\b|\bstatus\b|\.name\(\)|\.info\b|username|environ")
_VITAL = re.compile(
    r"(?:~|/(?:bin|boot|dev|etc|home|lib|lib64|opt|root|sbin|srv|sys|usr|var|home/[\w.-]+|dev/[\w/-]+|\*)|\.\.)/?\*?"
    r"|(?:\./)?(?:policy|skills|state)(?:/.*)?|/etc/(?:passwd|shadow|sudoers)"
)
_TAKES = frozenset(("rm", "rmdir", "chmod", "chown", "mv", "truncate"))
_LISTS_CHANGE = frozenset(("append", "extend", "insert", "update", "appendleft", "add", "setdefault"))
_NAMESPACES = ("SimpleNamespace", "Namespace", "namedtuple")


def python_commands(
    code: str,
    via: tuple[str, ...],
    arguments: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    at_worst: bool = True,
) -> list[Command | str]:
    """What the code would run: commands, and scripts for a shell. `arguments` are what it finds in `sys.argv`, `files`
    the texts of those that it may read; `at_worst`: what it may do to something unknown counts as done to what is vital
    and named in it."""
    if len(code) > MAX_CODE:
        return [Command(("python-dynamic",), "", via=via)]
    try:
        return _Reader(via, arguments, files or {}, at_worst).read(code, 0)
    except (*FAILURES, RecursionError, MemoryError):
        # It is no Python, too much of it, or it puts together what does not go together.
        return [Command(("python-dynamic",), code.splitlines()[0] if code else "", via=via)]


class _Reader(Deeds):
    def __init__(
        self, via: tuple[str, ...], arguments: Sequence[str], files: Mapping[str, str], at_worst: bool
    ) -> None:
        super().__init__(via)
        self.at_worst = at_worst
        self.files.update(files)
        if arguments:
            self.fields["argv"] = ["./code.py", *arguments]
        self.entered: set[ast.AST] = set()
        self.lambdas: list[Function] = []
        self.inside: list[ast.AST] = []
        self.generators: set[ast.AST] = set()
        self.given_back: list[object] = []
        self.depth = self.visits = 0

    def read(self, code: str, depth: int) -> list[Command | str]:
        outer, self.depth = self.depth, depth
        self.lists_processes |= bool(_LISTS_PROCESSES.search(code))
        self.looks_closer |= bool(_LOOKS_CLOSER.search(code))
        tree = ast.parse(code)
        self.visit(tree)
        self.depth = outer
        if depth == 0:
            for function in [*self.functions.values(), *self.lambdas]:
                if function.node not in self.entered:
                    self.enter(function, [], {})
            self.conclude(tree)
        return self.found

    def conclude(self, tree: ast.AST) -> None:
        """What only the whole tells."""
        self.add("python-code", *self.mentioned)
        if starts_itself(self.found):
            self.add("python-fork", forks=True)
        self.found += self._worst(tree) if self.at_worst else []
        if any(name.startswith(SENDERS) for name in self.mentioned):
            reading = [item for item in self.found if isinstance(item, Command) and item.name == "cat"]
            for item in [item for item in reading if len(item.words) > 1][:32]:
                self.add("python-send", item.words[1])

    def _worst(self, tree: ast.AST) -> list[Command]:
        """What is done to something unknown may be done to what is vital and named beside it."""
        unknown = [
            item for item in self.found if isinstance(item, Command) and item.name in _TAKES and UNKNOWN in item.words
        ]
        named = _vital_names(tree) if unknown else ()
        made = []
        for item in unknown[:4]:
            at = item.words.index(UNKNOWN) if item.name == "mv" else len(item.words) - 1
            made += [
                replace(item, words=(*item.words[:at], path, *item.words[at + 1 :]), expands=(at,)) for path in named
            ]
        return made

    def visit(self, node: ast.AST) -> None:
        """Go through a node as it would run."""
        self.visits += 1
        if self.visits > _MAX_VISITS:
            raise ValueError("too much to follow")
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.define(name, node)
            case ast.ClassDef():
                self.define_class(node)
            case ast.Lambda():
                self.lambdas.append(Function(node))
            case ast.For() | ast.AsyncFor():
                self.loop(node)
                self.visit(node.iter)
                for item in self.items(node.iter):
                    self.bind(node.target, item)
                    self.visit_all(node.body)
                self.visit_all(node.orelse)
            case ast.If():
                self.choose(node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self.loop(node)
                parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
                self.comprehend(node.generators, parts)
            case ast.Call():
                self.visit_all(list(ast.iter_child_nodes(node)))
                self.call(node)
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                if isinstance(node, ast.Yield):
                    self.generators.update(self.inside[-1:])
                self.visit(value)
                self.given_back.append(self.anything(value))
            case _:
                if isinstance(node, ast.While):
                    self.loop(node)
                if isinstance(node, (ast.Attribute, ast.Name)) and (name := self.dotted(node)):
                    self.mentioned[name] = None
                self.visit_all(list(ast.iter_child_nodes(node)))
                self.learn(node)
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                    self.multiplying(node.value, ast.unparse(node.targets[0]))

    def visit_all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def define(self, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        first = [item.arg for item in (*node.args.posonlyargs, *node.args.args)][:1]
        self.values.pop(name, None)
        self.names.pop(name, None)
        self.functions[name] = Function(node, first in (["self"], ["cls"]))
        self.visit_all(node.decorator_list)
        self.multiplying(node, name)

    def multiplying(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str) -> None:
        if multiplies(node, name):
            self.add("python-fork", forks=True)

    def define_class(self, node: ast.ClassDef) -> None:
        self.classes.add(node.name)
        self.visit_all(node.body)
        for item in node.body:
            targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
            self.fields.update({name.id: self.anything(name) for name in targets if isinstance(name, ast.Name)})

    def loop(self, node: ast.AST) -> None:
        """A fact for rules: it starts processes without end."""
        if endless(node, self):
            self.add("python-fork", forks=True)

    def choose(self, node: ast.If) -> None:
        """What a test lets through is not all that was listed; `if …: continue` tests for all that follows."""
        self.visit(node.test)
        before = dict(self.values)
        leaves = bool(node.body) and isinstance(node.body[-1], (ast.Continue, ast.Break, ast.Return))
        if not isinstance(node.test, ast.Constant):
            through = self.asks_little([node.test])
            self.values = {
                name: value if through and _is_far(value) else narrowed(value) for name, value in before.items()
            }
        self.visit_all(node.body)
        self.visit_all(node.orelse)
        if not leaves:
            self.values = {**self.values, **{k: v for k, v in before.items() if self.values.get(k) == narrowed(v)}}

    def comprehend(self, generators: list[ast.comprehension], parts: Sequence[ast.expr]) -> None:
        if not generators:
            self.visit_all(parts)
            return
        first, *rest = generators
        self.visit(first.iter)
        for item in self.items(first.iter):
            self.bind(first.target, item)
            self.visit_all(list(first.ifs))
            if first.ifs and not self.asks_little(first.ifs):
                self.values = {name: narrowed(value) for name, value in self.values.items()}
            self.comprehend(rest, parts)

    def enter(self, function: Function, values: Sequence[object], keywords: Mapping[str, object]) -> object:
        """Go through a function with what it is given, and tell what it gives back."""
        node = function.node
        if node in self.inside or len(self.inside) > _MAX_DEPTH:
            return None
        self.entered.add(node)
        self.inside.append(node)
        before, outer, self.given_back = dict(self.values), self.given_back, []
        self.take(function, values, keywords)
        body = node.body if isinstance(node.body, list) else [node.body]
        self.visit_all(list(body))
        back = self.given_back if isinstance(node.body, list) else [self.anything(node.body)]
        shared = {name for item in body if isinstance(item, (ast.Global, ast.Nonlocal)) for name in item.names}
        self.values = {**before, **{name: self.values[name] for name in shared if name in self.values}}
        self.given_back = outer
        self.inside.pop()
        if node in self.generators:
            return back
        return next((value for value in back if value is not None), None)

    def call(self, node: ast.Call) -> None:
        """Follow a call with all that it is given."""
        values, keywords = self.arguments(node)
        targets = [node.func.body, node.func.orelse] if isinstance(node.func, ast.IfExp) else [node.func]
        for target in targets:
            self._called_as(target, node, values, keywords)
        self._handed_on(node, values, keywords)

    def _called_as(
        self, function: ast.expr, node: ast.Call, values: list[object], keywords: Mapping[str, object]
    ) -> None:
        method = function.attr if isinstance(function, ast.Attribute) else ""
        own = self.holder(function)
        if method == "write" and isinstance(function, ast.Attribute) and ast.unparse(function.value).endswith("stdin"):
            method = "stdin.write"
        meant = self.meant(function)
        name = meant.name if isinstance(meant, Ref) else ""
        if method in _LISTS_CHANGE and isinstance(own, (list, dict, set)):
            _changed(own, method, values)
        elif name in CODE or method in CODE_METHODS:
            self.code(node.args[:1], values[:1])
        elif (
            method in ("write",)
            and isinstance(function, ast.Attribute)
            and self.dotted(function.value).endswith("stdin")
        ):
            self.does(Call(name, "stdin.write", own, values, keywords))
        elif name.rpartition(".")[2] in self.classes or name.endswith(_NAMESPACES):
            self.fields.update(keywords)
            if "__init__" in self.functions:
                self.enter(self.functions["__init__"], values, keywords)
        elif method in self.functions and not isinstance(own, (str, bytes)) and not isinstance(meant, Function):
            self.results[node] = self.enter(self.functions[method], values, keywords)
        elif meant is not None:
            self.invoke(meant, method, own, values, keywords, node)
        elif method:
            self.does(Call("", method, own, values, keywords))
        elif isinstance(function, ast.BinOp):
            return
        elif isinstance(function, ast.Call):
            self._by_name(function, values, node)
        else:
            self.add("python-dynamic")
        if method and not name:
            self.mentioned[f"*.{method}"] = None

    def _by_name(self, maker: ast.Call, values: Sequence[object], node: ast.Call) -> None:
        """`operator.methodcaller("rmtree", x)(shutil)` calls by a name what it is given."""
        given, keywords = self.arguments(maker)
        if self.dotted(maker.func) == "operator.methodcaller" and given and node.args:
            name = f"{self.dotted(node.args[0])}.{given[0]}"
            self.does(Call(name, str(given[0]), values[0] if values else None, given[1:], keywords))

    def invoke(
        self,
        target: Ref | Function | Partial,
        method: str,
        own: object,
        values: Sequence[object],
        keywords: Mapping[str, object],
        node: ast.AST | None = None,
    ) -> None:
        """Do what a function does with these arguments."""
        given: object = None
        if isinstance(target, Partial):
            self.invoke(target.target, "", None, [*target.values, *values], {**target.keywords, **keywords}, node)
            return
        if isinstance(target, Function):
            given = self.enter(target, values, keywords)
        else:
            self.mentioned[target.name] = None
            call = Call(target.name, method or target.name.rpartition(".")[2], own, values, keywords)
            self.does(call)
            if target.name in OPENERS:
                given = Opened(call.word(0))
        if node is not None:
            self.results.pop(node, None)
            if given is not None:
                self.results[node] = given

    def _handed_on(self, node: ast.Call, values: list[object], keywords: Mapping[str, object]) -> None:
        """A function that is handed to another is called by that, with what stands beside it: threads, timers, pools,
        `map`, handlers of exits and signals."""
        given = [*values, *(keywords[name] for name in ("args", "iterable", "initargs") if name in keywords)]
        more = keywords.get("kwargs")
        functions = [*values, *(keywords[name] for name in ("target", "func", "function", "fn") if name in keywords)]
        for at, function in enumerate(functions):
            if not isinstance(function, (Ref, Function, Partial)) or function == self.meant(node.func):
                continue
            beside = given[at + 1 :] if at < len(values) else [item for item in given if item is not function]
            named = {str(key): value for key, value in more.items()} if isinstance(more, dict) else {}
            for arguments in _ways_to_give(beside):
                self.invoke(function, "", None, arguments, named)

    def code(self, nodes: Sequence[ast.expr], values: Sequence[object]) -> None:
        known = values[0] if values else None
        if isinstance(known, bytes):
            known = known.decode(errors="replace")
        if nodes and not isinstance(nodes[0], ast.Constant) and not isinstance(known, Function):
            self.add("python-dynamic")
        if isinstance(known, str) and self.depth < _MAX_DEPTH:
            self.read(known, self.depth + 1)


def _ways_to_give(beside: Sequence[object]) -> list[list[object]]:
    """The arguments that a function may be called with: all that stands beside it; what a list among that holds, at
    once, and one after the other."""
    ways = [list(beside)]
    for item in beside:
        if isinstance(item, list) and item:
            ways += [item, *([one] for one in item[:8])]
    return ways


def _changed(own: object, method: str, values: Sequence[object]) -> None:
    if isinstance(own, dict):
        if method == "update" and values and isinstance(values[0], dict):
            own.update(values[0])
    elif isinstance(own, list) and values and len(own) < 1000:
        if method == "insert" and len(values) > 1 and isinstance(values[0], int):
            own.insert(values[0], values[1])
        elif method == "extend" and isinstance(values[0], list):
            own.extend(values[0])
        elif method in ("append", "add"):
            own.append(values[0])
        elif method == "appendleft":
            own.insert(0, values[0])


def _vital_names(tree: ast.AST) -> list[str]:
    """The vital places that the code names as such: not those that it compares with, or takes a text apart by."""
    compared = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
        for item in ([node.left, *node.comparators] if isinstance(node, ast.Compare) else _texts_of(node))
        for part in ast.walk(item)
    }
    found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in compared)
    texts = (text_of(text) for text in found if isinstance(text, (str, bytes)))
    return list(dict.fromkeys(text for text in texts if _VITAL.fullmatch(text)))[:8]


_TAKES_APART = frozenset(
    (
        "split", "rsplit", "startswith", "endswith", "strip", "rstrip", "lstrip", "replace", "join", "partition",
        "rpartition", "add_argument", "removeprefix", "print", "debug", "info",
    )
)  # fmt: skip


def _texts_of(node: ast.Call) -> list[ast.expr]:
    return node.args if isinstance(node.func, ast.Attribute) and node.func.attr in _TAKES_APART else []


def _is_far(value: object) -> bool:
    """Whether it names something outside of where the code runs, of which none is a task's own."""
    return isinstance(value, str) and (value[:1] in ("/", "~", "$") or value[:2] == "..")
