"""An answer that is the file itself, without a fence around it.

Rule: only where nothing else can be in it. What a parser here reads must parse as a whole and be more than words that
happen to parse; of everything else the first and the last line must be code, and no fence may be in it.
"""

from __future__ import annotations

import ast
import re

from orchestrator.coding.answer.fences import FENCE, blocks
from orchestrator.coding.languages.families import family_of
from orchestrator.coding.languages.syntax import problem_of

_SENTENCE = re.compile(r"\s*[A-Z][\w'’-]*[,:]?(?:\s+[^\s{}=;]+){2,}[.:!?]\s*")
_CODE_LINE = re.compile(
    r"\s*(?:#!|//|/\*|\*|<[!?a-zA-Z]|@\w|['\"]use |[-.#:\[]{1,2}[\w-]+.*[{,\]]$|"
    r"(?:import|export|const|let|var|function|class|interface|type|enum|async|declare|namespace|package|using|use|"
    r"func|fn|pub|struct|impl|mod|static|public|private|abstract|final|def|module|require|set|local|if|for|while|"
    r"#include|#define|#pragma|SELECT|CREATE|INSERT|ALTER|UPDATE|DELETE|WITH|DROP|BEGIN|FROM|ARG|RUN|\$\w+)\b|"
    r".*[;{}()\[\],=>]$|\w+=|fi$|done$|esac$|end$)"
)
_DOCUMENT = re.compile(r"\s*(?:#{1,6} \S|---\s*\n|<!--|<(?:h1|p|div|img|a)\b|\[!\[|\[!)")


def bare_file(answer: str, output_file: str) -> str | None:
    """The answer as the file, without blank lines around it; None where it is not the file, or not it alone."""
    text = _without_stray_close(answer).strip("\n")
    family = family_of(output_file)
    if not text.strip():
        return None
    if family == "markdown":
        return text if _is_document(text) else None
    if family in ("python", "json", "toml", "yaml"):
        return text if problem_of(text, output_file) == "" and _is_more_than_words(text, family) else None
    if not family or family == "text" or any(FENCE.fullmatch(line) for line in text.split("\n")):
        return None
    return text if all(_is_code(line) for line in _ends(text)) else None


def _without_stray_close(answer: str) -> str:
    """Some models answer as if the prompt had opened the fence."""
    lines = answer.rstrip().split("\n")
    fences = [line for line in lines if FENCE.fullmatch(line)]
    return "\n".join(lines[:-1]) if len(lines) > 1 and fences == [lines[-1]] and not _info(lines[-1]) else answer


def _info(line: str) -> str:
    match = FENCE.fullmatch(line)
    return match["info"].strip() if match else ""


def _is_document(text: str) -> bool:
    if not _DOCUMENT.match(text):
        return False
    return all(block.closed and not re.match(r"(?i)(?:md|markdown|mdx)\b", block.info) for block in blocks(text))


def _is_more_than_words(text: str, family: str) -> bool:
    if any(_SENTENCE.fullmatch(line) for line in _ends(text)) and family != "python":
        return False
    if family == "json":
        return text.lstrip()[:1] in ("{", "[")
    if family == "python":
        return any(not isinstance(statement, ast.Expr) for statement in ast.parse(text).body)
    return bool(re.search(r"^[ \t]*(?:[\w\"'.-]+\s*[:=]|\[|- )", text, re.MULTILINE))


def _is_code(line: str) -> bool:
    return bool(_CODE_LINE.match(line))


def _ends(text: str) -> tuple[str, ...]:
    lines = [line for line in text.split("\n") if line.strip()]
    return tuple(f"{line[:200]} {line[-200:]}" if len(line) > 400 else line for line in (lines[:1] + lines[-1:]))
