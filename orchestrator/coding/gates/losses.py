"""Whether an answer still is the file that was there, or only the part of it that the model changed.

Small models print the one function that they were asked about, and nothing says so: it parses, and its own test passes.
Rule: where most of what the old file gave to others is gone, and most of its lines, it is refused, unless the task
itself speaks of what is gone.
"""

from __future__ import annotations

import ast
import re

from orchestrator.coding.gates.script_facts import ScriptFacts
from orchestrator.coding.languages.families import family_of

FEWEST = 2
"""A file with fewer names than this may well be written anew."""
SHOWN = 8


def lost(old: str, text: str, output_file: str, asked: str) -> str:
    """What is gone that should not be, in a sentence; empty where nothing is. `asked` is all that the task says."""
    before, after = _names(old, output_file), _names(text, output_file)
    gone = [name for name in before if name not in after and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", asked)]
    mostly = len(before) >= FEWEST and 2 * len(gone) >= len(before) and 2 * _lines(text) < _lines(old)
    if not mostly:
        return ""
    shown = ", ".join(f"`{name}`" for name in gone[:SHOWN]) + (", …" if len(gone) > SHOWN else "")
    return f"{shown} of the old file are gone, and most of its lines"


def _names(text: str, output_file: str) -> list[str]:
    """What stands at the top of it; nothing where that can't be read."""
    family = family_of(output_file)
    if family == "script":
        return ScriptFacts(text, typed=True, markup=output_file.endswith("x")).names
    if family != "python":
        return []
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [one.name for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def _lines(text: str) -> int:
    return sum(1 for line in text.split("\n") if line.strip())
