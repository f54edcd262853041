"""Which block of an answer is the file that was asked for.

Evidence is heard in turn, and at last the size. A block that bears another file's path or another language's label is
never it. Rule: never guess. Where two could be it, the answer is refused, and the model is told what to print instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from orchestrator.coding.answer.evidence import Candidate, candidate, is_bare_path, is_document
from orchestrator.coding.answer.fences import FENCE, Block, blocks
from orchestrator.coding.languages.families import family_of
from orchestrator.coding.report import Gate

CLEARLY = 2
"""So many times as many lines as any other block has the one that is the file without saying so."""

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


def chosen(answer: str, output_file: str) -> str:
    """The file's text, as it stands in its block. Raises NotOneFile."""
    found = [block for block in _blocks_of(answer, output_file) if not block.is_blank]
    if not found:
        _refuse_prose(answer, output_file)
    lines = answer.split("\n")
    pool = [candidate(block, lines, output_file) for block in found]
    fitting = [one for one in pool if one.may_be]
    if not fitting:
        _refuse_alien(pool, output_file)
    narrowed = _narrowed(fitting)
    block = _the_one(narrowed, output_file).block
    if not block.closed:
        raise NotOneFile(
            "complete",
            f"the answer is cut off: its code block (from line {block.start + 1} on) is never closed. Print the whole "
            f"of {output_file}, then close the fence: {block.marks} on a line of its own.",
        )
    pieces = len(fitting) > 1 and any(one.is_piece for one in fitting)
    pieces = pieces or (len(narrowed) > 1 and any(one.is_step for one in narrowed))
    if pieces or _CONTINUES.search("\n".join(lines[: block.start] + lines[block.end :])):
        raise NotOneFile("complete", f"the answer holds only a part of {output_file}. Print the whole file at once.")
    return _unwrapped(block, output_file)


def _blocks_of(answer: str, output_file: str) -> list[Block]:
    found = blocks(answer)
    if family_of(output_file) == "markdown":
        return _documents(found, answer, output_file)
    return found


def _documents(found: list[Block], answer: str, output_file: str) -> list[Block]:
    """A Markdown file holds fences itself: only a longer one around it says for certain where it ends."""
    first = next((block for block in found if is_document(block)), None)
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


def _narrowed(pool: list[Candidate]) -> list[Candidate]:
    """What is left when each kind of evidence was heard in turn; one that speaks against all is not."""
    tests: tuple[Callable[[Candidate], bool], ...] = (
        lambda one: not one.is_aside,
        lambda one: one.is_of_its_kind,
        lambda one: one.is_named,
        lambda one: one.fits is True,
        lambda one: not one.names_others,
        lambda one: one.is_final,
    )
    for test in tests:
        pool = [one for one in pool if test(one)] or pool
    return pool


def _the_one(pool: list[Candidate], output_file: str) -> Candidate:
    by_size = sorted({one.block.content.rstrip(): one for one in pool}.values(), key=lambda one: -one.lines)
    if len(by_size) == 1 or by_size[0].lines >= CLEARLY * by_size[1].lines:
        return by_size[0]
    raise NotOneFile(
        "answer",
        f"the answer holds {len(by_size)} code blocks that could be {output_file} (from lines "
        f"{', '.join(str(one.block.start + 1) for one in sorted(by_size, key=lambda one: one.block.start))}). "
        "Print exactly one block: the whole file.",
    )


def _unwrapped(block: Block, output_file: str) -> str:
    """The block's content without a second fence, or a bare path, in its first line."""
    first, _, rest = block.content.partition("\n")
    if family_of(output_file) in ("markdown", "text", "") or not rest.strip():
        return block.content
    if (fence := FENCE.fullmatch(first)) and fence["info"]:
        return re.sub(r"\n[ \t]*(?:`{3,}|~{3,})\s*\Z", "\n", rest)
    return rest if is_bare_path(first, output_file) else block.content


def _refuse_prose(answer: str, output_file: str) -> NoReturn:
    if FENCE.search(answer):
        raise NotOneFile("answer", f"the code block is empty. Print the whole of {output_file} in it.")
    shown = " ".join(answer.split())
    shown = shown if len(shown) <= 120 else f"{shown[:120]}…"
    raise NotOneFile(
        "answer",
        f"the answer is prose without a code block ({shown!r}). Print the whole of {output_file} in one fenced block.",
    )


def _refuse_alien(pool: list[Candidate], output_file: str) -> NoReturn:
    if any(one.family == "diff" for one in pool):
        raise NotOneFile("complete", f"the answer is a diff. Print the whole of {output_file}, as it is to be.")
    told = ", ".join(dict.fromkeys("/".join(one.names) or one.block.info for one in pool))
    raise NotOneFile("answer", f"no code block of the answer is {output_file}: it holds {told}. Print that file alone.")
