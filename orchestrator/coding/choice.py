"""Which block of an answer is the file that was asked for.

Evidence is heard in turn: the path that a block bears, what the line before it says, the language of its label, at last
its size. A block that bears another file's path or another language's label is never it. Rule: never guess. Where two
could be it, the answer is refused, and the model is told what to print instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from orchestrator.coding.families import NEUTRAL, family_of, family_of_label
from orchestrator.coding.fences import FENCE, Block, blocks
from orchestrator.coding.report import Gate

CLEARLY = 2
"""So many times as many lines as any other block has the one that is the file without saying so."""

_LINE = 300
_PATH = r"[\w@./+\-\[\]()]*[\w\])]\.\w{1,12}"
_NAMING_LINE = re.compile(rf"\s*(?:[#;%*]+|//+|--+|/\*+|<!--)?\s*(?:file\s?name|file|path)?\s*:?\s*[`*\"']*({_PATH})"
                          r"[`*\"']*\s*:?\s*(?:\*/|-->)?\s*", re.IGNORECASE)  # fmt: skip
_MENTION = re.compile(rf"(?<![\w/.]){_PATH}")
_ASIDE = re.compile(
    r"\b(usage|examples?|for instance|e\.g\.|call it|use it|run|install|output|prints?|before|original|old|current|"
    r"existing|previous|instead of|add|append|insert)\b",
    re.IGNORECASE,
)
_CONTINUES = re.compile(
    r"\b(?:continued? in (?:the|my) next|(?:i(?:'ll| will)|to be) continued?\b|part 1 of \d|like me to continue)",
    re.IGNORECASE,
)


class NotOneFile(Exception):
    """`gate` is `answer`, or `complete` where only a part of the file came. The sentence says what was wrong and what
    to print instead; it is for people, and for the model that tries again."""

    def __init__(self, gate: Gate, sentence: str) -> None:
        super().__init__(sentence)
        self.gate: Gate = gate


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A block and what speaks for or against its being the file. `family` is that of its label, empty where it has
    none; `names` are the paths that it bears itself; `lead_in` is the line before it."""

    block: Block
    family: str
    names: tuple[str, ...]
    lead_in: str

    @property
    def lines(self) -> int:
        return sum(1 for line in self.block.content.split("\n") if line.strip())


def chosen(answer: str, output_file: str) -> str:
    """The file's text, as it stands in its block. Raises NotOneFile."""
    found = [block for block in _blocks_of(answer, output_file) if not block.is_blank]
    if not found:
        _refuse_prose(answer, output_file)
    lines = answer.split("\n")
    pool = [_candidate(block, lines) for block in found]
    fitting = [one for one in pool if _may_be(one, output_file)]
    if not fitting:
        _refuse_alien(pool, output_file)
    block = _the_one(_narrowed(fitting, output_file), output_file).block
    if not block.closed:
        raise NotOneFile(
            "complete",
            f"the answer is cut off: its code block (from line {block.start + 1} on) is never closed. Print the whole "
            f"of {output_file}, then close the fence with `{block.marks}` on a line of its own.",
        )
    rest = "\n".join(lines[: block.start] + lines[block.end :])
    if _CONTINUES.search(rest):
        raise NotOneFile("complete", f"the answer holds only a part of {output_file}. Print the whole file at once.")
    return _unwrapped(block, output_file)


def _blocks_of(answer: str, output_file: str) -> list[Block]:
    found = blocks(answer)
    if family_of(output_file) == "markdown":
        return _documents(found, answer, output_file)
    return found


def _documents(found: list[Block], answer: str, output_file: str) -> list[Block]:
    """A Markdown file holds fences itself: only a longer one around it says for certain where it ends."""
    first = next((block for block in found if _label(block) in ("md", "markdown", "mdx", *NEUTRAL)), None)
    if first is None:
        return found
    later = [line for line in answer.split("\n")[first.end :] if FENCE.fullmatch(line)]
    if first.closed and (len(first.marks) > 3 or not later):
        return [first]
    if (document := _closed_by_less(first)) is not None:
        return [document]
    raise NotOneFile(
        "complete",
        f"it can't be told where {output_file} ends, because it holds code blocks itself. Print the whole file between "
        "a line of four backticks (````markdown) and another one (````).",
    )


def _closed_by_less(document: Block) -> Block | None:
    """A document that four backticks open and three close: those inside are in pairs, and the last one is left."""
    lines = document.content.rstrip().split("\n")
    fences = [line for line in lines if FENCE.fullmatch(line)]
    if document.closed or len(document.marks) < 4 or len(fences) % 2 == 0 or lines[-1] != "```":
        return None
    return replace(document, content="\n".join(lines[:-1]), closed=True)


