"""What arithmetic comes to: `$((2*3))`, `(( n = x - 1 ))`, `${p:o+1}`, and the code that hides in what it evaluates.

Rule: an expression is worked out where the script's own words settle it, as bash does it; else it is None. A variable
in arithmetic is evaluated in its turn, substitutions in its value included.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator

from orchestrator.shell.pieces import Field
from orchestrator.shell.scope import Scope
from orchestrator.shell.syntax import Node

_MAX_DEPTH = 8
_LONGEST = 400
_TOKEN = re.compile(
    r"\s*(?:(\d+#\w+|0[xX][\da-fA-F]+|\d+)(?![\w.])|([A-Za-z_]\w*)(?!\[)"
    r"|(\*\*|<<=|>>=|\+\+|--|&&|\|\||<<|>>|[-+*/%&|^<>=!]=|[-+*/%&|^<>=!~?:,()]))"
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_SETS = re.compile(
    r"([A-Za-z_]\w*)\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)|([A-Za-z_]\w*)\s*(?:\+\+|--)|(?:\+\+|--)\s*([A-Za-z_]\w*)"
)
_ASSIGNING = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="))


def _quotient(left: int, right: int) -> int:
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


def _power(left: int, right: int) -> int:
    if not 0 <= right <= 64:
        raise ValueError("out of range")
    power: int = left**right
    return power


_BINARY: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "||": (1, lambda a, b: int(bool(a or b))), "&&": (2, lambda a, b: int(bool(a and b))), "|": (3, operator.or_),
    "^": (4, operator.xor), "&": (5, operator.and_), "==": (6, operator.eq), "!=": (6, operator.ne),
    "<": (7, operator.lt), ">": (7, operator.gt), "<=": (7, operator.le), ">=": (7, operator.ge),
    "<<": (8, lambda a, b: a << min(b, 64)), ">>": (8, operator.rshift), "+": (9, operator.add),
    "-": (9, operator.sub), "*": (10, operator.mul), "/": (10, _quotient),
    "%": (10, lambda a, b: a - b * _quotient(a, b)), "**": (12, _power),
}  # fmt: skip
_UNARY: dict[str, Callable[[int], int]] = {
    "-": operator.neg, "+": operator.pos, "~": operator.invert, "!": lambda value: int(not value),
}  # fmt: skip


def evaluate(text: str, scope: Scope) -> int | None:
    """The value of an expression in which words are expanded already; None where it is not known. Variables that it
    sets are set."""
    try:
        return _Expression(text, scope, 0).value()
    except (ValueError, ZeroDivisionError, OverflowError, IndexError):
        for name in assigned_in(text):
            scope.set(name, Field(f"${name}", True))
        return None


def assigned_in(text: str) -> Iterator[str]:
    """The names that an expression sets."""
    return (next(filter(None, found.groups())) for found in _SETS.finditer(text))


def hidden_code(text: str, scope: Scope) -> Iterator[str]:
    """The values, with substitutions in them, that evaluating a text would come to."""
    waiting, seen = _NAME.findall(text), set[str]()
    while waiting and len(seen) < _MAX_DEPTH:
        name = waiting.pop()
        held = scope.value(name)
        if name in seen or held is None or held.expands:
            continue
        seen.add(name)
        if holds_code(held.text):
            yield held.text
        elif len(held.text) < _LONGEST:
            waiting += _NAME.findall(held.text)


def holds_code(text: str) -> bool:
    """Whether a value would run something if it were evaluated."""
    return "$(" in text or "`" in text


def written(node: Node, word: Callable[[Node], str | None]) -> str | None:
    """An expression of a syntax tree as text, its words expanded by `word`; None where one of them is not known."""
    if node.get("Type") == "Word" or "Parts" in node:
        return word(node)
    operation = node.get("Op", "")
    x = written(node["X"], word) if "X" in node else None
    if x is None:
        return None
    if "Y" not in node:
        return f"({x})" if not operation else f"({x}{operation})" if node.get("Post") else f"({operation}{x})"
    y = written(node["Y"], word)
    if y is None:
        return None
    return f"{x}{operation}{y}" if operation == ":" else f"({x}{operation}{y})"


class _Expression:
    """One pass over the tokens of one expression. Raises ValueError for what it does not know."""

    def __init__(self, text: str, scope: Scope, depth: int) -> None:
        if depth > _MAX_DEPTH or len(text) > _LONGEST:
            raise ValueError("too deep")
        self.scope, self.depth = scope, depth
        self.tokens: list[tuple[str, str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(text)
            self.tokens.append((found.group(1) or "", found.group(2) or "", found.group(3) or ""))
            at = found.end()
        self.at = 0

    def value(self) -> int:
        value = self.assignment() if self.tokens else 0
        while self.taken(","):
            value = self.assignment()
        if self.at < len(self.tokens):
            raise ValueError("something is left over")
        return value

    def sign(self) -> str:
        return self.tokens[self.at][2] if self.at < len(self.tokens) else ""

    def taken(self, sign: str) -> bool:
        found = self.sign() == sign
        self.at += found
        return found

    def assignment(self) -> int:
        name = self.tokens[self.at][1]
        sign = self.tokens[self.at + 1][2] if self.at + 1 < len(self.tokens) else ""
        if not name or sign not in _ASSIGNING:
            return self.choice()
        self.at += 2
        value = self.assignment()
        return self.store(name, value if sign == "=" else int(_BINARY[sign[:-1]][1](self.variable(name), value)))

    def store(self, name: str, value: int) -> int:
        self.scope.set(name, Field(str(value)))
        return value

    def choice(self) -> int:
        condition = self.binary(0)
        if not self.taken("?"):
            return condition
        first = self.assignment()
        if not self.taken(":"):
            raise ValueError("no second choice")
        second = self.assignment()
        return first if condition else second

    def binary(self, least: int) -> int:
        left = self.operand()
        while (known := _BINARY.get(self.sign())) and known[0] > least:
            power = self.sign() == "**"
            self.at += 1
            left = int(known[1](left, self.binary(known[0] - power)))
        return left

    def operand(self) -> int:
        number, name, sign = self.tokens[self.at]
        self.at += 1
        if number:
            return _number(number)
        if name:
            value = self.variable(name)
            for step, change in (("++", 1), ("--", -1)):
                if self.taken(step):
                    self.store(name, value + change)
            return value
        if sign == "(":
            value = self.assignment()
            while self.taken(","):
                value = self.assignment()
            if not self.taken(")"):
                raise ValueError("no end of a bracket")
            return value
        if sign in ("++", "--"):
            name = self.tokens[self.at][1]
            self.at += 1
            return self.store(name, self.variable(name) + (1 if sign == "++" else -1))
        return _UNARY[sign](self.operand()) if sign in _UNARY else _refused(sign)

    def variable(self, name: str) -> int:
        held = self.scope.value(name)
        if held is None or held.expands:
            raise ValueError(f"{name} is not known")
        return _Expression(held.text, self.scope, self.depth + 1).value()


def _refused(sign: str) -> int:
    raise ValueError(f"`{sign}` is out of place")


def _number(text: str) -> int:
    base, mark, digits = text.partition("#")
    if mark:
        return int(digits, int(base))
    return int(text, 16) if text[1:2] in ("x", "X") else int(text, 8) if text[:1] == "0" else int(text)
