"""Constraints as people write them, judged where a machine can: "at most 50 lines", "Export named function".

A sentence is read by its *things* (lines, imports, a default export, JSDoc …) and by what stands around each: a limit,
a "no", or nothing, which asks for it. Rule: a constraint has passed only if every word of it was understood, and is
broken only where no word that was not could excuse it. A condition, an exception, a word too many: `not_checked`. The
model was told it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.coding.gates.facts import Found
from orchestrator.coding.gates.limits import Wanted, carried, wanted
from orchestrator.coding.gates.source import Source, source_of
from orchestrator.coding.gates.things import THINGS, Answer, Mention, Thing
from orchestrator.coding.report import GateResult, GateVerdict

MAX_CHARS = 500
"""A longer constraint is a description."""
SHOWN = 5
"""So many places are named where a constraint is broken."""

_UNLESS = re.compile(
    r"\b(?:except|unless|other than|apart from|besides|if|when|where|whenever|beyond|instead|unlike|rather|optional|"
    r"prefer(?:ably|red)?|ideally|try|may|can|could)\b",
    re.IGNORECASE,
)
_MAY_NOT = re.compile(r"\b(?:may|can) ?not\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|never|no|forbidden|disallowed|banned)\b|n['’]t\b", re.IGNORECASE)
_QUOTED = re.compile(r"`[^`\n]{1,200}`")
_WORD = re.compile(r"[^\W_][\w'’.-]*")
_FILLER = re.compile(
    r"an?|the|and|or|of|for|in|on|to|with|at|as|by|it|its|is|are|be|this|that|there|via|both|also|each|every|all|"
    r"any|public|total|overall|whole|entire|must|should|shall|please|used?|uses|using|includ(?:es?|ing)|add|has|have|"
    r"contains?|writes?|provides?|keep|make|ensure|defines?|creates?|implements?|exports?|exported|files?|code|project|"
    r"allowed|permitted|required|needed|functions?|modules?|class(?:es)?|methods?|statements?|lines?",
    re.IGNORECASE,
)


def judge(sentence: str, text: str, output_file: str, context: Sequence[str] = ()) -> GateResult:
    """What a constraint comes to for a text that parses. `context` are the paths of files whose Python modules are the
    project's own."""
    plain = " ".join(sentence.split())
    if len(plain) > MAX_CHARS:
        return _result("not_checked", plain, "it is too long for a rule")
    if _UNLESS.search(_MAY_NOT.sub("", _QUOTED.sub("", plain))):
        return _result("not_checked", plain, "it leaves a choice, or has an exception, which no rule understands")
    reading = _Reading(plain)
    reading.read(source_of(text, output_file, context))
    return _result(*_verdict(plain, reading))


def _verdict(sentence: str, reading: _Reading) -> tuple[GateVerdict, str, str]:
    if broken := reading.broken():
        return "failed", sentence, f"not kept: {'; '.join(broken)}"
    if reading.unknown:
        return "not_checked", sentence, "; ".join(reading.unknown)
    if not reading.understood:
        return "not_checked", sentence, "no rule understands it"
    if left := reading.left():
        return "not_checked", sentence, f"only a part of it was checked, not: {' '.join(left)[:80]}"
    return "passed", sentence, "; ".join(reading.kept)


def _result(verdict: GateVerdict, sentence: str, why: str) -> GateResult:
    shown = sentence if len(sentence) <= 120 else f"{sentence[:120]}…"
    return GateResult("constraints", verdict, f"{shown!r}: {why}")


class _Asked(NamedTuple):
    thing: Thing
    mention: Mention
    want: Wanted | None


class _Reading:
    """One sentence, read thing by thing. What is understood is blanked out of `rest`, so that places stay."""

    def __init__(self, sentence: str) -> None:
        self.sentence = self.rest = sentence
        self.kept: list[str] = []
        self.unknown: list[str] = []
        self._broken: list[tuple[Wanted, str]] = []
        self._passed_over: list[str] = []

    @property
    def understood(self) -> bool:
        return bool(self.kept or self._broken)

    def read(self, source: Source) -> None:
        earlier: Wanted | None = None
        for thing, mention, want in sorted(self._mentions(), key=lambda asked: asked.mention.start()):
            start = mention.start()
            if want is None and earlier is not None and (want := carried(earlier, mention, self.sentence)):
                self._blank(want.start, want.end)
            earlier = want
            want = _bare(thing, mention) if want is None else want
            # "No docstrings" refuses what is missing: nothing that a count of the missing could judge.
            if want is None or (want.refuses and thing.counts_missing and want.start != start):
                self._passed_over += _telling(mention[0])
            else:
                self._judge(thing, want, thing.find(source, mention))

    def left(self) -> list[str]:
        """The words that nothing understood."""
        return [*self._passed_over, *_telling(self.rest)]

    def broken(self) -> list[str]:
        """What is broken for certain. A "no" or a limit is narrowed by the words that follow it: "no functions with
        state"."""
        certain = []
        for want, why in self._broken:
            after = re.split(r"[,;.]|\band\b", self.rest[want.end :])[0]
            if _NOT.search(after) if want.most is None else _telling(after):
                self.unknown.append("a word that follows may narrow it")
            else:
                certain.append(why)
        return certain

    def _mentions(self) -> list[_Asked]:
        found = []
        for thing in THINGS:
            while (mention := thing.mention(self.rest)) is not None:
                want = wanted(mention)
                start, end = (want.start, want.end) if want else mention.span()
                self._blank(start, end)
                found.append(_Asked(thing, mention, want))
        return found

    def _blank(self, start: int, end: int) -> None:
        self.rest = self.rest[:start] + " " * (end - start) + self.rest[end:]

    def _judge(self, thing: Thing, want: Wanted, found: Answer) -> None:
        if found is None:
            self.unknown.append(f"{thing.name} can't be told for this kind of file")
        elif problem := _problem(thing, want, found):
            self._broken.append((want, problem))
        else:
            self.kept.append(_kept(thing, found))


def _bare(thing: Thing, mention: Mention) -> Wanted | None:
    start, end = mention.span()
    if thing.bare == "some":
        return Wanted(start, end, least=1)
    return Wanted(start, end, most=0) if thing.bare == "none" else None


def _telling(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if not _FILLER.fullmatch(word)]


def _problem(thing: Thing, want: Wanted, found: int | str | list[Found]) -> str:
    if isinstance(found, str):
        return "" if want.refuses else found
    count = found if isinstance(found, int) else len(found)
    if thing.counts_missing and count:
        return _places(found).strip(" ()")
    if want.most is not None and count > want.most:
        return f"{thing.name}: {count}, allowed {want.most or 'none'}{_places(found)}"
    if want.least is not None and count < want.least:
        return f"{thing.name}: {count or 'none'}, wanted at least {want.least}{_places(found)}"
    return ""


def _kept(thing: Thing, found: int | str | list[Found]) -> str:
    return f"{thing.name}: {len(found) or 'none'}" if isinstance(found, list) else f"{thing.name}: {found}"


def _places(found: int | list[Found]) -> str:
    if isinstance(found, int) or not found:
        return ""
    shown = "; ".join(f"line {one.line}: {one.what}" for one in found[:SHOWN])
    return f" ({shown}; and {len(found) - SHOWN} more)" if len(found) > SHOWN else f" ({shown})"
