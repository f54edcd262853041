"""`submit`: check specs and put them into the queue, all of them or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.command_line import TakesCommandLine, command_line
from orchestrator.cli.display import note, say, say_json
from orchestrator.cli.front import WAITS_FOR_DAEMON
from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_runs


def submit_(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE... | -- SKILL [ARGS]...", help="Spec files; `-` reads one from stdin."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Make the task from this template.", autocompletion=completion.template),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME=VALUE", help="A value for the template, or for the spec's `vars`."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end; exit as the task did.")] = False,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name in the queue; default: the task's id.")
    ] = None,
    task_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Use this id.")] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Use this title.")] = None,
    priority: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="low, medium, high or urgent.", autocompletion=completion.priorities),
    ] = None,
    risk: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="low, medium or high.", autocompletion=completion.levels)
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="A task may need an id that nobody has seen yet.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print ids and paths, or with --wait results, as JSON.")
    ] = False,
) -> None:
    """Check spec files and queue them; prints each task's name in the queue.

    When this returns, the task is on disk and will run once a daemon does. Several files, and the tasks of a backlog,
    are one set: if one is bad, or needs a task that nobody knows, none is queued; what others need is queued before
    them.

    --id, --title, --priority, --risk and --var replace what the file says.

    \b
    Example:
      orchestrator submit build.json --wait
      orchestrator submit pipeline/*.yaml
      orchestrator submit --risk low -- bash -c 'echo hi'
      orchestrator submit --template backup --var folder=docs
      generate-spec | orchestrator submit -
    """
    home = house.opened(ctx)
    changes = {"id": task_id, "title": title, "priority": priority, "risk": risk}
    line = command_line(ctx)
    given = {key: value for key, value in changes.items() if value is not None}
    if template is not None:
        specs = _from_template(home, template, var or [], files, line, given)
    else:
        specs = _specs(home, files or [], line, given, var or [], allow_unknown=allow_unknown)
    named = _named(specs, name)
    if wait:
        raise typer.Exit(_queue_and_wait(home, named, as_json=as_json))
    say_queued(home, queue(home, named), as_json=as_json)


def say_queued(home: Home, queued: dict[str, str], *, as_json: bool, left: Iterable[dict[str, Any]] = ()) -> None:
    """Print what stands in the queue now: name → path; as JSON with what was `left` out of it and why."""
    running = daemon_runs(home)
    if as_json:
        say_json([*({"name": stem, "path": path, "daemon_runs": running} for stem, path in queued.items()), *left])
    else:
        for stem in queued:
            say(stem)
    if not running:
        note(WAITS_FOR_DAEMON.rstrip())


def _queue_and_wait(home: Home, named: dict[str, bytes], *, as_json: bool) -> int:
    from orchestrator.cli import waiting
    from orchestrator.spool.names import stem_of

    awaited = waiting.before_submitting(home, map(stem_of, named))
    queue(home, named)
    return waiting.see_through(home, awaited, as_json=as_json)


def _from_template(
    home: Home, name: str, words: list[str], files: list[str] | None, line: list[str] | None, changes: dict[str, Any]
) -> list[Any]:
    from orchestrator.cli import params, sources

    if files or line is not None:
        raise FatalError("--template makes the task: give no file and no command with it", exit_code=exits.USAGE)
    return [sources.from_template(name, params.typed(words), changes, sources.Installed.of(home))]


def _specs(
    home: Home,
    files: list[str],
    line: list[str] | None,
    changes: dict[str, Any],
    words: list[str],
    *,
    allow_unknown: bool,
) -> list[Any]:
    from orchestrator.cli import params, remarks, sets, sources

    if words:
        if line is not None:
            raise FatalError("--var goes with a file or a template, not with a command", exit_code=exits.USAGE)
        changes["vars"] = params.typed(words)
    installed = sources.Installed.of(home)
    if line is not None:
        if files or not line:
            raise FatalError(
                "give spec files, or `-- SKILL [ARGS]...`, not both and not neither", exit_code=exits.USAGE
            )
        return [sources.command_line(line, changes, installed)]
    if not files:
        raise FatalError(
            "nothing to submit: name a FILE, `-` for stdin, or `-- SKILL [ARGS]...`", exit_code=exits.USAGE
        )
    good, bad = sources.check([sources.read(file) for file in files], installed)
    if len(files) + len(good) > 2 and "id" in changes:
        raise FatalError("--id goes with one task only", exit_code=exits.USAGE)
    if not bad and any(spec.task.needs for spec in good):
        bad = [*sets.without_start(good), *(() if allow_unknown else sets.needing_strangers(good, home))]
        good = sets.in_order(good)
    sources.must_be_good(bad, "nothing was queued")
    for spec in good:
        for remark in remarks.remarks(spec.task, installed):
            note(f"{spec.source.label}: {remark}")
    return [sources.changed(spec, changes, installed) for spec in good] if changes else good


def _named(specs: Sequence[Any], name: str | None) -> dict[str, bytes]:
    """File name in the queue → bytes. Raises FatalError for two of one name."""
    from orchestrator.spool.names import SPEC_SUFFIXES

    if name is not None and len(specs) > 1:
        raise FatalError("--name goes with one task only", exit_code=exits.USAGE)
    named: dict[str, bytes] = {}
    for spec in specs:
        stem = spec.task.id if name is None else name.removesuffix(spec.source.ending)
        if stem.endswith(SPEC_SUFFIXES):
            raise FatalError(f"--name {name}: the ending of this spec is {spec.source.ending}", exit_code=exits.USAGE)
        if stem + spec.source.ending in named:
            raise FatalError(f"two of the tasks have the id {stem}; nothing was queued", exit_code=exits.USAGE)
        named[stem + spec.source.ending] = spec.queueable()
    return named


def queue(home: Home, named: dict[str, bytes]) -> dict[str, str]:
    """Queue all; returns name in the queue → path. Raises FatalError if a name is taken, or is none."""
    from orchestrator.spool import names
    from orchestrator.spool.queue import NameTaken, Spool

    spool = Spool(home)
    waiting = {names.stem_of(waiting) for waiting in spool.waiting_names()}
    for file in named:
        if why := names.why_not_a_name(file):
            raise FatalError(f"{why}; nothing was queued", exit_code=exits.USAGE)
        if names.stem_of(file) in waiting:
            raise FatalError(_taken(names.stem_of(file)), exit_code=exits.USAGE)
    queued: dict[str, str] = {}
    for file, data in named.items():
        try:
            queued[names.stem_of(file)] = spool.submit(file, data)
        except NameTaken as error:
            raise FatalError(_taken(names.stem_of(file)) + _before(queued), exit_code=exits.USAGE) from error
        except OSError as error:
            raise FatalError(
                f"{file} was not queued{_before(queued)}: {home.inbox} cannot be written: {error.strerror}"
            ) from error
    return queued


def _before(queued: dict[str, str]) -> str:
    return f" (queued before it: {', '.join(queued)})" if queued else ""


def _taken(stem: str) -> str:
    return (
        f"{stem} already waits in the queue: let it run first, take it out with `orchestrator cancel {stem}`, "
        f"or queue this one under another id or name"
    )


COMMAND = TakesCommandLine
