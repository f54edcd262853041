"""`--var NAME=VALUE`: what was typed, as values of the types that a template or a spec asks for."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestrator.cli import exits
from orchestrator.errors import FatalError
from orchestrator.intake import template_file
from orchestrator.intake.load import SpecError
from orchestrator.intake.problem import nearest
from orchestrator.intake.template_file import Template
from orchestrator.sinks.wording import printable


def typed(words: Sequence[str]) -> dict[str, str]:
    """Raises FatalError (exit 2) for a word without `=`, and for two of one name."""
    found: dict[str, str] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark or not name:
            raise FatalError(f"--var {printable(word)}: write NAME=VALUE", exit_code=exits.USAGE)
        if name in found:
            raise FatalError(f"--var {printable(name)} is given twice", exit_code=exits.USAGE)
        found[name] = value
    return found


def template(folder: str, name: str, skills: Collection[str] | None) -> Template:
    """Raises FatalError (exit 2) for one that is not there, or is wrong."""
    try:
        found = template_file.read(folder, name, skills, None)
    except SpecError as error:
        raise FatalError(
            "\n".join(item.render(error.file) for item in error.problems), exit_code=exits.USAGE
        ) from error
    if found is None:
        meant = _meant(name, template_file.names(folder))
        raise FatalError(f"no template {name!r}{meant}: `orchestrator templates` lists them", exit_code=exits.USAGE)
    return found


def of_template(of: Template, words: Mapping[str, str]) -> dict[str, Any]:
    """As the params are declared. What is no value of these, or no param, is left for intake to tell."""
    return {name: of.params[name].read(text) if name in of.params else text for name, text in words.items()}


def of_spec(known: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """As the spec's own `vars` are: text for a text, else JSON. Raises FatalError (exit 2)."""
    for name in words:
        if name not in known:
            meant = _meant(name, known)
            raise FatalError(
                f"--var {printable(name)}: the spec's `vars` have no {name!r}{meant}", exit_code=exits.USAGE
            )
    return {name: text if isinstance(known[name], str) else _json(name, text) for name, text in words.items()}


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        sentence = f"--var {name}={printable(text)}: is no JSON, and the spec has no text there"
        raise FatalError(sentence, exit_code=exits.USAGE) from error


def _meant(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f" (did you mean {near!r}?)" if near else ""
