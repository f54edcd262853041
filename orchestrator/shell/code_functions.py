"""Functions that code of JavaScript, PHP, Perl, Ruby or Lua defines: where they begin and end, and their parameters.

Rule: found by a look over all tokens, before anything is read; a function is then read where it is called, with what it
is given. Callbacks that have no name are read where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.shell.code_tokens import Token

_NO_NAMES_TEXT = "if for while switch catch function return with foreach elseif unless until when case"
_NO_NAMES = frozenset(_NO_NAMES_TEXT.split())
_OPENS = {"(": ")", "{": "}", "[": "]"}
_LONGEST_HEAD = 40


@dataclass(frozen=True, slots=True)
class Defined:
    """One function. `start` is where its definition begins, `begin` and `end` where its body does; `single`: the body
    is one expression. `name` is empty where it is called on the spot."""

    name: str
    parameters: tuple[str, ...]
    start: int
    begin: int
    end: int
    single: bool = False


def defined_in(tokens: Sequence[Token], language: str) -> list[Defined]:
    """The functions with names, and those that are called where they stand."""
    made: list[Defined] = []
    for at, token in enumerate(tokens):
        text = token.text
        if token.kind not in ("name", "op"):
            continue
        if text == "=>" and language in ("node", "php"):
            found = _arrow(tokens, at)
        elif language == "ruby" and text in ("->", "lambda", "proc"):
            found = _lambda(tokens, at)
        elif text in ("function", "sub", "def", "fn"):
            found = _worded(tokens, at, language)
        elif language == "node" and token.kind == "name" and text not in _NO_NAMES and _is(tokens, at + 1, "("):
            found = _method(tokens, at)
        else:
            continue
        if found is not None:
            made.append(found)
    return made


def closing(tokens: Sequence[Token], at: int) -> int:
    """Where the bracket that opens at a token closes; the end of all where it does not."""
    opens = tokens[at].text
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].kind == "op":
            depth += (tokens[index].text == opens) - (tokens[index].text == _OPENS[opens])
            if not depth:
                return index
    return len(tokens)


def _is(tokens: Sequence[Token], at: int, *texts: str) -> bool:
    return 0 <= at < len(tokens) and tokens[at].text in texts and tokens[at].kind in ("op", "name")


def _opening(tokens: Sequence[Token], at: int) -> int:
    """Where the round bracket opens that closes at a token."""
    depth = 0
    for index in range(at, max(-1, at - _LONGEST_HEAD), -1):
        depth += _is(tokens, index, ")") - _is(tokens, index, "(")
        if not depth:
            return index
    return at


def _names(tokens: Sequence[Token], begin: int, end: int) -> tuple[str, ...]:
    """Parameters, by the names that begin each; defaults and types aside."""
    made, fresh = [], True
    for token in tokens[begin:end]:
        if fresh and token.kind == "name" and token.text not in ("local", "my", "array", "string", "int", "callable"):
            made.append(token.text)
            fresh = False
        fresh |= token.text == ","
    return tuple(made)


def _given_to(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    """The name that a function gets which begins at a token, and where that stands; without one, it may be called at
    once, and with `-` it is no more than an argument."""
    at -= _is(tokens, at - 1, "async")
    if _is(tokens, at - 1, "=", ":") and at > 1 and tokens[at - 2].kind == "name":
        return tokens[at - 2].text, at - 2
    return ("", at) if _is(tokens, at - 1, "(") else ("-", at)


def _arrow(tokens: Sequence[Token], at: int) -> Defined | None:
    head = _opening(tokens, at - 1) if _is(tokens, at - 1, ")") else at - 1
    parameters = _names(tokens, head + (head < at - 1), at)
    name, start = _given_to(tokens, head - _is(tokens, head - 1, "fn"))
    block = _is(tokens, at + 1, "{")
    end = closing(tokens, at + 1) if block else _expression_end(tokens, at + 1)
    after = end + block
    called = _is(tokens, after, ")") and _is(tokens, after + 1, "(")
    return Defined(name, parameters, start, at + 1 + block, end, not block) if name not in ("", "-") or called else None


def _expression_end(tokens: Sequence[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        text = tokens[index].text if tokens[index].kind == "op" else ""
        if not depth and text in (";", ",", ")", "]", "}"):
            return index
        depth += (text in _OPENS) - (text in _OPENS.values())
    return len(tokens)


def _worded(tokens: Sequence[Token], at: int, language: str) -> Defined | None:
    """`function f(x) {`, `f = function(x) {`, `sub f {`, `def f(x)`, Lua's `function f(x)`."""
    after = at + 1 + _is(tokens, at + 1, "*")
    named = after < len(tokens) and tokens[after].kind == "name"
    name, start = (tokens[after].text, at) if named else _given_to(tokens, at)
    after += named
    if name == "-" or after >= len(tokens):
        return None
    parameters: tuple[str, ...] = ()
    if _is(tokens, after, "("):
        close = closing(tokens, after)
        parameters, after = _names(tokens, after + 1, close), close + 1
    elif language == "ruby":
        stop = next((index for index in range(after, len(tokens)) if tokens[index].text == ";"), after)
        parameters, after = _names(tokens, after, stop), stop
    if language in ("ruby", "lua"):
        return Defined(name, parameters, start, after, _end_word(tokens, after))
    while after < len(tokens) and not _is(tokens, after, "{", ";"):
        after += 1
    if not _is(tokens, after, "{"):
        return None
    end = closing(tokens, after)
    if not name and not (_is(tokens, end + 1, ")") and _is(tokens, end + 2, "(")):
        return None
    return Defined(name, parameters or _unpacked(tokens, after + 1), start, after + 1, end)


