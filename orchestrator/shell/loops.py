"""Loops: what their bodies run, for each item, and again where a round makes something new of what one before it made.

Rule: a variable in a loop has every value that it may have there. A body is walked as often as that brings a value
that was not there before, and a few times at most.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from orchestrator.shell.arithmetic import assigned_in, hidden_code
from orchestrator.shell.assignments import Assignments
from orchestrator.shell.command import Command
from orchestrator.shell.endless import backgrounds, counts_far
from orchestrator.shell.pieces import Field
from orchestrator.shell.syntax import Node
from orchestrator.shell.words import Words

_MAX_ITEMS = 32
_MAX_ROUNDS = 5
# A variable that gets a part of itself, or more than that.
_OF_ITSELF = re.compile(r"\b([A-Za-z_]\w*)=[^;\n]*?\$\{?\1\b")
# `[ "$x" != / ]`: what a loop waits for.
_ENDS_WITH = re.compile(r"\[\[?\s+\"?\$\{?([A-Za-z_]\w*)\}?\"?\s+(!?==?)\s+[\"']?([\w./~-]+)[\"']?\s+\]\]?")
_LEAVES = re.compile(r"\b(?:break|return|exit)\b")
_PAUSES = frozenset(("wait", "sleep", "read"))


class Loops(Assignments, ABC):
    """The part of a walk that goes round."""

    commands: list[Command]

    @abstractmethod
    def statements(self, statements: list[Node]) -> None:
        """Walk these, one after the other."""

    @abstractmethod
    def substitute(self, statements: list[Node], taking: bool = False) -> list[Command]:
        """The commands of a substitution."""

    @abstractmethod
    def emit(self, command: Command) -> None:
        """Add a command to those that were found."""

    @abstractmethod
    def hidden(self) -> None:
        """Add the scripts that bash finds in the values of variables."""

    def repeat(self, node: Node) -> None:
        condition, body = node.get("Cond", []), node.get("Do", [])
        before = len(self.commands)
        self.statements(condition)
        always = (["false"],) if node.get("Until") else (["true"], [":"])
        endless = [command.name for command in self.commands[before:]] in always
        self.again(body, lambda: self.endless(node, body, endless))
        ends = _ENDS_WITH.fullmatch("".join(map(self.words.text, condition)).strip(" ;\n"))
        leaves = _LEAVES.search("".join(map(self.words.text, body)))
        if ends and not leaves and (ends[2][0] == "!") != bool(node.get("Until")):
            # The loop is left where the variable has this value.
            self.scope.variables[ends[1]] = (Field(ends[3]),)

    def again(self, body: list[Node], walk: Callable[[], None]) -> None:
        """Walk the body of a loop as often as it may make something new of what it made before: `p=${p%/*}`."""
        climbs = any(_OF_ITSELF.search(self.words.text(node)) for node in body)
        start = len(self.commands)
        for _ in range(_MAX_ROUNDS if climbs else 1):
            known, inside = dict(self.scope.variables), len(self.commands)
            self.words = self.fresh()
            walk()
            if inside > start:
                earlier = self.commands[start:inside]
                self.commands[inside:] = [item for item in self.commands[inside:] if item not in earlier]
            if self.scope.variables == known:
                return

    def endless(self, node: Node, body: list[Node], endless: bool) -> None:
        """Walk the body of a loop, and say so if it starts things beside itself without end."""
        inside = len(self.commands)
        self.uncertain(body)
        found = self.commands[inside:]
        pauses = any(item.name in _PAUSES and item.then != "&" and "coproc" not in item.via for item in found)
        called = [self.scope.functions[item.name].body for item in found if item.name in self.scope.functions]
        if endless and backgrounds([body, *called]) and not pauses:
            self.emit(Command(("while",), self.words.text(node), forks=True))

    def iterate(self, node: Node) -> None:
        loop, body = node["Loop"], node.get("Do", [])
        if loop["Type"] != "WordIter":
            self.words.run_within(loop)
            self.words.scripts += hidden_code(self.words.text(loop), self.scope)
            self.hidden()
            for counter in assigned_in(self.words.text(loop)):
                self.scope.variables[counter] = (Field("$(seq)", True),)
            endless = not loop.get("Cond") or counts_far(self.words.text(loop))
            self.again(body, lambda: self.endless(node, body, endless))
            return
        name = loop["Name"]["Value"]
        items = [field for word in loop.get("Items", []) for field in self.words.fields(word)]
        if not loop.get("Items") and self.scope.arguments:
            items = list(self.scope.arguments)
        if not items or len(items) > _MAX_ITEMS:
            items = [*items[:_MAX_ITEMS], Field(f"${name}", True)]
        far = counts_far(self.words.text(loop))
        for item in dict.fromkeys(items):
            self.scope.variables[name] = (item,)
            self.words = self.fresh()
            self.endless(node, body, far)

    def fresh(self) -> Words:
        """Words read anew: a body that is walked again runs its substitutions again."""
        return Words(self.words.source, self.scope, self.substitute)

    def uncertain(self, statements: list[Node]) -> None:
        sure, self.scope.certain = self.scope.certain, False
        self.statements(statements)
        self.scope.certain = sure
