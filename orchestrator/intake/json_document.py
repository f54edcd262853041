"""Where everything stands in a JSON file, and what is wrong with its form.

Runs only when something is wrong: the standard parser is faster, but tells no positions. One flat loop with a
stack of its own, so that no nesting can overflow it.
"""

from __future__ import annotations

import json
import math
import re

from orchestrator.intake.document import Document
from orchestrator.intake.limits import MAX_DEPTH, MAX_INT, MIN_INT
from orchestrator.intake.problem import Finding, Path, quote

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"-?[\w$.+-]+")
_STRINGS = json.JSONDecoder()
_OTHER_NAMES = {
    "none": "null",
    "nil": "null",
    "undefined": "null",
    "null": "null",
    "true": "true",
    "false": "false",
}
_NOT_FINITE = {"NaN", "Infinity", "-Infinity", "+Infinity", "nan", "inf", "-inf"}


class _SyntaxError(Exception):
    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.finding = Finding((), message, offset=offset)


class _Open:
    """A list or mapping that has begun and not ended; `index` counts the members so far."""

    __slots__ = ("index", "is_list", "keys", "offset", "path")

    def __init__(self, is_list: bool, path: Path, offset: int) -> None:
        self.is_list = is_list
        self.path = path
        self.offset = offset
        self.index = 0
        self.keys: set[str] = set()

    @property
    def name(self) -> str:
        return "list" if self.is_list else "mapping"

    @property
    def end(self) -> str:
        return "]" if self.is_list else "}"


def read_json(text: str) -> Document:
    """The document with the positions of all that it holds. Never raises."""
    document = Document(text)
    try:
        _Scanner(document).run()
    except _SyntaxError as error:
        document.broken = True
        document.findings.append(error.finding)
        return document
    document.value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=lambda _: None)
    return document


def _integer(digits: str) -> int:
    """Numbers that were refused already need no exact value, and Python will not read very long ones."""
    return int(digits[:20])


