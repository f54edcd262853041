"""`classify`: whether a local model should try a code task, rule by rule."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, exits
from orchestrator.cli.display import note, paint, printable, say, say_json
from orchestrator.errors import FatalError
from orchestrator.home import Home, find_home

if TYPE_CHECKING:
    from orchestrator.cli.sources import Checked, Installed
    from orchestrator.coding.classify import Classification, Facts
    from orchestrator.settings import Settings
    from orchestrator.skills.model_request import ModelRequest
    from orchestrator.spec import Task

_MARKS = {"met": "✓", "broken": "✗", "unknown": "?"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One code task and the verdict on it."""

    spec: Checked
    request: ModelRequest
    facts: Facts
    verdict: Classification

    def told(self) -> dict[str, Any]:
        """For machines."""
        return {"file": self.spec.source.name, "id": self.spec.task.id, **asdict(self.verdict)}


def classify_(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Code tasks or backlogs; `-` reads stdin.")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Ask this model too where the rules say local.", autocompletion=completion.model
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Say whether a local model should try, by the rules of small work, and why. Exits 0 if all are for it, else 1.

    The daemon judges by the same rules before it asks a model; `classify` in section [coding] of the config has a model
    asked after them, or turns them off. The file as it is now counts too, where it is there.

    \b
    Example:
      orchestrator classify backlog.json
    """
    from orchestrator.cli import sources

    installed = _installed(ctx)
    good, bad = sources.check([sources.read(file) for file in files], installed)
    sources.must_be_good(bad, "nothing was judged")
    judged = [each for spec in good for each in _requests(spec, installed)]
    judged = with_model(installed, judged, model)
    if as_json:
        say_json([each.told() for each in judged])
    else:
        for each in judged:
            print_verdict(each)
    raise typer.Exit(exits.OK if all(each.verdict.verdict == "local" for each in judged) else exits.FAILED)


def judge(spec: Checked, installed: Installed | None) -> Judged | None:
    """The rules' verdict on a task; None for one in which no model makes a file."""
    return next(iter(_judged(spec, installed)), None)


def _requests(spec: Checked, installed: Installed | None) -> list[Judged]:
    found = _judged(spec, installed)
    if not found:
        sentence = f"{spec.source.name}: {spec.task.id} is no code task: no step of it has a model make a file"
        raise FatalError(sentence, exit_code=exits.USAGE)
    return found


def _judged(spec: Checked, installed: Installed | None) -> list[Judged]:
    from orchestrator.coding.classify import Facts, classify

    found = []
    for request in _files_of(spec.task, installed):
        facts = Facts() if installed is None else _facts(installed, spec.task, request.output_file or "")
        found.append(Judged(spec, request, facts, classify(request, facts)))
    return found


def _files_of(task: Task, installed: Installed | None) -> list[ModelRequest]:
    """What its steps ask of models, where that is a file."""
    from orchestrator.skills.model_request import PROGRAM, read_model_request

    asks = []
    for step in task.steps:
        is_model = step.skill == PROGRAM if installed is None else _runner(installed, step.skill) == "model"
        if is_model and "output_file" in step.with_:
            try:
                asks.append(read_model_request(step.with_))
            except ValueError as error:
                raise FatalError(f"{task.id}: {error}", exit_code=exits.USAGE) from error
    return asks


def _runner(installed: Installed, skill: str) -> str:
    return installed.skills.get(skill).manifest.runner


def _facts(installed: Installed, task: Task, path: str) -> Facts:
    """What is known of the file in the workspace that the task will work in, as far as it may be read."""
    from orchestrator.coding.classify import Facts, facts_of
    from orchestrator.coding.reading import Unshown, read_text
    from orchestrator.runners.fence import Fence

    workspace = _workspace(installed.home, installed.settings, task)
    if not os.path.lexists(f"{workspace}/{path}"):
        return Facts()
    try:
        return facts_of(read_text(Fence(workspace, installed.home), workspace, path))
    except Unshown as error:
        note(f"{task.id}: {path} {error}: judged without it")
        return Facts(exists=True)


def _workspace(home: Home, settings: Settings, task: Task) -> str:
    folder = os.path.join(home.root, settings.workspace.root)
    wish = task.workspace
    if wish is not None and wish.worktree is not None:
        folder = os.path.join(folder, wish.worktree.repo)
    elif wish is not None and wish.dir:
        folder = os.path.join(folder, wish.dir)
    return os.path.realpath(folder)


def with_model(installed: Installed | None, judged: Sequence[Judged], model: str | None = None) -> list[Judged]:
    """The same after a model was asked about those that the rules let pass: the one of this name, else the one that the
    config wants asked."""
    from orchestrator.coding.second import classifier_of

    if model is None and installed is not None and installed.settings.coding.classify == "model":
        model = classifier_of(installed.settings.coding)
    if model is None or not any(each.verdict.verdict == "local" for each in judged):
        return list(judged)
    if installed is None:
        raise FatalError("there is no home here, and so no model to ask", exit_code=exits.USAGE)
    if model not in installed.settings.models:
        known = ", ".join(installed.settings.models)
        raise FatalError(f"the config has no [models.{model}]; there are: {known}", exit_code=exits.USAGE)
    note(f"asking {model} …")
    return asyncio.run(_ask(installed, judged, model))


async def _ask(installed: Installed, judged: Sequence[Judged], model: str) -> list[Judged]:
    from orchestrator.coding.second import second_opinion
    from orchestrator.runners.model.models import Models
    from orchestrator.secrets import Secrets

    settings = installed.settings
    models = Models(lambda: settings, Secrets(settings.secrets, installed.home, os.environ).for_config)
    try:
        asked = [second_opinion(partial(models.ask, model), each.request, each.facts, each.verdict) for each in judged]
        verdicts = await asyncio.gather(*asked)
    finally:
        await models.close()
    return [Judged(each.spec, each.request, each.facts, new) for each, new in zip(judged, verdicts, strict=True)]


def _installed(ctx: typer.Context) -> Installed | None:
    home = find_home(ctx.obj)
    if not home.exists():
        note("no home here: the file that is to be written is taken to be new")
        return None
    from orchestrator.cli.sources import Installed

    return Installed.of(home)


def print_verdict(judged: Judged) -> None:
    """For people: the verdict, then each rule's word."""
    verdict = judged.verdict
    colour = "ok" if verdict.verdict == "local" else "warn"
    by = " (a model had the last word)" if verdict.by == "model" else ""
    say(f"{printable(judged.spec.task.id)}: {paint(colour, verdict.verdict)}, {verdict.category}{by}")
    for rule in verdict.rules:
        say(f"  {_MARKS[rule.verdict]} {rule.name}: {printable(rule.why)}")
    known = {rule.why for rule in verdict.rules}
    for reason in verdict.reasons:
        if reason not in known:
            say(f"  → {printable(reason)}")
