"""A step right before its start: whether its `if` lets it start, and what its late values are.

Rule: nothing is worked out from what was worked out before. The spec as it was written is rendered anew with the real
values, and the call that comes of it goes before the gate again (`again.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from orchestrator.errors import TaskError
from orchestrator.execution.facts import facts_of_need, facts_of_steps
from orchestrator.execution.prepare import Prepared, bind_context
from orchestrator.execution.rendered import Renderer
from orchestrator.outcome import Call, StepResult, StepStatus
from orchestrator.skills import command_step
from orchestrator.spec import Check, Step


def made_ready(
    prepared: Prepared, call: Call, results: Sequence[StepResult], folder: str, *, failed: bool
) -> Call | StepResult:
    """The call that is to start, or the result of a step that does not: skipped, or failed because a value is missing.
    `results` are those so far, in the run's `folder`; `failed` says that a step before has. May read files."""
    rendered, written = prepared.rendered, prepared.spec
    if rendered is None:
        return call
    step = written.steps[call.index]
    try:
        renderer = _renderer(prepared, results, folder)
        if call.index in rendered.never or not renderer.condition(step, call.index, failed=failed):
            return _not_started(call, step, "skipped")
        return renderer.call(step, call.index, check=False) if call.index in rendered.late else call
    except TaskError as error:
        return _not_started(call, step, "failed", f"{error.reason}: {error.message}")


def checked(prepared: Prepared, rule: int, call: Call, results: Sequence[StepResult], folder: str) -> Call:
    """The call of a `command` check. Raises TaskError."""
    check = prepared.spec.acceptance[rule]
    if prepared.rendered is None or call.index not in prepared.rendered.late or not isinstance(check, Check):
        return call
    step = command_step(check.command or ())
    return _renderer(prepared, results, folder).call(step, call.index, check=False)


def previewed(prepared: Prepared, call: Call) -> Call:
    """The call as it stood before the gate at first."""
    return next(one for one in (*prepared.calls, *prepared.check_calls.values()) if one.index == call.index)


def acceptance(prepared: Prepared, results: Sequence[StepResult], folder: str) -> tuple[str | Check, ...]:
    """The acceptance rules with all replaced. Raises TaskError."""
    if prepared.rendered is None:
        return prepared.task.acceptance
    renderer = _renderer(prepared, results, folder)
    return tuple(renderer.check(rule, check) for rule, check in enumerate(prepared.spec.acceptance))


def _renderer(prepared: Prepared, results: Sequence[StepResult], folder: str) -> Renderer:
    tools = prepared.tools
    return Renderer(
        prepared.task,
        tools.skills,
        bind_context(tools, prepared.workspace),
        partial(facts_of_need, tools.home),
        steps=facts_of_steps(results, folder),
        heads=dict(prepared.rendered.heads) if prepared.rendered else {},
    )


def _not_started(call: Call, step: Step, status: StepStatus, error: str | None = None) -> StepResult:
    return StepResult(
        step=call.index, skill=call.skill, args=step.args, status=status, code=None, attempts=0,
        optional=call.optional, id=call.step_id, error=error,
    )  # fmt: skip
