"""Where in a call a value stands that is not known yet: as one word of a script, as data, or where it would be code.

Rule: found by the parser, never by a pattern. Each value is asked about by a stand-in: a word that nobody writes. What
is to be one word of a script stands there in single quotes; it is one only if the syntax tree has it as exactly that,
in a place where a word is a word and nothing else. And wherever the gate's own reading of the call comes upon the
stand-in within code, be it twice removed (`eval`, `ssh host …`, `… | sh`), the value would be read as code there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from orchestrator.shell.command import Command
from orchestrator.shell.interpreters import is_interpreter
from orchestrator.shell.known import Found
from orchestrator.shell.shells import ALL_SHELLS, SHELLS
from orchestrator.shell.syntax import Node, UnreadableError, read_tree
from orchestrator.shell.unwrap import find_commands

_REDIRECTIONS = frozenset((">", ">>", "<", ">|", "&>", "&>>", "<>", "<<<"))
_PLAIN_DECLARATION = re.compile(r"-[rxgp]+")
# They take a name, and evaluate the subscript in it.
_TAKE_NAMES = frozenset(
    ("read", "unset", "mapfile", "readarray", "getopts", "let", "declare", "typeset", "local", "export", "readonly")
)
_NAME_OPTIONS = {"printf": "-v", "test": "-v", "[": "-v", "wait": "-p"}
# What these are given is text to them, whatever it begins with.
_WITHOUT_OPTIONS = frozenset(("echo", "printf", "test", "[", ":", "true", "false", "exit", "return", "shift"))
_CODE_OPTION = re.compile(r"-\w*[ceEpr]|--eval|--command|--print|--execute")
_HOW = "give it to the step in `env`, and read the variable there"


class MisplacedError(Exception):
    """Why a value may not be put there, as a sentence for people. `stand_in` is that value's, if it is about one."""

    def __init__(self, message: str, stand_in: str = "") -> None:
        super().__init__(message)
        self.stand_in = stand_in


def quoted(stand_in: str) -> str:
    return f"'{stand_in}'"


def leading(argv: tuple[str, ...], env: Mapping[str, str], words: Iterable[str], bare: Iterable[str]) -> set[str]:
    """Check a call in which `words` stand (in single quotes) for values that are words of scripts, and `bare` for all
    others. Answers those that begin an argument, so that a program could take such a value for an option.

    Raises MisplacedError, and OSError while the parser can't be started.
    """
    words, bare = tuple(words), tuple(bare)
    found = find_commands(argv, env)
    if found.problem:
        raise MisplacedError(f"the gate can't read it, and so not say where the value would stand: {found.problem}")
    own = [text for text in argv if text in found.scripts]
    _never_code(found, own, (*words, *bare))
    for stand_in in bare:
        if any(stand_in in script for script in own):
            raise MisplacedError(
                f"a value in a script must be one word of it: write `| sh`, outside of all quotes; or {_HOW}", stand_in
            )
    heads = _heads_of_arguments(argv, own, bare)
    for script in own:
        heads |= _of_script(script, words)
    for stand_in in words:
        if not any(quoted(stand_in) in script for script in own):
            raise MisplacedError(
                "`| sh` is for the scripts of a shell: here its quotes would be a part of the value", stand_in
            )
    return heads


def _never_code(found: Found, own: list[str], stand_ins: tuple[str, ...]) -> None:
    inner = [script for script in found.scripts if script not in own]
    for stand_in in stand_ins:
        if any(stand_in in code for code in (*inner, *found.codes, *_handed_on(found.commands))):
            raise MisplacedError(f"the value would be read as code there; {_HOW}", stand_in)
        for command in found.commands:
            if _names_a_variable(command, stand_in):
                raise MisplacedError(f"`{command.name}` takes the name of a variable there; {_HOW}", stand_in)


def _handed_on(commands: list[Command]) -> Iterator[str]:
    """Code that a command hands to a shell or an interpreter which its own words name: `docker run image sh -c …`."""
    for command in commands:
        speaks = False
        for word, following in pairwise((*command.words, "")):
            name = word.rpartition("/")[2]
            speaks = speaks or name in ALL_SHELLS or is_interpreter(name)
            if speaks and _CODE_OPTION.fullmatch(word) and not (name in SHELLS and command.words[0] == word):
                yield following


def _names_a_variable(command: Command, stand_in: str) -> bool:
    if command.name in _TAKE_NAMES:
        return any(stand_in in word.partition("=")[0] for word in command.words[1:])
    option = _NAME_OPTIONS.get(command.name)
    return option is not None and any(one == option and stand_in in value for one, value in pairwise(command.words))


