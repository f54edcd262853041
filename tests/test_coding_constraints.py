"""Constraints in plain sentences: kept, broken, or honestly not understood."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.coding.gates.constraints import judge
from orchestrator.coding.gates.script_facts import ScriptFacts
from orchestrator.coding.gates.things import THINGS
from orchestrator.coding.languages.script import code_of

JS = """\
import { SUITS } from '../constants/suits.js';

/**
 * Pot odds. Not a console.log, and no `any`.
 * @param {number} call
 */
export function potOdds(call, pot) {
  return call / (pot + call); // require('x') is "print"
}

export const MAX_BET = 100;
"""
BAD_JS = """\
import _ from 'lodash';
import React, { useState } from 'react';
const fs = require('fs');

// TODO: types
function a(x) { console.log(x); var y = eval(x); return y; }
class B {}
export default a;
"""
TS = """\
/** Sum. */
export const sum = async (a: number, b: { c: string, d: number[] }): Promise<number> => a + b.d.length;

/** A shape. */
export interface Shape { area(): number }
"""
BAD_TS = """\
import type { A } from './a';
export function f(a: any, b): any[] { return [a, b]; }
"""
PY = '''\
"""Adds."""

from __future__ import annotations

import math
from pathlib import Path


def add(a: int, b: int = 2, *rest: int) -> int:
    """Return a + b. No print() here."""
    return a + b + math.floor(sum(rest))


class Adder:
    """Adds."""

    def go(self, path: Path) -> None:
        add(1)
'''
BAD_PY = """\
import numpy as np
from requests import get
from typing import Any

def add(a, b):
    print(a)  # FIXME
    return eval(b)
