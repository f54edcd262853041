"""Strings and numbers of scripting languages, what is put into strings, and names that stand for folders.

Rule: a token in, its value out. What a language puts into a string is worked out; what is not known stays `$unknown`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.shell.code_acts import HOME
from orchestrator.shell.code_folds import UNKNOWN, Value, any_of
from orchestrator.shell.code_home import with_home
from orchestrator.shell.code_tokens import Token

if TYPE_CHECKING:
    from orchestrator.shell.code_text import Expressions

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u\{?([0-9a-fA-F]{4,6})\}?|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "e": "\x1b"}
_EMBEDDED = re.compile(r"\$\{([^{}]*)\}|#\{([^{}]*)\}|\{(\$[^{}]*)\}|(\$\w+(?:->\w+|\[-?\w+\])?)")
_HOME = re.compile(HOME)
_DOUBLE = re.compile(r'"(?:\\.|[^"\\])*"')
_ASKED_WITHIN = re.compile(r"\$ENV\{['\"]?HOME['\"]?\}|\{\$_(?:SERVER|ENV)\[['\"]HOME['\"]\]\}")
_HOME_WITHIN = re.compile(r"[$#]?\{'~'\}|'~'")
_LONG = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_DECIMAL = re.compile(r"\\(\d{1,3})")
_OR = re.compile(r"(?<=[\w})\]'\"])\s*//\s*(?=[\w'\"$(])")
_MAPS_TO_LETTERS = re.compile(r"\bmap\s*(?:\{\s*chr\s*(?:\(?\$_\)?)?\s*\}|chr\s*,)")
# What stands for a folder, besides the home.
_PLACES: dict[str, Value] = {
    "__dirname": ".", "__DIR__": ".", "__dir__": ".", "__filename": "./code", "__FILE__": "./code", "$0": "./code",
    "path.sep": "/", "DIRECTORY_SEPARATOR": "/", "File.SEPARATOR": "/", "Dir.pwd": ".", "Pathname.pwd": ".",
    "process.env.PWD": ".", "ENV.PWD": ".", "process.env.USER": "$USER", "ENV.USER": "$USER",
}  # fmt: skip


def place(path: str) -> Value:
    """The folder that a name or a variable of the environment stands for."""
    return "~" if _HOME.fullmatch(path) else _PLACES.get(path, UNKNOWN)


def plain_code(code: str, language: str) -> str:
    """The code with look-ups of the home folder, and forms that only one language has, in forms that all have."""
    if language == "lua":
        code = _DECIMAL.sub(lambda found: f"\\x{int(found[1]) & 0xFF:02x}", _LONG.sub(r'"\1"', code))
    elif language == "perl":
        code = _MAPS_TO_LETTERS.sub("chr ", _OR.sub(" || ", code))
    if language in ("perl", "php"):
        code = _DOUBLE.sub(lambda found: _ASKED_WITHIN.sub("~", found.group()), code)
    return _HOME.sub("'~'", with_home(code))


def literal(reader: Expressions, token: Token) -> Value:
    """What a string, a number or a regular expression says."""
    text = token.text
    if token.kind == "regex":
        return text if text.isalnum() or len(text) == 1 else UNKNOWN
    if token.kind == "number":
        return str(int(text, 16)) if text[:2] in ("0x", "0X") else text
    if token.kind == "single":
        plain = reader.language not in ("node", "lua")
        return text.replace("\\'", "'").replace("\\\\", "\\") if plain else _unescaped(text)
    if token.kind == "quote":
        return _quoted(reader, text)
    said = _embedded(reader, _unescaped(text))
    if token.kind == "tick" and reader.language not in ("node", "lua"):
        return reader.called("`", [said], UNKNOWN) or UNKNOWN
    return said


def _quoted(reader: Expressions, text: str) -> Value:
    if text[:1] == "<":
        return _embedded(reader, text[1:-1])
    mark, body = re.match(r"[%\w]+", text), re.sub(r"^[%\w]+.|.$", "", text, flags=re.DOTALL)
    letters = mark.group() if mark else ""
    if letters[-1:] in ("w", "i") and letters != "qi":
        return body.split()
    if letters[-1:] == "x":
        return reader.called("`", [_embedded(reader, body)], UNKNOWN) or UNKNOWN
    return _embedded(reader, _unescaped(body))


def _embedded(reader: Expressions, text: str) -> str:
    """A string with what is put into it, where that is known."""

    def one(found: re.Match[str]) -> str:
        name = next(group for group in found.groups() if group is not None)
        if reader.language == "node" and found.group(4):
            return found.group()
        known = any_of(reader.within(name))
        kept = known == UNKNOWN and found.group(4) and reader.language not in ("perl", "php")
        return found.group() if kept else known

    return _EMBEDDED.sub(one, _HOME_WITHIN.sub("~", text))


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code, wide, octal, letter = found.groups()
        if code or wide:
            return chr(min(int(code or wide, 16), 0x10FFFF))
        return chr(int(octal, 8) & 0xFF) if octal else _LETTERS.get(letter, letter)

    return _ESCAPE.sub(one, text) if "\\" in text else text
