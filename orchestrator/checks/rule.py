"""What an acceptance entry asks, whichever way it was written.

The sentences of the original kind and the mappings become the same `Rule`, so that each question is answered
in one place. A sentence is read narrowly: English that merely sounds like a rule ("The service exists") is
left unknown, because a wrong verdict is worse than none.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

from orchestrator.spec import Check

Kind = Literal[
    "stdout_contains", "stdout_matches", "file_exists", "file_updated", "file_contains",
    "json", "exit_code", "command", "exists_under", "unknown",
]  # fmt: skip

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}
_PRINTED = re.compile(r"printed\s+(?=\S)", re.IGNORECASE)
_EXISTS_UNDER = re.compile(r"(.*?)(?:^|\s)exists\s+under\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_STATE = re.compile(r"(.*\S)\s+(exists|updated)", re.IGNORECASE | re.DOTALL)
_NEGATION = re.compile(r"\b(?:no|not|none|nothing|never|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE)

UNKNOWN_SENTENCE = (
    "no rule understands this sentence; write it as `Printed TEXT`, `PATH exists`, `PATH updated` or "
    "`… exists under GLOB`, or as a mapping such as {stdout_contains: TEXT} or {command: SCRIPT}"
)
UNKNOWN_MAPPING = "a check has exactly one key; write one list entry for each check"


class Rule(NamedTuple):
    """One question. `value` is as in the spec's field of that name; for `unknown` it is the reason, and for
    `exists_under` a pair: the glob, and the file's own name or glob if the sentence gives one."""

    kind: Kind
    value: Any


class Under(NamedTuple):
    glob: str
    name: str | None


def rule_of(entry: str | Check) -> Rule:
    """The rule behind one entry of `acceptance`."""
    if not isinstance(entry, str):
        return _from_check(entry)
    return _remembered(entry) if len(entry) <= 200 else _from_sentence(entry)


def text_of(entry: str | Check) -> str:
    """How the entry is named in a result: the sentence itself, or the mapping as compact JSON."""
    if isinstance(entry, str):
        return entry
    mapping = entry.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json.dumps(mapping, ensure_ascii=False, separators=(",", ":"))


def _from_check(check: Check) -> Rule:
    given = [name for name in type(check).model_fields if getattr(check, name) is not None]
    if len(given) != 1:
        return Rule("unknown", UNKNOWN_MAPPING)
    kind: Any = given[0].removesuffix("_")
    return Rule(kind, getattr(check, given[0]))


@lru_cache(maxsize=1024)
def _remembered(sentence: str) -> Rule:
    """A task's sentences are read up to three times, and the same ones come back with every like task."""
    return _from_sentence(sentence)


def _from_sentence(sentence: str) -> Rule:
    sentence = sentence.strip()
    if printed := _PRINTED.match(sentence):
        return Rule("stdout_contains", _unquoted(_without_stop(sentence[printed.end() :])))
    sentence = _without_stop(sentence)
    if under := _EXISTS_UNDER.fullmatch(sentence):
        return _exists_under(under[1], under[2])
    if state := _STATE.fullmatch(sentence):
        path = _path(state[1])
        if path is not None:
            return Rule("file_exists" if state[2].lower() == "exists" else "file_updated", path)
    return Rule("unknown", UNKNOWN_SENTENCE)


def _exists_under(subject: str, where: str) -> Rule:
    glob = _path(where)
    name = _path(subject)
    if name is not None and not PurePosixPath(name).parts:
        name = None
    if glob is None or (name is None and _NEGATION.search(subject)):
        return Rule("unknown", UNKNOWN_SENTENCE)
    return Rule("exists_under", Under(glob, name))


def _path(text: str) -> str | None:
    """The path or glob that the text is, or None if it may as well be English.

    Unquoted, it has no space; it shows a dot, a slash or a glob sign. Backticks say "this is code": they need
    no such sign.
    """
    text = text.strip()
    path = _unquoted(text)
    quoted = path != text
    if not path or "://" in path or (not quoted and any(map(str.isspace, path))):
        return None
    if text.startswith("`") and quoted:
        return path
    shows = any(sign in path for sign in "./*?[")
    return path if shows and re.search(r"[\w*?]", path) else None


def _unquoted(text: str) -> str:
    """The text within its quotes, if one pair encloses the whole of it."""
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 2 and text.find(closing, 1) == len(text) - 1:
        return text[1:-1]
    return text


def _without_stop(text: str) -> str:
    stripped = text.rstrip()
    if stripped.endswith(".") and not stripped.endswith(".."):
        return stripped[:-1].rstrip() or stripped
    return stripped
