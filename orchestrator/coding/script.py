"""What can be known of JavaScript and TypeScript without parsing them: which characters are code, and brackets.

Comments, strings, regular expressions and the text of templates are blanked out, so that whoever looks for a word finds
it only where it is code; places stay as they are. Where a slash begins a regular expression is decided by what stands
before it, and an apostrophe in a JSX text by its being in a word: both are good guesses, and no grammar.
"""

from __future__ import annotations

import re
from functools import lru_cache

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
_PAIRS = {")": "(", "]": "[", "}": "{"}


def code_of(text: str, *, markup: bool = False) -> str:
    """The text with all that is not code blanked out; line ends and quotation marks stay. `markup` says that
    it may hold JSX."""
    return _read(text, markup)[0]


def comments_of(text: str, *, markup: bool = False) -> tuple[int, ...]:
    """Where each comment begins."""
    return _read(text, markup)[1]


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
def _read(text: str, markup: bool) -> tuple[str, tuple[int, ...]]:
    found: list[str] = []
    comments: list[int] = []
    position, before = 0, ""
    braces: list[int] = []  # how many braces were open when the code in a template began
    depth = 0
    endless: dict[str, int] = {}
    while position < len(text):
        first = text[position]
        piece = _PIECE.match(text, position) if position >= endless.get(first, 0) else None
        kind, said = (piece.lastgroup, piece[0]) if piece else ("other", first)
        if piece and kind == "other" and first in "\"'":
            # It begins no string, so none of its kind in this line does: hundreds would each look to the line's end.
            endless[first] = text.find("\n", position) % (len(text) + 1)
        if (kind == "regex" and not _may_be_regex(before)) or (
            kind == "string" and markup and _in_word(text, position)
        ):
            kind, said = "other", said[0]
        if kind == "comment":
            comments.append(position)
        position += len(said)
        if kind == "template" or (said == "}" and braces and braces[-1] == depth):
            if kind != "template":
                braces.pop()
            position, opened = _template_text(text, position, found)
            if opened:
                braces.append(depth)
            before = "" if opened else "`"
            continue
        depth += {"{": 1, "}": -1}.get(said, 0)
        found.append(said if kind in ("word", "other") else _blank(said, kind == "string"))
        if kind != "comment":
            before = said.rstrip() or before if kind in ("word", "other") else '"'
    return "".join(found)[: len(text)], tuple(comments)  # a template that is never closed ends one place too far


def _template_text(text: str, start: int, found: list[str]) -> tuple[int, bool]:
    """Blank out a template from here to its end, or to code in it: where that is, and whether code follows."""
    match = _TEMPLATE_TEXT.match(text, start)
    end = match.end() if match else start
    found.append(" " + _blank(text[start:end], False))
    opened = text.startswith("${", end)
    found.append("  " if opened else " ")
    return end + (2 if opened else 1), opened


def _may_be_regex(before: str) -> bool:
    if not before or before in _BEFORE_REGEX:
        return True
    return before[-1] not in _NOT_BEFORE_REGEX and not (before[-1].isalnum() or before[-1] in "_$")


def _in_word(text: str, position: int) -> bool:
    return position > 0 and text[position - 1].isalnum()


def _blank(said: str, quoted: bool) -> str:
    inner = re.sub(r"[^\n]", " ", said)
    return f"{said[0]}{inner[1:-1]}{said[-1]}" if quoted else inner
