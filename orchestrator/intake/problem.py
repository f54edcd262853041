"""What is wrong with a file, and where: the one form in which every part of intake says it.

A *finding* names a place by its path in the document; a *problem* is a finding that has been located, with
line and column. Text that comes from the file is quoted so that it cannot steer a terminal.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice

from orchestrator.errors import TaskError

Path = tuple[str | int, ...]

_QUOTED_LENGTH = 60
_CANDIDATES = 200
_PLAIN_KEY = re.compile(r"[\w-]{1,64}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at `path`. `at_key` points at the key there rather than at its value; `offset`
    (in characters) is given where the place has no path of its own. `said` is a name that is not `known`: the
    nearest one is looked for only when the finding is shown, because a hostile file may hold thousands."""

    path: Path
    message: str
    said: str = ""
    known: Collection[str] = field(default=(), compare=False)
    at_key: bool = False
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file. `line` and `column` count from 1, columns in characters; None
    where the file as a whole is meant. `hint` is the nearest known name."""

    message: str
    line: int | None
    column: int | None
    path: str
    hint: str = ""

    def render(self, file: str) -> str:
        """`file:line:column: path: message (did you mean 'x'?)`, one line."""
        place = printable(file)
        if self.line is not None:
            place += f":{self.line}:{self.column}"
        where = f"{self.path}: " if self.path else ""
        meant = f" (did you mean {self.hint!r}?)" if self.hint else ""
        return f"{place}: {where}{self.message}{meant}"


class SpecError(TaskError):
    """A file that is not a task. `problems` are in the order of the file, at most MAX_PROBLEMS of them;
    `more` counts the rest."""

    def __init__(self, file: str, problems: Iterable[Problem], more: int = 0) -> None:
        self.file = file
        self.problems = tuple(problems)
        self.more = more
        others = len(self.problems) - 1 + more
        message = self.problems[0].render(file)
        super().__init__("invalid", f"{message}; and {others} more" if others else message)


def printable(text: str) -> str:
    """The text with control characters and halves of surrogate pairs made visible."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quote(text: str) -> str:
    """Text of the file as it may stand in a message: printable, short, in backquotes."""
    shown = text if len(text) <= _QUOTED_LENGTH else text[:_QUOTED_LENGTH] + "…"
    return f"`{printable(shown)}`"


def nearest(name: str, known: Collection[str]) -> str:
    """The known name that the writer most likely meant; empty if none is near."""
    if len(name) > _QUOTED_LENGTH:
        return ""
    by_folded = {candidate.lower(): candidate for candidate in islice(known, _CANDIDATES)}
    matches = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else ""


def render_path(path: Path) -> str:
    """`steps[0].args[1]`; a key that is not a plain word stands quoted in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{quote(part)[1:-1]}"]'
    return text
