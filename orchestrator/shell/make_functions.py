"""References in a makefile's text: variables, those that make sets itself, and make's own functions.

Rule: from the innermost outwards. What nobody has set becomes a shell variable, and what only a run would tell
`$unknown`; a `$(shell …)` stays as what the shell has for it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

Variables = dict[str, str]
_MAX_DEPTH = 8
_REFERENCE = re.compile(r"\$(?:\(([^()]*)\)|\{([^{}]*)\}|([@<^+*?%]))")
# Stand for what may not be read as a reference again: a dollar, and the brackets of a shell's substitution.
_DOLLAR, _OPEN, _CLOSE = "\0", "\1", "\2"
_SHELL = re.compile(f"{_DOLLAR}{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_BUILT_IN = {
    "RM": "rm -f",
    "CURDIR": f"{_DOLLAR}PWD",
    "MAKE": "make",
    "SHELL": "/bin/sh",
    "CC": "cc",
    "CXX": "g++",
    "AR": "ar",
}


def expanded(text: str, variables: Variables) -> str:
    """The text with its references replaced."""
    return _inner(text, variables, 0).replace(_DOLLAR, "$").replace(_OPEN, "(").replace(_CLOSE, ")")


def shell_parts(text: str, variables: Variables) -> list[str]:
    """The scripts of the `$(shell …)` in a text."""
    scripts = _SHELL.findall(_inner(text, variables, 0))
    return [script.replace(_DOLLAR, "$").replace(_OPEN, "(").replace(_CLOSE, ")") for script in scripts]


def _inner(text: str, variables: Variables, depth: int) -> str:
    text = text.replace("$$", _DOLLAR)
    for _ in range(_MAX_DEPTH):
        before, text = text, _REFERENCE.sub(lambda found: _one(found, variables, depth), text)
        if before == text:
            break
    return text


def _one(found: re.Match[str], variables: Variables, depth: int) -> str:
    name = next(group for group in found.groups() if group is not None).strip()
    function, _, rest = name.partition(" ")
    if function == "shell":
        return f"{_DOLLAR}{_OPEN}{rest}{_CLOSE}"
    if depth >= _MAX_DEPTH:
        return "$unknown"
    if function == "call":
        called, *given = map(str.strip, rest.split(","))
        return _inner(
            variables.get(called, ""), variables | {str(at): one for at, one in enumerate(given, 1)}, depth + 1
        )
    if function == "foreach" and rest.count(",") > 1:
        loop, words, body = rest.split(",", 2)
        return " ".join(_inner(body, variables | {loop.strip(): word}, depth + 1) for word in words.split())
    if rest and function in _FUNCTIONS:
        return _FUNCTIONS[function](*map(str.strip, rest.split(",")))
    if name in variables:
        return _inner(variables[name], variables, depth + 1)
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    return f"${{{name}}}" if name.isidentifier() else "$unknown"


def _each(change: Callable[[str], str]) -> Callable[..., str]:
    return lambda *words: " ".join(map(change, words[-1].split()))


def _substituted(pattern: str, new: str = "", text: str = "", *_: str) -> str:
    """`$(patsubst %.c,%.o,a.c)`; a word that does not match stays."""
    before, sign, after = pattern.partition("%")

    def one(word: str) -> str:
        if not sign or not (word.startswith(before) and word.endswith(after)):
            return new if word == pattern else word
        return new.replace("%", word[len(before) : len(word) - len(after)], 1)

    return " ".join(map(one, text.split()))


def _absolute(word: str) -> str:
    return word if word[:1] == "$" or word[:1] == _DOLLAR else posixpath.normpath(word)


def _folder(word: str) -> str:
    if word[:1] in ("$", _DOLLAR) and "/" not in word:
        return f"{word}/../"
    folder = posixpath.dirname(word)
    return f"{folder.rstrip('/')}/" if folder else "./"


_FUNCTIONS: dict[str, Callable[..., str]] = {
    **dict.fromkeys(("abspath", "realpath"), _each(_absolute)),
    "dir": _each(_folder),
    "notdir": _each(posixpath.basename),
    "basename": _each(lambda word: posixpath.splitext(word)[0]),
    "suffix": _each(lambda word: posixpath.splitext(word)[1]),
    "addprefix": lambda prefix, *words: " ".join(prefix + word for word in ",".join(words).split()),
    "addsuffix": lambda suffix, *words: " ".join(word + suffix for word in ",".join(words).split()),
    "patsubst": _substituted,
    "subst": lambda old, new="", text="", *_: text.replace(old, new) if old else text,
    "filter": lambda _, text="", *__: text,
    "filter-out": lambda _, text="", *__: text,
    "firstword": lambda *words: next(iter(words[-1].split()), ""),
    "lastword": lambda *words: next(reversed(words[-1].split()), ""),
    "word": lambda _, text="", *__: text,
    "wordlist": lambda *words: words[-1],
    "join": lambda one, other="", *_: " ".join(a + b for a, b in zip(one.split(), other.split(), strict=False)),
    # Which branch is taken, a run may tell: both are looked at.
    "if": lambda _, *branches: " ".join(branches),
    "or": lambda *values: next(filter(None, values), ""),
    "and": lambda *values: values[-1] if all(values) else "",
    **dict.fromkeys(("wildcard", "sort", "strip", "value"), lambda *words: ",".join(words)),
    **dict.fromkeys(("info", "warning", "error"), lambda *_: ""),
}
