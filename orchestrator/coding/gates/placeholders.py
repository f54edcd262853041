"""Whether a text is the whole file, or leaves a part of it to the reader: `// ... existing code ...`.

A line that the old file has too is no placeholder: it is the file's own.
"""

from __future__ import annotations

import re

from orchestrator.coding.answer.fences import FENCE
from orchestrator.coding.gates.losses import lost
from orchestrator.coding.languages.families import family_of
from orchestrator.coding.report import GateResult

_COMMENT = re.compile(
    r"\s*(?:(?:pass|\.{3})\s+)?(?:\{?\s*/\*+|<!--|\(\*|//+|#+|--+|;+|%+|\*(?!/)|(?:\"\"\"|'''))\s*(?P<said>.*?)\s*(?:\*+/\s*\}?|-->|\*\)|\"\"\"|''')?\s*"
)
_ELLIPSIS = r"(?:\.{3,}|…)"
_PART = (
    r"(?:code|file|function|functions|class|classes|method|methods|implementation|logic|content|contents|imports|tests?|"
    r"components?|module|script|body|props|styles|routes|handlers|definitions|exports|constants|lines|section|stuff)"
)
_LEFT_OUT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"[\[(<]*{_ELLIPSIS}[\])>]*",
        rf"[\[(<]*{_ELLIPSIS}.*\b(?:existing|rest|remaining|remainder|unchanged|same|other|previous|previously|original|more|"
        rf"omitted|etc|continue|continues|here|above|below|before|additional|similar|{_PART})\b.*",
        rf".*\b(?:existing|rest|remaining|remainder|unchanged|same|previous|original|omitted|continues?)\b.*{_ELLIPSIS}[\])>]*",
        rf"(?:the )?(?:rest|remainder) of (?:the |your |this |our )?(?:\w+ ){{0,2}}{_PART}\b"
        r"(?: (?:remains?|stays?|is|are|goes|go|here|unchanged|as before|the same|follows?)\b.*)?[.:]?",
        rf"(?:the |your )?(?:existing|remaining|unchanged) (?:\w+ )?{_PART}[.:]?",
        rf"(?:the |your )?(?:existing|previous|original|remaining|other|old) (?:\w+ )?{_PART} "
        r"(?:remains?|stays?|is|are|goes|go|here|unchanged|as before|above|below|omitted)\b.*",
        rf"(?:add|insert|put|place|write|paste|your|more|the) (?:(?:your|the|more) )?(?:\w+ )?{_PART} "
        r"(?:goes |go )?here[.:!…]*",
        r"(?:code|logic|implementation) (?:goes |go )?here[.:!…]*",
        r"(?:\w+ ){0,4}(?:omitted|truncated|abbreviated|shortened|snipped) (?:for|to save) .*",
        r"(?:same|unchanged) (?:as|from) (?:before|above|the original|previous).*|no changes?(?: (?:here|needed))?[.]?",
        r"<?snip>?|\[snip\]|implement(?:ation)? (?:here|goes here|me)",
    )
)
_MARKERS = re.compile(r"(?:<{5,9}|>{5,9}) ?(?:SEARCH|ORIGINAL|REPLACE|UPDATED|HEAD|\w[\w./-]*)\s*")
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@")


def completeness(text: str, output_file: str, old: str | None, asked: str = "") -> GateResult:
    """The gate `complete`. `asked` is all that the task says."""
    if not text.strip():
        return GateResult("complete", "failed", f"{output_file} would be empty")
    own = frozenset(line.strip() for line in (old or "").split("\n"))
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() not in own and (why := _incomplete(line, output_file)):
            return GateResult(
                "complete", "failed", f"line {number} {why}: {line.strip()[:100]!r}. Print the whole file"
            )
    if family_of(output_file) not in ("markdown", "text", "") and (fence := _fence_left(text)):
        return GateResult(
            "complete", "failed", f"a Markdown fence is left in it: {fence!r}. Print exactly one code block"
        )
    if old is not None and (gone := lost(old, text, output_file, asked)):
        return GateResult("complete", "failed", f"{gone}: print the whole file, with all that is to stay")
    return GateResult("complete", "passed", "it is whole: no placeholder, no part of a diff")


def _incomplete(line: str, output_file: str) -> str:
    if family_of(output_file) == "diff":
        return ""
    if _MARKERS.fullmatch(line) or _HUNK.match(line):
        return "is a part of a diff, not of the file"
    return "stands for code that was left out" if _is_placeholder(line, output_file) else ""


def _is_placeholder(line: str, output_file: str) -> bool:
    if len(line) > 200:
        return False
    family = family_of(output_file)
    if family in ("markdown", "text"):
        return bool(
            re.fullmatch(
                rf"\s*(?:<!--\s*)?[\[(]?{_ELLIPSIS} ?(?:rest|existing|remaining|unchanged).*", line, re.IGNORECASE
            )
        )
    bare = line.strip() if family == "script" else line.rstrip()  # in Python it may stand for a body
    if family in ("python", "script") and re.fullmatch(rf"{_ELLIPSIS}(?: *[\w ]+{_ELLIPSIS})?", bare):
        return not output_file.endswith(".pyi")
    comment = _COMMENT.fullmatch(line)
    said = comment["said"] if comment else ""
    return bool(said) and any(pattern.fullmatch(said) for pattern in _LEFT_OUT)


def _fence_left(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip()]
    return next((line.strip() for line in (lines[0], lines[-1]) if FENCE.fullmatch(line)), "")
