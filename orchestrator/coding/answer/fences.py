"""The blocks of code in a model's answer: where each begins and ends, what it is called, what stands before it.

CommonMark decides, through markdown-it. Where its reading leaves a fence open, a second reading is tried that is closer
to what models mean than to what they write: fences within fences of the same length, in lists without indentation, with
an info string that CommonMark refuses. It only counts if it leaves none open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>.*)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `start` and `end` are lines of the answer, from 0, the fences included, `end` excluded."""

    content: str
    info: str
    marks: str
    start: int
    end: int
    closed: bool

    @property
    def is_blank(self) -> bool:
        return not self.content.strip()


def blocks(answer: str) -> list[Block]:
    """All fenced blocks of an answer whose lines end with `\\n`, in their order. The last may be open."""
    strict = _commonmark(answer)
    if strict and all(block.closed for block in strict):
        return strict
    nested = list(_nested(answer))
    if nested and all(block.closed for block in nested):
        return nested
    return strict


def _commonmark(answer: str) -> list[Block]:
    return [
        _block(token.content, token.info, token.markup, *token.map)
        for token in _parser().parse(answer + "\n")
        if token.type == "fence" and token.map is not None
    ]


def _block(content: str, info: str, marks: str, start: int, end: int) -> Block:
    # The parser does not say whether it met the closing fence; the number of lines does.
    closed = content.count("\n") == end - start - 2
    return Block(content, info.strip(), marks, start, end, closed)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # only a step that asks a model needs it

    # HTML would swallow the fence in `<details>` and after a stray tag; headings and inline text tell us nothing.
    useless = ["html_block", "lheading", "heading", "hr", "reference", "inline", "text_join"]
    return MarkdownIt("commonmark").disable(useless)


def _nested(answer: str) -> Iterator[Block]:
    """Fences paired as brackets are: one with an info string opens, a bare one closes the innermost, if it can."""
    lines = answer.split("\n")
    open_: list[tuple[int, re.Match[str]]] = []
    for number, line in enumerate(lines):
        match = FENCE.fullmatch(line)
        if match is None:
            continue
        if open_ and _closes(match, open_[-1][1]):
            start, opener = open_.pop()
            if not open_:
                yield _pair(lines, start, number, opener, closed=True)
        elif not open_ or match["info"]:
            open_.append((number, match))
    if open_:
        start, opener = open_[0]
        yield _pair(lines, start, len(lines), opener, closed=False)


def _closes(fence: re.Match[str], opener: re.Match[str]) -> bool:
    return (
        not fence["info"].strip()
        and fence["marks"].startswith(opener["marks"])
        and len(fence["indent"].expandtabs(4)) <= len(opener["indent"].expandtabs(4)) + 3
    )


def _pair(lines: list[str], start: int, end: int, opener: re.Match[str], *, closed: bool) -> Block:
    inner, indent = lines[start + 1 : end], opener["indent"]
    if all(line.startswith(indent) for line in inner if line.strip()):
        inner = [line.removeprefix(indent) for line in inner]
    content = "".join(f"{line}\n" for line in inner)
    return Block(content, opener["info"].strip(), opener["marks"], start, end + closed, closed)
