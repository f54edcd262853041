"""`skills`: what steps can use, and whether its program is here."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, house
from orchestrator.cli.display import say, say_json, table

if TYPE_CHECKING:
    from orchestrator.skills import Skill


def skills_(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this one alone.", autocompletion=completion.skill)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifests as JSON.")] = False,
) -> None:
    """List the skills of this home, or show one with an example step.

    \b
    Example:
      orchestrator skills
      orchestrator skills bash
    """
    home = house.opened(ctx)
    from orchestrator.configuration import load_settings
    from orchestrator.skills import load_skills

    installed, path = load_skills(home.skills), load_settings(home).steps
    chosen = [installed.get(one) for one in ([name] if name else installed)]
    search = None if path.inherit_path else path.path
    facts = [_facts(skill, search) for skill in chosen]
    if as_json:
        say_json(facts[0] if name else facts)
    elif name:
        _show(facts[0])
    else:
        rows = [[fact["name"], fact["runner"], _program(fact), fact["description"]] for fact in facts]
        table(("name", "runner", "program", "description"), rows)


def _facts(skill: Skill, search: str | None) -> dict[str, Any]:
    manifest = skill.manifest.model_dump(mode="json", exclude_defaults=True)
    return {
        "name": skill.name,
        "description": skill.description,
        "runner": skill.manifest.runner,
        "program": skill.program,
        "found": shutil.which(skill.program, path=search) if skill.program else None,
        "folder": skill.folder,
        "install": skill.manifest.install,
        "example": skill.manifest.example,
        "inputs": manifest.get("inputs", {}),
    }


def _program(fact: dict[str, Any]) -> str:
    if not fact["program"]:
        return "none: the daemon itself"
    return str(fact["found"] or f"{fact['program']} (not found)")


def _show(fact: dict[str, Any]) -> None:
    say(f"{fact['name']}: {fact['description']}")
    say(f"  runner   {fact['runner']}")
    say(f"  program  {_program(fact)}")
    if not fact["found"] and fact["install"]:
        say(f"  to get   {fact['install']}")
    for name, spec in fact["inputs"].items():
        say(f"  input    {name}: {spec.get('description') or spec.get('type', 'string')}")
    say(f"  folder   {fact['folder']}")
    if fact["example"]:
        say(f"  a step   {json.dumps(fact['example'], ensure_ascii=False)}")
