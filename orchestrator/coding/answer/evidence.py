"""What speaks for and against a block's being the file that was asked for: its label, the paths it bears, its lead-in.

Rule: a label or a path in the info string, and a path with a folder in a first comment, are the block's own word. What
stands before a block, and a bare file name in a comment (which may be a product: `Node.js`), is a hint among several.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.coding.answer.fences import FENCE, Block
from orchestrator.coding.languages.families import NEUTRAL, family_of, family_of_label

_LINE = 300
_PATH = r"[\w@./+\-\[\]()]*[\w\])]\.[A-Za-z]\w{0,11}"
_MENTION = re.compile(rf"(?<![\w/.]){_PATH}")
_NAMING_LINE = re.compile(
    rf"\s*(?P<comment>[#;%*]+|//+|--+|/\*+|<!--)?\s*(?P<word>file\s?name|file|path)?\s*:?\s*[`*\"']*(?P<path>{_PATH})"
    r"[`*\"']*\s*:?\s*(?:\*/|-->)?\s*",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\b(usage|examples?|for instance|e\.g\.|call it|use it|run|install|output|prints?|before|original|old|current|"
    r"existing|previous|instead of|add|append|insert)\b",
    re.IGNORECASE,
)
_TESTS = re.compile(r"\b(?:tests?|specs?)\b", re.IGNORECASE)
_FINAL = re.compile(r"\b(?:final|corrected|complete|full|fixed|updated|revised)\b", re.IGNORECASE)
_PIECE = re.compile(
    r"\b(?:the rest|remaining (?:part|code)|(?:first|second|next|last) (?:part|half)|part \d|continu(?:ed?|ation))\b",
    re.IGNORECASE,
)
_STEP = re.compile(r"[\W\d]*(?:first|then|next|second|third|finally|lastly|step \d)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A block, and what it may be of. `family` is that of its label, empty where it has none; `names` are the paths
    that are its own word, `hints` others in its first line; `lead_in` is the line before it."""

    block: Block
    output_file: str
    family: str
    names: tuple[str, ...]
    hints: tuple[str, ...]
    lead_in: str

    @property
    def lines(self) -> int:
        return sum(1 for line in self.block.content.split("\n") if line.strip())

    @property
    def may_be(self) -> bool:
        """Whether nothing that it says itself speaks against it."""
        if self.family == "diff" != family_of(self.output_file):
            return False
        return self._any_is(self.names) if self.names else self.fits is not False

    @property
    def fits(self) -> bool | None:
        """By its language; None where the label, or the name of the file, tells nothing."""
        own = family_of(self.output_file)
        return own == self.family if own and self.family else None

    @property
    def is_named(self) -> bool:
        return self._any_is((*self.names, *self.hints, *_MENTION.findall(self.lead_in)))

    @property
    def names_others(self) -> bool:
        return not self.is_named and bool(self.hints or _MENTION.search(self.lead_in))

    @property
    def is_aside(self) -> bool:
        """An example, the old version, a command: what stands beside a file in an answer."""
        return bool(_ASIDE.search(self.lead_in)) and not self._any_is(_MENTION.findall(self.lead_in))

    @property
    def is_of_its_kind(self) -> bool:
        """A test where a test was asked for, and only there."""
        asked = re.sub(r"[_./-]|(?<=[a-z])(?=[A-Z])", " ", self.output_file)
        return bool(_TESTS.search(self.lead_in)) == bool(_TESTS.search(asked))

    @property
    def is_final(self) -> bool:
        return bool(_FINAL.search(self.lead_in))

    @property
    def is_piece(self) -> bool:
        return bool(_PIECE.search(self.lead_in))

    @property
    def is_step(self) -> bool:
        return bool(_STEP.match(self.lead_in))

    def _any_is(self, names: Sequence[str]) -> bool:
        return any(is_path_of(name, self.output_file) for name in names)


def candidate(block: Block, lines: Sequence[str], output_file: str) -> Candidate:
    """`lines` are the answer's."""
    before = next((line for line in reversed(lines[max(0, block.start - 4) : block.start]) if line.strip()), "")
    lead_in = "" if FENCE.fullmatch(before) else before[-_LINE:]
    first = next((line for line in block.content.split("\n") if line.strip()), "")
    # A patch names the file that it is for.
    naming = None if family_of(output_file) == "diff" else _NAMING_LINE.fullmatch(first[:_LINE])
    path = (naming["path"],) if naming else ()
    own = naming is not None and bool(naming["comment"] and ("/" in naming["path"] or naming["word"]))
    names = (*paths_in_info(block.info), *(path if own else ()))
    return Candidate(block, output_file, family_of_label(label_of(block)), names, () if own else path, lead_in)


def label_of(block: Block) -> str:
    """`python` of ```` ```python ````, ```` ```{.python .numbered} ````, ```` ```python:src/a.py ````."""
    words = re.findall(r"[^\s{}:=,;]+", block.info)
    return str(words[0]).removeprefix(".").removeprefix("language-").lower() if words else ""


def is_document(block: Block) -> bool:
    """Whether it may be a Markdown file, by its label."""
    return label_of(block) in ("md", "markdown", "mdx", *NEUTRAL)


def paths_in_info(info: str) -> tuple[str, ...]:
    return tuple(word for word in re.findall(r"[^\s{}:=,;\"'`]+", info) if re.fullmatch(_PATH, word))


def is_bare_path(line: str, output_file: str) -> bool:
    """Whether a line of code is none, but the file's path, which some models print there."""
    naming = _NAMING_LINE.fullmatch(line[:_LINE])
    return naming is not None and not naming["comment"] and is_path_of(naming["path"], output_file)


def is_path_of(name: str, output_file: str) -> bool:
    name = name.removeprefix("./")
    same = name == output_file or name == os.path.basename(output_file)
    return same or output_file.endswith(f"/{name}") or name.endswith(f"/{output_file}")
