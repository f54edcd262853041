"""What code tasks on local models have come to: how much was delegated, how well it went, what it saved.

One pass over telemetry and the verdicts, for `orchestrator savings` and for every other face that shows it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.insights.code_runs import CodeTask, Tag, code_tasks
from orchestrator.insights.delegation import Figure, delegation, tokens_tag
from orchestrator.insights.token_ledger import BYTES_PER_TOKEN, NOTHING, Ledger, Range, ledger, ledger_of

_DAY_S = 86_400


@dataclass(slots=True)
class Group:
    """The tasks of one kind, or of one day: counts, and tokens of local models (known as `tokens` says). `net` is
    estimated."""

    tasks: int = 0
    answered: int = 0
    first_pass: int = 0
    passed: int = 0
    accepted: int = 0
    sent_back: int = 0
    escalated: int = 0
    infrastructure: int = 0
    rolled_back: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens: Tag = "unknown"
    net: Range = NOTHING


@dataclass(slots=True)
class OfModel:
    """One model, by its name in the config. `asked` counts the answers it was asked for, `answered` those that came;
    `first` the runs in which it answered first, and `first_pass` those in which that was enough; `passed` and
    `accepted` the runs that ended with its file; `net`, estimated, is of the runs in which it was asked last."""

    asked: int = 0
    answered: int = 0
    first: int = 0
    first_pass: int = 0
    passed: int = 0
    accepted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens: Tag = "unknown"
    net: Range = NOTHING


@dataclass(slots=True)
class Savings:
    """`figures` each with its tag. `unreviewed` are the ids of the tasks that passed and about which nobody has said
    anything, the latest last. `torn` counts the lines that could not be read. Days are UTC, of each task's end."""

    days: float
    since: str
    tasks: int
    runs: int
    bytes_per_token: tuple[int, int] = BYTES_PER_TOKEN
    figures: dict[str, Figure] = field(default_factory=dict)
    models: dict[str, OfModel] = field(default_factory=dict)
    kinds: dict[str, Group] = field(default_factory=dict)
    by_day: dict[str, Group] = field(default_factory=dict)
    unreviewed: list[str] = field(default_factory=list)
    torn: int = 0


def savings(home: Home, days: float = 7, *, now: float | None = None) -> Savings:
    """What code tasks of the last `days` days until `now` (seconds since the epoch) have come to."""
    since = utc_now((time.time() if now is None else now) - days * _DAY_S)
    tasks, torn = code_tasks(home, since)
    ledgers = [ledger([task]) for task in tasks]
    figures = delegation(tasks) | _saved(ledgers)
    return Savings(
        days=days,
        since=since,
        tasks=len(tasks),
        runs=sum(len(task.runs) for task in tasks),
        figures=figures,
        models=_by_model(tasks),
        kinds=_groups([task.last.kind for task in tasks], tasks, ledgers),
        by_day=_groups([task.last.ts[:10] for task in tasks], tasks, ledgers),
        unreviewed=_unreviewed(tasks),
        torn=torn,
    )


def _unreviewed(tasks: Iterable[CodeTask]) -> list[str]:
    found = [task.last for task in tasks if task.state == "unreviewed"]
    return list(dict.fromkeys(run.id for run in sorted(found, key=lambda run: run.ts)))


def _saved(ledgers: Sequence[Ledger]) -> dict[str, Figure]:
    total = sum(ledgers, Ledger())

    def figure(tokens: Range, note: str = "") -> Figure:
        if not ledgers:
            return Figure("unknown", note=note)
        return Figure("estimated", low=round(tokens.low), high=round(tokens.high), note=note)

    return {
        "written": figure(total.written, "of accepted files; the higher bound has those that nobody has reviewed too"),
        "spent_on_specs": figure(total.spec),
        "spent_on_results": figure(total.result),
        "spent_on_review": figure(total.review, "reading once each file that passed"),
        "net": figure(total.net, "what was written, less what was spent on all tasks, also those that failed"),
        "direct_writes": Figure("unknown", note="nothing here sees the files that an agent writes itself"),
    }


def _groups(names: Sequence[str], tasks: Sequence[CodeTask], ledgers: Sequence[Ledger]) -> dict[str, Group]:
    found: dict[str, list[tuple[CodeTask, Ledger]]] = {}
    for name, task, of_task in zip(names, tasks, ledgers, strict=True):
        found.setdefault(name, []).append((task, of_task))
    return {name: _group(*zip(*found[name], strict=True)) for name in sorted(found)}


def _group(tasks: Sequence[CodeTask], ledgers: Sequence[Ledger]) -> Group:
    runs = [run for task in tasks for run in task.runs]
    attempts = [attempt for run in runs for attempt in run.attempts]
    states = [task.state for task in tasks]
    firsts = [task.first for task in tasks if task.first is not None]
    return Group(
        tasks=len(tasks),
        answered=len(firsts),
        first_pass=sum(run.first_pass for run in firsts),
        passed=sum(task.last.end == "passed" for task in tasks),
        accepted=states.count("accepted"),
        sent_back=states.count("sent_back"),
        escalated=states.count("escalated"),
        infrastructure=states.count("infrastructure"),
        rolled_back=sum(run.rolled_back for run in runs),
        prompt_tokens=sum(attempt.prompt_tokens for attempt in attempts),
        completion_tokens=sum(attempt.completion_tokens for attempt in attempts),
        tokens=tokens_tag(attempts),
        net=sum((of_task.net for of_task in ledgers), NOTHING),
    )


def _by_model(tasks: Sequence[CodeTask]) -> dict[str, OfModel]:
    found: dict[str, OfModel] = {}
    attempts = [attempt for task in tasks for run in task.runs for attempt in run.attempts]
    for name in dict.fromkeys(attempt.model for attempt in attempts):
        its = [attempt for attempt in attempts if attempt.model == name]
        found[name] = OfModel(
            asked=len(its),
            answered=sum(attempt.judged for attempt in its),
            prompt_tokens=sum(attempt.prompt_tokens for attempt in its),
            completion_tokens=sum(attempt.completion_tokens for attempt in its),
            tokens=tokens_tag(its),
        )
    for task in tasks:
        for run in task.runs:
            if run.judged:
                found[run.judged[0].model].first += 1
                found[run.judged[0].model].first_pass += run.first_pass
            if run.attempts:
                last = found[run.attempts[-1].model]
                last.passed += run.end == "passed"
                last.accepted += run.verdict == "accepted"
                last.net += ledger_of(task, run).net
    return dict(sorted(found.items()))
