"""The gates that a text must stand before it is written into the workspace: whole, parsing, as it was asked for.

Pure: a text in, results out; every result explains itself, to people and to the model that tries again. Rule: what
could not be judged is `not_checked` and never passed. The one program that a syntax may need is described, not started.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.coding.gates.constraints import judge
from orchestrator.coding.gates.placeholders import completeness
from orchestrator.coding.languages.syntax import SyntaxProgram, syntax_of, syntax_program
from orchestrator.coding.report import GateResult, GateVerdict

__all__ = ["SyntaxProgram", "check", "first_failure", "syntax_program", "verdicts", "with_syntax"]


def check(
    text: str,
    output_file: str,
    constraints: Sequence[str] = (),
    *,
    old: str | None = None,
    context: Sequence[str] = (),
    description: str = "",
) -> tuple[GateResult, ...]:
    """All gates, in their order: `complete`, `syntax`, then one result for each constraint. `old` is what the file
    holds now; `context` are the paths of the files that the model was shown, whose modules are no dependencies;
    `description` is what was asked for. Where the text is not whole or does not parse, its constraints are not looked
    at."""
    whole = completeness(text, output_file, old, "\n".join((description, *constraints)))
    if whole.verdict == "failed":
        return (whole,)
    syntax = syntax_of(text, output_file)
    if syntax.verdict == "failed":
        return (whole, syntax)
    return (whole, syntax, *(judge(sentence, text, output_file, context) for sentence in constraints))


def with_syntax(results: Iterable[GateResult], verdict: GateResult) -> tuple[GateResult, ...]:
    """The results with what the program said in the place of `syntax`."""
    return tuple(verdict if result.gate == "syntax" else result for result in results)


def first_failure(results: Iterable[GateResult]) -> GateResult | None:
    """What to tell the model: where several constraints failed, all of them in one result."""
    failed = [result for result in results if result.verdict == "failed"]
    if not failed:
        return None
    same_gate = [result.detail for result in failed if result.gate == failed[0].gate]
    return replace(failed[0], detail="\n".join(same_gate))


def verdicts(results: Iterable[GateResult]) -> dict[str, GateVerdict]:
    """One word for each gate: `failed` if one of its results is, else `not_checked` if one is, else `passed`."""
    by_gate: dict[str, GateVerdict] = {}
    rank: tuple[GateVerdict, ...] = ("passed", "not_checked", "failed")
    for result in results:
        by_gate[result.gate] = max(by_gate.get(result.gate, "passed"), result.verdict, key=rank.index)
    return by_gate
