"""Whether a model on this machine should try a task at all, judged before one is asked.

Pure rules over what the task says and what is known of its file. Rule: only what speaks clearly against a task
escalates it, because a model that fails costs two answers, and a gate catches it; every verdict says which rule it
comes from, and what would change it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from orchestrator.coding.categories import Category, category_of, files_to_change, without_negations
from orchestrator.skills.model_request import ModelRequest

Verdict = Literal["local", "escalate"]
RuleVerdict = Literal["met", "broken", "unknown"]
MOST_LINES = 50
MOST_IMPORTS = 2
_WHY_NOT: dict[Category, str] = {
    "reducer": "holds rules that the rest of the program relies on",
    "hook": "lives by the state and the order of what calls it",
    "multi-file": "change takes more than the one file that a task writes",
    "integration": "takes knowledge of both sides",
    "bug fix": "takes finding the cause first",
}
ESCALATED = frozenset(_WHY_NOT)
_NEED_NO_TEST: frozenset[Category] = frozenset(("constants", "types", "docs", "tests"))
_IMPORT = re.compile(
    r"^\s*(?:import\b|from\s+\S+\s+import\b|export\b.*\bfrom\s+['\"]|use\s+\w|#include\b|require\s+['\"]|"
    r"(?:const|let|var)\b.*=\s*require\()",
    re.MULTILINE,
)
_LINES = re.compile(r"(\d[\d,]*)\s*(?:lines|loc)\b", re.IGNORECASE)
_LINES_OF_CODE = re.compile(
    r"(\d[\d,]*)(?:\s*loc\b|"
    r"[- ]lines?\s+(?:\w+\s+){0,3}?(?:of code|code|file|module|class|component|long|implementation)\b)",
    re.IGNORECASE,
)
_IMPORTS_WANTED = re.compile(r"(\d+)\s+(?:imports|dependencies)\b", re.IGNORECASE)
_STATE = re.compile(
    r"\b(?:state machine|global state|shared state|mutable state|singleton|session (?:store|state|handling)|"
    r"(?:keep|store|manage|hold)s?\s+(?:a\s+|the\s+)?sessions?|database|websocket|event emitter|redux|zustand|mobx|"
    r"context provider|use(?:State|Effect|Reducer|Context)\b|in-memory cache|local ?storage|"
    r"background (?:job|worker|thread))\b",
    re.IGNORECASE,
)
_NAMES_A_TEST = re.compile(r"(?:^|/)(?:__tests__|tests?)/|[._-](?:test|spec)\.\w+$|(?:^|/)test_[^/]*$")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the file that is to be written: whether it is there, and how many lines and imports it has."""

    exists: bool = False
    lines: int = 0
    imports: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule's word about a task; `why` is one sentence for people."""

    name: str
    verdict: RuleVerdict
    why: str


@dataclass(frozen=True, slots=True)
class Classification:
    """`reasons` are the sentences on which the verdict stands; `rules` is every rule's word. `by` says whether rules
    alone, or a model after them, had the last one."""

    verdict: Verdict
    category: Category
    reasons: tuple[str, ...]
    rules: tuple[Rule, ...]
    by: Literal["rules", "model"] = "rules"


def facts_of(current: str | None) -> Facts:
    """The facts of a file with this text; None: there is no such file."""
    if current is None:
        return Facts()
    return Facts(True, len(current.splitlines()), len(_IMPORT.findall(current)))


def classify(request: ModelRequest, facts: Facts = Facts()) -> Classification:
    """Judge a request for a file by the rules."""
    text = " ".join(without_negations(part) for part in (request.description or "", *request.constraints))
    category = category_of(request, text)
    rules = (
        _of_category(category),
        _of_files(request, text),
        _of_size(request, facts),
        _of_imports(request, facts),
        _of_state(text),
        _of_test(request, category),
    )
    broken = tuple(rule.why for rule in rules if rule.verdict == "broken")
    if broken:
        return Classification("escalate", category, broken, rules)
    doubts = (rule.why for rule in rules[1:] if rule.verdict == "unknown")
    return Classification("local", category, (rules[0].why, *doubts), rules)


