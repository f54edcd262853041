"""Names and values in lines: `name=value`, or `name<<END`, lines, `END`. Steps write their outputs so, people secrets.

Rule: all of it or an error that says which line is wrong. Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})(?P<sign>=|<<)(?P<rest>.*)", re.DOTALL)
_SHOWN = 60
_QUOTES = ('"', "'")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value, and the lines that it takes up: from `first` (counted from 0) to before `after`."""

    name: str
    value: str
    first: int
    after: int


def entries(data: bytes, *, secret: bool = False) -> list[Entry]:
    """What stands there, in its order. `secret`: as people keep it in files, with comments and quotes, and with nothing
    of it in an error. Raises ValueError("line 3: …").
    """
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {number}: is not UTF-8") from None
    found: list[Entry] = []
    at = 0
    while at < len(lines):
        line = lines[at].split("#", 1)[0].strip() if secret and lines[at].lstrip()[:1] in ("#", "") else lines[at]
        if not line:
            at += 1
        else:
            found.append(_entry(lines, at, secret=secret))
            at = found[-1].after
    return found


def _entry(lines: list[str], at: int, *, secret: bool) -> Entry:
    line = lines[at].rstrip("\r") if secret else lines[at]
    match = _LINE.fullmatch(line)
    if match is None or "\0" in line:
        said = "this line" if secret else _quoted(line)
        raise ValueError(
            f"line {at + 1}: {said} is neither `name=value` nor `name<<END` "
            "(names are up to 100 letters, digits and `_`; a value of several lines is `name<<END`, its lines, `END`)"
        )
    name, sign, rest = match.group("name", "sign", "rest")
    if sign == "=":
        return Entry(name, _unquoted(rest) if secret else rest, at, at + 1)
    if rest not in lines[at + 1 :] or not rest:
        end = f"a line {_quoted(rest)} is missing" if rest and not secret else "the line that ends it is missing"
        raise ValueError(f"line {at + 1}: the value of `{name}` has no end: {end}")
    end_at = lines.index(rest, at + 1)
    value = "\n".join(lines[at + 1 : end_at])
    if "\0" in value:
        raise ValueError(f"line {at + 1}: the value of `{name}` contains a NUL character")
    return Entry(name, value, at, end_at + 1)


def block(name: str, value: str) -> str:
    """The lines that say so, whatever the value is."""
    word = "END"
    while word in value.split("\n"):
        word += "_"
    return f"{name}<<{word}\n{value}\n{word}\n"


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in _QUOTES
    return value[1:-1] if quoted else value


def _quoted(text: str) -> str:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"`{''.join(char if char.isprintable() else char.encode('unicode_escape').decode() for char in shown)}`"
