"""What constraints speak of, one row each: how people call it, how it is counted, what its bare mention asks for.

A finder answers with what it found, or a number; with a sentence where nothing is there and it knows why; with None
where it can't be told for this kind of file. The order counts: what a row has understood, no later one sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from orchestrator.coding.gates.exports import DEFAULT, NAMED, SPELT, default_export, exports, named_exports
from orchestrator.coding.gates.facts import Found
from orchestrator.coding.gates.source import Source

Answer = int | list[Found] | str | None
Mention = re.Match[str]
Finder = Callable[[Source, Mention], Answer]


class Thing(NamedTuple):
    """`words` are alternatives, matched as words, whatever their case. `bare` is what a mention without a limit and
    without a "no" asks for: `some` of it; `none` of what is found, such as functions without docstrings; `nothing`."""

    name: str
    words: tuple[str, ...]
    find: Finder
    bare: Literal["some", "none", "nothing"] = "nothing"

    @property
    def counts_missing(self) -> bool:
        """What is found is what lacks something, as functions without docstrings do."""
        return self.bare == "none" and self.name != "dependencies"

    def mention(self, sentence: str) -> Mention | None:
        return _pattern(self.words).search(sentence)


@lru_cache(maxsize=128)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def _lines(source: Source, mention: Mention) -> Answer:
    before, after = mention.string[: mention.start()], mention.string[mention.end() :]
    clause = re.split(r"[,;.]", before)[-1] + re.split(r"[,;.]", after)[0]
    if not re.search(r"\b(?:functions?|methods?|components?)\b", clause, re.IGNORECASE):
        return len(source.lines)
    return None if source.python is None else max(source.python.function_lengths, default=0)


def _characters(source: Source, mention: Mention) -> Answer:
    """Of the longest line, or of the whole file."""
    of_lines = re.search(r"\blines?\b|\bcolumn", mention.string, re.IGNORECASE)
    return max(map(len, source.lines)) if of_lines else len(source.text)


def _python(fact: str) -> Finder:
    return lambda source, _: None if source.python is None else _of(source.python, fact)


def _script(fact: str) -> Finder:
    return lambda source, _: None if source.script is None else _of(source.script, fact)


def _either(fact: str) -> Finder:
    return lambda source, _: None if source.facts is None else _of(source.facts, fact)


def _of(facts: Any, fact: str) -> list[Found]:
    found: list[Found] = getattr(facts, fact)
    return found


def _code(pattern: str) -> Finder:
    """Where the code of a script has it."""
    compiled = re.compile(pattern)
    return lambda source, _: None if source.script is None else source.script.matches(compiled)


def _untyped(source: Source, _: Mention) -> Answer:
    if source.script is not None and not source.script.typed:
        return None
    return None if source.facts is None else source.facts.untyped


def _es_modules(source: Source, _: Mention) -> Answer:
    if source.script is None:
        return None
    if common := source.script.common:
        return f"line {common[0].line}: `{common[0].what}` is CommonJS"
    return source.script.matches(re.compile(r"\b(?:import|export)\b"))


def _marks(source: Source, _: Mention) -> Answer:
    found = ((number, re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b", line)) for number, line in enumerate(source.lines, 1))
    return [Found(number, match[0]) for number, match in found if match]


def _literal(source: Source, mention: Mention) -> Answer:
    return source.places(mention["literal"])


_PART = r"(?:functions?|methods?|class(?:es)?|exports?|components?|parameters?|arguments|props|signatures?)"
_ON_ALL = (
    rf"(?: (?:for|on|to|in|with)(?: (?:all|each|every|the|any|exported|public))* {_PART}"
    rf"(?: and (?:return (?:values?|types?)|{_PART}))?)?"
)
_MARK = r"`?(?:todos?|fixmes?)`?"
_DEPENDENCIES = r"(?:dependenc(?:y|ies)|packages?|librar(?:y|ies))"
_FOREIGN = r"(?:(?:external|third[- ]party|npm|pip|pypi|extra|additional|new|runtime|outside|other) )"
_STANDARD = r"(?:(?:the )?(?:python )?(?:standard library|stdlib)|built-?ins?(?: modules)?)"
_LITERAL = r"`(?P<literal>[^`\n]{1,200})`"
_DEMAND = (
    r"(?:use[sd]?|using|calls?|calling|imports?|contains?|includes?|name it|named|called|defines?|declares?|"
    r"implements?|functions?|class|constants?|const|component|hook|method|type|interface|variable|exports?)"
)

THINGS: tuple[Thing, ...] = (
    Thing(
        "characters",
        (r"line lengths?", r"(?:character|char|column)s?(?: (?:per|a|in a) line| long| wide)?"),
        _characters,
    ),
    Thing("lines", (r"lines?(?: of code| total| long)?", "loc", "sloc"), _lines),
    Thing("a default export", DEFAULT, default_export, "some"),
    Thing("named exports", NAMED, named_exports, "some"),
    Thing("exports", ("exports?",), exports),
    Thing(
        "dependencies",
        (
            rf"(?:only|just)(?: uses?| using)? {_STANDARD}",
            rf"{_STANDARD} only",
            "dependency-free",
            "vanilla (?:js|javascript)",
        ),
        _either("dependencies"),
        "none",
    ),
    Thing(
        "dependencies",
        (rf"{_FOREIGN}*{_DEPENDENCIES}", rf"{_FOREIGN}+(?:modules?|imports?)"),
        _either("dependencies"),
    ),
    Thing("imports", ("imports?(?: statements?)?",), _either("imports")),
    Thing(
        "console output",
        (
            r"`?console\.(?:\w+|\*)(?:\(\))?`?(?: (?:statements?|calls?))?",
            r"console(?: (?:output|logs?|logging|statements?)|(?=\W*$))",
            "debug (?:logging|output|statements?)",
        ),
        _script("prints"),
    ),
    Thing("print()", (r"`?print(?:\(\))?`?(?: (?:statements?|calls?))?", "prints"), _python("prints")),
    Thing("`any`", ("[`\"']any[`\"'](?: types?)?", "any[- ]types?", r"any(?=\W*$)"), _either("anys")),
    Thing("marks such as TODO", (rf"{_MARK}(?:(?:/| or | and |, | nor ){_MARK})*(?: comments?)?",), _marks),
    Thing("JSDoc", (rf"js-?docs?(?: comments?| blocks?| documentation)?{_ON_ALL}",), _script("undocumented"), "none"),
    Thing("a module docstring", ("module(?:-level)? docstring",), _python("module_docstring"), "some"),
    Thing("docstrings", (rf"docstrings?{_ON_ALL}",), _python("undocumented"), "none"),
    Thing(
        "types",
        (
            "(?:(?:full|complete|proper|explicit|strict) )*(?:type[- ]hints?|type[- ]annotations?|typescript types?)"
            + _ON_ALL,
            "(?:fully|strictly) typed",
        ),
        _untyped,
        "none",
    ),
    Thing("comments", ("(?:code )?comments?",), _either("comments")),
    Thing("var", (r"`?var`?(?: declarations?| keyword)?",), _code(r"\bvar\s+[\w$\[{]")),
    Thing("eval()", (r"`?eval(?:\(\))?`?",), _either("evals")),
    Thing("classes", ("(?:es6 )?classes", "class components?", r"class(?=\W*$)"), _either("classes")),
    Thing("hooks", ("(?:react )?hooks",), _code(r"(?<![.\w$])use[A-Z]\w*\s*\(")),
    Thing("CommonJS", (r"`?require(?:\(\))?`?(?: calls?)?", "common-?js"), _script("common"), "nothing"),
    Thing("ES modules", ("(?:es ?modules?|esm|es6 modules?)(?: syntax| only| imports?)?",), _es_modules, "some"),
    Thing("tests", ("(?:unit )?tests?(?: cases?)?",), _either("tests")),
    Thing("what it names", (rf"{_DEMAND} {_LITERAL}",), _literal, "some"),
    Thing("what it names", (rf"(?:named|called) (?P<literal>{SPELT})",), _literal, "some"),
    Thing("what it names", (_LITERAL,), _literal),
    Thing("functions", ("functions?",), _either("functions")),
)
