"""Calls judged one JSON line at a time, for whoever asks about many: `explain --jsonl`, benchmarks, other programs.

Rule: every line gets an answer, and what is not understood needs approval. A line is read as strictly as a spec, so
that nobody who reads it too can find another call in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, get_args

import orjson
from pydantic import ValidationError

from orchestrator.errors import TaskError
from orchestrator.intake.limits import MAX_JSON_BYTES
from orchestrator.intake.problem import render_path
from orchestrator.intake.sentences import findings_of
from orchestrator.intake.strict_json import loads
from orchestrator.outcome import Call, Decision, Reason
from orchestrator.policy.decide import Context, decide, decide_task
from orchestrator.policy.rules import Rules
from orchestrator.skills import BindContext, Skills, bind
from orchestrator.spec import DEFAULT_STEP_TIMEOUT_MS, Priority, Risk, Step, Task

LONGEST_LINE = 4 * MAX_JSON_BYTES
"""In bytes. No spec may be longer than a quarter of it; the rest is for escapes."""
_RISKS, _PRIORITIES = get_args(Risk), get_args(Priority)


class _Unfit(Exception):
    """The line is no call. `rule` is what the answer names, the message says why."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream with their numbers, from 1; blank ones are passed over. Of a line that is too long only so
    much is kept that `judge_line` can tell."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 2):
        number += 1
        rest = line
        while len(rest) > LONGEST_LINE and rest[-1:] != b"\n":
            rest = stream.readline(LONGEST_LINE + 2)
        if line.strip():
            yield number, line


def judge_line(
    line: bytes | str,
    rules: Rules,
    context: Context,
    skills: Skills | None = None,
    *,
    number: int | None = None,
    trusted_hosts: Sequence[str] = (),
) -> dict[str, Any]:
    """Judge one line of `explain --jsonl`: `{"id","skill","args","with","risk","priority"}`.

    Answers `{"id","verdict","score","reasons":[{"rule","points","why"}]}` and never raises: a line that can't be
    read needs approval. `risk` and `priority` are low and medium where the line does not say; `skills` gives the
    full command of each skill, without it a skill's name is taken for its program. `number` is for messages.
    """
    try:
        data = _read(line)
    except _Unfit as unfit:
        where = "the line" if number is None else f"line {number}"
        return _answer(None, _refused(unfit.rule, f"{where} {unfit}"))
    return _answer(data.get("id"), judge(data, rules, context, skills, trusted_hosts))


def judge(
    data: dict[str, Any],
    rules: Rules,
    context: Context,
    skills: Skills | None = None,
    trusted_hosts: Sequence[str] = (),
) -> Decision:
    """Judge one such object. Never raises; what is not understood needs approval."""
    try:
        risk, priority = _word(data, "risk", "low", _RISKS), _word(data, "priority", "medium", _PRIORITIES)
        context = replace(context, risk=risk, priority=priority)
        calls = _calls(data, context, skills, trusted_hosts)
        return decide(calls[0], rules, context) if len(calls) == 1 else decide_task(_task(data), calls, rules, context)
    except _Unfit as unfit:
        return _refused(unfit.rule, str(unfit))
    except TaskError as error:
        return _refused(f"line.{error.reason}", error.message)
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not open the gate, nor end the answers
        return _refused("gate.failed", f"the gate itself failed on this call: {error!r}; please report it")


def _read(line: bytes | str) -> dict[str, Any]:
    """Raises _Unfit."""
    if len(line) > LONGEST_LINE + 1:
        raise _Unfit("line.unreadable", f"is longer than {LONGEST_LINE:,} bytes")
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _Unfit("line.unreadable", f"is not JSON: {error.msg} (character {error.pos + 1})") from error
    if not isinstance(data, dict):
        raise _Unfit("line.unreadable", "is not a JSON object")
    try:
        loads(line if isinstance(line, str) else line.decode())
    except (ValueError, RecursionError) as error:
        raise _Unfit("line.unreadable", f"can be read in more than one way: {error}") from error
    return data


def _word(data: dict[str, Any], key: str, default: str, known: tuple[str, ...]) -> Any:
    word = data.get(key, default)
    if word not in known:
        raise _Unfit("line.invalid", f"`{key}` {word!r} is none of {', '.join(known)}")
    return word


def _calls(
    data: dict[str, Any], context: Context, skills: Skills | None, trusted_hosts: Sequence[str]
) -> tuple[Call, ...]:
    """The call, and what may be started beside it. Raises _Unfit, TaskError."""
    step = _step(data)
    runner = "process" if skills is None else skills.get(step.skill).manifest.runner
    if skills is not None and runner != "process":
        # What is none of its words counts too: whether its host is trusted, and the test of what a model writes.
        binding = BindContext(context.workspace, {}, os.defpath, 0, trusted_hosts=tuple(trusted_hosts))
        call = bind(step, 0, _task(data, *skills.names()), skills, binding)
        return (call, *call.beside)
    argv = (step.skill, *step.args) if skills is None else skills.get(step.skill).expand(step)
    env = {"HOME": context.user_home}
    return (Call(0, step.skill, runner, step.args, argv, env, context.workspace, DEFAULT_STEP_TIMEOUT_MS),)


def _step(data: dict[str, Any]) -> Step:
    """Raises _Unfit."""
    skill, args = data.get("skill"), data.get("args", [])
    if not isinstance(skill, str) or not skill:
        raise _Unfit("line.invalid", "`skill` must be the name of a skill")
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        raise _Unfit("line.invalid", "`args` must be a list of strings")
    fields = {"skill": skill, "args": tuple(args), "with": data.get("with", {})}
    try:
        return Step.model_validate(fields)
    except ValidationError as error:
        finding = findings_of(error, fields, Step)[0][0]
        raise _Unfit("line.invalid", f"`{render_path(finding.path)}` {finding.message}") from error


def _task(data: dict[str, Any], *skills: str) -> Task:
    """A task around the call, for what is asked of tasks only."""
    step = _step(data)
    risk, priority = data.get("risk", "low"), data.get("priority", "medium")
    return Task(id="line", title="line", skills=skills or (step.skill,), steps=(step,), risk=risk, priority=priority)


def _refused(rule: str, why: str) -> Decision:
    return Decision("needs_approval", 0, (Reason(rule, 0, why, "approve"),))


def _answer(name: Any, decision: Decision) -> dict[str, Any]:
    reasons = [{"rule": item.rule, "points": item.points, "why": item.why} for item in decision.reasons]
    return {"id": name, "verdict": decision.verdict, "score": decision.score, "reasons": reasons}
