"""`templates`: what specs can be made from, and what each wants to know."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import complain, say, say_json, table
from orchestrator.sinks.wording import call_line, printable


def templates_(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this one alone.", autocompletion=completion.template)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the task templates of this home (config/templates), or show what one wants to know.

    \b
    Example:
      orchestrator templates
      orchestrator templates backup
      orchestrator submit --template backup --var folder=docs
    """
    home = house.opened(ctx)
    from orchestrator.cli import params
    from orchestrator.intake import template_file
    from orchestrator.intake.load import SpecError

    if name is not None:
        facts = _facts(params.template(home.templates, name, None))
        say_json(facts) if as_json else _show(facts)
        return
    found, broken = [], []
    for each in template_file.names(home.templates):
        try:
            if (template := template_file.read(home.templates, each, None, None)) is not None:
                found.append(_facts(template))
        except SpecError as error:
            broken += [problem.render(error.file) for problem in error.problems]
    if as_json:
        say_json(found)
    else:
        table(("name", "params", "description"), [[one["name"], _params(one), one["description"]] for one in found])
    for sentence in broken:
        complain(sentence)
    if broken:
        raise typer.Exit(exits.USAGE)


def _facts(template: Any) -> dict[str, Any]:
    return {
        "name": template.name,
        "description": template.description,
        "path": template.path,
        "sha256": template.sha256,
        "params": {key: param.model_dump(mode="json") for key, param in template.params.items()},
    }


def _params(facts: dict[str, Any]) -> str:
    return " ".join(name if param["required"] else f"[{name}]" for name, param in facts["params"].items())


def _show(facts: dict[str, Any]) -> None:
    say(f"{facts['name']}: {printable(facts['description'])}")
    for name, param in facts["params"].items():
        say(f"  {name} ({_kind(param)})")
        if param["description"]:
            say(f"      {printable(param['description'])}")
    say(f"  file     {facts['path']}")
    words = ["orchestrator", "submit", "--template", facts["name"]]
    for name, param in facts["params"].items():
        words += ["--var", f"{name}=…"] if param["required"] else []
    say(f"  to use   {call_line(words)}")


def _kind(param: dict[str, Any]) -> str:
    choices = f": {', '.join(map(str, param['choices']))}" if param["choices"] else ""
    default = json.dumps(param["default"], ensure_ascii=False)
    must = ", required" if param["required"] else f", default {default}" if param["default"] is not None else ""
    return printable(f"{param['type']}{choices}{must}")
