"""A syntax tree becomes commands: the facts of plain.py for scripts that are not plain.

Rule: every command that may run is found, in the order in which they stand: both branches, every loop item, what
substitutions and functions hold. Where the walk must give up it says so in `problem`; it drops nothing silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from orchestrator.shell.arithmetic import hidden_code, holds_code
from orchestrator.shell.builtin_code import stands_instead
from orchestrator.shell.command import Command, Redirect, Script
from orchestrator.shell.endless import PIPES, forks
from orchestrator.shell.loops import Loops
from orchestrator.shell.pieces import Field
from orchestrator.shell.scope import Function, Scope
from orchestrator.shell.setters import SETTERS, set_by
from orchestrator.shell.shells import takes_orders
from orchestrator.shell.syntax import Node
from orchestrator.shell.tells import listed_in
from orchestrator.shell.words import Words

MAX_COMMANDS = 5_000
_MAX_CALLS = 8
_MAX_CHOICES = 12
_DESCRIPTOR = re.compile(r"\$\{?(\w+)(?:\[1\])?\}?")
_USED = re.compile(r"\$\{?[!#]?([A-Za-z_][A-Za-z0-9_]*)")


def walk(tree: Node, script: str, scope: Scope) -> Script:
    """The commands of a tree that `read_tree` gave. The scope is changed as the script would change it."""
    walker = _Walker(script.encode(errors="surrogateescape"), scope)
    try:
        walker.statements(tree.get("Stmts", []))
        walker.uncalled()
    except RecursionError:
        walker.problem = "it is nested too deep"
    except (KeyError, TypeError, IndexError):
        # Parts that bash would refuse, or another shfmt's way of writing trees: not read is not allowed.
        walker.problem = "it holds something that is no bash"
    if walker.commands and walker.commands[-1].then == ";":
        walker.commands[-1] = replace(walker.commands[-1], then="")
    return Script(tuple(walker.commands), problem=walker.problem)


class _Walker(Loops):
    def __init__(self, source: bytes, scope: Scope) -> None:
        self.scope = scope
        self.words = Words(source, scope, self.substitute)
        self.commands: list[Command] = []
        self.upstream: tuple[Command, ...] = ()
        # What is redirected into the loop or group that is being walked.
        self.piped: tuple[tuple[Command, ...], str | None] = ((), None)
        # The shells within `>(…)` of the command that is being read.
        self.takers: list[Command] = []
        self.problem = ""

    def statements(self, statements: list[Node]) -> None:
        for statement in statements:
            if len(self.commands) > MAX_COMMANDS:
                self.problem = f"it runs more than {MAX_COMMANDS:,} commands"
                return
            self.statement(statement)
            self.then("&" if statement.get("Background") else ";")

    def then(self, separator: str) -> None:
        """Say what follows the command that was found last."""
        said = self.commands[-1].then if self.commands else ""
        if self.commands and not (separator == ";" and said) and not (separator == ")" and said == "&"):
            self.commands[-1] = replace(self.commands[-1], then=separator)

    def substitute(self, statements: list[Node], taking: bool = False) -> list[Command]:
        """The commands of a substitution; one that is written to takes what is piped into its command."""
        before, upstream, self.upstream = len(self.commands), self.upstream, self.upstream if taking else ()
        outer, self.words.fed = self.words.fed, []
        self.statements(statements)
        self.then(")")
        self.upstream, self.words.fed = upstream, outer
        if taking:
            self.takers = [item for item in self.commands[before:] if takes_orders(item) and not item.upstream]
        return self.commands[before:]

    def statement(self, statement: Node) -> None:
        node = statement.get("Cmd")
        redirections = statement.get("Redirs", [])
        if node is None or node["Type"] == "CallExpr":
            self.call(node or {}, redirections)
            return
        if node["Type"] == "DeclClause":
            self.declare(node, redirections)
            return
        if redirections:
            self.words.fed = []
            redirects, stdin = self.redirections(redirections)
            self.emit(Command((), "", redirects=redirects, stdin=stdin))
            known = (listed_in(item.target) for item in redirects if item.op == "<")
            outer, self.piped = self.piped, (tuple(self.words.fed), stdin or next(filter(None, known), None))
            inside = len(self.commands)
            self.compound(node)
            self.piped = outer
            self.write_from(inside, redirects)
            return
        self.compound(node)

    def write_from(self, start: int, redirects: tuple[Redirect, ...]) -> None:
        """What a group writes to a file, each of its commands adds to that, but for those that write elsewhere."""
        adds = tuple(replace(item, op=">>") for item in redirects if item.writes)
        for at in range(start, len(self.commands) if adds else start):
            inner = self.commands[at]
            if inner.words and inner.then not in PIPES and not any(item.writes for item in inner.redirects):
                self.commands[at] = replace(inner, redirects=(*inner.redirects, *adds))

    def compound(self, node: Node) -> None:
        match node["Type"]:
            case "BinaryCmd":
                self.binary(node)
            case "Subshell":
                self.statements(node.get("Stmts", []))
                self.then(")")
            case "Block":
                self.statements(node.get("Stmts", []))
            case "IfClause":
                self.branch(node)
            case "WhileClause":
                self.repeat(node)
            case "ForClause":
                self.iterate(node)
            case "CaseClause":
                self.words.run_within(node.get("Word"))
                for item in node.get("Items", []):
                    self.uncertain(item.get("Stmts", []))
            case "FuncDecl":
                self.function(node)
            case "TimeClause":
                self.emit(Command(("time",), ""))
                self.statement(node.get("Stmt") or {})
            case "CoprocClause":
                self.coprocess(node)
            case "LetClause" | "ArithmCmd":
                for item in node.get("Exprs", [node]):
                    self.words.run_within(item)
                    self.words.arithmetic(item)
                self.hidden()
            case _:
                text = self.words.text(node)
                if "[$(" in text or "[`" in text:
                    # A test evaluates the subscript of an array's element, quoted or not.
                    self.emit(Command(("test", text.strip("[] ")), text, () if "'" in text else (1,)))
                self.words.run_within(node)
                self.words.scripts += hidden_code(self.words.text(node), self.scope)
                self.hidden()

    def coprocess(self, node: Node) -> None:
        inner, name = node.get("Stmt") or {}, "COPROC"
        before = len(self.commands)
        self.emit(Command(("coproc",), ""))
        if node.get("Name") and (inner.get("Cmd") or {}).get("Type", "CallExpr") == "CallExpr":
            # What reads as the name of a coprocess is a program where a simple command follows.
            words = self.words.text(node).split()[1:]
            self.emit(Command(tuple(words), self.words.text(node), via=("coproc",)))
        else:
            name = self.words.value(node["Name"]).text if node.get("Name") else name
            self.statement(inner)
        self.commands[before + 1 :] = [replace(item, via=("coproc",)) for item in self.commands[before + 1 :]]
        self.scope.shells.update((name, item) for item in self.commands[before + 1 :] if takes_orders(item))

    def binary(self, node: Node) -> None:
        operator = node["Op"]
        if operator not in PIPES:
            self.statement(node["X"])
            self.mark(operator)
            sure, self.scope.certain = self.scope.certain, self.scope.certain and operator == "&&"
            self.statement(node["Y"])
            self.scope.certain = sure
            return
        before, upstream = len(self.commands), self.upstream
        self.statement(node["X"])
        self.mark(operator)
        self.upstream = (*upstream, *self.commands[before:])
        self.statement(node["Y"])
        self.upstream = upstream

    def mark(self, operator: str) -> None:
        if self.commands:
            self.commands[-1] = replace(self.commands[-1], then=operator)

    def branch(self, node: Node) -> None:
        self.statements(node.get("Cond", []))
        # The branch is taken only where the condition held, as after `&&`.
        self.mark("&&")
        self.uncertain(node.get("Then", []))
        if other := node.get("Else"):
            self.branch(other)

    def function(self, node: Node) -> None:
        name = node["Name"]["Value"]
        self.scope.functions[name] = Function(node["Body"], self.words.source)
        if stands_instead(name, self.words.text(node["Body"])):
            self.emit(Command(("function-instead", name), self.words.text(node)))
        if forks(node["Body"], name):
            self.emit(Command(("function", name), self.words.text(node), forks=True))

    def uncalled(self) -> None:
        """Bodies of functions that nothing called here: something else may."""
        for function in list(self.scope.functions.values()):
            if not function.called:
                self.inside(function, None, "")

    def inside(self, function: Function, arguments: tuple[Field, ...] | None, name: str) -> None:
        function.called = True
        self.scope.variables["FUNCNAME"] = (Field(name),)
        scope, words, arguments_before = self.scope, self.words, self.scope.arguments
        if len(scope.calls) >= _MAX_CALLS:
            self.problem = f"functions call each other more than {_MAX_CALLS} deep"
            return
        scope.arguments, scope.calls = arguments, (*scope.calls, name)
        scope.variables["FUNCNAME"] = (Field(name, not name),)
        self.words = Words(function.source, scope, self.substitute)
        before = len(self.commands)
        self.statement(function.body)
        again = [item for item in self.commands[before:] if name and item.words[:1] == (name,)]
        if len(again) > 1 and any(item.then in ("&", *PIPES) or item.upstream for item in again):
            self.emit(Command(("function", name), name, forks=True))
        scope.calls, scope.arguments, self.words = scope.calls[:-1], arguments_before, words

    def redirections(self, nodes: list[Node]) -> tuple[tuple[Redirect, ...], str | None]:
        redirects, stdin = [], None
        for node in nodes:
            operator = node["Op"]
            if not isinstance(operator, str):
                self.problem = "this shfmt is too old: pip install -U shfmt-py"
                continue
            target = self.words.value(node.get("Word"))
            redirects.append(Redirect(operator, target.text, target.expands))
            if operator == "<<<":
                stdin = target.text
            elif operator in ("<<", "<<-"):
                stdin = self.document(node)
        return tuple(redirects), stdin

    def document(self, node: Node) -> str:
        body = node.get("Hdoc") or {"Parts": []}
        literal = any(part["Type"] != "Lit" or "\\" in part.get("Value", "") for part in node["Word"]["Parts"])
        if literal:
            text = "".join(part.get("Value", "") for part in body["Parts"])
        else:
            text = "".join(piece.text for piece in self.words.pieces(body["Parts"], double=True))
        if node["Op"] == "<<-":
            text = "\n".join(line.lstrip("\t") for line in text.split("\n"))
        return text.removesuffix("\n")

    def choices(self, nodes: list[Node]) -> Iterator[dict[str, Field]]:
        """The combinations of values that the variables of these nodes may have."""
        several = {name: values for name, values in self.scope.variables.items() if len(values) > 1}
        if several:
            source = "".join(self.words.text(node) for node in nodes)
            used = set(_USED.findall(source))
            several = {name: values for name, values in several.items() if name in used}
        for count, values in enumerate(product(*several.values())):
            if count >= _MAX_CHOICES:
                self.problem = "its variables may have too many values"
                return
            yield dict(zip(several, values, strict=True))

    def call(self, node: Node, redirections: list[Node]) -> None:
        arguments, assigns = node.get("Args", []), node.get("Assigns", [])
        text = self.source_text(assigns + arguments, redirections)
        nodes = [*arguments, *(item["Word"] for item in redirections if item.get("Word")), *assigns]
        for choice in list(self.choices(nodes)):
            self.scope.choice = choice
            self.words.fed = []
            assigned = tuple(self.assign(item, bool(arguments)) for item in assigns)
            fields = [field for word in arguments for field in self.words.fields(word)]
            redirects, stdin = self.redirections(redirections)
            self.scope.choice = {}
            self.finish(fields, text, assigned, redirects, stdin, _descriptors(redirections))

    def finish(
        self,
        fields: list[Field],
        text: str,
        assigned: tuple[tuple[str, str], ...],
        redirects: tuple[Redirect, ...],
        stdin: str | None,
        numbers: tuple[str, ...] = (),
    ) -> None:
        if not fields and text and not assigned and not redirects:
            # All of it vanished here; elsewhere it may name a program.
            fields = [Field(text, True)]
        if not (fields or assigned or redirects):
            return
        words = tuple(field.text for field in fields)
        expands = tuple(at for at, field in enumerate(fields) if field.expands)
        fed = tuple(self.words.fed)
        self.emit(Command(words, text, expands, assigned, redirects, self.upstream, stdin, fed=fed))
        self.hidden()
        if words and words[0] in SETTERS:
            set_by(self.commands[-1], fields, self.scope, self.piped)
        self.feed(self.commands[-1], numbers)
        self.scope.last = fields[-1] if fields else Field("")
        function = self.scope.functions.get(words[0]) if words else None
        if function and words[0] not in self.scope.calls:
            self.scope.variables.update({name: (Field(value),) for name, value in assigned})
            self.inside(function, tuple(fields[1:]), words[0])

    def hidden(self) -> None:
        """Scripts that bash finds in the values of variables: by `${x@P}`, in arithmetic."""
        scripts, self.words.scripts = self.words.scripts, []
        for script in scripts:
            if holds_code(script):
                self.emit(Command(("code-in-value",), script))
            self.emit(Command(("eval", f': "{script}"'), script))

    def feed(self, command: Command, numbers: tuple[str, ...]) -> None:
        """Hand what a command writes to the shells that its descriptors lead to."""
        takers, self.takers = self.takers, []
        if command.words == ("exec",):
            self.scope.shells.update((number, taker) for number in numbers for taker in takers)
            return
        for redirect in command.redirects:
            if redirect.op in (">&", ">", ">>") and (name := _leads_to(redirect.target)) in self.scope.shells:
                takers.append(self.scope.shells[name])
        for taker in takers:
            self.emit(replace(taker, upstream=(replace(command, redirects=()),)))

    def declare(self, node: Node, redirections: list[Node]) -> None:
        """`export`, `declare`, … : a command whose arguments are assignments."""
        self.words.fed = []
        fields = [Field(node["Variant"]["Value"]), *self.declared(node.get("Args", []))]
        redirects, stdin = self.redirections(redirections)
        self.finish(fields, self.source_text([node], redirections), (), redirects, stdin)

    def source_text(self, nodes: list[Node], redirections: list[Node]) -> str:
        spans = [(node["Pos"]["Offset"], node["End"]["Offset"]) for node in nodes]
        spans += [(item["Pos"]["Offset"], (item.get("Word") or item)["End"]["Offset"]) for item in redirections]
        if not spans:
            return ""
        cut = self.words.source[min(spans)[0] : max(end for _, end in spans)]
        return cut.decode(errors="surrogateescape").strip()

    def emit(self, command: Command) -> None:
        self.commands.append(command)


def _descriptors(redirections: list[Node]) -> tuple[str, ...]:
    """The names or numbers of the descriptors that these open."""
    return tuple((item.get("N") or {}).get("Value", "").strip("{}") for item in redirections)


def _leads_to(target: str) -> str:
    """The descriptor, or the variable that holds one, in the target of a redirection."""
    found = _DESCRIPTOR.fullmatch(target)
    return found.group(1) if found else target