"""
TESTS_JS = "import { it } from 'vitest';\nit('a', () => {});\nit.each([1])('b', () => {});\ntest('c', f);\n"
FILES = {"js": JS, "bad.js": BAD_JS, "ts": TS, "bad.ts": BAD_TS, "py": PY, "bad.py": BAD_PY, "tests.js": TESTS_JS}

KEPT = [
    ("js", "at most 50 lines"),
    ("js", "Under 50 lines"),
    ("js", "≤ 50 lines"),
    ("js", "<=50 LOC"),
    ("js", "50 lines or fewer"),
    ("js", "50 lines max"),
    ("js", "Max 50 lines"),
    ("js", "Maximum of 50 lines of code"),
    ("js", "max lines: 50"),
    ("js", "No more than fifty lines."),
    ("js", "Keep it under 50 lines"),
    ("js", "must not exceed 50 lines"),
    ("js", "The file must be no longer than 50 lines"),
    ("js", "At least 5 lines"),
    ("js", "lines at most 100 characters"),
    ("js", "Max line length: 100"),
    ("js", "at most 80 characters per line"),
    ("js", "Export named function"),
    ("js", "Export a named function `potOdds`"),
    ("js", "export function potOdds(call, pot)"),
    ("js", "Export function potOdds"),
    ("js", "Export named function called potOdds"),
    ("js", "Named export"),
    ("js", "Use named exports only"),
    ("js", "Use named exports, no default export"),
    ("js", "no default exports"),
    ("js", "Export constant MAX_BET"),
    ("js", "Export `potOdds` and use `SUITS`"),
    ("js", "at most 2 exports"),
    ("js", "exactly two exports"),
    ("js", "Include JSDoc"),
    ("js", "JSDoc for all exported functions"),
    ("js", "Add JSDoc comments"),
    ("js", "No dependencies"),
    ("js", "No external dependencies"),
    ("js", "Without third-party libraries"),
    ("js", "Do not use any external packages"),
    ("js", "Dependency-free"),
    ("js", "at most 2 imports"),
    ("js", "≤ 2 imports"),
    ("js", "No console.log"),
    ("js", "No `console.log` statements"),
    ("js", "avoid console logs"),
    ("js", "no TODO comments"),
    ("js", "No TODO/FIXME"),
    ("js", "no var"),
    ("js", "No eval"),
    ("js", "No classes"),
    ("js", "no CommonJS"),
    ("js", "Use ES modules"),
    ("js", "ESM only"),
    ("js", "Do not use `lodash`"),
    ("js", "must contain `call / (pot + call)`"),
    ("js", "Export named function, include JSDoc, no dependencies and at most 50 lines"),
    ("bad.js", "Default export"),
    ("bad.js", "export default a function"),
    ("ts", "TypeScript types"),
    ("ts", "Export const sum"),
    ("ts", "no `any`"),
    ("ts", "No any"),
    ("ts", "Do not use any types"),
    ("ts", "Include JSDoc"),
    ("ts", "no imports"),
    ("py", "Type hints"),
    ("py", "Use type annotations for all parameters and return values"),
    ("py", "Include docstrings"),
    ("py", "Docstrings for all public functions and classes"),
    ("py", "Module docstring"),
    ("py", "only standard library"),
    ("py", "Use only the standard library"),
    ("py", "Standard library only"),
    ("py", "no third-party dependencies"),
    ("py", "no print statements"),
    ("py", "No print"),
    ("py", "Don't use print()"),
    ("py", "at most 2 imports"),
    ("py", "Define function `add`"),
    ("py", "Functions at most 10 lines"),
    ("py", "no function longer than 10 lines"),
    ("py", "No eval or print"),
    ("ts", "No comments, include JSDoc"),
    ("js", "imports: max 2"),
    ("js", "Fewer than 20 lines, 2 imports"),
    ("js", "No new dependencies"),
    ("js", "No default exports allowed"),
    ("js", "No use of eval"),
    ("js", "The function must be called potOdds"),
    ("js", "Export utility function `potOdds`"),
    ("py", "At most 2 exports"),
    ("tests.js", "at least 3 tests"),
    ("tests.js", "3+ test cases"),
]


@pytest.mark.parametrize(("file", "sentence"), KEPT)
def test_a_constraint_is_kept(file, sentence):
    result = judge(sentence, FILES[file], f"src/a.{file}")
    assert (result.verdict, result.gate) == ("passed", "constraints"), result.detail


BROKEN = [
    ("js", "at most 5 lines", "11"),
    ("js", "under 11 lines", "11"),
    ("js", "at least 20 lines", "11"),
    ("js", "lines at most 40 characters", "characters"),
    ("js", "Export named function `odds`", "potOdds"),
    ("js", "export function odds(call, pot)", "odds"),
    ("js", "Default export", "default"),
    ("js", "no imports", "line 1: import of ../constants/suits.js"),
    ("js", "exactly one export", "2"),
    ("js", "must contain `lodash`", "wanted"),
    ("bad.js", "No comments", "line 5"),
    ("bad.js", "No console", "line 6"),
    ("bad.js", "Use `useStat`", "wanted"),
    ("bad.js", "no class", "line 7"),
    ("bad.js", "Zero dependencies", "lodash"),
    ("bad.js", "At most 50 lines and 2 imports", "3"),
    ("bad.js", "Max 5 lines", "8"),
    ("js", "Max length 5 lines", "11"),
    ("js", "Lines: max 5", "11"),
    ("js", "80 lines, at most 20 column limit", "allowed 20"),
    ("js", "The function must be named calcOdds", "wanted"),
    ("bad.js", "Export named function", "a default"),
    ("bad.js", "named exports only", "default"),
    ("bad.js", "No default export", "line 8"),
    ("bad.js", "No dependencies", "line 1: import of lodash; line 2: import of react"),
    ("bad.js", "at most 2 imports", "3"),
    ("bad.js", "Include JSDoc", "JSDoc"),
    ("bad.js", "no console.log", "line 6"),
    ("bad.js", "no console output, no TODO", "line 5"),
    ("bad.js", "no var", "line 6"),
    ("bad.js", "No eval or classes", "line 7"),
    ("bad.js", "Use ES modules", "line 3"),
    ("bad.js", "no require", "line 3"),
    ("bad.js", "do not use `_`", "line 1"),
    ("bad.ts", "no `any`", "line 2"),
    ("bad.ts", "TypeScript types", "parameter b"),
    ("bad.ts", "JSDoc on all exports", "f has no"),
    ("bad.py", "No dependencies", "line 1: import of numpy; line 2: import of requests"),
    ("bad.py", "only standard library", "numpy"),
    ("bad.py", "no print", "line 6"),
    ("bad.py", "Include docstrings", "add"),
    ("bad.py", "type hints", "the parameter a"),
    ("bad.py", "no TODO or FIXME comments", "line 6"),
    ("bad.py", "no eval", "line 7"),
    ("bad.py", "at most 2 imports", "3"),
    ("bad.py", "functions under 3 lines", "3"),
    ("tests.js", "at least 4 tests", "3"),
]


@pytest.mark.parametrize(("file", "sentence", "why"), BROKEN)
def test_a_constraint_is_broken_and_the_place_is_named(file, sentence, why):
    result = judge(sentence, FILES[file], f"src/a.{file}")
    assert result.verdict == "failed", result.detail
    assert why in result.detail
    assert sentence in result.detail


NOT_UNDERSTOOD = [
    ("js", "Make it beautiful"),
    ("js", "Pure function"),
    ("js", "Handle division by zero"),
    ("js", "Export named function that returns a ratio between 0 and 1"),
    ("js", "At most 50 lines, and handle errors"),
    ("bad.js", "No dependencies except lodash and react"),
    ("bad.js", "No imports from underscore"),
    ("bad.js", "No unused imports"),
    ("bad.js", "No functions with side effects"),
    ("bad.js", "no classes with state"),
    ("bad.js", "No default parameters"),
    ("bad.js", "no comments in the markup"),
    ("bad.js", "Prefer named exports"),
    ("bad.js", "Use a default export if there is one function"),
    ("js", "Default export not required"),
    ("js", "Docstrings not needed"),
    ("js", "do not export helpers"),
    ("js", "Only export the function"),
    ("js", "Follow the style of `src/other.js`"),
    ("js", "Accepts `null`"),
    ("js", "Sort the lines"),
    ("js", "Return at most 5 results"),
    ("js", "Test 3 cases"),
    ("js", "Print nothing"),
    ("py", "Include JSDoc"),
    ("js", "Type hints"),
    ("js", "Include docstrings"),
    ("js", "Functions at most 20 lines"),
    ("js", "x" * 3_000),
    ("js", "no docstrings"),
]


@pytest.mark.parametrize(("file", "sentence"), NOT_UNDERSTOOD)
def test_what_no_rule_understands_as_a_whole_is_neither_passed_nor_failed(file, sentence):
    result = judge(sentence, FILES[file], f"src/a.{file}")
    assert result.verdict == "not_checked", result.detail
    assert result.detail


def test_the_modules_of_the_project_are_no_dependencies():
    text = "import shop.prices\nfrom helpers import x\nimport requests\n"
    result = judge("No dependencies", text, "shop/cart.py", ["lib/helpers.py"])
    assert "line 3: import of requests" in result.detail
    assert "line 1" not in result.detail
    assert "line 2" not in result.detail


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("export { a, b as c };\nfunction a() {}\nconst b = 1;\n", {"a": "function", "c": "value"}),
        ("exports.a = (x) => x;\nmodule.exports.b = c;\nfunction c() {}\n", {"a": "function", "b": "function"}),
        ("module.exports = { a, b: c };\nclass a {}\n", {"a": "class", "b": "value"}),
        ("module.exports = a;\n", {"default": "default"}),
        ("export const a = useMemo(() => 1), b = 2;\n", {"a": "value"}),
        ("export const a = async ({ b, c = (d) }) => b;\n", {"a": "function"}),
        ("export const a: (b: number) => string = (b) => `${b}`;\n", {"a": "function"}),
        ("export async function* a() {}\nexport abstract class B {}\n", {"a": "function", "B": "class"}),
        ("export type A = 1;\nexport const enum B {}\n", {"A": "type", "B": "type"}),
        ("export * from './a';\n", {"*": "all"}),
        ("// export function a() {}\nconst b = 'export function c() {}';\n", {}),
    ],
)  # fmt: skip
def test_what_a_script_exports_is_read_from_its_code(text, names):
    assert {one.name: one.kind for one in ScriptFacts(text, typed=True, markup=False).exports} == names


ANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
words = st.lists(
    st.sampled_from(["no", "at most", "50", "lines", "imports", "`any`", "export", "named", "default", "or", "print",
                     "JSDoc", "docstrings", ",", "potOdds", "`", "(", "more than", "under", "any", "≤", "é"]),
    max_size=10,
).map(" ".join)  # fmt: skip
script = st.lists(
    st.sampled_from(["export ", "default ", "function ", "const a", " = ", "(", ")", "=>", "`", "${", "/", "//",
                     "/*", "*/", "'", '"', "\\", "\n", "import ", "require(", "any", ": ", ",", "<", ">", "{", "}"]),
    max_size=20,
).map("".join)  # fmt: skip


@ANY
@given(script | st.text(max_size=40))
def test_blanking_out_what_is_no_code_moves_nothing(text):
    for markup in (False, True):
        code = code_of(text, markup=markup)
        assert len(code) == len(text)
        assert [at for at, char in enumerate(code) if char == "\n"] == [
            at for at, char in enumerate(text) if char == "\n"
        ]


@ANY
@given(script, st.sampled_from(["a.js", "a.tsx", "a.md", "a.sh"]))
def test_any_text_can_be_judged(text, path):
    for sentence in ("Export named function", "TypeScript types", "Include JSDoc", "No dependencies", "no comments"):
        assert judge(sentence, text, path).verdict in ("passed", "failed", "not_checked")


@ANY
@given(words | st.text(max_size=40), st.sampled_from(sorted(FILES)))
def test_any_sentence_gets_a_verdict(sentence, file):
    assert judge(sentence, FILES[file], f"a.{file}").verdict in ("passed", "failed", "not_checked")


def test_each_row_of_things_is_spoken_of_in_these_tests():
    spoken = " ".join(sentence for _, sentence, *_ in (*KEPT, *BROKEN, *NOT_UNDERSTOOD))
    unspoken = [thing.name for thing in THINGS if thing.mention(spoken) is None]
    assert unspoken == ["hooks"]
