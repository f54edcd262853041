"""A step becomes a Call: everything resolved, nothing left to look up."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import TaskError
from orchestrator.outcome import Call
from orchestrator.skills.access import access_of
from orchestrator.skills.load import Skills
from orchestrator.skills.manifest import RESERVED_PREFIX
from orchestrator.skills.skill import Skill
from orchestrator.spec import Step, Task

TASK_ID = "ORCHESTRATOR_TASK_ID"
HIDDEN = "***"
"""Stands for a secret where the gate is told what the spec sets: which variables those are may count, values never."""


@dataclass(frozen=True, slots=True)
class BindContext:
    """What a step is bound in.

    `workspace` is an absolute folder; `environ` the part of the daemon's environment that every step gets;
    `daemon_env` the whole of it, from which a skill's `pass_env` takes what it names; `path` the PATH of steps;
    `output_limit` is in bytes; `trusted_hosts` and `max_bytes` (of an answer) limit requests.
    """

    workspace: str
    environ: Mapping[str, str]
    path: str
    output_limit: int
    daemon_env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    trusted_hosts: tuple[str, ...] = ()
    max_bytes: int = 100 * 1024 * 1024


def bind(step: Step, index: int, task: Task, skills: Skills, context: BindContext) -> Call:
    """Resolve a step into a Call. Raises TaskError: "invalid" for what the spec got wrong, "skill_unavailable"
    where the skill's program is not on PATH."""
    skill = skills.get(step.skill)
    manifest = skill.manifest
    inputs: Mapping[str, Any] = {}
    args = step.args
    beside: tuple[Call, ...] = ()
    if manifest.runner == "http":
        argv, inputs = _request(skill, step, context)
        args = argv[1:]
    elif manifest.runner == "model":
        argv, inputs, test = _model_request(skill, step)
        args = argv[1:]
        beside = (_bind_test(test, index, task, skills, context),) if test is not None else ()
    else:
        argv = skill.expand(step)
    env = {**context.environ, "PATH": context.path}
    for name in manifest.pass_env:
        if (value := context.daemon_env.get(name)) is not None:
            env[name] = value
    env.update(manifest.env)
    given = {**task.env, **step.env}
    _refuse_reserved(given)
    env.update(given)
    given |= dict.fromkeys(task.secrets, HIDDEN)
    env[TASK_ID] = task.id
    if manifest.runner == "process":
        argv = (_locate(skill.name, argv[0], env["PATH"], manifest.install), *argv[1:])
    timeout = step.timeout
    if manifest.timeout is not None and "timeout" not in step.model_fields_set:
        timeout = manifest.timeout
    return Call(
        index, step.skill, manifest.runner, args, argv, env, context.workspace, timeout,
        step.id, step.optional, context.output_limit, given=given, inputs=inputs,
        access=access_of(skill, context.workspace, context.daemon_env), beside=beside,
    )  # fmt: skip


def _request(skill: Skill, step: Step, context: BindContext) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """A request as words for the gate, and as inputs for its runner; refused here where its host is not trusted."""
    from orchestrator.hosts import HostError, trust

    request, inputs = skill.request(step)
    try:
        trust(context.trusted_hosts).check(request.address())
    except HostError as error:
        raise TaskError("invalid", f"skill `{skill.name}`: {error}") from error
    if request.max_bytes is not None and request.max_bytes > context.max_bytes:
        raise TaskError(
            "invalid",
            f"skill `{skill.name}`: input `max_bytes` is {request.max_bytes}, more than `max_bytes` in section [http] "
            f"of the config, {context.max_bytes}",
        )
    return request.argv(), {"max_bytes": context.max_bytes, **inputs}


def _model_request(skill: Skill, step: Step) -> tuple[tuple[str, ...], Mapping[str, Any], Step | None]:
    """What is asked of a model, as words for the gate and as inputs for its runner; and its test, as a step."""
    request, inputs = skill.model_request(step)
    test = None if request.test_command is None else command_step(request.test_command)
    return request.argv(), inputs, test


def _bind_test(test: Step, index: int, task: Task, skills: Skills, context: BindContext) -> Call:
    """The test that a model's file must pass; it is judged, walled in and started as any step. Raises TaskError."""
    if test.skill not in task.skills:
        raise TaskError("invalid", f"`test_command` uses the skill `{test.skill}`: list it in the task's `skills`")
    if skills.get(test.skill).manifest.runner != "process":
        raise TaskError("invalid", f"`test_command` uses the skill `{test.skill}`, which starts no program")
    return bind(test, index, task, skills, context)


def command_step(command: str | tuple[str, ...]) -> Step:
    """A command of the spec as a step: a script for bash, or a skill with its arguments."""
    if isinstance(command, str):
        return Step(skill="bash", args=("-c", command))
    return Step(skill=command[0], args=command[1:])


def _refuse_reserved(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith(RESERVED_PREFIX):
            raise TaskError("invalid", f"env sets {name}, but names that begin with {RESERVED_PREFIX} are reserved")


@functools.lru_cache(maxsize=256)
def _locate(skill: str, program: str, path: str, install: str) -> str:
    """The absolute path of a program. Relative entries of PATH are passed over: the daemon's folder is not the
    step's. What is missing is not cached, so that a program installed later is found."""
    entries = os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))
    # An empty search path would make `which` fall back to the daemon's own PATH.
    found = shutil.which(program, path=entries) if entries or os.path.isabs(program) else None
    if found is None:
        hint = f" To get it: {install}" if install else ""
        where = "which is not an executable file" if os.path.isabs(program) else f"which is not on PATH ({entries})."
        raise TaskError("skill_unavailable", f"skill `{skill}` needs the program `{program}`, {where}{hint}")
    return found
