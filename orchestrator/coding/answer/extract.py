"""Exactly one file out of a model's answer, or the reason why there is none.

A file comes in a fenced block, or bare where the whole answer is nothing else. Rule: what is taken is taken as it
stands, up to its last line's end; what is not surely the whole file is refused, and a sentence says what to print.
"""

from __future__ import annotations

import re

from orchestrator.coding.answer.bare import bare_file
from orchestrator.coding.answer.choice import NotOneFile, chosen
from orchestrator.coding.answer.fences import blocks

__all__ = ["NotOneFile", "as_file", "extract", "without_reasoning"]

BOM = "\ufeff"

_END_TOKEN = re.compile(r"(?:<\|[\w▁]{1,40}\|>|<｜[\w▁]{1,40}｜>|</s>|<end_of_turn>)\Z")
_LONGEST_END_TOKEN = 50
_FINAL_CHANNEL = "<|channel|>final<|message|>"
_WRAPPED = re.compile(
    r"\s*<(file|code|answer|output|output_file|final_answer|solution)\b[^>\n]*>[ \t]*\n(.*)\n[ \t]*</\1>\s*", re.DOTALL
)
_THINK = re.compile(r"\s*<(think|thinking|thought|reasoning)>")
_THOUGHT = re.compile(r"[ \t]*</(?:think|thinking|thought|reasoning)>[ \t]*")


def extract(answer: str, output_file: str, *, complete: bool) -> str:
    """The file's text, its lines ended by `\\n`, exactly one at its end. `complete` is False where the model ran into
    its limit of tokens. Raises NotOneFile."""
    text = without_reasoning(_readable(answer))
    if wrapped := _WRAPPED.fullmatch(text):
        text = f"{wrapped[2]}\n"
    if not complete:
        raise NotOneFile(
            "complete",
            "the answer is cut off: the model reached its limit of tokens (finish_reason length). "
            "Write the whole file shorter, with nothing before or after it.",
        )
    if not text.strip():
        raise NotOneFile("answer", f"the answer is empty. Print the whole of {output_file} in one fenced code block.")
    content = bare_file(text, output_file)
    if content is None:
        content = chosen(text, output_file)
    return content.rstrip("\n") + "\n"


def as_file(text: str, old: bytes | None) -> bytes:
    """What is written: UTF-8, with the line ends and the byte order mark that the old file has."""
    if old is not None and old.count(b"\r\n") * 2 > old.count(b"\n"):
        text = text.replace("\n", "\r\n")
    if old is not None and old.startswith(BOM.encode()):
        text = BOM + text
    return text.encode()


def without_reasoning(answer: str) -> str:
    """The answer without what a model thought aloud before it, where its server left that in."""
    answer = answer.rpartition(_FINAL_CHANNEL)[2]
    if opened := _THINK.match(answer):
        _, _, rest = answer.partition(f"</{opened[1]}>")
        return rest
    fenced = {line for block in blocks(answer) for line in range(block.start, block.end)}
    lines = answer.split("\n")
    ends = [number for number, line in enumerate(lines) if _THOUGHT.fullmatch(line) and number not in fenced]
    return "\n".join(lines[ends[-1] + 1 :]) if ends else answer


def _readable(answer: str) -> str:
    for bad, what in (("\0", "a NUL character"), *((char, "half of a surrogate pair") for char in _halves(answer))):
        if bad in answer:
            line = answer[: answer.index(bad)].count("\n") + 1
            raise NotOneFile("answer", f"line {line} of the answer holds {what}: that is no text. Print plain text.")
    answer = answer.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")
    while match := _END_TOKEN.search(answer := answer.rstrip(), max(0, len(answer) - _LONGEST_END_TOKEN)):
        answer = answer[: match.start()]
    return answer + "\n"


def _halves(text: str) -> list[str]:
    return re.findall("[\ud800-\udfff]", text)[:1]
