"""Whether a file parses in its language, as far as that can be told here.

Python, JSON, TOML and YAML are read in this process, by parsers that run nothing of what they read. JavaScript and
shell need their own interpreter, which is only described here: whoever may start processes runs it over a copy.
Rule: what was not parsed by the language's own grammar is `not_checked`, and says so; it is never counted as passed.
"""

from __future__ import annotations

import json
import re
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.coding.languages.families import ending_of, family_of
from orchestrator.coding.languages.script import code_of, unbalanced
from orchestrator.coding.report import GateResult

MAX_CHARS = 1_000_000
MAX_FLOW_DEPTH = 1_000
"""Brackets within brackets in YAML: no file that a person reads goes deeper, and its parser takes ever longer."""

_MODULE = re.compile(r"^[ \t]*(?:import\b(?!\s*\()|export\b|await\b|for\s+await\b)|\bimport\.meta\b", re.MULTILINE)
_JSX = re.compile(r"(?:return|=>|[(=?:&]|^)[\s(]{0,200}<(?:>|[A-Za-z][\w.]*(?:\s|/?>))", re.MULTILINE)
_NODE = re.compile(r":(?P<line>\d+)\n+(?:(?P<code>.*)\n *\^+\n+)?\w*Error: (?P<what>.*)")
_FLOW = re.compile(r"@flow\b")
_COMMENTED_JSON = re.compile(r"(?:^|/)(?:[tj]sconfig[^/]*\.json|\.eslintrc(?:\.json)?|\.vscode/[^/]*\.json)$")


@dataclass(frozen=True, slots=True)
class SyntaxProgram:
    """A program that reads a file and says by its exit code whether it parses. It is shown a copy whose name ends with
    `ending`, because the grammar goes by that; `options` stand before the copy's path."""

    program: str
    options: tuple[str, ...]
    ending: str

    def argv(self, copy: str) -> tuple[str, ...]:
        return (self.program, *self.options, copy)

    def verdict(self, said: str, copy: str, output_file: str) -> GateResult:
        """`said` is what it printed where it failed, empty where it did not."""
        if not said:
            return GateResult("syntax", "passed", f"{self.program} reads it without an error")
        return GateResult("syntax", "failed", f"{output_file} does not parse: {_told(said.replace(copy, output_file))}")

    def missing(self) -> GateResult:
        return GateResult("syntax", "not_checked", f"{self.program}, which would have checked it, is not installed")


def syntax_program(text: str, output_file: str) -> SyntaxProgram | None:
    """The program that this file's syntax needs, None where none does."""
    ending = ending_of(output_file)
    if ending in ("js", "mjs", "cjs") and _plain_script(text):
        module = ending == "mjs" or (ending == "js" and bool(_MODULE.search(code_of(text))))
        return SyntaxProgram("node", ("--check",), ".mjs" if module else ".cjs")
    if ending in ("sh", "bash") or re.match(r"#!.*\b(?:ba|da)?sh\b", text):
        return SyntaxProgram("bash", ("--norc", "-n"), ".sh")
    return None


def syntax_of(text: str, output_file: str) -> GateResult:
    """What can be said without a program. Where `syntax_program` names one, its word takes the place of this."""
    if (program := syntax_program(text, output_file)) is not None:
        return GateResult("syntax", "not_checked", f"{program.program} has not read it yet")
    problem = problem_of(text, output_file)
    if problem is None:
        return _by_brackets(text, output_file)
    if problem:
        return GateResult("syntax", "failed", f"{output_file} does not parse: {problem}")
    return GateResult("syntax", "passed", f"{output_file} parses")


def problem_of(text: str, output_file: str) -> str | None:
    """What is wrong with its syntax, in a sentence; empty where nothing is, None where it is not parsed here."""
    parse = _parser_of(output_file)
    if parse is None:
        return None
    if len(text) > MAX_CHARS:
        return f"it is larger than {MAX_CHARS:,} characters"
    try:
        return parse(text)
    except (RecursionError, MemoryError):
        return "it is nested too deeply to be parsed"


def _parser_of(output_file: str) -> Callable[[str], str] | None:
    ending, family = ending_of(output_file), family_of(output_file)
    if family == "json":
        if ending in ("json5", "jsonc") or _COMMENTED_JSON.search(output_file):
            return None
        return _json_lines if ending in ("jsonl", "ndjson") else _json
    return {"python": _python, "toml": _toml, "yaml": _yaml}.get(family)


def _python(text: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is no error, and nobody reads the daemon's stderr for it
            compile(text, "<answer>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = (error.text or "").strip()
        return f"line {error.lineno}: {error.msg}" + (f": {_short(line)}" if line else "")
    except ValueError as error:
        return str(error)
    return ""


def _json(text: str) -> str:
    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return str(error)
    return ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _json_lines(text: str) -> str:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and (problem := _json(line)):
            return f"line {number}: {problem}"
    return ""


def _toml(text: str) -> str:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return str(error)
    return ""


def _yaml(text: str) -> str:
    import yaml  # most answers are no YAML

    if _depth(text) > MAX_FLOW_DEPTH:
        return f"its brackets are nested more than {MAX_FLOW_DEPTH:,} deep"
    try:
        # Events only: no object is built, no alias followed, no tag obeyed.
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return place + " ".join(part for part in (error.context, error.problem) if part)
    except (yaml.YAMLError, ValueError) as error:
        return str(error)
    return ""


def _by_brackets(text: str, output_file: str) -> GateResult:
    """The little that can be said of a script that no interpreter here reads: typed, or with markup in it."""
    ending = ending_of(output_file)
    if family_of(output_file) == "script":
        if problem := unbalanced(text, markup=ending in ("jsx", "tsx") or not _plain_script(text)):
            return GateResult("syntax", "failed", f"{output_file} does not parse: {problem}")
        return GateResult("syntax", "not_checked", f"no parser for .{ending} is here; its brackets are balanced")
    plain = family_of(output_file) in ("markdown", "text")
    what = "it has no syntax that could be broken" if plain else "no parser for this kind of file is here"
    return GateResult("syntax", "not_checked", what)


def _plain_script(text: str) -> bool:
    """Neither JSX nor Flow, which `.js` files hold too, and which node does not read."""
    return not _FLOW.search(text[:2_000]) and not _JSX.search(code_of(text))


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in re.findall(r"[(\[{}\])]", text):
        depth = depth + 1 if char in "([{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _told(said: str) -> str:
    """An interpreter's complaint: node's as one line, of any other what is about the text, not about its own files."""
    if match := _NODE.search(said):
        return f"line {match['line']}: {match['what']}" + (
            f": {_short(match['code'].strip())}" if match["code"] else ""
        )
    lines = [line.rstrip() for line in said.strip(": \n").split("\n")]
    kept = [line for line in lines if line and not re.match(r"\s+at |Node\.js v", line)]
    return "\n".join(kept)[:2_000]


def _short(line: str) -> str:
    return line if len(line) <= 100 else f"{line[:100]}…"
