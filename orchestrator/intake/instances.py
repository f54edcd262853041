"""A spec that names a template, `{template, vars}`, becomes the task that it stands for.

Rule: what the spec says itself stands over what the template says; only what is run is the template's alone. What is
wrong with a value is told by the spec's own line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from orchestrator.intake import template_file
from orchestrator.intake.document import Document
from orchestrator.intake.problem import Finding, quote
from orchestrator.intake.template_file import Template
from orchestrator.spec import ID_PATTERN

NOT_IN_INSTANCES = ("skills", "acceptance", "made_from")
"""Fields of the template alone, beside `steps`."""


def expanded(
    document: Document, name: str, folder: str | None, skills: Collection[str] | None, pools: Mapping[str, int] | None
) -> dict[str, Any]:
    """The task of a file of this name, with templates in `folder`. Raises SpecError, also for a template that is wrong
    itself."""
    spec: dict[str, Any] = document.value
    wanted = spec["template"]
    if folder is None:
        raise document.error(name, [Finding(("template",), "there is no home here, and so no templates")])
    known = template_file.names(folder)
    template = template_file.read(folder, wanted, skills, pools) if isinstance(wanted, str) else None
    if template is None:
        message = f"no template {quote(str(wanted))} is in config/templates"
        raise document.error(name, [Finding(("template",), message, str(wanted), known)])
    findings = list(_of_fields(spec)) + list(_of_vars(spec.get("vars", {}), template))
    task_id = spec.get("id", stem(name))
    if "id" not in spec and not re.fullmatch(ID_PATTERN, str(task_id)):
        findings.append(Finding((), f"`id` is missing, and the file's name, {quote(str(task_id))}, can't be one"))
    if findings:
        raise document.error(name, findings)
    own = {key: value for key, value in spec.items() if key not in ("template", "vars")}
    values = {key: param.default for key, param in template.params.items() if not param.required}
    values |= {**template.task.get("vars", {}), **spec.get("vars", {})}
    made_from = {"template": template.name, "sha256": template.sha256}
    return {"id": task_id, **template.task, **own, "vars": values, "made_from": made_from}


def stem(name: str) -> str:
    """What a spec without an id is called."""
    return os.path.splitext(os.path.basename(name))[0]


def _of_fields(spec: dict[str, Any]) -> Iterator[Finding]:
    for field in NOT_IN_INSTANCES:
        if field in spec:
            yield Finding((field,), f"`{field}` is the template's: a spec made from it has its own `vars`", at_key=True)


def _of_vars(given: Any, template: Template) -> Iterator[Finding]:
    if not isinstance(given, dict):
        yield Finding(("vars",), "must be a mapping of the template's params to their values")
        return
    for key, value in given.items():
        param = template.params.get(key)
        if param is None:
            message = f"template {quote(template.name)} has no param {quote(key)}"
            yield Finding(("vars", key), message, key, tuple(template.params), at_key=True)
        elif why := param.why_not(value):
            yield Finding(("vars", key), why)
    for key, param in template.params.items():
        if param.required and key not in given:
            about = f": {param.description}" if param.description else ""
            yield Finding(("vars",), f"the param `{key}` of template {quote(template.name)} is missing{about}")