def _heads_of_arguments(argv: tuple[str, ...], own: list[str], bare: tuple[str, ...]) -> set[str]:
    """Of values that are arguments, those that begin one. What follows `--`, or the code that an interpreter was given,
    is no option of anything."""
    heads: set[str] = set()
    speaks = is_interpreter(argv[0].rpartition("/")[2])
    for before, word in pairwise(argv):
        if before == "--" or before in own or (speaks and _CODE_OPTION.fullmatch(before)):
            break
        heads.update(stand_in for stand_in in bare if word.startswith(stand_in))
    return heads


def _of_script(script: str, words: tuple[str, ...]) -> set[str]:
    present = [stand_in for stand_in in words if stand_in in script]
    if not present:
        return set()
    try:
        tree = read_tree(script)
    except UnreadableError as error:
        raise MisplacedError(f"the script can't be read: {error}") from error
    reader = _Places(frozenset(present))
    reader.statements(tree.get("Stmts", []))
    for stand_in in present:
        if script.count(stand_in) != reader.good.count(stand_in):
            raise MisplacedError(
                "`| sh` makes one word, and is right only where a word of a command stands outside of all quotes: not "
                f"in '…', \"…\", `…`, a here-document, a comment, [[ … ]], $(( … )) or a pattern; else {_HOW}",
                stand_in,
            )
    return reader.heads


class _Places:
    """Goes through a tree along those places alone where a word in quotes is that very word."""

    def __init__(self, stand_ins: frozenset[str]) -> None:
        self._stand_ins = stand_ins
        self.good: list[str] = []
        self.heads: set[str] = set()

    def statements(self, statements: list[Node]) -> None:
        for statement in statements:
            for redirection in statement.get("Redirs", []):
                if redirection["Op"] in _REDIRECTIONS:
                    self._word(redirection.get("Word"))
            if node := statement.get("Cmd"):
                self._command(node)

    def _command(self, node: Node) -> None:
        match node["Type"]:
            case "CallExpr":
                self._call(node)
            case "DeclClause":
                self._declaration(node)
            case "BinaryCmd":
                self.statements([node["X"], node["Y"]])
            case "Subshell" | "Block":
                self.statements(node.get("Stmts", []))
            case "IfClause":
                self._branch(node)
            case "WhileClause":
                self.statements([*node.get("Cond", []), *node.get("Do", [])])
            case "ForClause":
                for word in node["Loop"].get("Items", []) if node["Loop"]["Type"] == "WordIter" else ():
                    self._word(word)
                self.statements(node.get("Do", []))
            case "CaseClause":
                self._word(node.get("Word"))
                for item in node.get("Items", []):
                    self.statements(item.get("Stmts", []))
            case "FuncDecl":
                self.statements([node["Body"]])
            case "TimeClause" | "CoprocClause":
                self.statements([node["Stmt"]] if node.get("Stmt") else [])

    def _branch(self, node: Node) -> None:
        self.statements([*node.get("Cond", []), *node.get("Then", [])])
        if other := node.get("Else"):
            self._branch(other)

    def _call(self, node: Node) -> None:
        for assignment in node.get("Assigns", []):
            self._assigned(assignment)
        words = node.get("Args", [])
        name, ended = (_literal(words[0]) if words else ""), False
        for at, word in enumerate(words):
            head = self._word(word)
            ended = ended or _literal(word) == "--"
            if head and at and not ended and name not in _WITHOUT_OPTIONS:
                self.heads.add(head)

    def _declaration(self, node: Node) -> None:
        arguments = node.get("Args", [])
        options = [_literal(item.get("Value")) for item in arguments if item.get("Naked") and item.get("Value")]
        if all(_PLAIN_DECLARATION.fullmatch(option) for option in options):
            for item in arguments:
                if not item.get("Naked"):
                    self._assigned(item)

    def _assigned(self, assignment: Node) -> None:
        self._word(assignment.get("Value"))
        for item in (assignment.get("Array") or {}).get("Elems", []):
            self._word(item.get("Value"))

    def _word(self, word: Node | None) -> str:
        """Look into a word; answers the value that it begins with."""
        parts = (word or {}).get("Parts", [])
        for part in parts:
            self._part(part)
        first = parts[0] if parts else {}
        value: str = first.get("Value", "") if first.get("Type") == "SglQuoted" else ""
        return value if value in self._stand_ins else ""

    def _part(self, part: Node) -> None:
        match part["Type"]:
            case "SglQuoted":
                if part.get("Value") in self._stand_ins and not part.get("Dollar"):
                    self.good.append(part["Value"])
            case "DblQuoted":
                for inner in part.get("Parts", []):
                    self._part(inner)
            case "CmdSubst" | "ProcSubst":
                if not part.get("Backquotes"):
                    self.statements(part.get("Stmts", []))


def _literal(word: Node | None) -> str:
    """What a word says that is one plain part."""
    parts = (word or {}).get("Parts", [])
    return str(parts[0].get("Value", "")) if len(parts) == 1 and parts[0]["Type"] in ("Lit", "SglQuoted") else ""
