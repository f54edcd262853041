"""Expressions of JavaScript, Perl, PHP, Ruby, Lua and their like, as far as their text settles them.

Rule: one small reader for what these languages share: strings, concatenation, names, calls. It follows what the code
gives to a name, and hands every call to `called`, its arguments worked out. What only a run would tell is `$unknown`
within the text, so that a shell script made of known and unknown parts is still read as one.
"""

from __future__ import annotations

import binascii
from abc import ABC, abstractmethod
from collections.abc import Callable

from orchestrator.shell.code_acts import CALLS
from orchestrator.shell.code_calling import Functions
from orchestrator.shell.code_folds import FOLDS, UNKNOWN, Value, any_of, calculated, dearer, flat
from orchestrator.shell.code_functions import closing
from orchestrator.shell.code_literals import literal, place, plain_code
from orchestrator.shell.code_tokens import Token, tokens_of

MAX_STEPS = 60_000
_OPERANDS = frozenset(("double", "single", "name"))
# Words that stand before an expression and say nothing about its value.
_PREFIX_WORDS = "const let var my our local return await new typeof void yield not print puts echo say do scalar"
PREFIXES = frozenset(_PREFIX_WORDS.split())
_EACH_WORDS = """
    forEach map each each_with_index filter some every array_map flatMap foreach for_each find then each_child
    each_entry
"""
_EACH = frozenset(_EACH_WORDS.split())
# What these list, they hand to a block one by one.
_LISTINGS = frozenset(("each_child", "each_entry", "foreach", "find", "glob"))
# Behind these Perl takes what it has at hand: `unlink for <*>`.
_ENDS = frozenset((";", "}", "", ")", "for", "foreach", "if", "unless"))


