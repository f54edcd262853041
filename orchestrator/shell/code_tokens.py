"""The tokens that JavaScript, Perl, PHP, Ruby, Lua and their like share.

Rule: comments and spaces are left out; a line's end is a `;`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_TOKENS = 20_000
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|/\*.*?\*/|(?<![:"'\w])//[^\n]*|(?:(?<=\s)|^)\#(?!\{)[^\n]*)
    | (?P<double>"(?:\\.|\#\{[^{}]*\}|[^"\\])*")
    | (?P<single>'(?:\\.|[^'\\])*')
    | (?P<tick>`(?:\\.|[^`\\])*`)
    | (?P<quote><[$~/.\w]?[^<>\s]*\*[^<>\s]*>
        |(?:\bq[qxw]?|%[qQxwi]?)(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]|/[^/]*/|\|[^|]*\||![^!]*!))
    | (?P<regex>(?<=[(,])/(?![/*\s])(?:\\.|[^/\\\n])+/[gimsuy]*(?=\s*[,)]))
    | (?P<number>0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?)
    | (?P<name>[$@%&]?(?:::)?[A-Za-z_]\w*(?:::\w+)*[?!]?|\$[_&0-9])
    | (?P<op>=>|->|\?\.|\.\.\.?|[-+*/%.=!<>&|^?:]=?=?|[(){}\[\],;\#@\\$~])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


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
        inner = text[1 : text.rindex("/")] if kind == "regex" else inner
        made.append(Token(kind, inner, text))
        if len(made) >= MAX_TOKENS:
            break
    return made
