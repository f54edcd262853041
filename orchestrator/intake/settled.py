"""Whether a file that may still be being written is certainly whole.

A JSON document in brackets has no beginning that is itself a JSON document. A YAML one usually has: of all
the beginnings of a YAML task, a third are YAML tasks too, and other ones. So it must say where it ends.
"""

from orchestrator.intake.limits import MAX_JSON_BYTES, MAX_YAML_BYTES
from orchestrator.intake.strict_json import loads


def settled_form(data: bytes, name: str) -> bool:
    """True if these bytes are known to be complete: one JSON document, or YAML whose last line is `...`.

    False means only that it cannot be told; such a file must be seen unchanged for a while.
    """
    if name.endswith(".json"):
        return len(data) <= MAX_JSON_BYTES and data.rstrip().endswith((b"}", b"]")) and _is_json(data)
    if name.endswith((".yaml", ".yml")):
        return len(data) <= MAX_YAML_BYTES and data.rstrip().endswith(b"\n...")
    return False


def _is_json(data: bytes) -> bool:
    try:
        loads(data.decode())
    except (ValueError, RecursionError):
        return False
    return True
