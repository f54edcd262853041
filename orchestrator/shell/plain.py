"""Splits a script of plain words into simple commands, in process and in microseconds.

Plain means: words (quotes, escapes, `$name`, globs and `~` included) joined by `&& || ; | &` and newlines, with
redirections and here-documents. On such a script the words are those that bash itself would hand to the
programs. Anything else (loops, groups, substitutions, functions) is skimmed: its separators still split, so
that every command of a plain part is found whatever stands around it, and `plain` is False so that the caller
knows to ask a real parser or to judge the raw text too.
"""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.shell.command import Command, Redirect, Script

_QUICK = re.compile(r"[A-Za-z0-9_./:@%+,-]+(?: +[A-Za-z0-9_./:=@%+,-]+)*")
_TOKEN = re.compile(
    r"""
      (?P<space>[ \t]+)
    | (?P<continued>\\\n)
    | (?P<redirect>\d*(?:<<<|<<-|<<|<>|<&|>&|>>|>\||<(?!\()|>(?!\())|&>>?)
    | (?P<bare>(?:[A-Za-z0-9_./:=@%+,^-]|[^\x00-\x7f])+)
    | (?P<single>'[^']*')
    | (?P<double>"(?:[^"\\]|\\.)*")
    | (?P<join>&&|\|\||;;&|;;|;&|;|\|&|\||&|\n)
    | (?P<variable>\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?\#@*!$-]|\{[A-Za-z_][A-Za-z0-9_]*\}))
    | (?P<glob>[*?\[\]~])
    | (?P<escape>\\.)
    | (?P<comment>\#[^\n]*)
    | (?P<skim>\$\(\(|\$\(|\$\{|[<>]\(|[()`])
    | (?P<brace>[{}])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
_DOUBLE_ESCAPE = re.compile(r'\\(["\\$`])|\\\n')
_ACTIVE = re.compile(r"(?<!\\)(?:\\\\)*(?:\$[A-Za-z0-9_({\[@*#?!$-]|`)")
_SUBSTITUTION = re.compile(r"(?<!\\)(?:\\\\)*(?:\$[(\[]|\$\{[^}]*[^A-Za-z0-9_}]|`)")
_OPENERS = frozenset(("if", "then", "elif", "else", "do", "while", "until", "!", "{", "}", "fi", "done", "esac"))
_HEADERS = frozenset(("for", "select", "case", "function", "[[", "time", "let", "coproc"))
_PIPES = ("|", "|&")
_MOST_STAGES = 100
# Builtins that set variables or arguments: what they do must be followed where the script uses any.
_SETTERS = frozenset(
    ("export", "declare", "typeset", "readonly", "local", "read", "printf", "set", "shift", "mapfile", "readarray")
)
_USED = re.compile(r"(?<!\\)(?:\\\\)*\$\{?([A-Za-z_][A-Za-z0-9_]*|[0-9@*]+)")
# What follows these may be the rest of a word rather than a command, so its first word names no program.
_CLOSERS = (")", "`", "$((", "${")


class _Splitter:
    """The state of one pass over one script."""

    def __init__(self, script: str, continued: bool) -> None:
        self.script = script
        self.continued = continued
        self.commands: list[Command] = []
        self.plain = True
        self.problem = ""
        self.nested: list[str] = []
        # Positions in `commands`: a here-document still comes to what has been piped on.
        self.pipeline: tuple[int, ...] = ()
        self.sources: list[tuple[int, ...]] = []
        self.heredocs: list[tuple[int, str, bool, bool]] = []
        self.begin_command(0)
        self.begin_word()

    def begin_command(self, at: int) -> None:
        self.start = self.end = at
        self.words: list[str] = []
        self.expands: list[int] = []
        self.assigns: list[tuple[str, str]] = []
        self.redirects: list[Redirect] = []
        self.stdin: str | None = None
        self.pending = ""

    def begin_word(self) -> None:
        self.parts: list[str] = []
        self.word_expands = self.word_quoted = False
        self.assignment: re.Match[str] | None = None

    def add(self, text: str, *, expands: bool = False, quoted: bool = False) -> None:
        if not self.parts and not quoted and not self.words and not self.pending:
            self.assignment = _ASSIGNMENT.match(text)
        self.parts.append(text)
        self.word_expands |= expands
        self.word_quoted |= quoted

    def end_word(self) -> None:
        if not self.parts:
            return
        word = "".join(self.parts)
        if self.pending:
            self.end_redirect(word)
        elif not self.words and not self.word_quoted and word in _OPENERS:
            self.plain = False
            self.start = self.end
        elif self.assignment:
            self.plain = self.plain and self.assignment.group()[-2:] != "+="
            self.assigns.append((self.assignment.group(1), word[self.assignment.end() :]))
        else:
            if not self.words and not self.word_quoted and word in _HEADERS:
                self.plain = False
            if self.word_expands and word not in ("[", "]", "[["):
                self.expands.append(len(self.words))
            self.words.append(word)
        self.begin_word()

    def end_redirect(self, word: str) -> None:
        op, self.pending = self.pending, ""
        self.redirects.append(Redirect(op, word, self.word_expands))
        if op == "<<<":
            self.stdin = word
        elif op.startswith("<<"):
            # The body comes after this line; the command that it belongs to is finished before.
            self.heredocs.append((len(self.commands), word, op == "<<-", self.word_quoted))

    def end_command(self, separator: str, at: int) -> None:
        self.end_word()
        if self.pending:
            self.plain, self.pending = False, ""
        if self.words or self.assigns or self.redirects:
            text = self.script[self.start : self.end].strip()
            if self.continued and self.expands[:1] == [0]:
                del self.expands[0]
            command = Command(
                tuple(self.words), text, tuple(self.expands), tuple(self.assigns), tuple(self.redirects),
                (), self.stdin, ";" if separator == "\n" else separator,
            )  # fmt: skip
            self.commands.append(command)
            self.sources.append(self.pipeline)
            self.pipeline = (*self.pipeline, len(self.commands) - 1) if separator in _PIPES else ()
            if len(self.pipeline) > _MOST_STAGES:  # each stage knows all before it: the square of them is much
                self.problem = self.problem or f"a pipeline has more than {_MOST_STAGES} stages"
                self.pipeline = self.pipeline[1:]
        elif separator not in ("\n", ""):
            self.plain = False
        if separator not in _PIPES and separator not in ("\n", ")"):
            self.pipeline = ()
        self.continued = separator in _CLOSERS
        self.begin_command(at)

    def expanding(self) -> str:
        """All text in which the shell itself would put values."""
        parts = [command.words[at] for command in self.commands for at in command.expands]
        for command in self.commands:
            parts += [item.target for item in command.redirects if item.expands]
            parts += [value for _, value in command.assigns]
            parts.append(command.stdin or "")
        return " ".join(parts)

    def read_heredocs(self, at: int) -> int:
        """Take the bodies that begin at `at`; returns where the script goes on."""
        for index, delimiter, strip_tabs, quoted in self.heredocs:
            lines: list[str] = []
            while at < len(self.script):
                end = self.script.find("\n", at)
                end = len(self.script) if end < 0 else end
                line = self.script[at:end].lstrip("\t") if strip_tabs else self.script[at:end]
                at = end + 1
                if line == delimiter:
                    break
                lines.append(line)
            self.attach(index, "\n".join(lines), quoted)
        self.heredocs.clear()
        return min(at, len(self.script))

    def attach(self, index: int, body: str, quoted: bool) -> None:
        if not quoted and _SUBSTITUTION.search(body):
            self.plain = False
            self.nested.append(body)
        if index < len(self.commands):
            self.commands[index] = replace(self.commands[index], stdin=body)

    def double(self, content: str) -> None:
        active = bool(_ACTIVE.search(content))
        if active and _SUBSTITUTION.search(content):
            self.plain = False
            self.nested.append(content)
        self.add(_DOUBLE_ESCAPE.sub(r"\1", content), expands=active, quoted=True)

    def token(self, kind: str, text: str, at: int) -> None:
        """Handle one token that is neither space nor a separator; `at` is where it begins."""
        if kind == "bare":
            self.add(text)
        elif kind == "single":
            self.add(text[1:-1], quoted=True)
        elif kind == "double":
            self.double(text[1:-1])
        elif kind == "variable":
            self.add(text, expands=True)
        elif kind == "glob":
            self.add(text, expands=text != "~" or not self.parts or self.assignment is not None)
        elif kind == "escape":
            self.add(text[1], quoted=True)
        elif kind == "brace":
            self.plain = self.plain and text == "}" and self.parts == ["{"]
            self.add(text, expands=True)
        elif kind == "redirect":
            self.redirect(text)
        else:
            self.odd(text, at)

    def redirect(self, text: str) -> None:
        digits = len(text) - len(text.lstrip("0123456789"))
        if digits and self.parts:
            self.add(text[:digits])
        self.end_word()
        if self.pending:
            self.plain = False
        self.pending = text[digits:]

    def odd(self, text: str, at: int) -> None:
        if text in ("'", '"') or (text == "\\" and at == len(self.script) - 1):
            self.problem = f"the quote {text} at character {at + 1} is not closed"
        self.plain = self.plain and text in ("!", "$", "\r")
        if text == "$" and self.script[at + 1 : at + 2] in ("'", '"', "["):  # `$[1+1]` is how sums were once written
            self.plain, self.word_expands = False, True
            return
        self.add(text)

    def run(self) -> Script:
        at, script, match = 0, self.script, _TOKEN.match
        while at < len(script) and (found := match(script, at)):
            kind, text, begin = found.lastgroup or "", found.group(), at
            at = found.end()
            if kind == "continued":
                continue
            if kind == "space":
                self.end_word()
            elif kind == "comment" and not self.parts:
                continue
            elif kind == "join":
                self.end_command(text, at)
                if text == "\n" and self.heredocs:
                    at = self.start = self.end = self.read_heredocs(at)
                continue
            elif kind == "skim":
                self.skim(text, at)
                continue
            elif kind == "comment":
                at = begin + 1
                self.add("#")
            else:
                if kind == "brace" and text == "{" and script[at : at + 1] == "}":
                    text, at = "{}", at + 1
                    self.add(text)
                else:
                    self.token(kind, text, begin)
            self.end = at
        self.end_command("", at)
        return self.finish()

    def finish(self) -> Script:
        commands = self.commands
        for at, sources in enumerate(self.sources):
            if sources:
                commands[at] = replace(commands[at], upstream=tuple(commands[source] for source in sources))
        if commands and commands[-1].then == ";":
            commands[-1] = replace(commands[-1], then="")
        return Script(tuple(commands), self.plain and not self.follows(), self.problem)

    def follows(self) -> bool:
        """Whether it uses a variable that it sets, or arguments: more than a splitter can say."""
        if "$" not in self.script:
            return False
        used = set(_USED.findall(self.script))
        assigned = {name for command in self.commands for name, _ in command.assigns}
        return (
            not used.isdisjoint(("IFS", "_"))
            or not used.isdisjoint(assigned)
            or any(name in "@*" or (name.isdigit() and name != "0") for name in _USED.findall(self.expanding()))
            or any(
                command.name in _SETTERS and (command.name != "printf" or "-v" in command.words)
                for command in self.commands
            )
        )

    def skim(self, text: str, at: int) -> None:
        """A substitution or a group: a separator for our purpose, and its word is known only at run time."""
        self.plain = False
        if text not in ("(", ")"):
            self.add("", expands=True)
        self.end_command(text, at)


def parse(script: str, *, continued: bool = False) -> Script:
    """Split a script for bash. Never raises; reads the text only.

    `continued` says that the text begins amid prose (the inside of a quoted string), so that its first word
    is no program's name.
    """
    if not continued and _QUICK.fullmatch(script):
        words = tuple(script.split())
        if words[0] not in _OPENERS and words[0] not in _HEADERS:
            return Script((Command(words, script),))
    splitter = _Splitter(script, continued)
    result = splitter.run()
    if not splitter.nested:
        return result
    inner = [parse(content, continued=True) for content in splitter.nested]
    commands = result.commands + tuple(command for found in inner for command in found.commands)
    return Script(commands, False, result.problem)
