"""How much of the work local models did, and how well: shares that say what they are of, and how sure they are.

Rule: a figure is `measured` where every part of it was counted, `estimated` where a part of it is not known and lies
between bounds, `unknown` where there is nothing to go by. What nobody has reviewed is never counted as accepted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.insights.code_runs import Answered, Checked, CodeRun, CodeTask, State, Tag

_CHECKED: tuple[Checked, ...] = ("tests", "syntax", "nothing")


@dataclass(frozen=True, slots=True)
class Figure:
    """A share (0 to 1), a count, or tokens. Where it is not known exactly `value` is None, and it lies from `low` to
    `high`. `count` out of `of` is what a share was made of; `note` says to people what is left out."""

    tag: Tag
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    of: int | None = None
    note: str = ""


def share(count: int, of: int, note: str = "", *, open_: int = 0) -> Figure:
    """`count` of `of`; of `open_` more it is not known whether they belong to them."""
    if not of:
        return Figure("unknown", count=count, of=of, note=note)
    if not open_:
        return Figure("measured", count / of, count=count, of=of, note=note)
    return Figure("estimated", low=count / of, high=(count + open_) / of, count=count, of=of, note=note)


def delegation(tasks: Sequence[CodeTask]) -> dict[str, Figure]:
    """The figures about the work itself, by name."""
    runs = [run for task in tasks for run in task.runs]
    states = Counter(task.state for task in tasks)
    return {
        "delegated": _delegated(states, len(tasks)),
        **_first_pass(tasks),
        "first_pass_accepted": _first_pass_accepted(tasks),
        "retry_success": _retry_success(runs),
        "escalated": share(states["escalated"], len(tasks), _unasked(tasks)),
        "infrastructure": share(
            states["infrastructure"], len(tasks), "no model could be asked; says nothing of models"
        ),
        "sent_back": share(states["sent_back"], len(tasks), "the reviewer said `revise`", open_=states["unreviewed"]),
        "rolled_back": Figure("measured", sum(run.rolled_back for run in runs), note="answers written and taken back"),
        **_tokens(runs),
    }


def _delegated(states: Counter[State], of: int) -> Figure:
    """Who writes a file without a task is seen by nobody, and would make it less: so it is never measured."""
    known = share(
        states["accepted"],
        of,
        "of code tasks; files that an agent wrote itself are not seen, and would lower it",
        open_=states["unreviewed"],
    )
    if known.value is None:
        return known
    return replace(known, tag="estimated", value=None, low=known.value, high=known.value)


def _first_pass(tasks: Iterable[CodeTask]) -> dict[str, Figure]:
    """Of the tasks that a model answered; the parts say what had checked the answer, and add up to the whole."""
    answered = [task.first for task in tasks if task.first is not None]
    passed = Counter(run.checked for run in answered if run.first_pass)
    parts = {f"first_pass_{name}": share(passed[name], len(answered)) for name in _CHECKED}
    return {"first_pass_gate": share(passed.total(), len(answered), "of tasks that a model answered"), **parts}


def _first_pass_accepted(tasks: Iterable[CodeTask]) -> Figure:
    answered = [task for task in tasks if task.first is not None]
    first = [task for task in answered if task.last is task.first and task.last.first_pass]
    states = Counter(task.state for task in first)
    note = "accepted as the first answer had it"
    return share(states["accepted"], len(answered), note, open_=states["unreviewed"])


def _retry_success(runs: Iterable[CodeRun]) -> Figure:
    again = [run for run in runs if len(run.judged) > 1 and run.end != "infrastructure"]
    note = "of runs whose first answer failed and that got another"
    return share(sum(run.end == "passed" for run in again), len(again), note)


def _unasked(tasks: Iterable[CodeTask]) -> str:
    unasked = sum(task.state == "escalated" and not task.last.judged for task in tasks)
    return f"{unasked:,} of them without an answer of a model" if unasked else ""


def tokens_tag(attempts: Iterable[Answered]) -> Tag:
    """How the tokens of these answers are known: as the least known of them."""
    tags = {attempt.tokens for attempt in attempts if attempt.judged}
    if tags <= {"measured"}:
        return "measured" if tags else "unknown"
    return "unknown" if tags == {"unknown"} else "estimated"


def _tokens(runs: Iterable[CodeRun]) -> dict[str, Figure]:
    attempts = [attempt for run in runs for attempt in run.attempts]
    tag = tokens_tag(attempts)
    uncounted = sum(attempt.judged and attempt.tokens != "measured" for attempt in attempts)
    note = "read by local models"
    more = f"; {uncounted:,} answers were not counted by their server" if uncounted else ""
    prompt, completion = (sum(getattr(a, key) for a in attempts) for key in ("prompt_tokens", "completion_tokens"))
    if tag == "unknown":
        return {"prompt_tokens": Figure(tag, note=note + more), "completion_tokens": Figure(tag)}
    return {
        "prompt_tokens": Figure(tag, prompt, note=note + more),
        "completion_tokens": Figure(tag, completion, note="written by local models"),
    }
