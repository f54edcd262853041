"""What awk and cut print of text that is known: its fields.

Rule: pure, and of awk only programs that print fields and strings; which lines they choose does not matter to what
may come of them.
"""

from __future__ import annotations

import re

_AWK_PRINT = re.compile(r"(BEGIN\s*)?[^{}]*\{\s*print\s*\(?([^;|>}]*?)\)?\s*;?\s*(?:exit|next)?;?\s*\}")
_AWK_PIECE = re.compile(r"\$(\d+|NF)|\"([^\"]*)\"|(,)")
_AWK_VALUES = frozenset(("-F", "-v", "--field-separator", "--assign"))


def awk(words: tuple[str, ...], source: str | None) -> str | None:
    """The output of `awk '{print $2 $1}'` and its like; None where it is more than that."""
    separator, program, at = None, "", 1
    while at < len(words) and not program:
        word = words[at]
        if word in ("-F", "--field-separator"):
            separator = words[at + 1 : at + 2][0] if at + 1 < len(words) else None
        elif word[:2] == "-F":
            separator = word[2:]
        elif word[:1] != "-":
            program = word
        at += 2 if word in _AWK_VALUES else 1
    found = _AWK_PRINT.fullmatch(program.strip())
    text = "" if found and found.group(1) else source
    if found is None or text is None or _AWK_PIECE.sub("", found.group(2)).strip():
        return None
    return "".join(_line(found.group(2), line, separator) + "\n" for line in text.splitlines() or [""])


def _line(form: str, line: str, separator: str | None) -> str:
    fields = [line, *(line.split() if separator in (None, " ") else re.split(_separating(separator or ""), line))]
    said = "" if form.strip() else line
    for number, text, comma in _AWK_PIECE.findall(form):
        at = len(fields) - 1 if number == "NF" else int(number or 0)
        said += " " if comma else text if not number else fields[at] if at < len(fields) else ""
    return said


def _separating(separator: str) -> str:
    return re.escape(separator) if len(separator) == 1 else f"(?:{separator})" if _compiles(separator) else "$^"


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def cut(words: tuple[str, ...], source: str | None) -> str | None:
    """The output of `cut -d: -f2` and `cut -c1-3`."""
    said = " ".join(words[1:])
    if source is None:
        return None
    separator, number = re.search(r"(?:^| )-d ?(.)(?= |$)", said), re.search(r"(?:^| )-f ?(\d+)(?= |$)", said)
    if number is not None:
        parts = [line.split(separator[1] if separator else "\t") for line in source.splitlines()]
        return "".join(line[int(number[1]) - 1] + "\n" for line in parts if len(line) >= int(number[1]))
    found = re.search(r"(?:^| )-[bc] ?(\d+)(-?)(\d*)(?= |$)", said)
    if found is None:
        return None
    first, open_end, last = int(found[1]) - 1, found[2], found[3]
    end = int(last) if last else None if open_end else first + 1
    return "".join(line[first:end] + "\n" for line in source.splitlines())
