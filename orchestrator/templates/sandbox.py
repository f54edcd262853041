"""The engine: Jinja2's expressions in its immutable sandbox, and of these only what can do no harm.

Rule: a list of what is allowed. Each kind of node, filter, test and function is named here or refused, and names lead
into plain values only. The sandbox under it would stop what these lists let slip. No statement, no loop, no `**`;
arithmetic is for numbers of some hundred bits; so an expression of 1,000 characters can't take long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from orchestrator.templates.expression import (
    FUNCTIONS,
    ROOTS,
    Expression,
    ExpressionError,
    Later,
    Names,
    meant,
)
from orchestrator.templates.filters import FILTERS, QUOTE

_MOST_BITS = 512
_TESTS = (
    "defined", "undefined", "none", "string", "number", "boolean", "mapping", "sequence", "true", "false", "in",
    "eq", "ne", "lt", "le", "gt", "ge", "even", "odd",
)  # fmt: skip
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.CondExpr, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair,
    nodes.Keyword,
)  # fmt: skip
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Pow: "`**` is not allowed: its value could be of any size",
    nodes.Concat: "`~` is not known here: put two `${{ … }}` side by side, or use `+`",
}


class _Environment(ImmutableSandboxedEnvironment):
    """Names lead to the keys of mappings and the items of lists, and nowhere else."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, StrictUndefined):
            str(obj)  # says what is not defined
        if isinstance(obj, Mapping) and isinstance(argument, str):
            if argument in obj:
                found = obj[argument]
                return found.get() if isinstance(found, Later) else found
            path = f"{obj.path}." if isinstance(obj, Names) else ""
            return self.undefined(f"`{path}{argument}` is not defined{meant(argument, [*map(str, obj)])}")
        if isinstance(obj, str | list | tuple) and isinstance(argument, int | slice):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(f"there is no item {argument}: it has {len(obj)}")
        kind = "a text" if isinstance(obj, str) else f"a {type(obj).__name__}"
        raise ExpressionError(f"`{argument}` can't be taken of {kind}; for more there are filters: `| upper`")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if isinstance(value, StrictUndefined):
                str(value)
            if operator != "+" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ExpressionError(f"`{operator}` is for numbers, and {value!r:.60} is none")
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise ExpressionError("a number is too large")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, autoescape=False, cache_size=0)
    made.globals.clear()
    made.filters = dict(FILTERS)
    made.tests = {name: TESTS[name] for name in _TESTS}
    return made


_ENGINE = _environment()
_UNREADABLE = (TemplateError, SyntaxError, RecursionError, MemoryError, ValueError, OverflowError)


def compile_expression(source: str) -> Expression:
    """Raises ExpressionError."""
    try:
        tree = _parse(source)
        paths, functions = frozenset(_paths(tree)), frozenset(_functions(tree))
        outer = list(_outer_filters(tree))
        _check(tree, outer)
        program = _ENGINE.compile_expression(source, undefined_to_none=False)
    except _UNREADABLE as error:
        why = error.message if isinstance(error, TemplateError) else "it can't be read"
        raise ExpressionError(f"`{' '.join(source.split())[:60]}` is no expression: {why}") from error

    def run(names: Mapping[str, Any]) -> Any:
        try:
            value = program(names)
            if isinstance(value, StrictUndefined):
                str(value)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise ExpressionError(getattr(error, "message", None) or str(error)) from error
        return value

    return Expression(source, paths, functions, QUOTE in outer, "option" in outer, run)


def _parse(source: str) -> nodes.Expr:
    parser = Parser(_ENGINE, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateSyntaxError(f"`{parser.stream.current.value}` is not expected there", 1)
    return tree


def _check(tree: nodes.Node, outer: list[str]) -> None:
    """Refuse what is not on the lists. `outer` are the filters that nothing but filters goes around."""
    for node in _all(tree):
        if not isinstance(node, _ALLOWED):
            raise ExpressionError(_REFUSED.get(type(node), f"`{type(node).__name__}` is not allowed in an expression"))
        if isinstance(node, nodes.Filter | nodes.Test):
            kind, known = ("filter", FILTERS) if isinstance(node, nodes.Filter) else ("test", _ENGINE.tests)
            if node.name not in known:
                raise ExpressionError(f"there is no {kind} `{node.name}`{meant(node.name, sorted(known))}")
            if node.dyn_args is not None or node.dyn_kwargs is not None:
                raise ExpressionError("`*` before an argument is not allowed")
        elif isinstance(node, nodes.Call):
            _check_call(node)
        elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
            raise ExpressionError("an `if` in an expression needs an `else`")
        elif isinstance(node, nodes.Name) and node.name not in ROOTS and node.name not in FUNCTIONS:
            raise ExpressionError(_no_such_name(node.name))
    quotes = [node for node in _all(tree) if isinstance(node, nodes.Filter) and node.name == QUOTE]
    if quotes and outer[:1] != [QUOTE]:
        raise ExpressionError("`| sh` comes last: what else is done with the value would undo it")
    if len(quotes) > 1:
        raise ExpressionError("`| sh` once is enough: twice would quote the quotes")


def _no_such_name(name: str) -> str:
    return f"there is no `{name}`{meant(name, ROOTS)}; a text stands in quotes, a name with `-` as in steps['my-step']"


def _check_call(node: nodes.Call) -> None:
    if not isinstance(node.node, nodes.Name) or node.node.name not in FUNCTIONS:
        raise ExpressionError("nothing can be called but success(), failure() and always(); use a filter: `| upper`")
    if node.args or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ExpressionError(f"`{node.node.name}()` takes nothing")


def _all(tree: nodes.Node) -> Iterator[nodes.Node]:
    yield tree
    for child in tree.iter_child_nodes():
        yield from _all(child)


def _outer_filters(tree: nodes.Node) -> Iterator[str]:
    while isinstance(tree, nodes.Filter) and tree.node is not None:
        yield tree.name
        tree = tree.node


def _functions(tree: nodes.Node) -> Iterator[str]:
    called = [node.node for node in _all(tree) if isinstance(node, nodes.Call)]
    for node in _all(tree):
        if isinstance(node, nodes.Name) and node.name in FUNCTIONS:
            if node not in called:
                raise ExpressionError(f"`{node.name}` is a function: write `{node.name}()`")
            yield node.name


def _paths(tree: nodes.Node) -> Iterator[tuple[str, ...]]:
    """Each name with the keys that follow it, as long as these are fixed."""
    if path := _path(tree):
        yield path
        return
    for child in tree.iter_child_nodes():
        yield from _paths(child)


def _path(node: nodes.Node) -> tuple[str, ...]:
    """Empty for what is no chain of keys that begins with a name."""
    if isinstance(node, nodes.Name):
        return (node.name,) if node.name in ROOTS else ()
    if isinstance(node, nodes.Getattr):
        before = _path(node.node)
        return (*before, node.attr) if before else ()
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        before = _path(node.node)
        return (*before, node.arg.value) if before else ()
    return ()