def _float(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else 0.0


class _Scanner:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self.at = 0
        self.open: list[_Open] = []

    def run(self) -> None:
        self._skip()
        self._value(())
        while self.open:
            self._member(self.open[-1])
        self._skip()
        if self.at < len(self.text):
            raise _SyntaxError("the file goes on after the end of its JSON document", self.at)

    def _skip(self) -> None:
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it also matches nothing

    def _next(self) -> str:
        """The character that comes next, after white space. Raises where the file ends."""
        self._skip()
        if self.at >= len(self.text):
            raise _SyntaxError(self._ends_early(), self.at)
        return self.text[self.at]

    def _ends_early(self) -> str:
        if not self.open:
            return "the file is empty"
        container = self.open[-1]
        line, _ = self.document.line_and_column(container.offset)
        return f"the file ends in the middle of a {container.name} that began on line {line}: it was cut short"

    def _member(self, container: _Open) -> None:
        """One member of a list or mapping, or its end."""
        first = container.index == 0
        char = self._next()
        if char == container.end:
            self.at += 1
            self.open.pop()
            return
        if not first:
            self._comma(container, char)
        path = (*container.path, container.index if container.is_list else self._key(container))
        container.index += 1
        self._next()
        self._value(path)

    def _comma(self, container: _Open, char: str) -> None:
        if char != ",":
            raise _SyntaxError(f"a comma or `{container.end}` must come here, not {quote(char)}", self.at)
        comma = self.at
        self.at += 1
        if self._next() == container.end:
            raise _SyntaxError(f"a comma must not stand before the end of a {container.name}: delete it", comma)

    def _key(self, container: _Open) -> str:
        offset = self.at
        if self.text[offset] != '"':
            raise _SyntaxError("a key must come here, in double quotes", offset)
        key = self._string()
        path = (*container.path, key)
        if key in container.keys:
            self._add(path, f"the key {quote(key)} stands here a second time", offset)
        self._check_text(path, key, offset)
        container.keys.add(key)
        self.document.keys[path] = offset
        if self._next() != ":":
            raise _SyntaxError(f"a colon must come after the key {quote(key)}", self.at)
        self.at += 1
        return key

    def _value(self, path: Path) -> None:
        offset = self.at
        char = self._next()
        self.document.values[path] = offset
        if char in "[{":
            self._begin(char == "[", path)
        elif char == '"':
            self._check_text(path, self._string(), offset)
        elif number := _NUMBER.match(self.text, offset):
            self._number(path, number)
        else:
            self._word(path)

    def _begin(self, is_list: bool, path: Path) -> None:
        if len(self.open) == MAX_DEPTH:
            raise _SyntaxError(f"lists and mappings nest more than {MAX_DEPTH} deep", self.at)
        self.open.append(_Open(is_list, path, self.at))
        self.at += 1

    def _string(self) -> str:
        begin = self.at
        try:
            value, self.at = _STRINGS.raw_decode(self.text, begin)
        except json.JSONDecodeError as error:
            raise self._bad_string(error, begin) from None
        return str(value)

    def _bad_string(self, error: json.JSONDecodeError, begin: int) -> _SyntaxError:
        cut = error.pos >= len(self.text) or '"' not in self.text[error.pos :]
        if error.msg.startswith("Invalid control"):
            char = self.text[error.pos]
            shown = {"\n": "a line break", "\t": "a tab"}.get(char, "a control character")
            escape = {"\n": "\\n", "\t": "\\t"}.get(char, f"\\u{ord(char):04x}")
            return _SyntaxError(f"a string holds {shown}: write `{escape}`, or close the string before", error.pos)
        if error.msg.startswith("Unterminated") or cut:
            line, _ = self.document.line_and_column(begin)
            message = f"the file ends in the middle of a string that began on line {line}: it was cut short"
            return _SyntaxError(message, len(self.text))
        return _SyntaxError("a string holds a backslash that begins no JSON escape: write `\\\\`", error.pos)

    def _check_text(self, path: Path, text: str, offset: int) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._add(path, "holds half of a surrogate pair (`\\ud800` to `\\udfff`), which is no character", offset)

    def _number(self, path: Path, match: re.Match[str]) -> None:
        digits, offset = match.group(), self.at
        word = _WORD.match(self.text, offset)
        if word is not None and word.end() > match.end():
            if word.end() == len(self.text):
                raise _SyntaxError(self._cut(word.group()), len(self.text))
            raise _SyntaxError(f"{quote(word.group())} is not a JSON number", offset)
        if match["fraction"] or match["exponent"]:
            if not math.isfinite(float(digits)):
                self._add(path, f"{quote(digits)} is too large for a number", offset)
        elif len(digits) > 20 or not MIN_INT <= int(digits) <= MAX_INT:
            self._add(path, f"{quote(digits)} has more than 64 bits", offset)
        self.at = match.end()

    def _word(self, path: Path) -> None:
        match = _WORD.match(self.text, self.at)
        word = match.group() if match else self.text[self.at]
        if word in ("true", "false", "null"):
            self.at += len(word)
        elif word in ("NaN", "Infinity", "-Infinity"):
            self._add(path, f"{quote(word)} is not a number that JSON knows", self.at)
            self.at += len(word)
        else:
            raise _SyntaxError(self._not_a_value(word), self.at)

    def _not_a_value(self, word: str) -> str:
        at_end = self.at + len(word) == len(self.text)
        if at_end and any(name.startswith(word) for name in ("true", "false", "null", "-")):
            return self._cut(word)
        if word.lower() in _OTHER_NAMES:
            return f"{quote(word)} is not JSON: write `{_OTHER_NAMES[word.lower()]}`"
        if word in _NOT_FINITE:
            return f"{quote(word)} is not a number that JSON knows"
        if word == "'":
            return "a string must stand in double quotes, not in single ones"
        if word in "/#":
            return "JSON knows no comments: delete this one, or write the task in YAML"
        if word in ",]}:":
            return f"a value must come here, not {quote(word)}"
        return f"a value must come here, not {quote(word)}: strings stand in double quotes"

    @staticmethod
    def _cut(word: str) -> str:
        return f"the file ends in the middle of {quote(word)}: it was cut short"

    def _add(self, path: Path, message: str, offset: int) -> None:
        self.document.findings.append(Finding(path, message, offset=offset))
