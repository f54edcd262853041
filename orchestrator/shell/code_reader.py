"""Statements of JavaScript, Perl, PHP, Ruby, Lua and their like: what gives values to names, and what is run in turn.

Rule: gone through once, from the first token to the last. Functions that have names are passed over, and read where
they are called.
"""

from __future__ import annotations

from orchestrator.shell.code_folds import UNKNOWN, Value, dearer, flat
from orchestrator.shell.code_text import PREFIXES, Expressions, one_of


class Reader(Expressions):
    """Goes through all of a code."""

    def read(self) -> Value:
        """Go through all of it; the value of the last statement."""
        value = self.run_to(len(self.tokens))
        self.functions.enter_others()
        return value

    def run_to(self, end: int) -> Value:
        """Go through the statements up to a token; the value of the last."""
        value: Value = UNKNOWN
        while self.at < end:
            before = self.at
            value = self.statement()
            self.at = max(self.at, before + 1)
        return value

    def statement(self) -> Value:
        """One step: a destructuring, an assignment, or an expression."""
        returns = False
        while self.peek().kind == "name" and self.peek().text in PREFIXES:
            returns |= self.peek().text in ("return", "yield")
            self.at += 1
        if self.functions.passed_over():
            return UNKNOWN
        token = self.peek()
        if token.text in ("for", "foreach") and self.language == "perl" and self.loop():
            return UNKNOWN
        if token.text in ("{", "[") and token.kind == "op" and self.destructured():
            return UNKNOWN
        if token.text == "{" and token.kind == "op":
            self.at += 1
            return UNKNOWN
        if self.is_key():
            return self.keyed()
        if token.kind == "name" and self.peek(1).text == "," and self.several():
            return UNKNOWN
        if token.kind == "name" and self.peek(1).text in ("=", ".=", "+=", "of", "in"):
            name, operator = token.text, self.peek(1).text
            self.at += 2
            is_function = self.peek(1).text == "=>" or self.peek().text in ("function", "sub")
            path, value = self.expression()
            path = "" if is_function else path
            before = self.values.get(name, "")
            if operator in (".=", "+=") and isinstance(before, str) and isinstance(value, str):
                value = before + value
            value = one_of(value) if operator in ("of", "in") or self.language == "perl" else value
            self.assign(name, path, value)
            return value
        path, value = self.expression()
        if self.peek().text == "=" and "." in path:
            self.at += 1
            _, self.fields[path.rpartition(".")[2]] = self.expression()
        elif self.peek().text == "as" and self.peek(1).kind == "name":
            self.bind(self.peek(1).text, one_of(value))
        if returns:
            self.functions.returned = dearer(self.functions.returned, value)
        return value

    def loop(self) -> bool:
        """Perl's `for my $x (LIST)`; whether it was one."""
        at = 2 if self.peek(1).text in ("my", "our") else 1
        if self.peek(at).text[:1] != "$" or self.peek(at + 1).text != "(":
            return False
        name = self.peek(at).text
        self.at += at + 2
        self.bind(name, one_of(flat(self.items(")"))))
        return True

    def several(self) -> bool:
        """`a, b = "x", "y"`; whether it was one."""
        names = [token.text for token in self.tokens[self.at : self.at + 12 : 2]]
        count = next((at for at in range(1, 6) if self.peek(2 * at - 1).text != ","), 0)
        if not count or self.peek(2 * count - 1).text != "=" or self.language == "node":
            return False
        self.at += 2 * count
        for name, value in zip(names, [*self.listed(), *[UNKNOWN] * count], strict=False):
            self.bind(name, value)
        return True

    def is_key(self) -> bool:
        """Whether a key stands here, with its value behind it."""
        return self.peek().kind in ("name", "single", "double") and self.peek(1).text in (
            (":",) if self.language in ("node", "ruby") else ("=>",)
        )

    def keyed(self) -> Value:
        key = self.peek().text
        self.at += 2
        path, value = self.expression()
        if value != UNKNOWN:
            self.fields[key] = value
        elif path:
            self.names[f".{key}"] = path
        return value

    def assign(self, name: str, path: str, value: Value) -> None:
        name = name.lstrip("@%")
        if value != UNKNOWN:
            self.functions.named.pop(name, None)
            self.bind(name, value)
        elif path:
            self.names[name] = path

    def bind(self, name: str, value: Value) -> None:
        self.values[name] = value

    def destructured(self) -> bool:
        """`{rmSync: gone, spawn} = require("fs")`, `[a, b] = ["x", "y"]`; whether it was one."""
        closes = "}" if self.peek().text == "{" else "]"
        end = next((i for i in range(self.at, min(self.at + 60, len(self.tokens))) if self.tokens[i].text == closes), 0)
        follows = self.tokens[end + 1].text if 0 < end < len(self.tokens) - 1 else ""
        if follows not in ("=", "from"):
            return False
        inside = [token.text for token in self.tokens[self.at + 1 : end]]
        self.at = end + 2
        path, value = self.expression()
        for at, part in enumerate(" ".join(inside).split(",")):
            words = part.replace(" as ", " : ").split()
            if words and closes == "}":
                self.values.pop(words[-1], None)
                self.names[words[-1]] = f"{path}.{words[0]}"
            elif words and isinstance(value, list):
                self.values[words[-1]] = value[at:] if words[0] == "..." else [*value, *[UNKNOWN] * (at + 1)][at]
        return True
