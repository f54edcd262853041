"""Python given on a command line becomes the commands that it amounts to: `shutil.rmtree(x)` is `rm -r x`.

Rule: read with `ast`, never run. It is gone through as it would run, loops over known items and calls of its own
functions included. What a call does with values that are not known is kept, with `$unknown` for the value; code that
is built at run time becomes the command `python-dynamic`, everything that is called or read goes to `python-code`.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.shell.command import Command, Redirect
from orchestrator.shell.python_calls import CODE, FILES, METHODS, PROGRAMS, SCRIPTS, SENDERS, WRITE_METHODS
from orchestrator.shell.python_loops import calls_fork, kills, multiplies
from orchestrator.shell.python_values import Values

MAX_CODE = 64 * 1024
_MAX_DEPTH = 3
_MAX_VISITS = 20_000
_UNKNOWN = "$unknown"
_ASKS = re.compile(r"(?i)\s*(?:select|explain|with|pragma)\b")
_SQL_METHODS = frozenset(("execute", "executescript", "executemany", "raw", "exec_driver_sql"))
# The number of reboot(2) on x86-64, and on ARM and most others.
_REBOOT_CALLS = (169, 142, 88)
_LISTS_PROCESSES = re.compile(r"['\"]/proc\b|\bpids\(\)|['\"]ps['\" ]|\bpgrep\b")
_LOOKS_CLOSER = re.compile(r"cmdline|/comm\b|\bstatus\b|\.name\(\)|\.info\b|getpid|username|environ")
_STARTS = ("os.fork", "subprocess.", "multiprocessing.", "os.spawn", "os.posix_spawn")
_LONG = ("range", "itertools.count", "itertools.repeat", "itertools.cycle", "iter")
_PAUSES = ("time.sleep", "os.wait", "subprocess.run", "subprocess.call", "subprocess.check", "input")


def python_commands(code: str, via: tuple[str, ...]) -> list[Command | str]:
    """What the code would run: commands, and scripts for a shell."""
    if len(code) > MAX_CODE:
        return [Command(("python-dynamic",), "", via=via)]
    try:
        return _Reader(via).read(code, 0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [Command(("python-dynamic",), code.splitlines()[0] if code else "", via=via)]


class _Reader(Values):
    def __init__(self, via: tuple[str, ...]) -> None:
        super().__init__()
        self.via = via
        self.mentioned: dict[str, None] = {}
        self.found: list[Command | str] = []
        self.functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda] = {}
        self.entered: set[str] = set()
        self.inside: list[str] = []
        self.databases: list[str] = []
        self.depth = self.visits = 0
        self.lists_processes = self.looks_closer = False

    def read(self, code: str, depth: int) -> list[Command | str]:
        outer, self.depth = self.depth, depth
        self.lists_processes |= bool(_LISTS_PROCESSES.search(code))
        self.looks_closer |= bool(_LOOKS_CLOSER.search(code))
        if code.count("sys.executable, __file__") > 1:
            self.add("python-fork", forks=True)
        self.visit(ast.parse(code))
        for name, function in list(self.functions.items()) if depth == 0 else ():
            if name not in self.entered:
                self.enter(name, function, [])
        self.depth = outer
        if depth == 0:
            self.add("python-code", *self.mentioned)
            if any(name.startswith(SENDERS) for name in self.mentioned):
                for path in self.read_files():
                    self.add("python-send", path)
        return self.found

    def read_files(self) -> list[str]:
        reading = [item for item in self.found if isinstance(item, Command) and item.name == "cat"]
        return [item.words[1] for item in reading if len(item.words) > 1][:32]

    def visit(self, node: ast.AST) -> None:
        """Go through a node as it would run."""
        self.visits += 1
        if self.visits > _MAX_VISITS:
            raise ValueError("too much to follow")
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.functions[name] = node
                if multiplies(node, name):
                    self.add("python-fork", forks=True)
            case ast.For() | ast.AsyncFor():
                if isinstance(node.iter, ast.Call) and self.dotted(node.iter.func) in _LONG and calls_fork(node):
                    self.add("python-fork", forks=True)
                if isinstance(node.iter, ast.Call) and self.dotted(node.iter.func) == "range" and kills(node):
                    self.add("kill", "-9", "-1")
                self.visit(node.iter)
                for item in self.items(node.iter):
                    self.bind(node.target, item)
                    self.visit_all(node.body)
                self.visit_all(node.orelse)
            case ast.If():
                self.choose(node)
            case ast.ListComp(generators=[only]) | ast.GeneratorExp(generators=[only]) if (
                isinstance(only.iter, ast.Call) and self.dotted(only.iter.func) in _LONG and calls_fork(node)
            ):
                self.add("python-fork", forks=True)
            case ast.ListComp(elt=elt) | ast.SetComp(elt=elt) | ast.GeneratorExp(elt=elt):
                self.comprehend(node.generators, elt)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as function):
                self.functions[name] = function
            case ast.Call():
                self.visit_all(list(ast.iter_child_nodes(node)))
                self.call(node)
            case _:
                if isinstance(node, ast.While):
                    self.loop(node)
                if isinstance(node, (ast.Attribute, ast.Name)) and (name := self.dotted(node)):
                    self.mentioned[name] = None
                self.visit_all(list(ast.iter_child_nodes(node)))
                self.learn(node)

    def visit_all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def choose(self, node: ast.If) -> None:
        """What a test lets through is not all that was listed; `if …: continue` tests for all that follows."""
        self.visit(node.test)
        before = dict(self.values)
        leaves = bool(node.body) and isinstance(node.body[-1], (ast.Continue, ast.Break, ast.Return))
        if not isinstance(node.test, ast.Constant):
            through = self.lets_all_through(node.test)
            self.values = {
                name: value if through and _is_far(value) else _narrowed(value) for name, value in before.items()
            }
        self.visit_all(node.body)
        self.visit_all(node.orelse)
        if not leaves:
            self.values = {**self.values, **{k: v for k, v in before.items() if self.values.get(k) == _narrowed(v)}}

    def lets_all_through(self, test: ast.expr) -> bool:
        """Whether a test only asks what kind of file something is."""
        asked = test.func if isinstance(test, ast.Call) else None
        name = asked.attr if isinstance(asked, ast.Attribute) else ""
        return name in ("is_file", "isfile", "is_dir", "isdir", "exists", "lexists", "is_symlink", "islink")

    def comprehend(self, generators: list[ast.comprehension], elt: ast.expr) -> None:
        if not generators:
            self.visit(elt)
            return
        first, *rest = generators
        self.visit(first.iter)
        for item in self.items(first.iter):
            self.bind(first.target, item)
            self.visit_all(list(first.ifs))
            if first.ifs:
                self.values = {name: _narrowed(value) for name, value in self.values.items()}
            self.comprehend(rest, elt)

    def enter(
        self, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, values: list[object]
    ) -> None:
        """Go through a function with what it is given."""
        self.entered.add(name)
        before = dict(self.values)
        given = function.args.args
        defaults = [*[None] * (len(given) - len(function.args.defaults)), *map(self.constant, function.args.defaults)]
        for at, argument in enumerate(given):
            self.bind(ast.Name(argument.arg), values[at] if at < len(values) else defaults[at])
        body = function.body if isinstance(function.body, list) else [function.body]
        self.visit_all(list(body))
        self.values = before

    def add(self, *words: str, redirects: tuple[Redirect, ...] = (), forks: bool = False) -> None:
        expands = tuple(at for at, word in enumerate(words) if at and (word[:1] in ("~", "$") or "*" in word))
        text = shlex.join(words) if words[0] != "python-code" else "the Python code"
        self.found.append(Command(words, text, expands, redirects=redirects, via=self.via, forks=forks))

    def word(self, node: ast.expr) -> str:
        value = self.constant(node)
        return _UNKNOWN if value is None else str(value)

    def call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in SCRIPTS:
            self.script(node.args[:1])
        elif name in PROGRAMS or name.startswith(("os.exec", "os.spawn")):
            self.program(node, name)
        elif name in FILES:
            self.file(FILES[name], node)
        elif name in CODE:
            self.code(node.args[:1])
        elif method in _SQL_METHODS and node.args and isinstance(said := self.constant(node.args[0]), str):
            if not any("sqlite" in known for known in (*self.mentioned, *self.names.values())):
                self.add("psql", "-c", said)
            elif self.databases:
                self.asked(said)
        elif method == "exec_command" or (method in ("run", "sudo") and "fabric.Connection" in self.names.values()):
            self.add("ssh", "host", *map(self.word, node.args[:1]))
        elif name in ("os.chdir", "os.fchdir") and node.args:
            self.add("cd", self.word(node.args[0]))
        elif name.startswith("sh.") and name.count(".") == 1:
            self.add(name[3:], *map(self.word, node.args))
        elif name.startswith("plumbum.cmd."):
            self.add(name.rpartition(".")[2], *map(self.word, node.args))
        elif isinstance(node.func, ast.Subscript) and self.dotted(node.func.value).startswith("plumbum."):
            self.add(self.word(node.func.slice), *map(self.word, node.args))
        elif name in ("urllib.request.urlretrieve", "wget.download") and len(node.args) > 1:
            self.add("curl", "-o", self.word(node.args[1]), self.word(node.args[0]))
        elif name in ("open", "io.open", "os.open", "builtins.open"):
            self.opened(node, self.word(node.args[0]) if node.args else _UNKNOWN)
        elif name in ("sys.path.insert", "sys.path.append", "site.addsitedir") and node.args:
            path = self.word(node.args[-1])
            self.found.append(
                Command(("python3",), f"PYTHONPATH={path}", assigns=(("PYTHONPATH", path),), via=self.via)
            )
        elif name in ("os.chdir", "contextlib.chdir"):
            self.moved(self.word(node.args[0]) if node.args else _UNKNOWN)
        elif name.startswith("sh.") and self.names.get("sh", "sh") == "sh":
            self.add(method, *map(self.word, node.args))
        elif name.endswith("dir_util.remove_tree"):
            self.file(("rm", "-r"), node)
        elif name.startswith("fileinput.") and any(item.arg == "inplace" for item in node.keywords):
            named = self.constant(node.args[0]) if node.args else None
            for item in [named] if isinstance(named, str) or not node.args else self.items(node.args[0]):
                self.written(_UNKNOWN if item is None else str(item))
        elif name == "sqlite3.connect":
            self.databases += map(self.word, node.args[:1])
        elif method in ("execute", "executemany", "executescript") and self.databases:
            self.asked(self.word(node.args[0]) if node.args else _UNKNOWN)
        elif (
            method in ("put", "upload_file", "storbinary", "putfo")
            and node.args
            and self.word(node.args[0]) != _UNKNOWN
        ):
            self.add("cat", self.word(node.args[0]))
        elif method == "open" and isinstance(self.own(node), str) and isinstance(node.func, ast.Attribute):
            self.opened(ast.Call(node.func, [node.func.value, *node.args], node.keywords), self.word(node.func.value))
        elif method in METHODS and isinstance(node.func, ast.Attribute):
            self.file(METHODS[method], node, self.word(node.func.value))
        elif method == "extractall" or name == "shutil.unpack_archive":
            given = [*node.args[name[:1] == "s" :], *(item.value for item in node.keywords if "path" in str(item.arg))]
            self.written(self.word(given[0]) if given else ".")
        elif method in WRITE_METHODS and isinstance(node.func, ast.Attribute):
            self.written(self.word(node.func.value))
        elif method in ("kill", "terminate") and self.own(node) in ("$every-process", 1):
            self.add("kill", "-9", "1" if self.own(node) == 1 else "-1")
        elif method in ("system", "popen", "reboot", "syscall") and not name:
            self.below(method, node)
        elif name in ("map", "filter") or method in ("map", "submit", "starmap"):
            self.mapped(node)
        elif name in ("os.kill", "os.killpg"):
            self.killed(node)
        if name in self.functions and name not in self.inside and len(self.inside) < _MAX_DEPTH:
            self.inside.append(name)
            self.enter(name, self.functions[name], [self.constant(item) for item in node.args])
            self.inside.pop()
        if method and not name:
            self.mentioned[f"*.{method}"] = None
        if isinstance(node.func, ast.Call):
            self.made(node.func, node)
        if not name and not method and not isinstance(node.func, (ast.Lambda, ast.Call)):
            self.add("python-dynamic")

    def made(self, maker: ast.Call, node: ast.Call) -> None:
        """A call of what another call gives: `getattr(x, "y")()`, `functools.partial(f, x)()`."""
        if name := self.dotted(maker):
            self.mentioned[name] = None
        if self.dotted(maker.func) in ("functools.partial", "partial") and maker.args:
            self.call(ast.Call(maker.args[0], [*maker.args[1:], *node.args], [*maker.keywords, *node.keywords]))

    def moved(self, folder: str) -> None:
        """What follows runs in another folder."""
        self.add("cd", folder)
        self.found[-1] = replace(self.found[-1], then="&&")  # type: ignore[type-var]

    def killed(self, node: ast.Call) -> None:
        """Processes that are not known here, found among all there are, are others'."""
        whom = [*map(self.word, node.args[:1])]
        if whom == [_UNKNOWN] and self.lists_processes:
            whom = ["$every-found" if self.looks_closer else "-1"]
        self.add("kill", *(f"-{word}" for word in map(self.word, node.args[1:2])), *whom)

    def asked(self, sql: str) -> None:
        """A database is written where not all that is asked of it are questions."""
        if not _ASKS.match(sql):
            for path in self.databases:
                self.written(path)

    def below(self, method: str, node: ast.Call) -> None:
        """What is called in the C library itself, through ctypes."""
        known = self.constant(node.args[0]) if node.args else None
        if method == "reboot" or (method == "syscall" and known in _REBOOT_CALLS):
            self.add("reboot")
        elif method in ("system", "popen") and isinstance(known, (str, bytes)):
            self.found.append(known.decode(errors="replace") if isinstance(known, bytes) else known)

    def own(self, node: ast.Call) -> object:
        return self.constant(node.func.value) if isinstance(node.func, ast.Attribute) else None

    def mapped(self, node: ast.Call) -> None:
        """`map(os.remove, glob.glob(x))` calls what it is given."""
        if len(node.args) == 2:
            for item in self.items(node.args[1]):
                given = ast.Name("_") if item is None else ast.Constant(item)  # type: ignore[arg-type]
                self.call(ast.Call(node.args[0], [given], []))

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
            flat = arguments if "v" not in name[7:] and name[:4] != "os.p" else arguments[1:2]
            arguments = [ast.List(elts=list(flat[1:] if "l" in name else flat))] if len(flat) != 1 else list(flat)
        shell = any(word.arg == "shell" and self.constant(word.value) is not False for word in node.keywords)
        if not arguments:
            return
        first = arguments[0]
        if isinstance(first, (ast.List, ast.Tuple)) and first.elts and not shell:
            first = ast.List(elts=[part for item in first.elts for part in self.spread(item)])
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

    def spread(self, item: ast.expr) -> list[ast.expr]:
        """`*words` in a list, as what these are."""
        known = self.constant(item.value) if isinstance(item, ast.Starred) else None
        return [ast.Constant(str(word)) for word in known] if isinstance(known, list) else [item]

    def file(self, words: tuple[str, ...], node: ast.Call, own: str = "") -> None:
        targets = [own] if own else []
        targets += map(self.word, node.args[: 2 - len(targets)])
        if words[0] in ("rm", "rmdir"):
            targets = targets[:1]
            # Which file it is, a run would tell; it may be any of them.
            words = ("rm", "-r") if targets == [_UNKNOWN] or targets[0].endswith("*") else words
        elif words[0] in ("chmod", "chown", "truncate"):
            targets = [_mode(targets[1]) if words[0] == "chmod" else targets[1] for _ in targets[1:2]] + targets[:1]
            words = (*words, "-R") if targets[-1].endswith("/*") and words[0] != "truncate" else words
        elif words[0] == "cat":
            targets = targets[:1]
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
        flags = ast.dump(node.args[1]) if len(node.args) > 1 else ""
        if (
            (modes and isinstance(modes[0], str) and set(modes[0]) & set("wax+"))
            or "_WRONLY" in flags
            or "_RDWR" in flags
        ):
            self.written(path)
        elif path != _UNKNOWN:
            self.add("cat", path)

    def written(self, path: str) -> None:
        if path != _UNKNOWN:
            self.add("cat", redirects=(Redirect(">", path, path[:1] == "~" or "*" in path),))

    def loop(self, node: ast.While) -> None:
        calls = {self.dotted(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
        starts = any(name.startswith(_STARTS) for name in calls)
        pauses = any(
            name.startswith(_PAUSES) or name.endswith((".wait", ".join", ".communicate", ".poll")) for name in calls
        )
        if self.constant(node.test) and starts and not pauses:
            self.add("python-fork", forks=True)


def _is_far(value: object) -> bool:
    """Whether it names something outside of where the code runs, of which none is a task's own."""
    return isinstance(value, str) and value[:1] in ("/", "~")


def _narrowed(value: object) -> object:
    if isinstance(value, list):
        return [_narrowed(item) for item in value]
    return re.sub(r"(?<![^/])\*$", "found", value) if isinstance(value, str) else value


def _mode(word: str) -> str:
    """A mode as chmod has it: Python gives a number."""
    return f"{int(word):o}" if word.isdigit() else word
