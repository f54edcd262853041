"""Words of a syntax tree become the words that a program would receive.

Rule: what the script itself says is worked out; the rest stays as its source text and is marked unknown.
Commands in substitutions are handed to `run` once, and what they are known to print takes their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from orchestrator.shell.arithmetic import evaluate, hidden_code, holds_code, written
from orchestrator.shell.command import Command
from orchestrator.shell.finds import listed_by
from orchestrator.shell.pieces import (
    ARRAY,
    Field,
    Piece,
    decode_ansi,
    expand_braces,
    joined_array,
    remove_pattern,
    replace_pattern,
    split_fields,
    unescape_bare,
)
from orchestrator.shell.prints import printed
from orchestrator.shell.scope import Scope
from orchestrator.shell.syntax import Node

_BLANKS = " \t\n"
_GLOB = re.compile(r"[*?\[]")
# What these hold nearly everywhere: enough to see through `${PATH:0:1}`, which is a slash.
_USUAL = {
    "HOME": "/home/user", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PWD": "/home/user/work", "OLDPWD": "/home/user", "SHELL": "/bin/bash", "BASH": "/bin/bash",
}  # fmt: skip
_KNOWN_PLACES = frozenset(("HOME", "PWD"))
_DOUBLE_PROTECTS = frozenset('"\\$`\n')


class Words:
    """Expands the words of one text. `fed` gathers the commands whose output goes into the words read so far."""

    def __init__(self, source: bytes, scope: Scope, run: Callable[[list[Node], bool], list[Command]]) -> None:
        self.source, self.scope, self.run = source, scope, run
        self.fed: list[Command] = []
        # Scripts in the values of variables that bash would find and run.
        self.scripts: list[str] = []
        self._ran: dict[int, list[Command]] = {}

    def text(self, node: Node) -> str:
        """The source of a node."""
        cut = self.source[node["Pos"]["Offset"] : node["End"]["Offset"]]
        return cut.decode(errors="surrogateescape")

    def fields(self, word: Node) -> list[Field]:
        """A word as the fields that it becomes; none where it vanishes."""
        pieces = self.pieces(word["Parts"])
        separators = self._separators()
        return [field for made in expand_braces(pieces) for field in split_fields(made, separators)]

    def value(self, word: Node | None) -> Field:
        """A word that is not split: an assigned value, a redirection's target."""
        if word is None:
            return Field("")
        fields = split_fields(self.pieces(word["Parts"]), "", assignment=True)
        return fields[0] if fields else Field("")

    def _separators(self) -> str:
        chosen = self.scope.value("IFS")
        return _BLANKS if chosen is None or chosen.expands else chosen.text

    def pieces(self, parts: Sequence[Node], *, double: bool = False) -> list[Piece]:
        made: list[Piece] = []
        for part in parts:
            made += self._part(part, double)
        return made

    def _part(self, part: Node, double: bool) -> list[Piece]:
        match part["Type"]:
            case "Lit":
                value = part.get("Value", "")
                return [Piece(_unescape_double(value))] if double else unescape_bare(value)
            case "SglQuoted":
                value = part.get("Value", "")
                return [Piece(decode_ansi(value) if part.get("Dollar") else value)]
            case "DblQuoted":
                return self.pieces(part.get("Parts", ()), double=True) or [Piece("")]
            case "ParamExp":
                return self._parameter(part, double)
            case "CmdSubst":
                return self._substitution(part, double)
            case "ProcSubst":
                self._feed(part)
                return [Piece("/dev/fd/63")]
            case "ArithmExp":
                self.run_within(part)
                if (number := self.arithmetic(part)) is not None:
                    return [Piece(str(number), "quoted" if double else "split")]
        return [Piece(self.text(part), "quoted" if double else "split", unknown=True)]

    def arithmetic(self, node: Node) -> int | None:
        """The value of an arithmetic node, where it is known. What it evaluates may hold code."""
        self.scripts += hidden_code(self.text(node), self.scope)
        text = written(node, self.known)
        return None if text is None else evaluate(text, self.scope)

    def known(self, word: Node) -> str | None:
        """The text of a word of which nothing is unknown."""
        pieces = self.pieces(word.get("Parts", ()))
        return None if any(piece.unknown for piece in pieces) else "".join(piece.text for piece in pieces)

    def run_within(self, node: object) -> None:
        """Run the substitutions somewhere below a node that is no word: arithmetic, tests."""
        if isinstance(node, list):
            for item in node:
                self.run_within(item)
        elif isinstance(node, dict):
            if node.get("Type") in ("CmdSubst", "ProcSubst"):
                self._feed(node)
            else:
                self.run_within(list(node.values()))

    def _feed(self, part: Node) -> list[Command]:
        """The commands of a substitution; they run once, however often the word is read."""
        at = part["Pos"]["Offset"]
        if at not in self._ran:
            self._ran[at] = self.run(part.get("Stmts", []), part.get("Op") == ">(")
        self.fed += [item for item in self._ran[at] if (item.words or item.redirects) and item not in self.fed]
        return self._ran[at]

    def _substitution(self, part: Node, double: bool) -> list[Piece]:
        commands = self._feed(part)
        said = printed(commands[-1]) if commands else Field("")
        kind = "quoted" if double else "split"
        if said is None:
            names = listed_by(commands)
            return [Piece(self.text(part) if names is None else names, kind, unknown=True)]  # type: ignore[arg-type]
        text = said.text.rstrip("\n")
        if text.startswith("$PWD") and len(commands) > 1 and _may_fail(commands[0]):
            text = text.replace("$PWD", "${PWD-}", 1)
        return [Piece(text, kind, said.expands)]  # type: ignore[arg-type]

    def _parameter(self, part: Node, double: bool) -> list[Piece]:
        name = part.get("Param", {}).get("Value", "")
        if name in ("@", "*") or (name.isdigit() and name != "0"):
            found = self._arguments(name, double)
            if found is not None and not part.get("Exp"):
                return found
        value = self._resolved(part, name)
        meant = self.scope.meant(name)
        if value is None and meant != name and meant.isidentifier() and not part.get("Exp"):
            value = Field(f"${meant}", True)
        members = "".join(item.get("Value", "") for item in (part.get("Index") or {}).get("Parts", ()))
        # `"${a[@]}"` is as many words as the array has.
        kind = "quoted" if double and (not part.get("Index") or members.isdigit() or members == "*") else "split"
        if value is None:
            return [Piece(self.text(part), kind, unknown=True)]  # type: ignore[arg-type]
        text = value.text
        if members == "*" and double and ARRAY in text:
            text = self._separators()[:1].join(text.split(ARRAY)[:-1])
        return [Piece(text, kind, value.expands)]  # type: ignore[arg-type]

    def _arguments(self, name: str, double: bool) -> list[Piece] | None:
        given = self.scope.arguments
        if given is None:
            return None
        if name.isdigit():
            given = given[int(name) - 1 : int(name)]
        text = given[0].text if name.isdigit() and given else joined_array([field.text for field in given])
        # `"$@"` keeps its words apart even where they hold blanks; nothing here needs to tell.
        keep = double and name.isdigit()
        return [Piece(text, "quoted" if keep else "split", any(field.expands for field in given))]

    def _resolved(self, part: Node, name: str) -> Field | None:
        value = self.scope.value(name)
        if name == "IFS" and value is None:
            value = Field(_BLANKS)
        if part.get("Length") or part.get("Names"):
            return None
        if part.get("Excl"):
            if name == "#" and self.scope.arguments:
                return self.scope.arguments[-1]
            if value and holds_code(value.text) and "[" in value.text:
                self.scripts.append(value.text)
            if value and value.text in _USUAL and self.scope.value(value.text) is None:
                return Field(f"${value.text}", True)
            return self.scope.value(value.text) if value else None
        if index := part.get("Index"):
            value = self._element(name, value, index)
        if part.get("Slice"):
            return self._slice(part["Slice"], value, name)
        if replaced := part.get("Repl"):
            return self._replaced(replaced, value, name)
        if operation := part.get("Exp"):
            return self._operated(operation, value, name)
        return value

    def _element(self, name: str, value: Field | None, index: Node) -> Field | None:
        wanted = "".join(piece.text for piece in self.pieces(index.get("Parts", ())))
        own = {key: self.scope.value(key) for key in self.scope.variables if key.startswith(f"{name}[")}
        if wanted in ("@", "*"):
            members = [member for member in own.values() if member]
            joined = Field(joined_array([item.text for item in members]), any(item.expands for item in members))
            return value or (joined if members else None)
        if f"{name}[{wanted}]" in own:
            return own[f"{name}[{wanted}]"]
        number = self._number(index)
        if value is None:
            return own.get(f"{name}[{number}]")
        elements = value.text.split(ARRAY)[:-1] if ARRAY in value.text else value.text.split()
        # Which one it is in a loop, a run would tell: it may be any of them.
        if number is not None and -len(elements) <= number < len(elements):
            return Field(elements[number], value.expands)
        return value if number is None else None

    def _slice(self, spec: Node, value: Field | None, name: str) -> Field | None:
        start, length = (self._number(spec.get(key)) for key in ("Offset", "Length"))
        if value is None and name in _USUAL:
            value = Field(_USUAL[name])
        if value is None or start is None or value.expands or (spec.get("Length") and length is None):
            return None
        array = ARRAY in value.text
        whole: str | list[str] = value.text.split(ARRAY)[:-1] if array else value.text
        rest = whole[start:]
        cut = rest if length is None else rest[:length]
        return Field(joined_array(cut)) if isinstance(cut, list) else Field(cut)

    def _place(self, name: str, operator: str, spec: Node) -> Field:
        """`${HOME:-x}` is the home folder, `${PWD%/*}` the one above: known by their names, not by their values."""
        if operator in _DEFAULTS or self.value(spec.get("Word")).text == "/":
            return Field(f"${name}", True)
        return Field(
            "/" if operator == "%%" and self.value(spec.get("Word")).text in ("/*", "/*/*") else f"${name}/..", True
        )

    def _number(self, node: Node | None) -> int | None:
        """A subscript or a bound; None in a loop where a variable tells it."""
        if not node:
            return None
        number = self.arithmetic(node)
        return number if self.scope.certain or self.text(node).strip().lstrip("-").isdigit() else None

    def _replaced(self, spec: Node, value: Field | None, name: str) -> Field | None:
        if value is None or value.expands:
            return Field("$HOME", True) if name == "HOME" else None
        pattern, replacement = self.value(spec.get("Orig")), self.value(spec.get("With"))
        text = replace_pattern(value.text, pattern.text, replacement.text, every=bool(spec.get("All")))
        return Field(text, replacement.expands)

    def _operated(self, spec: Node, value: Field | None, name: str) -> Field | None:
        operator = spec["Op"]
        if value is None and name in _KNOWN_PLACES and (operator in _DEFAULTS or operator[0] == "%"):
            return self._place(name, operator, spec)
        if operator in (":-", "-", ":=", "="):
            if value is not None and (value.text or operator[0] != ":"):
                return value
            default = self.value(spec.get("Word"))
            if operator.endswith("="):
                self.scope.set(name, default)
            return default
        if operator in (":+", "+"):
            return self.value(spec.get("Word")) if value is None or value.text else Field("")
        if operator[0] in "#%" and value is None and name in _USUAL:
            cut = remove_pattern(_USUAL[name], self.value(spec.get("Word")).text, operator)
            # Only what is left of the beginning is the same everywhere.
            return Field(cut) if cut in ("", "/") else None
        if operator == "@" and value is not None:
            return self._transformed(self.value(spec.get("Word")).text, value)
        if value is not None and value.expands and operator[0] in "#%":
            return self._cut_unknown(self.value(spec.get("Word")).text, value, operator)
        if value is None or value.expands or operator in (":?", "?"):
            return value
        if operator[0] in "#%":
            return Field(remove_pattern(value.text, self.value(spec.get("Word")).text, operator))
        return Field(_CASES[operator](value.text)) if operator in _CASES else None

    def _cut_unknown(self, pattern: str, value: Field, operator: str) -> Field:
        """`${x%/*}` of a path that begins or ends with what only a run would tell: a place's name has one above it."""
        if _GLOB.search(value.text):
            return value
        cut = remove_pattern(value.text, pattern, operator)
        if pattern == "/*" and operator == "%" and (cut == value.text or value.text.endswith("/..")):
            return Field(f"{value.text}/..", True)
        return Field(cut, "$" in cut or "`" in cut or cut[:1] == "~")

    def _transformed(self, letter: str, value: Field) -> Field | None:
        """`${x@E}` and its like; `@P` runs what is in the value."""
        if letter == "P":
            self.scripts.append(value.text)
            return None
        return Field(_LETTERS[letter](value.text), value.expands) if letter in _LETTERS else value


