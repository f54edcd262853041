"""A file of inbox as the task that it stands for now: bound, judged, with what a person has said about it.

Two things can be said: that it may run (`approvals`), and at which step it goes on (`retries`). That also stands for
what nobody has said: when a task that failed is attempted again by itself. An approval that was used by the attempt
before holds for the next one too, as its spec says that there may be one, while it has not expired.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.errors import TaskError
from orchestrator.execution.answered import answered, answered_before
from orchestrator.execution.prepare import Prepared, Tools, prepare
from orchestrator.journal import keys, retries
from orchestrator.journal.past import CannotGoOn
from orchestrator.spec import Task
from orchestrator.spool.reading import Signature


def take_up(task: Task, tools: Tools, name: str, signature: Signature, sha256: str) -> Prepared:
    """`name`, `signature` and `sha256` are the file's. Reads a few files; raises OSError for a shortage of ours."""
    prepared = answered(prepare(task, tools), name)
    if prepared.refusal is None and (why := tools.secrets.lacking(task.secrets)):
        prepared = replace(prepared, refusal=TaskError("secret_missing", why))
    wish = retries.find(tools.home, task.id, signature)
    key = prepared.task.idempotency_key
    if key is not None and prepared.refusal is None:
        follows = wish.run if wish is not None and wish.tried else 0
        if taken := keys.why_taken(tools.home, key, task.id, follows):
            return replace(prepared, refusal=TaskError("duplicate", taken))
    if wish is None:
        return prepared
    prepared = replace(prepared, not_before=max(prepared.not_before or 0.0, wish.due) or None)
    if prepared.refusal is not None:
        return prepared
    try:
        past = retries.past_of(tools.home, task, sha256, wish.run, wish.step, wish.tried)
    except CannotGoOn as error:
        return replace(prepared, refusal=TaskError("cannot_go_on", str(error)))
    prepared = replace(prepared, past=past)
    return _carried(prepared, f"{tools.home.runs}/{wish.id}/{wish.run}") if wish.tried else prepared


def _carried(prepared: Prepared, folder: str) -> Prepared:
    """The same with the approval that the attempt before had used, where it needs one and nothing new was said."""
    if prepared.decision.may_run or prepared.answer is not None:
        return prepared
    before = answered_before(replace(prepared, void=""), folder)
    if before.answer is None or before.void or before.answer.why_over():
        return prepared
    return replace(before, carried=folder)
