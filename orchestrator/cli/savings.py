"""`savings`: what code tasks on local models have come to, each figure with how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import house
from orchestrator.cli.display import note, printable, say, say_json, table

if TYPE_CHECKING:
    from orchestrator.insights.delegation import Figure
    from orchestrator.insights.savings import Group, OfModel, Savings
    from orchestrator.insights.token_ledger import Range

_SHARES = {
    "delegated": "delegated and accepted",
    "first_pass_gate": "first answer passed",
    "first_pass_tests": "  its tests",
    "first_pass_syntax": "  a syntax check only",
    "first_pass_nothing": "  nothing had checked it",
    "first_pass_accepted": "first answer accepted",
    "retry_success": "passed after a retry",
    "sent_back": "sent back",
    "escalated": "escalated",
    "infrastructure": "infrastructure failed",
}
_AMOUNTS = {
    "rolled_back": "answers rolled back",
    "prompt_tokens": "local tokens in",
    "completion_tokens": "local tokens out",
    "written": "tokens not written",
    "spent_on_specs": "  less specs written",
    "spent_on_results": "  less results read",
    "spent_on_review": "  less files reviewed",
    "net": "net tokens saved",
    "direct_writes": "written without a task",
}
_NAMED = 5


def savings_(
    ctx: typer.Context,
    days: Annotated[float, typer.Option(min=0.001, max=36_600, metavar="N", help="So many days back.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """How much work local models did in the last days, how well, and the tokens that it saved, from below and above.

    Each figure says whether it is measured, estimated or unknown. `accept` and `revise` make them surer.

    \b
    Example:
      orchestrator savings --days 30
    """
    home = house.opened(ctx)
    from orchestrator.insights.savings import savings

    found = savings(home, days)
    if as_json:
        say_json(found)
    else:
        _print(found)


def _print(found: Savings) -> None:
    if found.tasks:
        runs = "" if found.runs == found.tasks else f" in {found.runs:,} runs"
        say(f"The last {found.days:g} days: {_many(found.tasks, 'code task')}{runs}\n")
        _print_figures(found)
        _print_models(found.models)
        _print_groups("KIND", found.kinds)
        _print_groups("DAY", found.by_day)
        dense, sparse = found.bytes_per_token
        say(f"\nBounds of tokens: {sparse} to {dense} bytes each. Local tokens are no part of the net.")
        if (found.figures["net"].high or 0) < 0:
            say("Even at best more was spent than saved: longer files and shorter specs are worth delegating.")
        if found.unreviewed:
            _print_open(found.unreviewed)
    else:
        say(f"The last {found.days:g} days: no code task ended")
    if found.torn:
        note(f"{_many(found.torn, 'line')} could not be read")


def _print_open(tasks: list[str]) -> None:
    """What would make the figures surer."""
    named = ", ".join(map(printable, reversed(tasks[-_NAMED:])))
    more = f" and {len(tasks) - _NAMED:,} more" if len(tasks) > _NAMED else ""
    say(f"Passed, and not reviewed: {named}{more}")
    say("→ `orchestrator accept ID`, or `orchestrator revise ID --note TEXT`, narrows the bounds")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _print_figures(found: Savings) -> None:
    rows = [[label, _share(found.figures[name]), *_rest(found.figures[name])] for name, label in _SHARES.items()]
    rows += [[label, _amount(found.figures[name]), *_rest(found.figures[name])] for name, label in _AMOUNTS.items()]
    table(("FIGURE", "VALUE", "TAG", "OF", "NOTE"), rows, spare=(3,))


def _rest(figure: Figure) -> list[str]:
    return [figure.tag, "" if figure.of is None else f"{figure.count:,}/{figure.of:,}", figure.note]


def _share(figure: Figure) -> str:
    return _between(figure, lambda share: f"{share:.0%}")


def _amount(figure: Figure) -> str:
    return _between(figure, lambda amount: f"{amount:,.0f}")


def _between(figure: Figure, shown: Callable[[float], str]) -> str:
    if figure.value is not None:
        return shown(figure.value)
    if figure.low is None or figure.high is None:
        return "-"
    low, high = shown(figure.low), shown(figure.high)
    return low if low == high else f"{low} to {high}"


def _print_models(models: dict[str, OfModel]) -> None:
    rows = [
        [
            name,
            f"{model.answered:,}/{model.asked:,}",
            f"{model.first_pass:,}/{model.first:,}",
            f"{model.passed:,}",
            f"{model.accepted:,}",
            f"{model.prompt_tokens:,} + {model.completion_tokens:,}",
            model.tokens,
            _net(model.net),
        ]
        for name, model in models.items()
    ]
    if rows:
        say()
        table(("MODEL", "ANSWERED", "FIRST PASS", "PASSED", "ACCEPTED", "TOKENS IN + OUT", "TAG", "NET"), rows)


def _print_groups(title: str, groups: dict[str, Group]) -> None:
    rows = [
        [
            name,
            f"{group.tasks:,}",
            f"{group.first_pass:,}/{group.answered:,}",
            f"{group.passed:,}",
            f"{group.accepted:,}",
            f"{group.sent_back:,}",
            f"{group.escalated:,}",
            f"{group.infrastructure:,}",
            f"{group.prompt_tokens:,} + {group.completion_tokens:,}",
            group.tokens,
            _net(group.net),
        ]
        for name, group in groups.items()
    ]
    headers = (
        title, "TASKS", "FIRST PASS", "PASSED", "ACCEPTED", "SENT BACK", "ESCALATED", "NO MODEL", "TOKENS IN + OUT",
        "TAG", "NET",
    )  # fmt: skip
    say()
    table(headers, rows, spare=(9, 8, 5))


def _net(net: Range) -> str:
    return f"{net.low:,.0f} to {net.high:,.0f}"
