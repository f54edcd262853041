"""What a person hands in: files, standard input or a command line; read once and checked before anything is done.

Whatever is wrong with any of them is said about all of them, and nothing is queued.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orchestrator.cli import params
from orchestrator.cli.display import complain
from orchestrator.errors import FatalError, TaskError
from orchestrator.home import Home
from orchestrator.intake.forms import Backlog, Entry, is_instance
from orchestrator.intake.load import Finding, SpecError, load_spec, located, value_of
from orchestrator.intake.problem import Path, Problem, render_path
from orchestrator.sinks.wording import call_line, printable
from orchestrator.skills import BindContext, Skills, bind, load_skills
from orchestrator.spec import Task
from orchestrator.templates.places import is_templated

if TYPE_CHECKING:
    from orchestrator.settings import Settings

STDIN = "-"
_LARGEST = 1024 * 1024  # more than intake accepts, so that intake can say how much is too much
_TITLE_LENGTH = 100
_END_OF_YAML = b"\n...\n"


@dataclass(frozen=True)
class Installed:
    """What a home has that specs are held against."""

    home: Home
    skills: Skills

    @classmethod
    def of(cls, home: Home) -> Installed:
        """Raises FatalError for skills that are not valid."""
        return cls(home, load_skills(home.skills))

    @cached_property
    def settings(self) -> Settings:
        """Slow to read, and needed by few specs: read for the first that asks. Raises FatalError if not valid."""
        from orchestrator.configuration import load_settings

        return load_settings(self.home)

    def context(self, task: Task) -> BindContext:
        """What a task's steps are bound in, as far as that does not depend on the daemon's own machine."""
        context = BindContext(workspace=os.sep, environ={}, path=os.environ.get("PATH", ""), output_limit=0)
        if all(self.skills.get(step.skill).manifest.runner == "process" for step in task.steps):
            return context
        http = self.settings.http
        return replace(context, trusted_hosts=http.trusted_hosts, max_bytes=http.max_bytes)


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes and the name under which messages speak of them; `ending` is .json, .yaml or .yml. `within` is the backlog
    of which it is an entry, and its place there."""

    label: str
    data: bytes
    ending: str
    within: tuple[Source, Path] | None = None

    @property
    def name(self) -> str:
        """What messages call it: with its ending, which tells the format."""
        if self.within is not None:
            return self.within[0].name
        return self.label if self.label.endswith(self.ending) else f"{self.label}{self.ending}"

    def error(self, findings: Sequence[Finding]) -> SpecError:
        """What is wrong with a task that is good by itself, with the line in the file that a person wrote."""
        if self.within is None:
            return located(self.data, self.name, list(findings))
        whole, path = self.within
        return whole.error([replace(finding, path=(*path, *finding.path)) for finding in findings])

    def load(self, installed: Installed | None) -> Task:
        """The one task that it holds. Raises SpecError, also for a step that its skill would refuse."""
        checked = self.specs(installed)
        if checked[0].source is not self:
            raise self.error([Finding((), f"is a backlog of {len(checked)} tasks, where one task is wanted")])
        return checked[0].task

    def specs(self, installed: Installed | None) -> list[Checked]:
        """The tasks that it holds: one, or those of a backlog. Raises SpecError likewise."""
        found = self._read(installed)
        if isinstance(found, Backlog):
            checked = [Checked(self._entry(entry), entry.task) for entry in found.entries]
        else:
            checked = [Checked(self, found)]
        problems = [problem for one in checked for problem in one.refused(installed)] if installed is not None else []
        if problems:
            raise SpecError(self.name, problems)
        return checked

    def _entry(self, entry: Entry) -> Source:
        return Source(self.label, entry.data, ".json", (self, entry.path))

    def _read(self, installed: Installed | None) -> Task | Backlog:
        asks = b"resources" in self.data or b"template" in self.data
        pools = installed.settings.pools if installed is not None and asks else None
        skills, templates = (installed.skills, installed.home.templates) if installed is not None else (None, None)
        return load_spec(self.data, self.name, skills=skills, pools=pools, templates=templates)


def _refused_by_skills(task: Task, installed: Installed) -> Iterator[Problem]:
    """What the daemon would find wrong with each step's args, inputs and env when it binds it to its skill."""
    context = installed.context(task)
    if is_templated(task):
        from orchestrator.execution.rendered import problems

        for place, error in problems(task, installed.skills, context):
            if error.reason != "skill_unavailable":
                yield Problem(error.message, None, None, place)
        return
    for index, step in enumerate(task.steps):
        try:
            bind(step, index, task, installed.skills, context)
        except TaskError as error:
            if error.reason == "invalid":  # whether the program is there is for the daemon's machine to say
                yield Problem(error.message, None, None, f"steps[{index}]")


@dataclass(frozen=True, slots=True)
class Checked:
    """A source that is a task."""

    source: Source
    task: Task

    def refused(self, installed: Installed) -> Iterator[Problem]:
        """What the skills of its steps would refuse."""
        for problem in _refused_by_skills(self.task, installed):
            within = self.source.within
            yield replace(problem, path=render_path(within[1]) + f".{problem.path}") if within else problem

    def queueable(self) -> bytes:
        """The bytes to queue. A YAML file gets the line that tells the daemon that it is complete: every prefix
        of a YAML file may be another, valid task."""
        data = self.source.data
        if self.source.ending == ".json" or data.rstrip().endswith(_END_OF_YAML.strip()):
            return data
        return data.rstrip(b"\n") + _END_OF_YAML


