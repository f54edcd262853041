"""One file as the constraints see it: its text, and what is known of its language."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.coding.gates.facts import Found
from orchestrator.coding.gates.python_facts import PythonFacts
from orchestrator.coding.gates.script_facts import ScriptFacts
from orchestrator.coding.languages.families import ending_of, family_of

_TYPED = ("ts", "mts", "cts", "tsx")
_MARKUP = ("jsx", "tsx")


@dataclass(frozen=True, slots=True)
class Source:
    """`python` or `script` is set where the file is in that language."""

    text: str
    python: PythonFacts | None = None
    script: ScriptFacts | None = None

    @property
    def facts(self) -> PythonFacts | ScriptFacts | None:
        return self.python or self.script

    @property
    def lines(self) -> list[str]:
        return self.text.removesuffix("\n").split("\n")

    def places(self, literal: str) -> list[Found]:
        """Where the text holds something word for word, and as a word where it is one."""
        left = r"(?<![\w$])" if re.match(r"[\w$]", literal) else ""
        right = r"(?![\w$])" if re.search(r"[\w$]\Z", literal) else ""
        pattern = re.compile(left + re.escape(literal) + right)
        return [Found(self.text.count("\n", 0, match.start()) + 1, literal) for match in pattern.finditer(self.text)]


@lru_cache(maxsize=8)
def _source(text: str, output_file: str, context: tuple[str, ...]) -> Source:
    family, ending = family_of(output_file), ending_of(output_file)
    if family == "python":
        return Source(text, python=PythonFacts(text, local_modules((output_file, *context))))
    if family == "script":
        return Source(text, script=ScriptFacts(text, typed=ending in _TYPED, markup=ending in _MARKUP))
    return Source(text)


def source_of(text: str, output_file: str, context: Sequence[str]) -> Source:
    """Remembered, because each constraint asks about the same text. The text of a Python file must parse."""
    return _source(text, output_file, tuple(context))


def local_modules(paths: Sequence[str]) -> frozenset[str]:
    """The names under which the project's own Python modules can be imported: folders and files on these paths."""
    return frozenset(os.path.splitext(part)[0] for path in paths for part in path.split("/"))