def _lambda(tokens: Sequence[Token], at: int) -> Defined | None:
    """Ruby's `f = ->(x) { … }`, `f = lambda { |x| … }`."""
    name, start = _given_to(tokens, at)
    close = closing(tokens, at + 1) if _is(tokens, at + 1, "(") else at
    if name in ("", "-") or not _is(tokens, close + 1, "{"):
        return None
    begin, parameters = close + 2, _names(tokens, at + 2, close)
    if _is(tokens, begin, "|"):
        bar = next((index for index in range(begin + 1, len(tokens)) if _is(tokens, index, "|")), begin)
        begin, parameters = bar + 1, _names(tokens, begin + 1, bar)
    return Defined(name, parameters, start, begin, closing(tokens, close + 1))


def _unpacked(tokens: Sequence[Token], at: int) -> tuple[str, ...]:
    """Perl's parameters: `my ($x, $y) = @_;`, `my $x = shift;`."""
    if _is(tokens, at, "my") and _is(tokens, at + 1, "("):
        return _names(tokens, at + 2, closing(tokens, at + 1))
    made = []
    while _is(tokens, at, "my") and _is(tokens, at + 2, "=") and _is(tokens, at + 3, "shift"):
        made.append(tokens[at + 1].text)
        at = next((index for index in range(at, len(tokens)) if _is(tokens, index, ";")), len(tokens)) + 1
    return tuple(made)


def _method(tokens: Sequence[Token], at: int) -> Defined | None:
    """`go(p) {` in a class or an object."""
    close = closing(tokens, at + 1)
    if close - at > _LONGEST_HEAD or not _is(tokens, close + 1, "{") or _is(tokens, at - 1, "function", ".", "new"):
        return None
    return Defined(tokens[at].text, _names(tokens, at + 2, close), at, close + 2, closing(tokens, close + 1))


_BLOCKS = frozenset(("function", "def", "do", "class", "module", "case", "begin"))
_ALSO_BEHIND = frozenset(("if", "unless", "while", "until"))


def _end_word(tokens: Sequence[Token], at: int) -> int:
    """Where the `end` stands that belongs to a body."""
    depth = 1
    for index in range(at, len(tokens)):
        text = tokens[index].text
        if tokens[index].kind != "name":
            continue
        begins = _is(tokens, index - 1, ";", "then", "else", "do") or index == at
        depth += text in _BLOCKS or (text in _ALSO_BEHIND and begins)
        depth -= text == "end"
        if not depth:
            return index
    return len(tokens)
