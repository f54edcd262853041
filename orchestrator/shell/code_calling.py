"""Calls of functions that the code itself defines, and of those that it hands on to others.

Rule: a function is read where it is called, with what it is given; what nobody calls is read once, with nothing known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.shell.code_acts import CALLS
from orchestrator.shell.code_folds import FOLDS, UNKNOWN, Value, any_of, flat
from orchestrator.shell.code_functions import Defined, defined_in

if TYPE_CHECKING:
    from orchestrator.shell.code_text import Expressions

_MAX_DEPTH = 3
# Texts by their keys, in JSON.
_PAIRS = re.compile(r'"(\w+)"\s*:\s*"([^"\\]*)"')


class Functions:
    """The functions that the code defines, and those that it hands on to others."""

    def __init__(self, reader: Expressions) -> None:
        self.reader = reader
        found = defined_in(reader.tokens, reader.language)
        self.named = {one.name: one for one in found if one.name}
        self.at_token = {one.start: one for one in found}
        self.inside: list[Defined] = []
        self.entered: set[Defined] = set()
        self.returned: Value = UNKNOWN

    def passed_over(self) -> bool:
        """Whether a definition stood here: it is read where it is called."""
        found = self.at_token.get(self.reader.at) if self.reader.functions.reader is self.reader else None
        if found is None or not found.name or found in self.inside:
            return False
        self.reader.at = max(found.end + (not found.single), self.reader.at + 1)
        return True

    def called_on_the_spot(self) -> Value | None:
        """What a function gives that is called where it stands: `(p => p + 1)(2)`."""
        reader = self.reader
        found = self.at_token.get(reader.at)
        if found is None or found.name:
            return None
        reader.at = found.end + (not found.single) + 2
        return self.apply(found, reader.items(")"))

    def apply(self, function: Defined, arguments: list[Value], given: Sequence[str] = ()) -> Value:
        """Go through a function with what it is given, and tell what it gives back."""
        if function in self.inside or len(self.inside) >= _MAX_DEPTH:
            return UNKNOWN
        reader, at, returned = self.reader, self.reader.at, self.returned
        before = dict(reader.values)
        self.inside.append(function)
        self.entered.add(function)
        self.returned = UNKNOWN
        reader.values.update({"@_": [*map(any_of, arguments)], "$_[0]": arguments[0]} if arguments else {})
        for name, value in zip(function.parameters, [*arguments, *[UNKNOWN] * len(function.parameters)], strict=False):
            reader.values[name.lstrip("@%&*")] = value
        for name, path in zip(function.parameters, given, strict=False):
            if path.rpartition(".")[2] in CALLS:
                reader.names[name] = path
        reader.at = function.begin
        last: Value = reader.expression()[1] if function.single else reader.run_to(function.end)
        back: Value = self.returned
        if back == UNKNOWN and (function.single or reader.language in ("ruby", "perl")):
            back = last
        self.inside.pop()
        reader.at, reader.values, self.returned = at, before, returned
        return back

    def enter_others(self) -> None:
        """What nobody has called is read with nothing known of what it gets."""
        for function in list(self.named.values()):
            if function not in self.entered:
                self.apply(function, [])

    def handled(self, path: str, name: str, arguments: list[Value], own: Value) -> Value | None:
        """The value of a call of one of these, or of a call that calls what it is handed; None of any other."""
        reader, given = self.reader, self.reader.given
        if name in self.named:
            return self.apply(self.named[name], arguments, given)
        if name == "putenv" and arguments and isinstance(arguments[0], str):
            key, _, reader.fields[f"env {key}"] = arguments[0].partition("=")
        if name == "getenv" and arguments and f"env {arguments[0]}" in reader.fields:
            return reader.fields[f"env {arguments[0]}"]
        if name in ("parse", "json_decode", "decode") and arguments and isinstance(arguments[0], str):
            reader.fields.update(_PAIRS.findall(arguments[0]))
        if name[:1].isupper():
            for maker in ("constructor", "__construct", "initialize"):
                if maker in self.named:
                    self.apply(self.named[maker], arguments)
        base = path.removesuffix(f".{name}")
        known = reader.values.get(name, UNKNOWN)
        if reader.language == "php" and name[:1] == "$" and isinstance(known, str) and known in CALLS:
            return reader.result(known, arguments, UNKNOWN)
        if name in ("send", "public_send", "__send__") and arguments and isinstance(arguments[0], str):
            return reader.result(f"{base}.{arguments[0]}", arguments[1:], UNKNOWN)
        if name == "map" and given[-1:] and given[-1] in FOLDS and own != UNKNOWN:
            return reader.result(given[-1], [own], UNKNOWN)
        if name in ("call", "apply", "bind") and base in self.named:
            return self.apply(self.named[base], arguments[reader.language == "node" :])
        if name in ("call", "apply") and base.rpartition(".")[2] in FOLDS:
            return reader.result(base, [*flat(arguments[1:])], UNKNOWN)
        if name in ("call", "apply", "bind") and base.rpartition(".")[2] in CALLS and arguments:
            return reader.called(base, [*flat(arguments[reader.language == "node" :])], UNKNOWN) or UNKNOWN
        if name not in CALLS and name not in self.named:
            self._hand_on(given, arguments, own)
        return None

    def _hand_on(self, given: list[str], arguments: list[Value], own: Value) -> None:
        """`setTimeout(fs.rmSync, 10, x)`, `[x].forEach(fs.unlinkSync)`, `call_user_func("unlink", $x)`."""
        for at, (path, value) in enumerate(zip(given, arguments, strict=False)):
            if self.reader.language == "php" and isinstance(value, str) and value in CALLS:
                path = f"{value}"
            beside = arguments[at + 1 :] or arguments[:at]
            rest = [part for part in flat(beside) if part != UNKNOWN and not part.isdigit()]
            known: list[Value] = [*rest] or ([own] if own != UNKNOWN else [])
            if path in self.named and self.named[path] not in self.entered:
                self.apply(self.named[path], known)
            elif path.rpartition(".")[2] in CALLS and known and ("." in path or path == value or value == UNKNOWN):
                self.reader.called(path, known, UNKNOWN)
