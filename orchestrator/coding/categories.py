"""What kind of code a task asks for, told by its words and by the paths that it names.

Rule: words in a denial do not count (`No hooks`, `without state`), and the path of the file that is written counts
before the words about it: that is where conventions are strict.
"""

from __future__ import annotations

import re
from typing import Literal

from orchestrator.skills.model_request import ModelRequest

Category = Literal[
    "utility", "constants", "types", "tests", "small component", "docs", "refactoring", "reducer", "hook", "multi-file",
    "integration", "bug fix", "other",
]  # fmt: skip

_DENIED = re.compile(
    r"\b(?:no|not|without|never|avoid\w*|don't|doesn't|free of|instead of|rather than)\b[^.,;:\n]*",
    re.IGNORECASE,
)
_PATHS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    ("tests", re.compile(r"(?:^|/)__tests__/|[._-](?:test|spec)\.\w+$|(?:^|/)test_[^/]+$")),
    ("reducer", re.compile(r"(?:^|/)reducers?/|reducer\.\w+$", re.IGNORECASE)),
    ("hook", re.compile(r"(?:^|/)hooks/|(?:^|/)use[A-Z]\w*\.\w+$")),
    ("types", re.compile(r"\.d\.ts$|(?:^|/)(?:types|interfaces)(?:/|\.\w+$)|[._-]types\.\w+$")),
    ("constants", re.compile(r"(?:^|/)(?:constants?|enums?)(?:/|\.\w+$)|[._-]?constants\.\w+$", re.IGNORECASE)),
    ("docs", re.compile(r"\.(?:md|rst|txt)$")),
)
_GENTLE_PATHS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    ("small component", re.compile(r"(?:^|/)components?/|\.(?:jsx|tsx|vue|svelte)$")),
    ("utility", re.compile(r"(?:^|/)(?:utils?|helpers?|lib)(?:/|\.\w+$)|[._-]?utils?\.\w+$", re.IGNORECASE)),
)
"""Those beside which words may still tell another kind: a bug in a utility is a bug."""
_WORDS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    ("bug fix", re.compile(
        r"^\W*(?:fix|debug|repair|hotfix|correct|investigate|diagnose|troubleshoot)\b|"
        r"\b(?:fix|resolve|debug)\w*\s+(?:\w+\s+){0,4}?"
        r"(?:bugs?|issues?|crash\w*|errors?|regressions?|failures?|leaks?|races?)\b|\bbug ?fix\b|\broot cause\b|"
        r"\bfind out why\b",
        re.IGNORECASE)),
    ("multi-file", re.compile(
        r"\b(?:chang|updat|renam|edit|modif|refactor|replac|mov)\w*\b[^.]{0,60}\b"
        r"(?:multiple|several|all|both|many|other)\s+(?:\w+\s+)?(?:files|modules|callers|call sites|usages)\b|"
        r"\bacross the (?:\w+\s+)?(?:code ?base|project|app|repo\w*)\b|\b(?:everywhere|throughout)\b",
        re.IGNORECASE)),
    ("reducer", re.compile(r"\breducers?\b", re.IGNORECASE)),
    ("hook", re.compile(r"\b(?:custom |react )hooks?\b|\bhooks?\b|\buse[A-Z]\w+\b")),
    ("integration", re.compile(
        r"\bintegrat(?:e|es|ion|ing)\b|\bwire (?:up|together|into)\b|\bend[- ]to[- ]end\b|\be2e\b|"
        r"\bmigrat(?:e|es|ing|ions?)\b(?!-)|\b(?:api|rest|http|graphql) client\b|\bauthenticat\w+\b|\boauth\b",
        re.IGNORECASE)),
    ("tests", re.compile(r"^\W*(?:write|add|create)\s+(?:\w+\s+){0,2}?(?:unit )?tests?\b", re.IGNORECASE)),
    ("types", re.compile(
        r"\b(?:type definitions?|typescript types?|interfaces?|dataclass(?:es)?|typeddict)\b", re.IGNORECASE)),
    ("constants", re.compile(r"\b(?:constants?|enums?|lookup table|config(?:uration)? object)\b", re.IGNORECASE)),
    ("small component", re.compile(r"\bcomponents?\b", re.IGNORECASE)),
    ("docs", re.compile(r"\b(?:readme|documentation page|changelog)\b", re.IGNORECASE)),
    ("utility", re.compile(
        r"\b(?:utilit(?:y|ies)|util|helpers?|functions?|format\w*|pars\w+|valid\w+|convert\w*|comput\w+|calculat\w+|"
        r"clamp\w*|normali[sz]\w+|slug\w*|sort\w*|filter\w*)\b",
        re.IGNORECASE)),
)  # fmt: skip
"""In this order: what a local model can't do comes first."""
_HARD: tuple[Category, ...] = ("bug fix", "multi-file", "reducer", "hook", "integration")
_PATH = r"`?([\w./-]*[\w-]\.(?:[cm]?[jt]sx?|py|rb|go|rs|java|css|html|json|toml|ya?ml))\b"
_CHANGES = re.compile(
    r"\b(?:update|modify|change|edit|adapt|rename|move|delete|remove|register (?:it )?in|add (?:it |this )?to|"
    rf"export (?:it )?from)\s+(?:the |file |import\w* in |callers? in )*{_PATH}",
    re.IGNORECASE,
)
_TAKEN_FROM = re.compile(rf"\b(?:move|extract)\b[^.]{{0,60}}?\bfrom\s+{_PATH}", re.IGNORECASE)


def without_negations(text: str) -> str:
    """The text without what it says is not to be."""
    return _DENIED.sub(" ", text)


def files_to_change(text: str) -> list[str]:
    """Paths of which the text says that they are to be changed."""
    return [*_CHANGES.findall(text), *_TAKEN_FROM.findall(text)]


def category_of(request: ModelRequest, text: str) -> Category:
    """The kind of what a request asks for; `text` is its words without denials."""
    path, said = request.output_file or "", without_negations(request.description or "")
    spoken = next((category for category, words in _WORDS if words.search(said)), None)
    if request.kind == "test":
        return "integration" if spoken == "integration" else "tests"
    if request.kind == "doc":
        return "docs"
    if strict := next((category for category, form in _PATHS if form.search(path)), None):
        return "bug fix" if spoken == "bug fix" else strict
    if spoken in _HARD:
        return spoken
    if hard := next((category for category, words in _WORDS if category in _HARD[1:] and words.search(text)), None):
        return hard
    if request.kind == "refactor":
        return "refactoring"
    gentle = next((category for category, form in _GENTLE_PATHS if form.search(path)), None)
    return gentle or spoken or "other"
