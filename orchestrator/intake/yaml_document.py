"""YAML, the small safe part of it, built from the parser's events and never by its loader.

YAML 1.2's core schema: `no` is a string, `017` is seventeen. What lets a file grow when it is read, or become
something else than text, numbers, lists and mappings, is refused as it comes along, before anything is built
from it: aliases, anchors, tags, merge keys, more documents than one, deep nesting. (The C loader of PyYAML
crashes on deep nesting; its parser, which this uses, does not.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from orchestrator.intake.document import Document
from orchestrator.intake.limits import MAX_DEPTH, MAX_INT, MIN_INT
from orchestrator.intake.problem import Finding, Path, printable, quote

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_ODD_BREAKS = re.compile("[\x85\u2028\u2029]")


class _StopError(Exception):
    """Nothing more can be built from this file."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.finding = Finding((), message, offset=offset)


class _NumberError(ValueError):
    """A number that is none for us; says why."""


def read_yaml(text: str) -> Document:
    """The document with the positions of all that it holds. Never raises."""
    document = Document(text)
    if odd := _ODD_BREAKS.search(text):
        message = 'holds an unusual line break, which YAML 1.1 and 1.2 read differently: write it as "\\u%04x"'
        return _broken(document, Finding((), message % ord(odd.group()), offset=odd.start()))
    try:
        _Composer(document).run()
    except _StopError as stop:
        return _broken(document, stop.finding)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = mark.index if mark else 0
        message = f"not valid YAML: {_explain(error, text[offset : offset + 1])}"
        return _broken(document, Finding((), message, offset=offset))
    except yaml.reader.ReaderError as error:
        message = "not valid YAML: a control character, or one that YAML does not know, stands here"
        return _broken(document, Finding((), message, offset=min(error.position, len(text))))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The pure Python parser lets these through from escapes and version numbers out of all range.
        return _broken(document, Finding((), f"not valid YAML: {printable(str(error))[:200]}"))
    return document


def _broken(document: Document, finding: Finding) -> Document:
    document.broken = True
    document.findings.append(finding)
    return document


def _explain(error: yaml.MarkedYAMLError, char: str) -> str:
    problem, context = error.problem or "", error.context or ""
    if "cannot start any token" in problem and char == "\t":
        return "a tab stands in the indentation: use spaces"
    if problem == "mapping values are not allowed in this context":
        return "`: ` begins a value, and none may stand here: put the text that it is part of in quotes"
    return printable(f"{problem} {context}".strip())[:200]


class _Open:
    """A list or mapping that has begun and not ended; `key` is the key whose value comes next."""

    __slots__ = ("key", "path", "value")

    def __init__(self, value: list[Any] | dict[str, Any], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None


def _at(event: yaml.Event) -> int:
    """Where an event begins, in characters."""
    return event.start_mark.index if event.start_mark else 0


class _Composer:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[_Open] = []

    def run(self) -> None:
        documents = 0
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _StopError("a second document begins here: one file is one task", _at(event))
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.open.pop()
        if self.document.value is None:
            raise _StopError("the file is empty", 0)

    def _events(self) -> Iterator[yaml.Event]:
        return yaml.parse(self.document.text, Loader=_PARSER)

    def _node(self, event: yaml.NodeEvent) -> None:
        container = self.open[-1] if self.open else None
        if container is not None and isinstance(container.value, dict) and container.key is None:
            self._key(container, container.value, event)
            return
        path = self._path(container)
        offset = _at(event)
        self.document.values[path] = offset
        self._refuse_extras(path, event)
        if isinstance(event, yaml.CollectionStartEvent):
            value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            self._place(container, value)
            self._begin(value, path, offset)
        else:
            self._place(container, self._scalar(path, event) if isinstance(event, yaml.ScalarEvent) else None)

    def _path(self, container: _Open | None) -> Path:
        if container is None:
            return ()
        if isinstance(container.value, list):
            return (*container.path, len(container.value))
        assert container.key is not None  # noqa: S101 - `_node` read the key first
        return (*container.path, container.key)

    def _place(self, container: _Open | None, value: Any) -> None:
        if container is None:
            self.document.value = value
        elif isinstance(container.value, list):
            container.value.append(value)
        else:
            container.value[str(container.key)] = value
            container.key = None

    def _begin(self, value: list[Any] | dict[str, Any], path: Path, offset: int) -> None:
        if len(self.open) == MAX_DEPTH:
            raise _StopError(f"lists and mappings nest more than {MAX_DEPTH} deep", offset)
        self.open.append(_Open(value, path))

    def _key(self, container: _Open, mapping: dict[str, Any], event: yaml.NodeEvent) -> None:
        offset = _at(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise _StopError("a key must be a string, not a list, a mapping or an alias", offset)
        key = event.value
        path = (*container.path, key)
        self._refuse_extras(path, event)
        if event.implicit[0] and key == "<<":
            raise _StopError("merge keys (`<<`) are not accepted: write the keys out", offset)
        if event.implicit[0] and not isinstance(self._resolved(key), str):
            self._add(path, f'a key must be a string: write "{quote(key)[1:-1]}"', offset)
        if key in mapping:
            self._add(path, f"the key {quote(key)} stands here a second time", offset)
        self._check_text(path, key, offset)
        self.document.keys[path] = offset
        container.key = key

    @staticmethod
    def _resolved(text: str) -> Any:
        try:
            return _resolve(text)
        except _NumberError:
            return None

    def _refuse_extras(self, path: Path, event: yaml.NodeEvent) -> None:
        offset, tag = _at(event), getattr(event, "tag", None)
        anchor = quote(event.anchor or "")[1:-1]
        if isinstance(event, yaml.AliasEvent):
            self._add(path, f"aliases (`*{anchor}`) are not accepted: write it out", offset)
        elif event.anchor is not None:
            self._add(path, f"anchors (`&{anchor}`) are not accepted: delete it", offset)
        if tag is not None:
            self._add(path, f"tags ({quote(tag)}) are not accepted: delete it", offset)

    def _scalar(self, path: Path, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if not event.implicit[0]:
            self._check_text(path, text, _at(event))
            return text
        try:
            return _resolve(text)
        except _NumberError as error:
            self._add(path, str(error), _at(event))
            return 0

    def _check_text(self, path: Path, text: str, offset: int) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._add(path, "holds half of a surrogate pair (`\\ud800` to `\\udfff`), which is no character", offset)

    def _add(self, path: Path, message: str, offset: int) -> None:
        # A finding with no path would have to stand for the whole file.
        self.document.findings.append(Finding(path, message, offset=offset))
        self.document.broken = self.document.broken or not path


def _resolve(text: str) -> Any:
    """A plain scalar as YAML 1.2's core schema reads it. Raises _NumberError for one that we refuse."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _DECIMAL.fullmatch(text):
        return _integer(text, 10)
    if _OCTAL.fullmatch(text):
        return _integer(text, 8)
    if _HEX.fullmatch(text):
        return _integer(text, 16)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _NOT_FINITE.fullmatch(text):
        raise _NumberError(f"{quote(text)} is not a number that a task can hold")
    return text


def _integer(text: str, base: int) -> int:
    digits = text.lstrip("+-0xo") or "0"
    sign = -1 if text.startswith("-") else 1
    if len(digits) > 22 or not MIN_INT <= (number := sign * int(digits, base)) <= MAX_INT:
        raise _NumberError(f"{quote(text)} has more than 64 bits")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NumberError(f"{quote(text)} is too large for a number")
    return number
