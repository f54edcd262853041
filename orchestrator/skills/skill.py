"""A manifest that is ready to be bound: its argv compiled once, because a step is bound on the hot path.

Rule: arguments stay apart. Every argument of a step becomes one argument of the program.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import TaskError
from orchestrator.skills.manifest import PLACEHOLDER, Input, Manifest
from orchestrator.spec import Step

if TYPE_CHECKING:
    from orchestrator.skills.http_request import HttpRequest
    from orchestrator.skills.model_request import ModelRequest

# One item of argv, compiled: takes a step's inputs as text, answers the arguments that the item becomes.
_Fill = Callable[[Mapping[str, str]], str | None]


class Skill:
    """A manifest that is ready to be bound. `folder` is absolute; `program` is empty where none is started."""

    __slots__ = ("_after", "_before", "_fixed", "_takes_args", "folder", "manifest", "program")

    def __init__(self, manifest: Manifest, folder: str) -> None:
        self.manifest, self.folder = manifest, folder
        self._takes_args = "{args}" in manifest.argv
        at = manifest.argv.index("{args}") if self._takes_args else len(manifest.argv)
        self._before = [_compile(item, folder) for item in manifest.argv[:at]]
        self._after = [_compile(item, folder) for item in manifest.argv[at + 1 :]]
        self._fixed: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        if not manifest.inputs:
            self._fixed = (_fill(self._before, {}), _fill(self._after, {}))
        self.program = (self._before[0]({}) or "") if self._before else ""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def description(self) -> str:
        return self.manifest.description

    def expand(self, step: Step) -> tuple[str, ...]:
        """The whole argument vector of a step, the program as the manifest names it.

        Raises TaskError("invalid") where the step's arguments or inputs are not what the manifest asks for.
        """
        if not self.program:
            read = self.model_request if self.manifest.runner == "model" else self.request
            return read(step)[0].argv()
        self._check_args(step)
        args = step.args
        if self.manifest.options:
            args = self._with_options(args)
        if self._fixed and not step.with_:
            return (*self._fixed[0], *args, *self._fixed[1])
        values = {name: self._text(name, value) for name, value in self._inputs(step).items()}
        return (*_fill(self._before, values), *args, *_fill(self._after, values))

    def _with_options(self, args: tuple[str, ...]) -> tuple[str, ...]:
        """The arguments with what the manifest puts behind their first word that is no option."""
        at, values = 0, self.manifest.option_values
        while at < len(args) and args[at][:1] == "-":
            at += 2 if args[at] in values else 1
        options = self.manifest.options.get(args[at], ()) if at < len(args) else ()
        return (*args[: at + 1], *options, *args[at + 1 :])

    def request(self, step: Step) -> tuple[HttpRequest, dict[str, Any]]:
        """The request that a step of an http skill makes, and the inputs that it was read from.

        Raises TaskError("invalid").
        """
        from orchestrator.skills.http_request import read_request

        self._check_args(step)
        inputs = self._inputs(step)
        try:
            return read_request(inputs), inputs
        except ValueError as error:
            raise TaskError("invalid", f"skill `{self.name}`: {error}") from error

    def model_request(self, step: Step) -> tuple[ModelRequest, dict[str, Any]]:
        """What a step of a model skill asks for, and the inputs that it was read from. Raises TaskError("invalid")."""
        from orchestrator.skills.model_request import read_model_request

        self._check_args(step)
        inputs = self._inputs(step)
        try:
            return read_model_request(inputs), inputs
        except ValueError as error:
            raise TaskError("invalid", f"skill `{self.name}`: {error}") from error

    def _check_args(self, step: Step) -> None:
        count, manifest = len(step.args), self.manifest
        if count and not self._takes_args:
            raise TaskError("invalid", f"skill `{self.name}` takes no args; give its inputs in `with`")
        if count < manifest.min_args:
            raise TaskError("invalid", f"skill `{self.name}` needs at least {manifest.min_args} args, not {count}")
        if manifest.max_args is not None and count > manifest.max_args:
            raise TaskError("invalid", f"skill `{self.name}` takes at most {manifest.max_args} args, not {count}")

    def _inputs(self, step: Step) -> dict[str, Any]:
        declared = self.manifest.inputs
        for name in step.with_:
            if name not in declared:
                near = difflib.get_close_matches(name, declared, 1)
                hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(declared) or 'no inputs'}"
                raise TaskError("invalid", f"skill `{self.name}` has no input `{name}`: {hint}")
        return {
            name: value
            for name, spec in declared.items()
            if (value := self._input(name, spec, step.with_.get(name))) is not None
        }

    def _input(self, name: str, spec: Input, value: Any) -> Any:
        if value is None:
            if spec.required:
                raise TaskError("invalid", f"skill `{self.name}` needs the input `{name}` ({spec.type}) in `with`")
            return spec.default
        if not spec.accepts(value):
            # What should have been a mapping may hold what is no one's business, such as headers.
            shown = repr(value) if spec.type != "object" else f"it is a {type(value).__name__}"
            raise TaskError("invalid", f"skill `{self.name}`: input `{name}` must be of type {spec.type}: {shown}")
        if spec.choices and value not in spec.choices:
            choices = ", ".join(map(str, spec.choices))
            raise TaskError("invalid", f"skill `{self.name}`: input `{name}` must be one of {choices}: {value!r}")
        return value

    def _text(self, name: str, value: object) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if "\0" in text:
            raise TaskError("invalid", f"skill `{self.name}`: input `{name}` contains a NUL character")
        return text


def _fill(fills: list[_Fill], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(text for fill in fills if (text := fill(values)) is not None)


def _compile(item: str, folder: str) -> _Fill:
    """One item of argv; answers None for an item with an input that was not given."""
    inputs = [name for name in PLACEHOLDER.findall(item) if name.startswith("input.")]
    if not inputs:
        fixed = PLACEHOLDER.sub(lambda found: _fixed(found, folder), item)
        return lambda _values: fixed

    def fill(values: Mapping[str, str]) -> str | None:
        if any(name.removeprefix("input.") not in values for name in inputs):
            return None
        return PLACEHOLDER.sub(
            lambda found: (
                values[name.removeprefix("input.")]
                if (name := found.group(1)) and name.startswith("input.")
                else _fixed(found, folder)
            ),
            item,
        )

    return fill


def _fixed(found: re.Match[str], folder: str) -> str:
    return folder if found.group(1) == "skill" else found.group()[0]
