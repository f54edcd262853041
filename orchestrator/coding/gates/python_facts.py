"""What a constraint can ask about a Python file, from its syntax tree."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Collection, Iterator
from functools import cached_property

from orchestrator.coding.gates.facts import Export, Found

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class PythonFacts:
    """`text` parses. `local` are names of modules that are the project's own."""

    def __init__(self, text: str, local: Collection[str]) -> None:
        self._text, self._local = text, local
        self._tree = ast.parse(text)
        self._nodes = list(ast.walk(self._tree))

    @cached_property
    def imports(self) -> list[Found]:
        return [Found(line, f"import of {name}") for name, line, _ in self._imported()]

    @cached_property
    def dependencies(self) -> list[Found]:
        return [
            Found(line, f"import of {name}")
            for name, line, level in self._imported()
            if not level and (root := name.partition(".")[0]) not in sys.stdlib_module_names and root not in self._local
        ]

    @cached_property
    def exports(self) -> list[Export]:
        """What stands at the top and does not begin with an underscore: another module may import it."""
        return [one for one in self._tops() if not one.name.startswith("_")]

    @cached_property
    def functions(self) -> list[Found]:
        return [Found(node.lineno, f"function {node.name}") for node in self._nodes if isinstance(node, _Function)]

    @cached_property
    def function_lengths(self) -> list[int]:
        return [(one.end_lineno or one.lineno) - one.lineno + 1 for one in self._nodes if isinstance(one, _Function)]

    @cached_property
    def classes(self) -> list[Found]:
        return [Found(node.lineno, f"class {node.name}") for node in self._nodes if isinstance(node, ast.ClassDef)]

    @cached_property
    def tests(self) -> list[Found]:
        return [one for one in self.functions if one.what.removeprefix("function ").startswith("test")]

    @cached_property
    def comments(self) -> list[Found]:
        tokens = tokenize.generate_tokens(io.StringIO(self._text).readline)
        return [
            Found(token.start[0], token.string[:60])
            for token in tokens
            if token.type == tokenize.COMMENT and not token.string.startswith("#!")
        ]

    @cached_property
    def prints(self) -> list[Found]:
        return self._calls("print")

    @cached_property
    def evals(self) -> list[Found]:
        return self._calls("eval")

    @cached_property
    def anys(self) -> list[Found]:
        return [Found(node.lineno, "Any") for node in self._nodes if isinstance(node, ast.Name) and node.id == "Any"]

    @cached_property
    def undocumented(self) -> list[Found]:
        """Public functions and classes at the top without a docstring; the whole module where it has neither."""
        documented = [node for node in self._tree.body if isinstance(node, _Function | ast.ClassDef)]
        public = [node for node in documented if not node.name.startswith("_")]
        if not public and ast.get_docstring(self._tree) is None:
            return [Found(1, "the module has no docstring")]
        return [Found(node.lineno, f"{node.name} has no docstring") for node in public if not ast.get_docstring(node)]

    @cached_property
    def module_docstring(self) -> list[Found]:
        return [Found(1, "its docstring")] if ast.get_docstring(self._tree) else []

    @cached_property
    def untyped(self) -> list[Found]:
        """Functions with a parameter or a result that has no type hint."""
        return [
            Found(node.lineno, f"{node.name}: {what} has no type hint")
            for node in self._nodes
            if isinstance(node, _Function)
            for what in _without_hint(node)
        ]

    def _calls(self, name: str) -> list[Found]:
        return [
            Found(node.lineno, f"{name}()")
            for node in self._nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        ]

    def _imported(self) -> Iterator[tuple[str, int, int]]:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno, 0) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
                yield "." * node.level + (node.module or ""), node.lineno, node.level

    def _tops(self) -> Iterator[Export]:
        for node in self._tree.body:
            if isinstance(node, _Function):
                yield Export(node.name, "function", node.lineno)
            elif isinstance(node, ast.ClassDef):
                yield Export(node.name, "class", node.lineno)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (Export(one.id, "value", node.lineno) for one in targets if isinstance(one, ast.Name))


def _without_hint(node: _Function) -> Iterator[str]:
    positional = [*node.args.posonlyargs, *node.args.args]
    if positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    others = [one for one in (node.args.vararg, *node.args.kwonlyargs, node.args.kwarg) if one is not None]
    yield from (f"the parameter {one.arg}" for one in (*positional, *others) if one.annotation is None)
    if node.returns is None and node.name != "__init__":
        yield "its result"
