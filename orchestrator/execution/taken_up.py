"""A file of inbox as the task that it stands for now: bound, judged, with what a person has said about it.

Two things can be said: that it may run (`approvals`), and at which step it goes on (`retries`).
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.errors import TaskError
from orchestrator.execution.answered import answered
from orchestrator.execution.prepare import Prepared, Tools, prepare
from orchestrator.journal import retries
from orchestrator.journal.past import CannotGoOn
from orchestrator.spec import Task
from orchestrator.spool.reading import Signature


def take_up(task: Task, tools: Tools, name: str, signature: Signature, sha256: str) -> Prepared:
    """`name`, `signature` and `sha256` are the file's. Reads a few files; raises OSError for a shortage of ours."""
    prepared = answered(prepare(task, tools), name)
    if prepared.refusal is None and (why := tools.secrets.lacking(task.secrets)):
        prepared = replace(prepared, refusal=TaskError("secret_missing", why))
    wish = retries.find(tools.home, task.id, signature)
    if wish is None or prepared.refusal is not None:
        return prepared
    try:
        return replace(prepared, past=retries.past_of(tools.home, task, sha256, wish.run, wish.step))
    except CannotGoOn as error:
        return replace(prepared, refusal=TaskError("cannot_go_on", str(error)))
