"""A task whose texts hold templates becomes calls.

Rule: three looks at each step. First with a stand-in for every value, which tells whether a value may stand there at
all (`shell/placed.py`). Then with the values, as far as they are known before the task begins; what only an earlier
step will tell is *late*, and stands there as a word that says nothing, so that the gate sees the rest of the call.
Right before its start a late step is bound anew (`late.py`). What comes out of a value is never taken for a template.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import TaskError
from orchestrator.intake.problem import render_path
from orchestrator.outcome import Call
from orchestrator.shell.placed import MisplacedError, leading, quoted
from orchestrator.skills import BindContext, Skills, bind, command_step
from orchestrator.spec import Check, Step, Task
from orchestrator.templates import places
from orchestrator.templates import text as texts
from orchestrator.templates.expression import FUNCTIONS, Expression, ExpressionError, Later, Names, text_of, truth_of

MOST_TEXT = 1024 * 1024
"""In characters: what all values put into one task come to at most."""
LONGEST_S = 2.0
"""So long the expressions of one task may take."""
_SAMPLES: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False, "object": {}, "json": ""}
_OF_ANY_TYPE = ("with", "equals")

Needs = Callable[[str], Mapping[str, Any] | None]
"""`status` and `outputs` of a task that this one needs; None while it has not ended."""


@dataclass(slots=True)
class Renderer:
    """Renders one task. `steps` are the facts about those that have ended, by id; None before the first one. `heads`
    are the numbers of the values, by step, that begin an argument; `late` the steps that are to be bound anew, each
    with the words that stand for its values until then, and their expressions; `used` the files in which those needs
    stand that were asked for."""

    task: Task
    skills: Skills
    context: BindContext
    needs: Needs
    steps: Mapping[str, Any] | None = None
    heads: dict[int, frozenset[int]] = field(default_factory=dict)
    late: dict[int, Mapping[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    _ended: dict[str, Mapping[str, Any]] = field(init=False)
    _spent: int = 0
    _until: float = field(default_factory=lambda: time.monotonic() + LONGEST_S)

    def __post_init__(self) -> None:
        self._ended = {name: facts for name in self.task.needs if (facts := self.needs(name)) is not None}

    # ── the parts of a task ────────────────────────────────────────────────────────────────────

    def beforehand(self, *, ahead: bool = False) -> Task:
        """The task with all replaced that is fixed before its first step; from now on that is `task`, but for steps and
        acceptance. `ahead` leaves what stands on tasks that have not ended as it is. Raises TaskError."""
        names = self._names({})

        def fill(text: str, path: places.Path) -> Any:
            open_yet = ahead and any(self._is_late(expression, False) for expression in _expressions(text))
            return text if open_yet else self._value(text, path, names)

        filled = places.beforehand(self.task, fill)
        if filled is not self.task:
            try:
                Task.model_validate_json(filled.model_dump_json(by_alias=True, exclude_unset=True))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                raise _failed(first["loc"], first["msg"]) from error
        self.task = filled
        return filled

    def call(self, step: Step, index: int, *, check: bool = True) -> Call:
        """A step (or a command of the acceptance rules, as one) bound with what is known. Raises TaskError."""
        if not _is_templated(step):
            return bind(step, index, self.task, self.skills, self.context)
        if check:
            self.heads[index] = self._placed(step, index)
        opaque: dict[str, str] = {}
        filled = places.in_step(step, index, self._filling(step, index, opaque))
        if opaque:
            self.late[index] = opaque
        try:
            return bind(filled, index, self.task, self.skills, self.context)
        except TaskError as error:
            raise TaskError(error.reason, _with_names(error.message, opaque)) from error

    def check(self, rule: int, check: str | Check) -> str | Check:
        """An acceptance rule with what is known; one that is late as it is. Raises TaskError."""
        names = self._names(self.task.env)
        is_command = isinstance(check, Check) and check.command is not None  # bound as a step is
        if is_command or any(self._is_late(expression, False) for expression in _expressions(check)):
            return check
        return places.in_check(check, rule, lambda text, path: self._value(text, path, names))

    def condition(self, step: Step, index: int, *, failed: bool) -> bool:
        """Whether a step is to start, where one before has `failed` or not. Raises TaskError."""
        if step.if_ is None:
            return not failed
        path: places.Path = ("steps", index, "if")
        try:
            expression = texts.condition(step.if_)
            if failed and not expression.functions:
                return False
            outcome = {"success": not failed, "failure": failed, "always": True}
            functions: dict[str, Any] = {name: _answering(outcome[name]) for name in FUNCTIONS}
            own = self._own_env(step, index) if expression.mentions("env") else {}
            names = self._names({**self.task.env, **own})
            return truth_of(expression.value(names | functions))
        except ExpressionError as error:
            raise _failed(path, str(error)) from error

    def never(self, step: Step, index: int) -> bool:
        """Whether it is known already that a step will not start. Raises TaskError."""
        if step.if_ is None:
            return False
        expression = texts.condition(step.if_)
        env_late = any(self._is_late(one, False) for one in _expressions(step.env))
        if expression.functions or self._is_late(expression, env_late):
            return False
        return not self.condition(step, index, failed=False)

    # ── one text ───────────────────────────────────────────────────────────────────────────────

    def _filling(self, step: Step, index: int, opaque: dict[str, str]) -> places.Fill:
        """What fills the texts of a step. `opaque` gets what stands for late values, and the expressions of these."""
        env_late = any(self._is_late(one, False) for one in _expressions(step.env))
        own = self._own_env(step, index) if not env_late else {}
        env, number = {**self.task.env, **own}, 0

        def fill(text: str, path: places.Path) -> Any:
            nonlocal number

            def one(expression: Expression) -> Any:
                nonlocal number
                number += 1
                if self._is_late(expression, env_late and "env" not in path):
                    word = f"LATE_{number}" if expression.quoted else f"late-{number}"
                    opaque[word] = expression.shown
                    return f'"${word}"' if expression.quoted else word
                value = expression.value(self._names(self.task.env if "env" in path else env))
                if number in self.heads.get(index, ()):
                    _must_be_no_option(value, expression)
                return value

            return self._worked_out(text, path, one)

        return fill

    def _own_env(self, step: Step, index: int) -> dict[str, str]:
        names = self._names(self.task.env)
        filled = places.replaced(step.env, lambda text, path: self._value(text, path, names), ("steps", index, "env"))
        return dict(filled)

    def _value(self, text: str, path: places.Path, names: Mapping[str, Any]) -> Any:
        return self._worked_out(text, path, lambda expression: expression.value(names))

    def _worked_out(self, text: str, path: places.Path, fill: Callable[[Expression], Any]) -> Any:
        """Raises TaskError that names the place."""
        try:
            value = texts.filled(text, fill)
            if path[-1] in _OF_ANY_TYPE or "with" in path:
                value = text_of(value) if isinstance(value, str) else value
            else:
                value = text_of(value)
            self._count(value)
        except ExpressionError as error:
            raise _failed(path, str(error)) from error
        return value

    def _count(self, value: Any) -> None:
        self._spent += len(value) if isinstance(value, str) else 0
        if self._spent > MOST_TEXT:
            raise ExpressionError(f"all values of the task come to more than {MOST_TEXT:,} characters")
        if time.monotonic() > self._until:
            raise ExpressionError(f"the expressions of the task take more than {LONGEST_S:g} s")

    def _names(self, env: Mapping[str, str]) -> dict[str, Any]:
        return {
            "vars": Names("vars", self.task.vars),
            "env": Names("env", env),
            "task": Names("task", {"id": self.task.id}),
            "needs": Names("needs", {name: Later(partial(self._need, name)) for name in self._ended}),
            "steps": Names("steps", self.steps or {}),
        }

    def _need(self, name: str) -> Names:
        facts = self._ended[name]
        self.used.update([facts["file"]] if "file" in facts else ())
        return _need(name, facts)

    def _is_late(self, expression: Expression, env_late: bool) -> bool:
        """Whether its value is not known before the first step. Once that has begun, nothing is late."""
        if self.steps is not None:
            return False
        needed = {path[1] if len(path) > 1 else "" for path in expression.paths if path[0] == "needs"}
        unknown = any(name not in self._ended for name in (self.task.needs if "" in needed else needed))
        return unknown or expression.mentions("steps") or (env_late and expression.mentions("env"))

    # ── where values stand ─────────────────────────────────────────────────────────────────────

    def _placed(self, step: Step, index: int) -> frozenset[int]:
        """The numbers of those values that begin an argument. Raises TaskError for a value where none may stand."""
        skill = self.skills.get(step.skill)
        if not skill.program:
            return frozenset()
        standing: dict[str, Expression] = {}
        inputs = skill.manifest.inputs

        def fill(text: str, path: places.Path) -> Any:
            declared = inputs.get(str(path[3])) if path[2] == "with" else None
            return texts.filled(text, lambda expression: _stand_in(expression, standing, declared))

        try:
            call = bind(places.in_step(step, index, fill), index, self.task, self.skills, self.context)
        except TaskError as error:
            raise TaskError(error.reason, _with_names(error.message, standing)) from error
        words = [word for word, expression in standing.items() if expression.quoted]
        bare = [word for word, expression in standing.items() if not expression.quoted]
        try:
            heads = leading(call.argv, call.given, words, bare)
        except MisplacedError as error:
            shown = f"{standing[error.stand_in].shown}: " if error.stand_in else ""
            where = f"steps[{index}]" if index < len(self.task.steps) else places.ACCEPTANCE
            raise TaskError("invalid", f"{where}: {shown}{_with_names(str(error), standing)}") from error
        return frozenset(
            number for number, word in enumerate(standing, 1) if word in heads and not standing[word].option
        )


@dataclass(frozen=True, slots=True)
class Rendered:
    """A templated task as it is before its first step. `heads` and `late` as in Renderer; `never`: the steps of which
    it is known that they will not start; `last`: the last one that may start after a failure, -1 for none; `used`: the
    results of needed tasks that it is about."""

    task: Task
    calls: tuple[Call, ...]
    check_calls: Mapping[int, Call]
    heads: Mapping[int, frozenset[int]]
    late: Mapping[int, Mapping[str, str]]
    never: frozenset[int]
    last: int
    used: tuple[str, ...]


def render(renderer: Renderer) -> Rendered:
    """All of a task whose `beforehand` is done. Raises TaskError."""
    task = renderer.task
    steps = list(enumerate(task.steps))
    calls = tuple(renderer.call(step, index) for index, step in steps)
    never = frozenset(index for index, step in steps if renderer.never(step, index))
    checks: dict[int, Call] = {}
    for rule, check in enumerate(task.acceptance):
        if isinstance(check, Check) and check.command is not None:
            checks[rule] = renderer.call(command_step(check.command), len(steps) + len(checks))
    acceptance = tuple(renderer.check(rule, check) for rule, check in enumerate(task.acceptance))
    if acceptance != task.acceptance:
        task = task.model_copy(update={"acceptance": acceptance})
    last = max((index for index, step in steps if cleans_up(step)), default=-1)
    return Rendered(task, calls, checks, renderer.heads, renderer.late, never, last, tuple(renderer.used))


def problems(task: Task, skills: Skills, context: BindContext) -> Iterator[tuple[str, TaskError]]:
    """All that can be told to be wrong before a daemon has it: place and error."""
    renderer = Renderer(task, skills, context, lambda _name: None)
    steps = list(enumerate(task.steps))
    commands = [check.command for check in task.acceptance if isinstance(check, Check) and check.command is not None]
    steps += [(len(steps) + number, command_step(command)) for number, command in enumerate(commands)]
    try:
        renderer.beforehand(ahead=True)
    except TaskError as error:
        yield "", error
        return
    for index, step in steps:
        where = f"steps[{index}]" if index < len(task.steps) else "acceptance"
        try:
            renderer.call(step, index)
            renderer.never(step, index)
        except TaskError as error:
            yield "" if error.message.startswith(where) else where, error


def cleans_up(step: Step) -> bool:
    """Whether a step may start after a failure."""
    return step.if_ is not None and not texts.condition(step.if_).functions.isdisjoint(("failure", "always"))


def _is_templated(step: Step) -> bool:
    return any(True for _ in _expressions((step.args, step.with_, step.env)))


def _expressions(value: Any) -> list[Expression]:
    found: list[Expression] = []

    def note(text: str, _path: places.Path) -> str:
        found.extend(texts.expressions_in(text))
        return ""

    places.replaced(value, note, ())
    return found


def _stand_in(expression: Expression, standing: dict[str, Expression], declared: Any) -> Any:
    word = f"orchestratorvalue{len(standing) + 1}x"
    standing[word] = expression
    if declared is not None and declared.choices:
        return declared.choices[0]
    if declared is not None and declared.type in _SAMPLES:
        return _SAMPLES[declared.type]
    return quoted(word) if expression.quoted else word


def _must_be_no_option(value: Any, expression: Expression) -> None:
    begins = value[int(expression.quoted) :][:1] if isinstance(value, str) else ""
    if begins == "-" and not expression.option:
        raise ExpressionError(
            f"it comes to {value!r:.60}, which the program may take for an option: put `--` before it, or write "
            "`| option` where it may be one"
        )


def _need(name: str, facts: Mapping[str, Any]) -> Names:
    outputs = Names(f"needs.{name}.outputs", facts.get("outputs") or {})
    return Names(f"needs.{name}", {"status": facts.get("status"), "outputs": outputs})


def _answering(value: bool) -> Callable[[], bool]:
    return lambda: value


def _with_names(message: str, standing: Mapping[str, Any]) -> str:
    """A message that speaks of stand-ins, in the words of the spec. The longest first: one may begin another."""
    for word in sorted(standing, key=len, reverse=True):
        said = standing[word]
        message = message.replace(word, said.shown if isinstance(said, Expression) else said)
    return message


def _failed(path: tuple[str | int, ...], message: str) -> TaskError:
    return TaskError("template_error", f"{render_path(path)}: {message}")