_DEFAULTS = frozenset((":-", "-", ":=", "=", ":?", "?"))
_LETTERS: dict[str, Callable[[str], str]] = {
    "E": decode_ansi,
    "U": str.upper,
    "L": str.lower,
    "u": lambda text: text[:1].upper() + text[1:],
}
_CASES: dict[str, Callable[[str], str]] = {
    "^^": str.upper,
    ",,": str.lower,
    "^": lambda text: text[:1].upper() + text[1:],
    ",": lambda text: text[:1].lower() + text[1:],
}


def _may_fail(command: Command) -> bool:
    """Whether a command is a `cd` that may not get where it is told, so that nothing is printed behind its `&&`."""
    target = next((word for word in command.words[1:] if word[:1] != "-"), "~")
    sure = target in ("/", "~", "..", ".", "$HOME", "$PWD") or target.endswith("/..")
    return command.name == "cd" and command.then == "&&" and not sure


def _unescape_double(text: str) -> str:
    parts, at = [], 0
    while (found := text.find("\\", at)) >= 0:
        after = text[found + 1 : found + 2]
        parts.append(text[at:found] if after in _DOUBLE_PROTECTS else text[at : found + 1])
        if after in _DOUBLE_PROTECTS:
            parts.append("" if after == "\n" else after)
            at = found + 2
        else:
            at = found + 1
    parts.append(text[at:])
    return "".join(parts)
