"""The outline of JavaScript and TypeScript: what is exported, and nothing that merely looks like it."""

import pytest

from orchestrator.coding.languages.outline_script import outline_of_script
from orchestrator.coding.languages.script import code_of

LONG = "x" * 200
MODULE = f"""import {{ x }} from "./x";

/** Not this one. */
const helper = (a: number) => {{ return a }};

/**
 * The odds of a call.
 * @param call what it costs, {{not a brace
 */
export async function odds<T extends {{ a: string }}>(call: number, pot = {{ a: "}}" }}): Promise<{{ a: string }}> {{
  const text = `a ${{`nested ${{call}} }}`}} {{
export const fake = 1;
  `;
  if (/[/}}"]+/.test(text)) {{ return null; }} // }}
  return call / (pot + call) / 2;
}}

export const LIMIT = 10, NAME = 'a "quoted" one';
/** All of them. */
export const TABLE: Record<string, number> = {{
  {LONG}: 1,
}};
export type Suit =
  | "hearts"
  | "spades"

export interface Card {{ suit: Suit; rank: number }}
export const make = (suit: Suit, rank: number): Card => {{
  // {LONG}
  return helper(rank)
}}

@Decorated()
export abstract class Hand extends Array<Card>
  implements Iterable<Card> {{
  private secret = 1;
  #more = 2;
  cards: Card[] = [];

  /** Takes a card. */
  constructor(private first: Card, second?: Card) {{
    super();
  }}

  get size(): number {{ return this.cards.length }}
  abstract value(): number;
  async *walk<T>(each: (card: Card) => T): AsyncGenerator<T> {{
    for (const c of this.cards) {{ yield each(c) }}
  }}
}}

function Button() {{
  return <a href="x">Don't</a>
}}
function hidden() {{}}
export {{ Button as default }}
export * from "./other";
"""
OUTLINE = """/**
 * The odds of a call.
 * @param call what it costs, {not a brace
 */
export async function odds<T extends { a: string }>(call: number, pot = { a: "}" }): Promise<{ a: string }> { … }

export const LIMIT = 10, NAME = 'a "quoted" one';

/** All of them. */
export const TABLE: Record<string, number> = …

export type Suit =
  | "hearts"
  | "spades"

export interface Card { suit: Suit; rank: number }

export const make = (suit: Suit, rank: number): Card => …

export abstract class Hand extends Array<Card>
  implements Iterable<Card> {
  cards: Card[] = [];
  /** Takes a card. */
  constructor(private first: Card, second?: Card) { … }
  get size(): number { … }
  abstract value(): number;
  async *walk<T>(each: (card: Card) => T): AsyncGenerator<T> { … }
}

function Button() { … }

export { Button as default }

export * from "./other";
"""
COMMON = """'use strict'
const fs = require('fs')

/** Reads. */
function read(path, { encoding = 'utf8' } = {}) {
  return fs.readFileSync(path, encoding)
}
function inner() {}
exports.write = function (path) {
  fs.writeFileSync(path, inner())
}
module.exports = { read, size: 1 }
"""


def test_a_module_is_outlined_with_its_docs_its_types_and_its_members():
    assert outline_of_script(MODULE) == OUTLINE


def test_an_outline_is_its_own_outline():
    assert outline_of_script(OUTLINE) == OUTLINE


def test_of_commonjs_the_functions_are_shown_that_its_exports_name():
    made = outline_of_script(COMMON)
    assert "/** Reads. */\nfunction read(path, { encoding = 'utf8' } = {}) { … }" in made
    assert "exports.write = function (path) {" in made
    assert "module.exports = { read, size: 1 }" in made
    assert "inner() {}" not in made
    assert "require" not in made


def test_a_statement_of_several_lines_is_shown_once():
    text = f"export default\nclass Hand {{\n  deal() {{ return {LONG} }}\n}}\n"
    assert outline_of_script(text) == "export default\nclass Hand {\n  deal() { … }\n}\n"


@pytest.mark.parametrize(
    "text",
    ["", "const a = 1\n", "export function f() {", "export const a = (1]", "export const a = `${", "export /* a", "}"],
)
def test_what_exports_nothing_or_does_not_match_has_no_outline(text):
    assert outline_of_script(text) is None


@pytest.mark.parametrize(
    "text", ["'" + "\\'" * 20_000, "export class A {" + " " * 200_000, "/*/" * 50_000, "(/[" * 5_000]
)
def test_a_hostile_text_is_given_up(text):
    assert outline_of_script(text) is None


def test_of_what_a_model_repeats_without_end_no_string_is_looked_for_for_ever():
    """Where each mark looked to the line's end, this would take longer than a test may."""
    code = code_of("'" + "\\'" * 200_000 + "\n'word'")
    assert code.endswith("\n'    '")
