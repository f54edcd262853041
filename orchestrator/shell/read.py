"""A script becomes facts by the cheaper of two ways that agree: the splitter, or shfmt's tree.

Rule: the splitter takes what is plain; everything else is read by shfmt. What neither can read has a problem, and
is skimmed all the same, so that what is plainly there is still found.
"""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.shell.command import Script
from orchestrator.shell.plain import parse
from orchestrator.shell.scope import Scope
from orchestrator.shell.syntax import UnreadableError, read_tree
from orchestrator.shell.walk import walk

LARGEST_SCRIPT = 256 * 1024
"""In characters; what is longer is not judged by what it holds."""
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_HIDES = "it holds characters that cannot be seen, so that it reads otherwise than it runs"


def read(script: str, scope: Scope) -> Script:
    """The commands of a script. The scope is changed as the script changes it. Raises OSError alone, while the parser
    can't be started."""
    if "\r" in script:
        script = script.replace("\r\n", "\n").removesuffix("\r")
    found = _read(script[:LARGEST_SCRIPT], scope)
    if len(script) > LARGEST_SCRIPT:
        return replace(found, problem=f"it is longer than {LARGEST_SCRIPT // 1024} KiB")
    if script.isascii() and script.isprintable():
        return found
    if _HIDDEN.search(script):
        return replace(found, problem=found.problem or _HIDES)
    odd = next((command.name for command in found.commands if not command.name.isascii()), "")
    return replace(found, problem=f"`{odd}` is not a plain program name") if odd and not found.problem else found


def _read(script: str, scope: Scope) -> Script:
    split = parse(script)
    if split.plain and not split.problem and not _needs(script, split, scope):
        return split
    return _walked(script, split, scope)


def _needs(script: str, split: Script, scope: Scope) -> bool:
    """Whether plain words mean more here than they say: variables, functions or arguments from outside."""
    if scope.functions and any(command.name in scope.functions for command in split.commands):
        return True
    return "$" in script and any(name in script for name in scope.variables)


def _walked(script: str, split: Script, scope: Scope) -> Script:
    try:
        return walk(read_tree(script), script, scope)
    except UnreadableError as error:
        return replace(split, plain=False, problem=split.problem or str(error))
