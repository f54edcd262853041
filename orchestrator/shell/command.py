"""The facts about one simple command, in the words that the program would receive.

Rule: a word is the text after quote removal; `expands` names the words that the shell would change further
(`~`, `$x`, `*`), so that a quoted `'~'` and a bare `~` are told apart without a class for words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest


@dataclass(frozen=True, slots=True)
class Redirect:
    """One redirection: the operator without its descriptor (`>`, `>>`, `<`, `<<`, `>&`, …) and its target."""

    op: str
    target: str
    expands: bool = False

    @property
    def writes(self) -> bool:
        """Whether it opens a file for writing (`2>&1` does not)."""
        return ">" in self.op and not (self.op == ">&" and (self.target.isdigit() or self.target == "-"))


# A value that nobody changes (`replace` makes another), but not frozen: that would double the time to make one.
@dataclass(slots=True, unsafe_hash=True)
class Command:
    """One simple command: `words[0]` is the program as written, `text` its source as written.

    `expands` are the positions of words that the shell expands. `then` is the separator that follows it
    (`&&`, `;` or a new line, `|`, `)`, … or nothing at the end), `upstream` the commands that are piped into it,
    `stdin` the text of its here-document or here-string, `via` the wrappers it was taken out of, `fed` the
    commands in substitutions within it. `forks`: it starts copies of itself without end. `downloaded`: the
    script has just fetched the program, or the code that it reads, from the network. `named` are the texts of files
    that the script has written and the command reads.
    """

    words: tuple[str, ...]
    text: str
    expands: tuple[int, ...] = ()
    assigns: tuple[tuple[str, str], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    upstream: tuple[Command, ...] = ()
    stdin: str | None = None
    then: str = ""
    via: tuple[str, ...] = ()
    fed: tuple[Command, ...] = ()
    forks: bool = False
    downloaded: bool = False
    named: tuple[str, ...] = ()
    # The program's name without its folder; empty where the command only assigns or redirects. Asked for so often that
    # it is worked out once.
    name: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.name = self.words[0].rpartition("/")[2] if self.words else ""

    @property
    def followed(self) -> Iterator[tuple[str, str]]:
        """Each word after the name with the one that follows it, for options that take a value; `""` at the end."""
        return zip_longest(self.words[1:], self.words[2:], fillvalue="")

    @property
    def dynamic(self) -> bool:
        """Whether the shell decides only at run time which program this is."""
        return 0 in self.expands

    def tail(self, at: int) -> Command | None:
        """The command that begins at word `at` of this one."""
        if at >= len(self.words):
            return None
        expands = tuple(index - at for index in self.expands if index >= at)
        return replace(self, words=self.words[at:], expands=expands, via=(*self.via, self.name))

    def operands(self, values: frozenset[str], at: int = 1) -> int:
        """Where the operands begin, from word `at` on; `values` are the options that take the next word."""
        words = self.words
        while at < len(words) and words[at][:1] == "-" and len(words[at]) > 1:
            if words[at] == "--":
                return at + 1
            at += 2 if words[at] in values else 1
        return at


Unwrapped = Iterator[Command | str]
"""What a command starts: further commands, and scripts for a shell."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a script would run. `plain` is False where the splitter met syntax that it only skims, or variables
    that the script sets; `problem` says why a script can't be read at all (an unclosed quote)."""

    commands: tuple[Command, ...]
    plain: bool = True
    problem: str = ""
