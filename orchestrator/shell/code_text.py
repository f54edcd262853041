"""Expressions of JavaScript, Perl, PHP, Ruby, Lua and their like, as far as their text settles them.

Rule: one small reader for what these languages share: strings, concatenation, names, calls. It follows what the code
gives to a name, and hands every call to `called`, its arguments worked out. What only a run would tell is `$unknown`
within the text, so that a shell script made of known and unknown parts is still read as one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.shell.code_acts import CALLS, HOME
from orchestrator.shell.code_folds import FOLDS, UNKNOWN, Value, any_of
from orchestrator.shell.code_home import with_home

MAX_TOKENS = 20_000
MAX_STEPS = 60_000
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|/\*.*?\*/|(?<![:"'\w])//[^\n]*|(?:(?<=\s)|^)\#(?!\{)[^\n]*)
    | (?P<double>"(?:\\.|[^"\\])*")
    | (?P<single>'(?:\\.|[^'\\])*')
    | (?P<tick>`(?:\\.|[^`\\])*`)
    | (?P<quote>(?:\bq[qxw]?|%[qQxwi]?)(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]|/[^/]*/|\|[^|]*\||![^!]*!))
    | (?P<number>0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?)
    | (?P<name>[$@%&]?(?:::)?[A-Za-z_]\w*(?:::\w+)*[?!]?|\$[_&0-9])
    | (?P<op>=>|->|\?\.|\.\.\.?|[-+*/%.=!<>&|^?:]=?=?|[(){}\[\],;\#@\\$~])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u\{?([0-9a-fA-F]{4,6})\}?|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "e": "\x1b"}
_EMBEDDED = re.compile(r"\$\{([^{}]*)\}|#\{([^{}]*)\}|\{(\$[^{}]*)\}|(\$\w+)")
_HOME = re.compile(HOME)
_OPERANDS = frozenset(("double", "single", "name"))
# Words that stand before an expression and say nothing about its value.
_PREFIX_WORDS = "const let var my our local return await new typeof void yield not print puts echo say do"
_PREFIXES = frozenset(_PREFIX_WORDS.split())
_EACH_WORDS = "forEach map each each_with_index filter some every array_map flatMap foreach for_each find"
_EACH = frozenset(_EACH_WORDS.split())


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` as in the pattern; of a string, `text` is what stands between its quotes."""

    kind: str
    text: str
    source: str


def tokens_of(code: str) -> list[Token]:
    """The tokens of code, at most MAX_TOKENS."""
    made = []
    for found in _TOKEN.finditer(code):
        kind, text = found.lastgroup or "other", found.group()
        if kind == "space":
            if "\n" in text:
                made.append(Token("op", ";", text))
            continue
        inner = text[1:-1] if kind in ("double", "single", "tick") else text
        made.append(Token(kind, inner, text))
        if len(made) >= MAX_TOKENS:
            break
    return made