class Expressions(ABC):
    """Works out expressions, token after token; raises RecursionError where they are nested too deep.

    `concatenates` is the operator that joins strings, `members` those that lead to a member; `called` is told of each
    call: the full name, the arguments, and what it is called on.
    """

    def __init__(
        self, code: str, language: str, called: Callable[[str, list[Value], Value], Value | None], item: Value = UNKNOWN
    ) -> None:
        dots = language in ("perl", "php")
        self.concatenates = frozenset(("+", "..", "<<") if not dots else (".", "+"))
        # awk joins what stands beside each other.
        self.juxtaposes = language == "awk"
        self.members = frozenset(("->", "::") if dots else (".", "?.", "->", "&.") + (":",) * (language == "lua"))
        self.language, self.called = language, called
        self.tokens = tokens_of(plain_code(code, language))
        self.values: dict[str, Value] = dict.fromkeys(("$_", "$0", "$1"), item) if item != UNKNOWN else {}
        self.names: dict[str, str] = {}
        # What attributes and keys hold, of whatever object.
        self.fields: dict[str, Value] = {}
        # The full names of the arguments of the call that was read last, and what it is about.
        self.given: list[str] = []
        self.said: dict[str, None] = {}
        self.at = self.steps = 0
        self.functions = Functions(self)

    @abstractmethod
    def run_to(self, end: int) -> Value:
        """Go through the statements up to a token; the value of the last."""

    @abstractmethod
    def statement(self) -> Value:
        """Go through one statement."""

    @abstractmethod
    def is_key(self) -> bool:
        """Whether a key stands here, with its value behind it."""

    @abstractmethod
    def keyed(self) -> Value:
        """Take a key and its value."""

    @abstractmethod
    def bind(self, name: str, value: Value) -> None:
        """Give a value to a name."""

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", "", "")

    def expression(self) -> tuple[str, Value]:
        """The name and the value of what begins here."""
        path, value = self.term()
        while True:
            text, after = self.peek().text, self.peek(1).text
            if self.peek().kind != "op" and not (self.juxtaposes and self.peek().kind in _OPERANDS):
                break
            if text in self.concatenates or (self.juxtaposes and self.peek().kind in _OPERANDS):
                self.at += text in self.concatenates
                _, more = self.term()
                value, path = any_of(value) + any_of(more), ""
            elif text in ("|", "?", "&") and after == text:
                self.at += 2
                other, more = self.term()
                value, path = more if text == "&" else dearer(value, more), path if text != "&" and path else other
            elif text == "?":
                self.at += 1
                path, value = self.expression()
                self.at += self.peek().text == ":"
                other, more = self.expression()
                value, path = dearer(value, more), path or other
            elif text == "%" and self.language == "ruby" and isinstance(value, str) and "%s" in value:
                self.at += 1
                value = value.replace("%s", any_of(self.term()[1]), 1)
            elif text in ("^", "-", "*") and self.language != "awk" and value != UNKNOWN:
                self.at += 1
                value, path = calculated(value, text, self.term()[1]), ""
            else:
                break
        if isinstance(value, str) and value != UNKNOWN:
            self.said[value] = None
        return path, value

    def term(self) -> tuple[str, Value]:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise RecursionError("too much to follow")
        while self.peek().kind == "name" and self.peek().text in PREFIXES:
            self.at += 1
        token = self.peek()
        self.at += 1
        if token.text == ":" and self.language == "ruby" and self.peek().kind == "name":
            self.at += 1
            return self.members_of(self.peek(-1).text, self.peek(-1).text)
        if token.text == "{" and self.language == "lua":
            return self.members_of("", flat(self.items("}")))
        if token.text in ("-", "~") and self.peek().kind == "number":
            number = str(literal(self, self.peek()))
            self.at += 1
            return "", f"-{number}" if token.text == "-" or not number.isdigit() else str(~int(number))
        if token.kind in ("double", "single", "tick", "quote", "number", "regex"):
            return self.members_of("", literal(self, token))
        if token.text == "..." and self.peek().kind in ("single", "double", "op"):
            path, value = self.term()
            return path, list(value) if isinstance(value, str) and value != UNKNOWN else value
        if token.text == "$" and self.peek().kind == "tick":
            self.at += 1
            return "", self.called("exec", [literal(self, self.tokens[self.at - 1])], UNKNOWN) or UNKNOWN
        if token.text in ("\\", "!", "-", "&", "@", "#", "$", "...", "*", "..") and self.peek().kind in (
            "name",
            "quote",
        ):
            return self.term()
        if token.text == "(":
            if (called := self.functions.called_on_the_spot()) is not None:
                return self.members_of("", called)
            items = self.items(")")
            return self.members_of("", items[0] if len(items) == 1 else flat(items) or UNKNOWN)
        if token.text == "[":
            return self.members_of("", flat(self.items("]")))
        if token.kind == "name":
            return self.named(token.text)
        self.at -= token.text in (")", "]", "}", ";", ",", "") or token.kind == "end"
        return "", UNKNOWN

    def within(self, code: str) -> Value:
        """The value of code within a string."""
        inner = type(self)(code, self.language, self.called)
        inner.values, inner.names, inner.fields, inner.said = self.values, self.names, self.fields, self.said
        inner.functions = self.functions
        return inner.expression()[1]

    def items(self, end: str) -> list[Value]:
        """Comma-separated expressions up to a bracket."""
        made: list[Value] = []
        paths: list[str] = []
        depth_limit = self.at + 4000
        while self.at < len(self.tokens) and self.at < depth_limit:
            token = self.peek()
            if token.text == end and token.kind == "op":
                self.at += 1
                break
            before = self.at
            symbol = token.text == ":" and self.language == "ruby" and self.peek(1).kind == "name"
            if token.kind == "op" and token.text in (",", "=>", ";", ":") and not symbol:
                self.at += 1
                continue
            if token.text == "{" and token.kind == "op" and self.language != "lua":
                self.at += 1
                continue
            count = len(made)
            self.statement_within(made, paths)
            if self.at == before:
                self.at += 1
            elif len(made) == count:
                made.append(UNKNOWN)
                paths.append("")
        self.given = paths
        return made

    def statement_within(self, made: list[Value], paths: list[str]) -> None:
        while self.peek().kind == "name" and self.peek().text in PREFIXES:
            self.at += 1
        if self.functions.passed_over():
            return
        if self.peek().kind == "name" and self.peek(1).text in ("=", "of", "in"):
            name = self.peek().text
            self.statement()
            self.fields[name] = self.values.get(name, UNKNOWN)
            return
        if self.is_key():
            made += [UNKNOWN, self.keyed()]
            paths += ["", ""]
            return
        path, value = self.expression()
        made.append(value)
        paths.append(path)
        if self.peek().text == "as" and self.peek(1).kind == "name":
            self.bind(self.peek(1).text, one_of(made[-1]))
            self.at += 2

    def named(self, name: str) -> tuple[str, Value]:
        value = self.values.get(name, self.values.get(name.lstrip("@%"), UNKNOWN))
        if value == UNKNOWN and self.peek().text in ("[", "{") and self.language == "perl":
            value = self.values.get(name.lstrip("$@%"), UNKNOWN)
        path = self.names.get(name, name)
        if value == UNKNOWN and "." in path:
            value = self.fields.get(path.rpartition(".")[2], UNKNOWN)
        if value == UNKNOWN:
            value = place(path)
        follows = self.peek()
        # Perl and Ruby call without brackets: `unlink "x", "y"`.
        numbers = follows.kind == "number" and name in CALLS and self.language in ("perl", "ruby")
        bare = (
            numbers
            or follows.kind in ("double", "single", "tick", "quote")
            or (follows.kind == "name" and (follows.text[:1] in "$@" or follows.text in ("glob", "qw", "Dir", "File")))
        )
        if name in ("unlink", "rmdir") and self.language == "perl" and follows.text in _ENDS:
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
                own, name = value, self.peek(1).text
                path = self.names.get(f".{name}", f"{path}.{name}")
                self.at += 2
                value = self.fields.get(name, place(path)) if self.peek().text != "(" else UNKNOWN
                if value == UNKNOWN and name in ("name", "path") and "*" in own:
                    value = own
                if value != UNKNOWN:
                    continue
                if self.peek().text in ("{", "do") and path.rpartition(".")[2] in _EACH:
                    self.each(own)
                    value = self.block() if self.peek().text == "{" and name == "map" else UNKNOWN
                elif self.language == "ruby" and (
                    self.peek().kind in ("single", "double", "quote")
                    or self.peek().text in self.values
                    or (name in CALLS and (self.peek().kind == "name" or self.peek().text == "["))
                ):
                    value = self.result(path, self.listed(), own)
                elif self.peek().text != "(" and own != UNKNOWN:
                    value = self.result(path, [], own)
            elif token.text in ("->", ".") and self.peek(1).text in ("(", "[", "{") and path:
                self.at += 1
            elif (
                token.text == "{"
                and self.language == "perl"
                and path[:1] in ("$", "@", "%")
                and self.peek(2).text == "}"
            ):
                name, path = self.peek(1).text, f"{path}.{self.peek(1).text}"
                self.at += 3
                value = self.fields.get(name, UNKNOWN)
            elif token.text == "(" and (path or value == UNKNOWN):
                self.at += 1
                begin, each = self.at, path.rpartition(".")[2] in _EACH
                if each:
                    self.each(own)
                elif path.endswith("readdir"):
                    self.each("*", 1)
                arguments = self.items(")")
                if each and own == UNKNOWN and arguments and arguments[-1] != UNKNOWN:
                    # The list comes last: what each item is given to is read again, with the item.
                    self.at = begin
                    self.each(arguments[-1])
                    arguments = self.items(")")
                if path in ("for", "foreach") and arguments and self.language == "perl":
                    self.values["$_"] = arguments[0]
                value, own = self.result(path, arguments, own), UNKNOWN
                if self.language == "ruby" and arguments and path.rpartition(".")[2] in _LISTINGS:
                    self.each(value if value != UNKNOWN else f"{any_of(arguments[0])}/*")
                path = self.module(path, arguments)
            elif token.text == "[" and token.kind == "op" and (path or value != UNKNOWN):
                self.at += 1
                key = self.items("]")
                if path == "Dir" and key:
                    value = self.result("Dir.glob", key, UNKNOWN)
                elif key and isinstance(key[0], str) and key[0] != UNKNOWN and not key[0].lstrip("-").isdigit():
                    own, path = value, f"{path}.{key[0]}"
                    value = self.fields.get(key[0], place(path))
                value = value if not key or not isinstance(value, list) else _picked(value, key[0])
            else:
                return path, value

    def each(self, own: Value, which: int = 0) -> None:
        """The parameter of a function that is given each item: `f => …`, `(f) => …`, `{ |f| …`, `fn($f) => …`."""
        for ahead in range(5 + 6 * which):
            token = self.peek(ahead)
            if which and token.text == "," and self.peek(ahead - 2).text == "(":
                which = 0
            elif not which and token.kind == "name" and token.text not in ("function", "fn", "do", "async"):
                self.bind(token.text, one_of(own))
                return

    def block(self) -> Value:
        """What a block comes to: `{ |c| c.chr }`."""
        end = closing(self.tokens, self.at)
        self.at += 1
        while self.at < end and self.peek().text == "|" and self.peek(2).text == "|":
            self.at += 3
        value = self.run_to(end)
        self.at = end + 1
        return value

    def module(self, path: str, arguments: list[Value]) -> str:
        """`require("fs")` is the module by its name; `promisify(fs.rm)` is what it was given."""
        name = path.rpartition(".")[2]
        if name in ("promisify", "bind", "method", "callable", "partial") and self.given[:1] and self.given[0]:
            return self.given[0]
        if path == "Reflect.get" and len(arguments) > 1:
            return f"{self.given[0]}.{arguments[1]}"
        if path.rpartition(".")[2] in ("require", "import", "createRequire", "_load") and arguments:
            return str(arguments[0]).removeprefix("node:")
        return f"{path}()" if path else ""

    def result(self, path: str, arguments: list[Value], own: Value) -> Value:
        name = path.rpartition(".")[2].rpartition("::")[2]
        if (done := self.functions.handled(path, name, arguments, own)) is not None:
            return done
        fold = FOLDS.get(name)
        if fold is not None:
            try:
                made = fold(own, arguments)
            except (TypeError, ValueError, IndexError, binascii.Error, OverflowError):
                made = None
            if made is not None:
                if isinstance(made, str):
                    self.said[made] = None
                return made
        return self.called(path, arguments, own) or UNKNOWN


def one_of(value: Value) -> Value:
    """What a loop takes from a list: the only item, or any of them."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _picked(value: list[str], key: Value) -> Value:
    at = int(key) if isinstance(key, str) and key.lstrip("-").isdigit() else len(value)
    return value[at] if -len(value) <= at < len(value) else UNKNOWN