def _of_category(category: Category) -> Rule:
    if category in ESCALATED:
        return Rule("category", "broken", f"{_article(category)} {_WHY_NOT[category]}: not for a local model")
    if category == "other":
        return Rule("category", "unknown", "nothing says what kind of code this is, and nothing speaks against trying")
    return Rule("category", "met", f"{category} is what a local model can write")


def _article(category: Category) -> str:
    return f"{'an' if category[0] in 'aeiou' else 'a'} {category}"


def _of_files(request: ModelRequest, text: str) -> Rule:
    others = [path for path in files_to_change(text) if path != request.output_file]
    if others:
        return Rule("one file", "broken", f"it asks for a change of {others[0]} too: a task writes `output_file` alone")
    return Rule("one file", "met", f"only {request.output_file} is written")


def _of_size(request: ModelRequest, facts: Facts) -> Rule:
    if facts.lines > MOST_LINES:
        why = f"{request.output_file} has {facts.lines} lines, all written anew; a local task has at most {MOST_LINES}"
        return Rule("size", "broken", why)
    said = [*_LINES.findall(" ".join(request.constraints)), *_LINES_OF_CODE.findall(request.description or "")]
    allowed = [int(found.replace(",", "")) for found in said]
    if allowed and min(allowed) > MOST_LINES:
        return Rule(
            "size", "broken", f"it speaks of {min(allowed)} lines; a local task has at most {MOST_LINES}: split it"
        )
    if allowed:
        return Rule("size", "met", f"at most {min(allowed)} lines are asked for")
    if facts.exists:
        return Rule("size", "met", f"{request.output_file} has {facts.lines} lines, at most {MOST_LINES}")
    return Rule("size", "met", f"nothing says that it is longer than {MOST_LINES} lines")


def _of_imports(request: ModelRequest, facts: Facts) -> Rule:
    if facts.imports > MOST_IMPORTS:
        why = f"{request.output_file} imports {facts.imports} modules; a local task has at most {MOST_IMPORTS}"
        return Rule("imports", "broken", why)
    wanted = [int(found) for found in _IMPORTS_WANTED.findall(" ".join(request.constraints))]
    if wanted and min(wanted) > MOST_IMPORTS:
        why = f"it may have {min(wanted)} imports; a local task has at most {MOST_IMPORTS}"
        return Rule("imports", "broken", why)
    shown = [path for path in request.context_files if _is_module(path, request.output_file or "")]
    if len(shown) > MOST_IMPORTS and not wanted and not _alone(request):
        why = (
            f"{len(shown)} modules are in context_files, and it may import them all; a local task has at most "
            f"{MOST_IMPORTS}: leave some out, or add the constraint `At most {MOST_IMPORTS} imports`"
        )
        return Rule("imports", "broken", why)
    return Rule("imports", "met", f"at most {MOST_IMPORTS} imports, as far as is said")


def _alone(request: ModelRequest) -> bool:
    return any(
        re.search(r"\b(?:no|without)\s+(?:\w+\s+)?(?:dependencies|imports)\b", each, re.IGNORECASE)
        for each in request.constraints
    )


def _is_module(path: str, output: str) -> bool:
    """Whether it is code that the output could import."""
    ending = path.rpartition(".")[2]
    same = {"js", "jsx", "mjs", "cjs", "ts", "tsx"}
    family = same if output.rpartition(".")[2] in same else {output.rpartition(".")[2]}
    return path != output and ending in family and not _NAMES_A_TEST.search(path)


def _of_state(text: str) -> Rule:
    if found := _STATE.search(text):
        return Rule("stateless", "broken", f"`{found[0]}` speaks of state, and a local task has none")
    return Rule("stateless", "met", "nothing speaks of state")


def _of_test(request: ModelRequest, category: Category) -> Rule:
    if request.test_command is not None:
        return Rule("test", "met", "`test_command` decides whether the file stays")
    if category in _NEED_NO_TEST:
        return Rule("test", "met", f"{category} need no test of their own")
    tests = [path for path in request.context_files if _NAMES_A_TEST.search(path)]
    if tests:
        why = f"{tests[0]} is shown but not run: give a `test_command`, or only syntax and constraints are checked"
        return Rule("test", "unknown", why)
    return Rule("test", "unknown", "there is no `test_command`: only syntax and constraints will be checked")
