"""`schema`: the JSON Schema of a spec."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.display import say_json


def schema_(
    as_json: Annotated[bool, typer.Option("--json", help="The schema is JSON in any case.")] = False,
) -> None:
    """Print the JSON Schema of a spec, for editors and generators.

    \b
    Example:
      orchestrator schema > task.schema.json
    """
    del as_json
    from orchestrator.intake.schema import json_schema

    say_json(json_schema())
