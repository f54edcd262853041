"""What can be known of JavaScript and TypeScript without parsing them: which characters are code, and brackets.

Comments, strings, regular expressions and the text of templates are blanked out, so that whoever looks for a word finds
it only where it is code; places stay as they are. Where a slash begins a regular expression is decided by what stands
before it, and an apostrophe in a JSX text by its being in a word: both are good guesses, and no grammar.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z))
    |(?P<string>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')
    |(?P<template>`)
    |(?P<regex>/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.){0,150}\]){1,500}/[a-z]*)
    |(?P<word>[\w$]+)
    |(?P<other>[^\w$`"'/{}]+|[\s\S])""",
    re.VERBOSE,
)
_TEMPLATE_TEXT = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*")
_NOT_BEFORE_REGEX = frozenset(")]}'\"`<")  # where a value ends; and `</` ends an element
_BEFORE_REGEX = frozenset(
    ("return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "await", "yield")
)
_NO_NEWLINE = re.compile(r"[^\n]")
_PAIRS = {")": "(", "]": "[", "}": "{"}


class Span(NamedTuple):
    """A stretch of a text that is not code: a `comment`, a `string`, a `regex`, or a `template`, which ends where
    code in it begins, and goes on behind."""

    kind: str
    start: int
    end: int


class Script(NamedTuple):
    """Where a text is not code, in the text's order, and whether the last comment and each template of it end."""

    spans: tuple[Span, ...]
    whole: bool


def code_of(text: str, *, markup: bool = False) -> str:
    """The text with all that is not code blanked out; line ends and quotation marks stay. `markup` says that
    it may hold JSX."""
    found: list[str] = []
    at = 0
    for kind, start, end in read(text, markup=markup).spans:
        inner = _NO_NEWLINE.sub(" ", text[start:end])
        found += (text[at:start], f"{text[start]}{inner[1:-1]}{text[start]}" if kind == "string" else inner)
        at = end
    return "".join([*found, text[at:]])


def comments_of(text: str, *, markup: bool = False) -> tuple[int, ...]:
    """Where each comment begins."""
    return tuple(span.start for span in read(text, markup=markup).spans if span.kind == "comment")


def unbalanced(text: str, *, markup: bool = False) -> str:
    """Which bracket has no partner, in a sentence; empty where all have one. In the text of markup only braces are
    brackets."""
    brackets = "{}" if markup else "()[]{}"
    open_: list[tuple[str, int]] = []
    line = 1
    for char in code_of(text, markup=markup):
        if char == "\n":
            line += 1
        elif char not in brackets:
            continue
        elif char not in _PAIRS:
            open_.append((char, line))
        else:
            if not open_:
                return f"line {line}: `{char}` closes nothing"
            opener, where = open_.pop()
            if opener != _PAIRS[char]:
                return f"line {line}: `{char}` does not close the `{opener}` of line {where}"
    return f"line {open_[-1][1]}: `{open_[-1][0]}` is never closed" if open_ else ""


@lru_cache(maxsize=8)
def read(text: str, *, markup: bool = False) -> Script:
    """Tell code from what is none. A quotation mark or a slash whose partner is missing is code."""
    spans: list[Span] = []
    position, before = 0, ""
    braces: list[int] = []  # how many braces were open when the code in a template began
    depth = 0
    endless: dict[str, int] = {}
    whole = True
    while position < len(text):
        start, first = position, text[position]
        piece = _PIECE.match(text, start) if start >= endless.get(first, 0) else None
        kind, said = (piece.lastgroup or "other", piece[0]) if piece else ("other", first)
        if piece and kind == "other" and first in "\"'":
            # It begins no string, so none of its kind in this line does: hundreds would each look to the line's end.
            endless[first] = text.find("\n", start) % (len(text) + 1)
        if (kind == "regex" and not _may_be_regex(before)) or (kind == "string" and markup and _in_word(text, start)):
            kind, said = "other", said[0]
        position += len(said)
        if kind == "template" or (said == "}" and braces and braces[-1] == depth):
            if kind != "template":
                braces.pop()
            position, opened = _template_end(text, position)
            spans.append(Span("template", start, position))
            if opened:
                braces.append(depth)
            whole = opened or text[position - 1] == "`"
            before = "" if opened else "`"
            continue
        depth += {"{": 1, "}": -1}.get(said, 0)
        if kind == "comment":
            spans.append(Span("comment", start, position))
            whole = said.startswith("//") or (len(said) > 3 and said.endswith("*/"))
        elif kind in ("string", "regex"):
            spans.append(Span(kind, start, position))
            before = '"'
        else:
            before = said.rstrip() or before
    return Script(tuple(spans), whole and not braces)


def _template_end(text: str, start: int) -> tuple[int, bool]:
    """Behind the sign that ends a template's text, and whether that begins code in it."""
    match = _TEMPLATE_TEXT.match(text, start)
    end = match.end() if match else start
    opened = text.startswith("${", end)
    return min(end + (2 if opened else 1), len(text)), opened


def _may_be_regex(before: str) -> bool:
    if not before or before in _BEFORE_REGEX:
        return True
    return before[-1] not in _NOT_BEFORE_REGEX and not (before[-1].isalnum() or before[-1] in "_$")


def _in_word(text: str, position: int) -> bool:
    return position > 0 and text[position - 1].isalnum()
