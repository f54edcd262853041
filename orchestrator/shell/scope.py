"""What a script has said so far: its variables, functions and arguments.

Rule: a variable that a script sets has the values that it may have, not one guess: a branch or a loop adds to
them. What it does not set stays a name, and the caller sees that the word expands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.shell.command import Command
from orchestrator.shell.pieces import Field
from orchestrator.shell.syntax import Node

MAX_VALUES = 6


@dataclass(slots=True)
class Function:
    """A function's body, and the text that it stands in (positions in a tree mean nothing without it)."""

    body: Node
    source: bytes
    called: bool = False


@dataclass(slots=True)
class Scope:
    """`arguments` are `$1`, …; None where they are not known. `certain` is False within branches and loops.
    `choice` names the one value of each variable that is meant while a command is being read."""

    variables: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    arguments: tuple[Field, ...] | None = None
    certain: bool = True
    choice: dict[str, Field] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    # Names that stand for another variable: `declare -n`; those that hold numbers: `declare -i`.
    references: dict[str, str] = field(default_factory=dict)
    integers: set[str] = field(default_factory=set)
    # The last word of the command before: `$_`.
    last: Field | None = None
    # Shells that wait for orders, by the descriptor or variable that leads to them.
    shells: dict[str, Command] = field(default_factory=dict)

    def meant(self, name: str) -> str:
        """The variable that a name stands for."""
        for _ in range(len(self.references)):
            name = self.references.get(name, name)
        return name

    def value(self, name: str) -> Field | None:
        """The value of a variable that the script has set; None where it has not."""
        if name == "_":
            return self.last
        name = self.meant(name) if self.references else name
        if name in self.choice:
            return self.choice[name]
        values = self.variables.get(name)
        return values[0] if values else None

    def set(self, name: str, value: Field) -> None:
        """Give a variable a value: a further one within branches and loops."""
        name = self.meant(name) if self.references else name
        known = self.variables.get(name, ())
        if self.certain:
            self.variables[name] = (value,)
        elif value not in known:
            # Too many to follow: it counts as unknown from then on.
            unknown = Field(f"${name}", True)
            self.variables[name] = (*known, value) if len(known) < MAX_VALUES else (unknown,)

    def inner(self) -> Scope:
        """For a script that is run within this one."""
        inner = Scope(dict(self.variables), dict(self.functions), calls=self.calls)
        inner.references, inner.integers, inner.shells = dict(self.references), set(self.integers), dict(self.shells)
        return inner
