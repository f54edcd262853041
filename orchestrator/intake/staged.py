"""What the spec knows and this version cannot do yet: the one list.

A field in it is refused wherever it is present, even with its default value, because a task that runs without
what it asked for is worse than one that does not run. Whoever builds the machinery deletes the entry here;
messages, JSON Schema and the quick check all read this list.
"""

TASK_FIELDS = {
    "budget": "limits on tokens, money and time",
}
STEP_FIELDS: dict[str, str] = {}

FIELDS = {"Task": TASK_FIELDS, "Step": STEP_FIELDS}
"""The same, by the name of the model in `orchestrator.spec`."""

PLAN = (
    "not supported yet: a plan (`tasks` with other keys beside them); a backlog is a list of tasks, or `tasks` alone, "
    "each with its own `needs`"
)


def sentence(model: str, field: str) -> str:
    """The refusal of one field, as people read it."""
    return f"not supported yet: `{field}` ({FIELDS[model][field]})"
