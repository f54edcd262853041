"""JavaScript and TypeScript, read just far enough for an outline: what is exported, without its bodies.

No parser of these languages is among our dependencies, and node need not be there. So a text is first made plain: what
strings, comments, templates and regular expressions hold becomes blank, in place; then it is made flat: what stands
between brackets becomes blank too. What is left is found by its first words. Rule: where brackets do not match, nothing
is concluded at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.coding.languages.script import read

_LONGEST = 200
_LONGEST_LIST = 2_000
_PAIRS = {")": "(", "]": "[", "}": "{"}
_BRACKET = re.compile(r"[()\[\]{}]")
_NO_NEWLINE = re.compile(r"[^\n]")
_DECLARATION = re.compile(
    r"^[ \t]*(?P<export>export\b|module\.exports\b|exports\.)?(?:[ \t]*\bdefault\b)?[ \t]*"
    r"(?:(?:declare|abstract|async)[ \t]+)*"
    r"(?:(?P<kind>function|class|const|let|var|interface|type|enum|namespace)\b[ \t]*\*?[ \t]*(?P<name>[\w$]*))?",
    re.MULTILINE,
)
_MEMBER = re.compile(
    r"^[ \t]*+(?=[\w$#\[*])(?P<private>#|private\b)?[ \t]*+"
    r"(?:(?:public|protected|static|async|get|set|readonly|abstract|override)\b[ \t]*+)*+"
    r"\*?[ \t]*+(?:[\w$]++|\[[^\]\n]*+\])?[ \t]*+[?!]?[ \t]*+(?=[(<:=;\n])",
    re.MULTILINE,
)
_WORD = re.compile(r"[\w$]+")
_VALUE = re.compile(r"(?<![=!<>])=(?![=>])")
_GOES_ON = re.compile(r"(?:[=|&?:+,.(\[{<]|=>|\b(?:extends|implements|default))$")
_GOES_ON_BELOW = re.compile(r"\s*(?:[=|&?:+.{]|(?:extends|implements)\b)")
_STOP = re.compile(r"[;\n]")
_DATA = frozenset(("interface", "type", "enum", "namespace"))


class _Plain(NamedTuple):
    """`text` is as long as what was read; `docs` says where JSDoc comments begin, by where they end."""

    text: str
    docs: dict[int, int]


class _UnreadableError(Exception):
    """A bracket has no other half, or a comment or a template does not end."""


def outline_of_script(text: str) -> str | None:
    """What a module exports: functions and classes without bodies, types whole, short values, each with its JSDoc.
    None where it exports nothing, or can't be read."""
    try:
        parts = list(_exported(text, _plain(text)))
    except _UnreadableError:
        return None
    return "\n\n".join(parts) + "\n" if parts else None


def _exported(text: str, plain: _Plain) -> Iterator[str]:
    flat = _flat(plain.text)
    found = [one for one in _statements(_DECLARATION, flat, 0) if one[0]["export"] or one[0]["kind"]]
    lists = [plain.text[start:end] for match, start, end in found if not match["kind"] and "(" not in flat[start:end]]
    listed = {word for names in lists for word in _WORD.findall(names[:_LONGEST_LIST])}
    for match, start, end in found:
        if match["export"] or match["name"] in listed:
            yield _doc(text, plain, start) + _shown(text, plain, flat, match["kind"], start, end)


def _statements(pattern: re.Pattern[str], flat: str, begin: int) -> Iterator[tuple[re.Match[str], int, int]]:
    """Where statements begin and end whose first line has this form; not the later lines of one."""
    at = begin
    for match in pattern.finditer(flat, begin):
        if match.start() >= at and match.group().strip():
            at = _end(flat, match.start())
            yield match, match.start(), at


def _shown(text: str, plain: _Plain, flat: str, kind: str | None, start: int, end: int) -> str:
    """A declaration as others need it."""
    body = flat.rfind("{", start, end)
    made_of = "class" if kind == "class" or re.search(r"(?:=|default)\s*class\b", flat[start:end]) else kind
    if made_of == "class" and body >= 0:
        close = flat.rfind("}", body, end)
        members = "\n".join(_members(text, plain, body + 1, close))
        return f"{text[start : body + 1]}\n{members}\n}}" if members else f"{text[start : body + 1]} … }}"
    if kind in _DATA or (kind != "function" and end - start <= _LONGEST):
        return text[start:end]
    return _without_body(text, flat, start, end, called=kind == "function" or "function" in flat[start:end])


def _members(text: str, plain: _Plain, begin: int, end: int) -> Iterator[str]:
    inner = " " * begin + _flat(plain.text[begin:end])
    for match, start, close in _statements(_MEMBER, inner, begin):
        if match["private"] is None:
            value = _VALUE.search(inner, start, close)
            called = "(" in inner[start : value.start() if value else close]
            yield _doc(text, plain, start) + _without_body(text, inner, start, close, called=called)


def _without_body(text: str, flat: str, start: int, end: int, *, called: bool) -> str:
    """Up to the body of what is `called`, to the arrow of a function, or to a long value."""
    if called and flat[start:end].endswith("}"):
        return f"{text[start : flat.rfind('{', start, end)].rstrip()} {{ … }}"
    if end - start <= _LONGEST:
        return text[start:end]
    arrow, value = flat.rfind("=>", start, end), _VALUE.search(flat, start, end)
    cut = arrow + 2 if arrow >= 0 else value.end() if value else start + _LONGEST
    return f"{text[start:cut]} …"


def _doc(text: str, plain: _Plain, start: int) -> str:
    """The JSDoc comment right above a place, to its line's end."""
    end = start
    while end and text[end - 1].isspace():
        end -= 1
    begin = plain.docs.get(end)
    return "" if begin is None else text[text.rfind("\n", 0, begin) + 1 : start]


def _end(flat: str, start: int) -> int:
    """Where a statement ends: behind its semicolon, or at the end of a line that does not go on below."""
    at = start
    while stop := _STOP.search(flat, at):
        if stop.group() == ";":
            return stop.end()
        above = flat[at : stop.start()].rstrip()
        if above and not _GOES_ON.search(above) and not _GOES_ON_BELOW.match(flat, stop.end()):
            return at + len(above)
        at = stop.end()
    return at + len(flat[at:].rstrip())


def _flat(plain: str) -> str:
    """A plain text with blanks between its outermost brackets, so that each of its lines is a statement's."""
    pieces: list[str] = []
    open_: list[str] = []
    at = 0
    for found in _BRACKET.finditer(plain):
        bracket, place = found.group(), found.start()
        if bracket in _PAIRS:
            if not open_ or open_.pop() != _PAIRS[bracket]:
                raise _UnreadableError
            if not open_:
                pieces.append(" " * (place - at))
                at = place
        else:
            if not open_:
                pieces.append(plain[at : place + 1])
                at = place + 1
            open_.append(bracket)
    if open_:
        raise _UnreadableError
    return "".join([*pieces, plain[at:]])


def _plain(text: str) -> _Plain:
    """The text with blanks for comments, in which line ends stay, and with one long word for each literal."""
    script = read(text)
    if not script.whole:
        raise _UnreadableError
    pieces: list[str] = []
    docs: dict[int, int] = {}
    at = 0
    for kind, start, end in script.spans:
        said = text[start:end]
        pieces += (text[at:start], _NO_NEWLINE.sub(" ", said) if kind == "comment" else "_" * len(said))
        if said.startswith("/**"):
            docs[end] = start
        at = end
    return _Plain("".join([*pieces, text[at:]]), docs)
