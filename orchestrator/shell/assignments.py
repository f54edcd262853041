"""Assignments: what a script gives to its variables, by itself or with `declare`, `export` and their like.

Rule: a value is followed as far as the script says it; a name that stands for another one gives to that.
"""

from __future__ import annotations

from orchestrator.shell.arithmetic import evaluate, hidden_code, holds_code
from orchestrator.shell.pieces import ARRAY, Field, joined_array
from orchestrator.shell.scope import Scope
from orchestrator.shell.syntax import Node
from orchestrator.shell.words import Words


class Assignments:
    """The part of a walk that changes variables."""

    scope: Scope
    words: Words

    def assign(self, node: Node, temporary: bool) -> tuple[str, str]:
        name = node["Name"]["Value"]
        if array := node.get("Array"):
            elements = [field for item in array.get("Elems", []) for field in self.words.fields(item["Value"])]
            value = Field(joined_array([item.text for item in elements]), any(item.expands for item in elements))
        else:
            value = self.words.value(node.get("Value"))
        if node.get("Append") and (before := self.scope.value(name)):
            joint = ARRAY if node.get("Array") else ""
            value = Field(before.text + joint + value.text, value.expands or before.expands)
        if index := node.get("Index"):
            self.words.scripts += hidden_code(self.words.text(index), self.scope)
            name = f"{name}[{''.join(piece.text for piece in self.words.pieces(index.get('Parts', ())))}]"
        if name in self.scope.integers:
            value = self.number(value)
        if not temporary:
            self.scope.set(name, value)
        return name, value.text.replace(ARRAY, " ")

    def declared(self, items: list[Node]) -> list[Field]:
        """The words of a declaration, its assignments made."""
        fields: list[Field] = []
        for item in items:
            if not item.get("Name"):
                fields += self.words.fields(item["Value"])
            elif Field("-n") in fields and not item.get("Naked"):
                self.refer(item["Name"]["Value"], self.words.value(item.get("Value")).text)
            elif item.get("Naked"):
                self.scope.integers.update([item["Name"]["Value"]] if Field("-i") in fields else ())
                fields.append(Field(item["Name"]["Value"]))
            else:
                self.scope.integers.update([item["Name"]["Value"]] if Field("-i") in fields else ())
                name, text = self.assign(item, False)
                expands = any(value.expands for value in self.scope.variables.get(name, ()))
                # A tilde in the middle of a word is a tilde.
                fields.append(Field(f"{name}={text}", expands and text[:1] != "~"))
        return fields

    def number(self, value: Field) -> Field:
        """What a variable for numbers is given."""
        self.words.scripts += hidden_code(value.text, self.scope)
        number = None if value.expands else evaluate(value.text, self.scope)
        return value if number is None else Field(str(number))

    def refer(self, name: str, meant: str) -> None:
        """`declare -n`: what it stands for may hide code in a subscript."""
        self.words.scripts += [meant] if holds_code(meant) else []
        self.scope.references[name] = meant