class Reader:
    """Goes through the tokens once; raises RecursionError where they are nested too deep. `concatenates` is the
    operator that joins strings, `members` those that lead to a member; `called` is told of each call: the full name,
    the arguments, and what it is called on."""

    def __init__(
        self, code: str, language: str, called: Callable[[str, list[Value], Value], Value | None], item: Value = UNKNOWN
    ) -> None:
        dots = language in ("perl", "php")
        self.concatenates = frozenset(("+", "..", "<<") if not dots else (".", "+"))
        # awk joins what stands beside each other.
        self.juxtaposes = language == "awk"
        self.members = frozenset(("->", "::") if dots else (".", "?.", "->", ":"))
        self.language, self.called = language, called
        self.tokens = tokens_of(_HOME.sub("'~'", with_home(code)))
        self.values: dict[str, Value] = dict.fromkeys(("$_", "$0", "$1"), item) if item != UNKNOWN else {}
        self.names: dict[str, str] = {}
        self.at = self.steps = 0

    def read(self) -> None:
        while self.at < len(self.tokens):
            before = self.at
            self.statement()
            self.at = max(self.at, before + 1)

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", "", "")

    def statement(self) -> None:
        """One step: a destructuring, an assignment, or an expression."""
        while self.peek().kind == "name" and self.peek().text in _PREFIXES:
            self.at += 1
        token = self.peek()
        if token.text == "{" and self.destructured():
            return
        if token.kind == "name" and self.peek(1).text in ("=", ".=", "+=", "of", "in"):
            name, operator = token.text, self.peek(1).text
            self.at += 2
            is_function = self.peek(1).text == "=>" or self.peek().text in ("function", "sub")
            path, value = self.expression()
            path = "" if is_function else path
            before = self.values.get(name, "")
            if operator in (".=", "+=") and isinstance(before, str) and isinstance(value, str):
                value = before + value
            self.assign(name, path, value)
            return
        _, value = self.expression()
        if self.peek().text == "as" and self.peek(1).kind == "name":
            self.bind(self.peek(1).text, value)

    def assign(self, name: str, path: str, value: Value) -> None:
        name = name.lstrip("@%")
        if value != UNKNOWN:
            self.bind(name, value)
        elif path:
            self.names[name] = path

    def bind(self, name: str, value: Value) -> None:
        self.values[name] = (value[0] if value else UNKNOWN) if isinstance(value, list) and name[:1] != "@" else value
        if isinstance(value, list) and len(value) > 1:
            self.values[name] = value

    def destructured(self) -> bool:
        """`{rmSync: gone, spawn} = require("fs")`; whether it was one."""
        end = next((i for i in range(self.at, min(self.at + 60, len(self.tokens))) if self.tokens[i].text == "}"), 0)
        follows = self.tokens[end + 1].text if 0 < end < len(self.tokens) - 1 else ""
        if follows not in ("=", "from"):
            return False
        inside = [token.text for token in self.tokens[self.at + 1 : end]]
        self.at = end + 2
        path, _ = self.expression()
        for part in " ".join(inside).split(","):
            words = part.replace(" as ", " : ").split()
            if words:
                self.names[words[-1]] = f"{path}.{words[0]}"
        return True

    def expression(self) -> tuple[str, Value]:
        """The name and the value of what begins here."""
        path, value = self.term()
        while self.peek().text in self.concatenates or (self.juxtaposes and self.peek().kind in _OPERANDS):
            self.at += self.peek().text in self.concatenates
            _, more = self.term()
            value, path = any_of(value) + any_of(more), ""
        return path, value

    def term(self) -> tuple[str, Value]:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise RecursionError("too much to follow")
        while self.peek().kind == "name" and self.peek().text in _PREFIXES:
            self.at += 1
        token = self.peek()
        self.at += 1
        if token.kind in ("double", "single", "tick", "quote", "number"):
            return self.members_of("", self.literal(token))
        if token.text in ("\\", "!", "-", "&", "@", "#", "$", "...", "*", "..") and self.peek().kind in (
            "name",
            "quote",
        ):
            return self.term()
        if token.text == "(":
            items = self.items(")")
            return self.members_of("", items[0] if len(items) == 1 else _strings(items) or UNKNOWN)
        if token.text == "[":
            return self.members_of("", _strings(self.items("]")))
        if token.kind == "name":
            return self.named(token.text)
        self.at -= token.text in (")", "]", "}", ";", ",", "") or token.kind == "end"
        return "", UNKNOWN

    def literal(self, token: Token) -> Value:
        text = token.text
        if token.kind == "number":
            return str(int(text, 16)) if text[:2] in ("0x", "0X") else text
        if token.kind == "single":
            return text.replace("\\'", "'").replace("\\\\", "\\") if self.language != "node" else _unescaped(text)
        if token.kind == "quote":
            mark, body = re.match(r"[%\w]+", text), re.sub(r"^[%\w]+.|.$", "", text, flags=re.DOTALL)
            letters = mark.group() if mark else ""
            if letters[-1:] in ("w", "i") and letters != "qi":
                return body.split()
            if letters[-1:] == "x":
                return self.called("`", [self.embedded(body)], UNKNOWN) or UNKNOWN
            return self.embedded(_unescaped(body))
        said = self.embedded(_unescaped(text))
        if token.kind == "tick" and self.language not in ("node", "lua"):
            return self.called("`", [said], UNKNOWN) or UNKNOWN
        return said

    def embedded(self, text: str) -> str:
        """A string with what is put into it, where that is known."""

        def one(found: re.Match[str]) -> str:
            name = next(group for group in found.groups() if group is not None)
            if self.language == "node" and found.group(4):
                return found.group()
            inner = Reader(name, self.language, self.called)
            inner.values, inner.names = self.values, self.names
            _, value = inner.expression()
            known = any_of(value)
            return found.group() if known == UNKNOWN and found.group(4) else known

        return _EMBEDDED.sub(one, text)

    def items(self, end: str) -> list[Value]:
        """Comma-separated expressions up to a bracket."""
        made: list[Value] = []
        depth_limit = self.at + 4000
        while self.at < len(self.tokens) and self.at < depth_limit:
            token = self.peek()
            if token.text == end and token.kind == "op":
                self.at += 1
                break
            before = self.at
            if token.text in (",", "=>", ";", ":"):
                self.at += 1
                continue
            if token.text == "{" and token.kind == "op":
                self.at += 1
                continue
            count = len(made)
            self.statement_within(made)
            if self.at == before:
                self.at += 1
            elif len(made) == count:
                made.append(UNKNOWN)
        return made

    def statement_within(self, made: list[Value]) -> None:
        while self.peek().kind == "name" and self.peek().text in _PREFIXES:
            self.at += 1
        if self.peek().kind == "name" and self.peek(1).text in ("=", "of", "in"):
            self.statement()
            return
        made.append(self.expression()[1])
        if self.peek().text == "as" and self.peek(1).kind == "name":
            self.bind(self.peek(1).text, made[-1])
            self.at += 2

    def named(self, name: str) -> tuple[str, Value]:
        value = self.values.get(name, self.values.get(name.lstrip("@%"), UNKNOWN))
        path = self.names.get(name, name)
        if value == UNKNOWN and _HOME.fullmatch(path):
            value = "~"
        follows = self.peek()
        # Perl and Ruby call without brackets: `unlink "x", "y"`.
        numbers = follows.kind == "number" and name in CALLS and self.language in ("perl", "ruby")
        bare = (
            numbers
            or follows.kind in ("double", "single", "tick", "quote")
            or (follows.kind == "name" and (follows.text[:1] in "$@" or follows.text in ("glob", "qw", "Dir", "File")))
        )
        if name in ("unlink", "rmdir") and self.language == "perl" and follows.text in (";", "}", "", ")"):
            return path, self.result(path, [self.values.get("$_", UNKNOWN)], UNKNOWN)
        if name == "eval" and self.language == "node" and follows.text in (")", ","):
            return path, self.result(path, [UNKNOWN], UNKNOWN)
        if bare and name[:1] not in "$@" and name not in ("if", "unless", "and", "or", "x", "eq", "ne", "in", "of"):
            return path, self.result(path, self.listed(), UNKNOWN)
        return self.members_of(path, value)

    def listed(self) -> list[Value]:
        """Arguments without brackets."""
        arguments: list[Value] = []
        while True:
            arguments.append(self.expression()[1])
            if self.peek().text not in (",", "=>"):
                return arguments
            self.at += 1

    def members_of(self, path: str, value: Value) -> tuple[str, Value]:
        """What follows a term: members, indices and calls."""
        own: Value = value
        while True:
            token = self.peek()
            if token.text in self.members and self.peek(1).kind == "name":
                own, path = value, f"{path}.{self.peek(1).text}"
                self.at += 2
                value = UNKNOWN
                if self.peek().text in ("{", "do") and path.rpartition(".")[2] in _EACH:
                    self.each(own)
                elif self.language == "ruby" and (
                    self.peek().kind in ("single", "double", "quote") or self.peek().text in self.values
                ):
                    value = self.result(path, self.listed(), own)
                elif self.peek().text != "(" and own != UNKNOWN:
                    value = self.result(path, [], own)
            elif token.text == "(" and (path or value == UNKNOWN):
                self.at += 1
                begin, each = self.at, path.rpartition(".")[2] in _EACH
                if each:
                    self.each(own)
                arguments = self.items(")")
                if each and own == UNKNOWN and arguments and arguments[-1] != UNKNOWN:
                    # The list comes last: what each item is given to is read again, with the item.
                    self.at = begin
                    self.each(arguments[-1])
                    arguments = self.items(")")
                if path in ("for", "foreach") and arguments and self.language == "perl":
                    self.values["$_"] = arguments[0]
                value, own = self.result(path, arguments, own), UNKNOWN
                path = self.module(path, arguments)
            elif token.text == "[" and path:
                self.at += 1
                key = self.items("]")
                if path == "Dir" and key:
                    value = self.result("Dir.glob", key, UNKNOWN)
                elif key and isinstance(key[0], str) and key[0] != UNKNOWN and not key[0].isdigit():
                    own, path = value, f"{path}.{key[0]}"
                value = value if not key or not isinstance(value, list) else _picked(value, key[0])
            else:
                return path, value

    def each(self, own: Value) -> None:
        """The parameter of a function that is given each item: `f => …`, `(f) => …`, `{ |f| …`, `fn($f) => …`."""
        for ahead in range(5):
            token = self.peek(ahead)
            if token.kind == "name" and token.text not in ("function", "fn", "do", "async"):
                self.bind(token.text, own)
                return

    def module(self, path: str, arguments: list[Value]) -> str:
        """`require("fs")` is the module by its name."""
        if path.rpartition(".")[2] in ("require", "import", "createRequire", "_load") and arguments:
            return str(arguments[0]).removeprefix("node:")
        return f"{path}()" if path else ""

    def result(self, path: str, arguments: list[Value], own: Value) -> Value:
        name = path.rpartition(".")[2].rpartition("::")[2]
        fold = FOLDS.get(name)
        if fold is not None:
            try:
                made = fold(own, arguments)
            except (TypeError, ValueError, IndexError, binascii.Error, OverflowError):
                made = None
            if made is not None:
                return made
        return self.called(path, arguments, own) or UNKNOWN


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code, wide, octal, letter = found.groups()
        if code or wide:
            return chr(min(int(code or wide, 16), 0x10FFFF))
        return chr(int(octal, 8) & 0xFF) if octal else _LETTERS.get(letter, letter)

    return _ESCAPE.sub(one, text) if "\\" in text else text


def _strings(items: list[Value]) -> list[str]:
    return [item if isinstance(item, str) else " ".join(item) for item in items]


def _picked(value: list[str], key: Value) -> Value:
    return value[int(key)] if isinstance(key, str) and key.isdigit() and int(key) < len(value) else UNKNOWN
