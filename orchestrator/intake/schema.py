"""The JSON Schema of a task, for editors: made from the model, so that it cannot disagree with it.

It accepts whatever `load_task` accepts. What a schema cannot say (a skill that is not listed, a step that
does not exist, a name that a template can't know) only `orchestrator validate` can tell.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from orchestrator.intake import staged
from orchestrator.intake.instances import NOT_IN_INSTANCES
from orchestrator.intake.limits import MAX_REGEX
from orchestrator.intake.meaning import FAILURES_OF_STEPS, FAILURES_OF_TASKS
from orchestrator.spec import AUTHOR_PATTERN, POINTER_PATTERN, Task

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:local-orchestrator:task"
_NO_NUL = "^[^\\u0000]*$"


class _Generator(GenerateJsonSchema):
    """Without a title for every field: editors show it first, and it only repeats the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False


def json_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) of a file that holds a task, in any of its shapes, JSON or YAML."""
    from orchestrator.intake.code_task import SHARED  # not needed to read a task, and this module is imported for that

    schema = Task.model_json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    definitions = schema["$defs"]
    _mark_staged(schema, staged.TASK_FIELDS)
    for model in definitions.keys() & staged.FIELDS.keys():
        _mark_staged(definitions[model], staged.FIELDS[model])
    runs = dict.fromkeys(schema["properties"].keys() - {"title", *SHARED}, False)
    code = _code_task(schema)
    _tighten(schema)
    _one_check(definitions["Check"])
    _narrow(definitions)
    _or_made_of_a_template(schema, dict.fromkeys(code["properties"], False))
    schema["anyOf"].append({"required": code["required"], "properties": runs | {"template": False}})
    definitions["Spec"] = {key: part for key, part in schema.items() if key != "$defs"} | {"title": "One task"}
    one, several = {"$ref": "#/$defs/Spec"}, {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Spec"}}
    backlog = {"type": "object", "properties": {"tasks": several}, "required": ["tasks"], "additionalProperties": False}
    shapes = {"anyOf": [one, several, backlog], "$defs": definitions}
    return {"$schema": DIALECT, "$id": ID, "title": "Orchestrator task, or a backlog of tasks", **shapes}


def _code_task(schema: dict[str, Any]) -> dict[str, Any]:
    """Lets a spec have the keys of a local code task too; returns which these are, and which it must have."""
    from orchestrator.intake.code_task import CodeTask

    code = CodeTask.model_json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    own = {key: part for key, part in code["properties"].items() if key not in schema["properties"]}
    schema["properties"] |= own
    return {"properties": own, "required": code["required"]}


def _or_made_of_a_template(schema: dict[str, Any], of_code: dict[str, bool]) -> None:
    """A spec has steps, or names a template that has them; which params that wants only `validate` can tell."""
    schema["properties"]["template"] = {"type": "string", "description": "A template of config/templates."}
    own = [name for name in schema.pop("required") if name != "steps"]
    runs = dict.fromkeys(("steps", *NOT_IN_INSTANCES), False)
    schema["anyOf"] = [
        {"required": [*own, "steps"], "properties": {"template": False, **of_code}},
        {"required": ["template"], "properties": runs | of_code},
    ]


def _narrow(definitions: dict[str, Any]) -> None:
    """What `meaning` asks of single fields, and the model does not."""
    definitions["JsonEquals"]["properties"]["pointer"]["pattern"] = POINTER_PATTERN
    for model, kinds in (("Retry", FAILURES_OF_STEPS), ("TaskRetry", FAILURES_OF_TASKS)):
        on = definitions[model]["properties"]["on"]["items"]
        _of_type(on, "integer").update(minimum=1, maximum=255)
        _of_type(on, "string")["enum"] = list(kinds)
    for model in ("JsonEquals", "FileContains"):
        definitions[model]["properties"]["path"]["minLength"] = 1
    _of_type(definitions["Workspace"]["properties"]["dir"], "string")["minLength"] = 1
    _of_type(definitions["Commit"]["properties"]["author"], "string")["pattern"] = AUTHOR_PATTERN
    for name in ("repo", "base"):
        definitions["Worktree"]["properties"][name]["minLength"] = 1
    _of_type(definitions["ExitCode"]["properties"]["step"], "integer")["minimum"] = 0
    _of_type(definitions["Check"]["properties"]["command"], "array")["minItems"] = 1


def _of_type(part: dict[str, Any], kind: str) -> dict[str, Any]:
    """The alternative of this type."""
    return next(option for option in part["anyOf"] if option.get("type") == kind)


def _mark_staged(model: dict[str, Any], fields: dict[str, str]) -> None:
    for field, what in fields.items():
        part = model["properties"][field]
        part["description"] = f"Not supported yet ({what}). {part.get('description', '')}".rstrip()


def _tighten(part: Any) -> None:
    """No string may hold a NUL, and a mapping whose keys have a form has no other keys."""
    if isinstance(part, list):
        for item in part:
            _tighten(item)
    elif isinstance(part, dict):
        if part.get("type") == "string" and not part.keys() & {"pattern", "enum", "const"}:
            part["pattern"] = _NO_NUL
        if "patternProperties" in part:
            part["additionalProperties"] = False
        for item in part.values():
            _tighten(item)


def _one_check(check: dict[str, Any]) -> None:
    """A check has exactly one key, and its value is not null."""
    check["minProperties"] = check["maxProperties"] = 1
    for name, part in check["properties"].items():
        kinds = [kind for kind in part.pop("anyOf") if kind != {"type": "null"}]
        part.pop("default", None)
        part |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if name in ("file_exists", "file_updated"):
            part["minLength"] = 1
    check["properties"]["stdout_matches"]["maxLength"] = MAX_REGEX
