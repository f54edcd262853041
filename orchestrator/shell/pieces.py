"""Text in the middle of being expanded: pieces that remember their quoting, and the steps of bash that follow.

Rule: these are the steps that need no knowledge of variables or commands: quote removal, `$'…'`, braces, word
splitting, patterns. Each is bash's own, so that a trick that hides a word from a reader hides nothing here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from typing import Literal

MAX_FIELDS = 64
# Stands between the elements of an array, or of `"$@"`, within the text that they make together.
ARRAY = "\x1f"
_GLOB = re.compile(r"[*?\[\]]")
_BARE_ESCAPE = re.compile(r"\\\n|\\(.)", re.DOTALL)
_ANSI = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.-?\d+)?")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a word. `bare` was written without quotes, `split` came out of an unquoted expansion, `quoted`
    is inert; `unknown` text stands for what only a run would tell."""

    text: str
    kind: Literal["bare", "split", "quoted"] = "quoted"
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One finished word, as `Command.words` has it."""

    text: str
    expands: bool = False
    quoted: bool = False


def unescape_bare(text: str) -> list[Piece]:
    """Unquoted source text: what a backslash protects becomes quoted."""
    pieces, at = [], 0
    for found in _BARE_ESCAPE.finditer(text):
        pieces.append(Piece(text[at : found.start()], "bare"))
        if found.group(1):
            pieces.append(Piece(found.group(1)))
        at = found.end()
    pieces.append(Piece(text[at:], "bare"))
    return [piece for piece in pieces if piece.text]


def decode_ansi(text: str) -> str:
    """The contents of `$'…'`."""

    def one(found: re.Match[str]) -> str:
        x, u, big, octal, control, other = found.groups()
        if code := x or u or big:
            return chr(min(int(code, 16), 0x10FFFF))
        if octal:
            return chr(int(octal, 8) & 0xFF)
        if control:
            return chr(ord(control) & 0x1F)
        return _ANSI_LETTERS.get(other, other if other in "\\'\"?" else "\\" + other)

    return _ANSI.sub(one, text)


def expand_braces(pieces: list[Piece]) -> list[list[Piece]]:
    """`{a,b}` and `{1..3}` in unquoted text, as many words as they make (at most MAX_FIELDS)."""
    if not any(piece.kind == "bare" and "{" in piece.text for piece in pieces):
        return [pieces]
    units = [
        unit
        for piece in pieces
        for unit in ([Piece(char, "bare") for char in piece.text] if piece.kind == "bare" else [piece])
    ]
    return [_joined(units) for units in _braces(units)[:MAX_FIELDS]]


def _is(unit: Piece, char: str) -> bool:
    return unit.kind == "bare" and unit.text == char


def _braces(units: list[Piece]) -> list[list[Piece]]:
    for start, unit in enumerate(units):
        if not _is(unit, "{"):
            continue
        end, choices = _choices(units, start)
        if choices:
            rest = _braces(units[end + 1 :])
            inner = [made for choice in choices[:MAX_FIELDS] for made in _braces(choice)]
            return [units[:start] + made + tail for made in inner for tail in rest][:MAX_FIELDS]
    return [units]


def _choices(units: list[Piece], start: int) -> tuple[int, list[list[Piece]]]:
    """Where the brace at `start` closes and what stands between its commas; none if it is no expansion."""
    depth = 0
    choice: list[Piece] = []
    choices: list[list[Piece]] = []
    for at in range(start, len(units)):
        unit = units[at]
        depth += _is(unit, "{") - _is(unit, "}")
        if depth == 0:
            if choices:
                return at, [*choices, choice]
            return at, _range("".join(item.text for item in choice))
        if depth == 1 and _is(unit, ","):
            choices.append(choice)
            choice = []
        elif at > start:
            choice.append(unit)
    return start, []


def _range(text: str) -> list[list[Piece]]:
    found = _RANGE.fullmatch(text)
    if not found:
        return []
    first, last = found.groups()
    numeric = first.lstrip("-").isdigit() and last.lstrip("-").isdigit()
    a, b = (int(first), int(last)) if numeric else (ord(first[-1]), ord(last[-1]))
    step = 1 if a <= b else -1
    values = list(range(a, b + step, step))[: MAX_FIELDS + 1] if abs(a - b) <= MAX_FIELDS else [a, a + step, b]
    return [[Piece(str(value) if numeric else chr(value), "bare")] for value in values]


def _joined(units: list[Piece]) -> list[Piece]:
    """Neighbours of one kind put together again."""
    joined: list[Piece] = []
    for unit in units:
        if joined and unit.kind == "bare" == joined[-1].kind:
            joined[-1] = Piece(joined[-1].text + unit.text, "bare")
        else:
            joined.append(unit)
    return joined


def joined_array(elements: list[str]) -> str:
    """Elements as one text, from which they can be told apart again."""
    return "".join(f"{element}{ARRAY}" for element in elements)


def split_fields(pieces: list[Piece], separators: str, *, assignment: bool = False) -> list[Field]:
    """Word splitting and quote removal. An assignment is never split."""
    groups: list[list[Piece]] = [[]]
    for piece in pieces:
        source = piece.unknown and ("$(" in piece.text or "`" in piece.text or "${" in piece.text)
        if piece.kind != "split" or assignment or not separators or source:
            groups[-1].append(piece)
            continue
        cut = ARRAY if ARRAY in piece.text else f"[{re.escape(separators)}]+"
        for at, part in enumerate(re.split(cut, piece.text)):
            if at:
                groups.append([])
            if part:
                groups[-1].append(Piece(part, "split", piece.unknown))
    return [_field(group) for group in groups if group]


def _field(pieces: list[Piece]) -> Field:
    text = "".join(piece.text for piece in pieces).replace(ARRAY, " ")
    loose = [piece for piece in pieces if piece.kind != "quoted"]
    expands = any(piece.unknown for piece in pieces) or any(_GLOB.search(piece.text) for piece in loose)
    # Within a variable's value a tilde is a tilde; who writes one there means the home folder all the same.
    expands = expands or (pieces[0].kind in ("bare", "split") and pieces[0].text[:1] == "~")
    quoted = any(piece.kind == "quoted" and not piece.unknown for piece in pieces)
    return Field(text, expands and text not in ("[", "]", "[["), quoted)


_PLACE_OR_WILDCARD = re.compile(r"~|\$(?:HOME|PWD)\b|\$\{(?:HOME|PWD)\}|[^$`]*[*?\[]")


def expanded(text: str) -> Field:
    """A word that came through a pipe or a file: an `echo` has put there what a place or a wildcard stands for, which
    is only known by its name."""
    return Field(text, _PLACE_OR_WILDCARD.match(text) is not None)


def remove_pattern(text: str, pattern: str, operator: str) -> str:
    """`${x#pattern}`, `##`, `%` and `%%`."""
    matcher = re.compile(translate(pattern))
    lengths = range(len(text) + 1)
    for length in lengths if len(operator) == 1 else reversed(lengths):
        if operator[0] == "#" and matcher.match(text[:length]):
            return text[length:]
        if operator[0] == "%" and matcher.match(text[len(text) - length :]):
            return text[: len(text) - length]
    return text


def replace_pattern(text: str, pattern: str, replacement: str, *, every: bool) -> str:
    """`${x/pattern/with}` and `${x//pattern/with}`."""
    anchor, pattern = (pattern[0], pattern[1:]) if pattern[:1] in ("#", "%") else ("", pattern)
    body = translate(pattern).removeprefix("(?s:").removesuffix(r")\Z")
    body = {"#": "^", "%": ""}.get(anchor, "") + f"(?s:{body})" + ("$" if anchor == "%" else "")
    return re.sub(body, lambda _: replacement, text, count=0 if every else 1) if pattern else text
