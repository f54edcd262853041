"""What a file gives to others, for the constraints that name it: a function by name, a default, anything at all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.coding.gates.facts import Export, Found
from orchestrator.coding.gates.source import Source

_IDENTIFIER = r"[A-Za-z_$][\w$]*"
KIND = r"(?:functions?|const(?:ant)?s?|values?|class(?:es)?|types?|interfaces?|components?|hooks?)"
SPELT = r"(?-i:[a-z]+\d*[A-Z]\w*|[A-Z]+[a-z]+[A-Z]\w*|[A-Z]+_[A-Z_\d]+|[a-z]+_\w+)"
# A word counts as a name where it is marked as one, applied as a function, or spelt as no plain word is.
NAME = (
    rf"(?:(?:(?:named|called) )?`[^`\n]+`|(?:named|called) (?!{KIND}\b){_IDENTIFIER}|{_IDENTIFIER}\([^()]*\)"
    rf"|(?<=\bconst ){_IDENTIFIER}|{SPELT})"
)
_VERB = r"(?:exports?|exported|exporting)"
NAMED = (
    r"(?:only )?named[- ]exports?(?: only)?",
    rf"{_VERB}(?: as)?(?: (?:an?|the|one|single|async|named|utility|helper))*(?: {KIND}(?: {NAME})?| {NAME})",
)
DEFAULT = (
    r"(?:an? )?default[- ]exports?",
    rf"{_VERB}(?: (?:it|the|an?))* default(?: {KIND})?(?: {NAME})?",
    rf"{_VERB}(?: [\w`]+){{0,3}} as (?:the )?default(?: export)?",
)


def exports(source: Source, _: re.Match[str]) -> list[Found] | None:
    """What is given on purpose: types are no code, and in Python each value at the top can be imported."""
    if source.facts is None:
        return None
    uncounted = ("type",) if source.script is not None else ("value",)
    return _found(one for one in source.facts.exports if one.kind not in uncounted)


def default_export(source: Source, _: re.Match[str]) -> list[Found] | None:
    return None if source.script is None else _found(one for one in source.script.exports if one.kind == "default")


def named_exports(source: Source, mention: re.Match[str]) -> list[Found] | str | None:
    """The exports that the mention asks for: of this name, else of this kind, else all but the default."""
    if source.facts is None:
        return None
    given = source.facts.exports
    if re.search(r"\bonly\b", mention[0], re.IGNORECASE) and any(one.kind == "default" for one in given):
        return "it has a default export"
    named = [one for one in given if one.kind != "default"]
    if name := _name(mention[0]):
        return _found(one for one in named if one.name == name) or f"it does not export `{name}`{_but(given)}"
    if re.search(r"\b(?:function|hook)", mention[0], re.IGNORECASE):
        functions = _found(one for one in named if one.kind == "function")
        return functions or f"it exports no function by name{_but(given)}"
    return _found(named) or f"it has no named export{_but(given)}"


def _name(mention: str) -> str:
    match = re.search(rf" {NAME}\Z", mention, re.IGNORECASE)
    if match is None:
        return ""
    said = re.sub(r"^(?:named|called) ", "", match[0].strip(), flags=re.IGNORECASE).strip("`")
    identifier = re.match(_IDENTIFIER, said)
    return identifier[0] if identifier else said


def _but(given: list[Export]) -> str:
    names = ", ".join(dict.fromkeys("a default" if one.kind == "default" else one.name for one in given))
    return f", but {names}"[:200] if names else ""


def _found(given: Iterable[Export]) -> list[Found]:
    return [Found(one.line, f"export of {one.name}") for one in given]