def _candidate(block: Block, lines: Sequence[str]) -> _Candidate:
    before = next((line for line in reversed(lines[max(0, block.start - 4) : block.start]) if line.strip()), "")
    first = next((line for line in block.content.split("\n") if line.strip()), "")
    naming = _NAMING_LINE.fullmatch(first[:_LINE])
    names = (*_paths_in_info(block.info), *((naming[1],) if naming else ()))
    return _Candidate(block, family_of_label(_label(block)), names, "" if FENCE.fullmatch(before) else before[-_LINE:])


def _label(block: Block) -> str:
    """`python` of ```` ```python ````, ```` ```{.python .numbered} ````, ```` ```python:src/a.py ````."""
    words = re.findall(r"[^\s{}:=,;]+", block.info)
    return str(words[0]).removeprefix(".").removeprefix("language-").lower() if words else ""


def _paths_in_info(info: str) -> tuple[str, ...]:
    return tuple(word for word in re.findall(r"[^\s{}:=,;\"'`]+", info) if re.fullmatch(_PATH, word))


def _may_be(one: _Candidate, output_file: str) -> bool:
    if one.family == "diff" != family_of(output_file):
        return False
    if one.names:
        return any(_is(name, output_file) for name in one.names)
    return _fits(one, output_file) is not False


def _fits(one: _Candidate, output_file: str) -> bool | None:
    """None where the label, or the name of the file, tells nothing."""
    own = family_of(output_file)
    return own == one.family if own and one.family else None


def _narrowed(pool: list[_Candidate], output_file: str) -> list[_Candidate]:
    """What is left when each kind of evidence was heard in turn; one that speaks against all is not."""
    tests: tuple[Callable[[_Candidate], bool], ...] = (
        lambda one: not _ASIDE.search(one.lead_in) or _mentions(one.lead_in, output_file) is True,
        lambda one: bool(one.names) or _mentions(one.lead_in, output_file) is True,
        lambda one: _fits(one, output_file) is True,
        lambda one: _mentions(one.lead_in, output_file) is not False,
    )
    for test in tests:
        pool = [one for one in pool if test(one)] or pool
    return pool


def _the_one(pool: list[_Candidate], output_file: str) -> _Candidate:
    by_size = sorted({one.block.content.rstrip(): one for one in pool}.values(), key=lambda one: -one.lines)
    if len(by_size) == 1 or by_size[0].lines >= CLEARLY * by_size[1].lines:
        return by_size[0]
    raise NotOneFile(
        "answer",
        f"the answer holds {len(by_size)} code blocks that could be {output_file} (from lines "
        f"{', '.join(str(one.block.start + 1) for one in sorted(by_size, key=lambda one: one.block.start))}). "
        "Print exactly one block: the whole file.",
    )


def _mentions(line: str, output_file: str) -> bool | None:
    """Whether a line names the file; False where it names only others, None where it names none."""
    said = [_is(name, output_file) for name in _MENTION.findall(line)]
    return any(said) if said else None


def _is(name: str, output_file: str) -> bool:
    name = name.removeprefix("./")
    same = name == output_file or name == os.path.basename(output_file)
    return same or output_file.endswith(f"/{name}") or name.endswith(f"/{output_file}")


def _unwrapped(block: Block, output_file: str) -> str:
    """The block's content without a second fence, or a bare path, in its first line."""
    first, newline, rest = block.content.partition("\n")
    if family_of(output_file) in ("markdown", "text", ""):
        return block.content
    if (fence := FENCE.fullmatch(first)) and fence["info"]:
        return re.sub(r"\n[ \t]*(?:`{3,}|~{3,})\s*\Z", "\n", rest)
    bare_path = first.strip().strip("*`").rstrip(":")
    return rest if newline and bare_path == output_file and rest.strip() else block.content


def _refuse_prose(answer: str, output_file: str) -> NoReturn:
    if FENCE.search(answer):
        raise NotOneFile("answer", f"the code block is empty. Print the whole of {output_file} in it.")
    shown = " ".join(answer.split())
    shown = shown if len(shown) <= 120 else f"{shown[:120]}…"
    raise NotOneFile(
        "answer",
        f"the answer is prose without a code block ({shown!r}). Print the whole of {output_file} in one fenced block.",
    )


def _refuse_alien(pool: list[_Candidate], output_file: str) -> NoReturn:
    if any(one.family == "diff" for one in pool):
        raise NotOneFile("complete", f"the answer is a diff. Print the whole of {output_file}, as it is to be.")
    told = ", ".join(dict.fromkeys("/".join(one.names) or one.block.info for one in pool))
    raise NotOneFile("answer", f"no code block of the answer is {output_file}: it holds {told}. Print that file alone.")
