"""What a person said about a task that needs approval, found and weighed against the task as it is now.

Rule: an answer counts only where spec and scripts are what they were when it was given. Looking changes nothing: an
answer is used, or met and found void, at the claim (`Ledger.begin`).
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator import approvals
from orchestrator.execution.prepare import Prepared
from orchestrator.home import Home
from orchestrator.journal import runs

_RUNS_BACK = 10  # between a used approval and its retry there may be runs that were blocked or cancelled


def answered(prepared: Prepared, name: str) -> Prepared:
    """The same with what a person has said about it. `name` is the file's name in the queue. Reads a few files."""
    decision = prepared.decision
    if prepared.refusal is not None or decision.verdict != "needs_approval":
        return prepared
    home, spec = prepared.tools.home, approvals.digest(prepared.spec)
    found = approvals.find(home, prepared.task.id, name, spec)
    if decision.approved_by and (found is None or found.verdict == "approved" or found.why_void(spec, decision.files)):
        return prepared  # by the environment: a person's approval is not used up for that
    if found is None:
        return replace(prepared, void=_used_before(home, prepared.task.id, spec))
    if why := found.why_void(spec, decision.files):
        return replace(prepared, answer=found, void=f"{found.called} is void: {why}")
    if found.verdict == "approved":
        decision = replace(decision, approved_by=found.by, files=found.files)
    return replace(prepared, answer=found, decision=decision)


def answered_before(prepared: Prepared, folder: str) -> Prepared:
    """The same with the approval that the run in this folder used before a crash: it was for that run, and so for all
    of it, as long as spec and scripts are what they were."""
    decision, used = prepared.decision, approvals.used_by(folder)
    if decision.verdict != "needs_approval" or decision.approved_by or used is None or used.verdict != "approved":
        return prepared
    if why := used.why_changed(approvals.digest(prepared.spec), decision.files):
        return replace(prepared, void=f"{used.called} is void: {why}")
    decision = replace(decision, approved_by=used.by, files=used.files)
    return replace(prepared, answer=used, decision=decision)


def _used_before(home: Home, task_id: str, spec: str) -> str:
    """What became of the last answer about this spec; empty if there was none, or none that counted."""
    numbers = sorted(runs.numbers(f"{home.runs}/{task_id}"), reverse=True)
    for number in numbers[:_RUNS_BACK]:
        folder = f"{home.runs}/{task_id}/{number}"
        used = approvals.used_by(folder)
        if used is None or used.spec != spec:
            continue
        result = runs.read_result(f"{folder}/{runs.RESULT}")
        if result is None:
            return f"{used.called} was used by run {number}, which a crash ended before its first step"
        if f"{used.verdict}_at" not in result.get("policy", {}):
            return ""  # that run met it and found it void
        return f"{used.called} was used by run {number}, and is good for one"
    return ""
