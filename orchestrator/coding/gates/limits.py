"""How many of a thing a sentence wants: what stands around its mention, as a limit, a "no", or nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrator.coding.gates.things import Mention

_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_NUMBERS = {word: number for number, word in enumerate(_WORDS)} | {
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "eighty": 80, "hundred": 100,
}  # fmt: skip
_N = rf"(?P<n>\d{{1,7}}|{'|'.join(_NUMBERS)})"
_MOST = (
    r"at most|at maximum|(?:no|not|never|nothing)(?: \w+)? (?:more|longer|larger|greater|bigger) than|"
    r"max\.?(?:imum)?(?: file)?(?: (?:length|size))?(?: of| is)?|up to|"
    r"(?:(?:must|should|may|do|does|can|to) )?(?:not|never)(?: to)? (?:exceed|be over)|"
    r"limit(?:ed)?(?: it)?(?: to| of)?|within|<=|≤|keep (?:(?:it|the file|the code) )?(?:to|at|within)"
)
_FEWER = r"under|(?:fewer|less|shorter|smaller) than|below|<"
_LEAST = r"at least|min\.?(?:imum)?(?: of)?|no (?:fewer|less) than|>=|≥"
_EXACTLY = r"exactly|only|just|precisely"
_NO = (
    r"no|without|avoid(?:ing)?|never|zero|free of|(?:do|does|must|should|may|can) ?not|cannot|not|remove|"
    r"(?:do|does|must|should|ca)n['’]t"
)
_AFTER_NO = (
    r"be|uses?(?: of)?|usage of|using|have|has|contain|include|add|introduce|leave|write|call|import|export|an?|the|"
    r"any|as|rely on|depend on|require|with|left|stray|leftover"
)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_LIMITED = _compiled(
    rf"(?<!\w)(?:(?P<most>{_MOST})|(?P<fewer>{_FEWER})|(?P<least>{_LEAST})|(?P<exactly>{_EXACTLY}))[\s:=]*{_N}[\s-]*$"
)
_COUNTED = _compiled(rf"(?<!\w){_N}(?P<plus>\+)?[\s-]*$")
_OR_LESS = _compiled(r"[\s,(]*(?:or (?:fewer|less|shorter)|max(?:imum)?\b\.?|at most|at maximum|tops|limit)\)?")
_OR_MORE = _compiled(r"[\s,(]*(?:or more|min(?:imum)?\b\.?|at least)\)?")
_MAXIMUM = _compiled(r"\bmax\.?(?:imum)?(?: number of| file)?(?: of| the)*\s*$")
_LIMIT_AFTER = _compiled(
    r"\s*(?:length|count|number)?\s*[:=]?\s*(?P<word><=|≤|<|at most|limit|max(?:imum)?|under)?\s*(?:[:=]|is|of)?\s*"
    rf"{_N}\b(?: (?:characters|chars|columns|lines))?"
)
_REFUSED = _compiled(rf"(?<!\w)(?:{_NO})(?:\s+(?:{_AFTER_NO}))*\s*$")
_CARRIED_LIMIT = _compiled(rf"\s*(?:,|and|,\s*and|&|\+)\s*{_N}[\s-]*")
_CARRIED = _compiled(r"\W*(?:or|nor)\W*(?:(?:any|the)\s*)?")


class Wanted(NamedTuple):
    """How many of a thing there may be, both ends included; None is no limit. `start` and `end` are the part of the
    sentence that says so; `strict` that it said "fewer than"."""

    start: int
    end: int
    least: int | None = None
    most: int | None = None
    strict: bool = False

    @property
    def refuses(self) -> bool:
        return self.most == 0


def wanted(mention: Mention) -> Wanted | None:
    """What the words around a mention say; None where they say nothing of how many."""
    start, end = mention.span()
    before, after = mention.string[:start], mention.string[end:]
    if limit := _LIMITED.search(before):
        return _limited(limit, end)
    if no := _REFUSED.search(before):
        return Wanted(no.start(), end, most=0)
    if number := _COUNTED.search(before):
        return _by_what_follows(number, after, end)
    maximum = _MAXIMUM.search(before)
    if (number := _LIMIT_AFTER.match(after)) and (number["word"] or maximum):
        less = (number["word"] or "").lower() in ("under", "<")
        return Wanted(maximum.start() if maximum else start, end + number.end(), most=_number(number["n"]) - less)
    return None


def carried(earlier: Wanted, mention: Mention, sentence: str) -> Wanted | None:
    """What a limit or a refusal right before says of the next mention too: "no eval or print", "at most 50 lines and 2
    imports"."""
    start, end = mention.span()
    between = sentence[earlier.end : start]
    if earlier.refuses:
        return Wanted(start, end, most=0) if _CARRIED.fullmatch(between) else None
    number = _CARRIED_LIMIT.fullmatch(between)
    if number is None or earlier.most is None or earlier.least is not None:
        return None
    return Wanted(earlier.end, end, most=_number(number["n"]) - earlier.strict, strict=earlier.strict)


def _limited(match: re.Match[str], end: int) -> Wanted:
    number = _number(match["n"])
    if match["least"]:
        return Wanted(match.start(), end, least=number)
    if match["exactly"]:
        return Wanted(match.start(), end, number, number)
    strict = bool(match["fewer"])
    return Wanted(match.start(), end, most=number - strict, strict=strict)


def _by_what_follows(number: re.Match[str], after: str, end: int) -> Wanted | None:
    count = _number(number["n"])
    if less := _OR_LESS.match(after):
        return Wanted(number.start(), end + less.end(), most=count)
    if more := _OR_MORE.match(after):
        return Wanted(number.start(), end + more.end(), least=count)
    return Wanted(number.start(), end, least=count) if number["plus"] else None


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word.lower()]