def read(path: str) -> Source:
    """Read a file, or `-`. Raises FatalError (exit 2) for what cannot be read."""
    if path == STDIN:
        data = sys.stdin.buffer.read(_LARGEST)
        return Source("stdin", data, ".json" if data.lstrip()[:1] in (b"{", b"[", b"") else ".yaml")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise FatalError(f"{path} is not a file", exit_code=2)
        with open(path, "rb") as handle:
            data = handle.read(_LARGEST)
    except OSError as error:
        raise FatalError(f"{path} cannot be read: {error.strerror}", exit_code=2) from error
    return Source(path, data, os.path.splitext(path)[1])


def check(sources: Sequence[Source], installed: Installed | None) -> tuple[list[Checked], list[SpecError]]:
    """The tasks, and the errors of those that are none."""
    good: list[Checked] = []
    bad: list[SpecError] = []
    for source in sources:
        try:
            good += source.specs(installed)
        except SpecError as error:
            bad.append(error)
    return good, bad


def must_be_good(bad: Sequence[SpecError], therefore: str) -> None:
    """Say everything that is wrong, and end with FatalError (exit 2), if anything is."""
    for error in bad:
        for problem in error.problems:
            complain(problem.render(error.file))
    if bad:
        raise FatalError(therefore, exit_code=2)


def changed(checked: Checked, changes: dict[str, Any], installed: Installed) -> Checked:
    """The task with some fields replaced, as JSON. Raises FatalError (exit 2) for a value that is not allowed."""
    task, value = checked.task, value_of(checked.source.data, checked.source.ending)
    made = is_instance(value)
    fields = value | {"id": task.id} if made else json.loads(task.model_dump_json(by_alias=True, exclude_unset=True))
    if words := changes.get("vars"):
        known = fields.get("vars", {})
        of = params.template(installed.home.templates, value["template"], installed.skills) if made else None
        changes = changes | {
            "vars": {**known, **(params.of_template(of, words) if of else params.of_spec(known, words))}
        }
    data = json.dumps(fields | changes, ensure_ascii=False, indent=2).encode()
    source = Source(checked.source.label, data, ".json")
    return _made(source, changes, installed)


def from_template(name: str, words: Mapping[str, str], changes: dict[str, Any], installed: Installed) -> Checked:
    """A spec that names a template. Raises FatalError (exit 2) for a template or a value that is none."""
    of = params.template(installed.home.templates, name, installed.skills)
    values = params.of_template(of, words)
    fields = {"id": _unique(name), "template": name, "vars": values} | changes
    source = Source("command line", json.dumps(fields, ensure_ascii=False, indent=2).encode(), ".json")
    return _made(source, changes | {"vars": values}, installed)


def _unique(word: str) -> str:
    return f"{word}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def command_line(
    words: Sequence[str], changes: dict[str, Any], installed: Installed, *, verb: str = "submit"
) -> Checked:
    """A task of one step. `verb` is what was asked for it. Raises FatalError (exit 2) for a first word that is no
    installed skill, and what that skill refuses."""
    skill, *args = words
    if skill not in installed.skills:
        known = ", ".join(sorted(installed.skills)) or "none"
        raise FatalError(
            f"{skill!r} is not an installed skill (installed: {known}).\n"
            f"A shell line goes to bash: orchestrator {verb} -- {call_line(['bash', '-c', shlex.join(words)])}",
            exit_code=2,
        )
    title = " ".join(call_line(words).split())
    fields = {
        "id": _unique("cmd"),
        "title": title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…",
        "skills": [skill],
        "steps": [{"skill": skill, "args": args}],
    }
    source = Source("command line", json.dumps(fields | changes, ensure_ascii=False).encode(), ".json")
    return _made(source, changes, installed, "nothing was queued" if verb == "submit" else "")


def _made(
    source: Source, changes: dict[str, Any], installed: Installed, therefore: str = "nothing was queued"
) -> Checked:
    """A task of our own making. The lines of its file mean nothing to whoever typed the command: what is wrong is
    told by option."""
    try:
        return Checked(source, source.load(installed))
    except SpecError as error:
        sentences = [_by_option(problem, changes) for problem in error.problems]
        raise FatalError("\n".join(filter(None, [*sentences, therefore])), exit_code=2) from error


def _by_option(problem: Problem, changes: dict[str, Any]) -> str:
    root, _, key = problem.path.partition(".")
    if root == "vars" and "vars" in changes:
        where = f"--var {key}={printable(str(changes['vars'][key]))}" if key in changes["vars"] else "--var"
    else:
        where = f"--{problem.path} {printable(changes[problem.path])}" if problem.path in changes else problem.path
    meant = f" (did you mean {problem.hint!r}?)" if problem.hint else ""
    return f"{where}: {problem.message}{meant}"
