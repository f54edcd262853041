"""The second judgement: each call once more, right before it is spawned.

What the first one saw may have changed since: an earlier step may have written the script that this one runs, and
rules may have been read again. Rule: what may start now is what the gate allows now, or what was approved as it is
now; a judgement that depends on nothing that can change is not made twice (`decide` remembers it).
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.execution.files import ScriptFiles
from orchestrator.execution.outcomes import Ending
from orchestrator.execution.prepare import Prepared, Tools, gate_context
from orchestrator.outcome import JUDGED_AGAIN, Call, Decision
from orchestrator.policy.decide import DYNAMIC, decide


def judge_again(call: Call, prepared: Prepared, tools: Tools, previewed: Call | None = None) -> Ending | None:
    """Why a call may not start after all; None if it may. `tools` are those of now. `previewed` is how the call stood
    before the gate while its late values were not known. May read files, and ask the parser: not for the event loop
    where `Prepared.decision.files` or the tools have changed."""
    files = ScriptFiles(prepared.workspace, prepared.repo)
    context = gate_context(prepared.task, tools, prepared.workspace, files)
    decision = decide(call, tools.rules, context)
    if decision.verdict == "allow":
        return None
    where = f"step {call.index} ({call.skill}), {JUDGED_AGAIN}: "
    if decision.verdict == "deny":
        return Ending("denied", f"denied: {where}{_why(decision)}")
    approval = prepared.decision
    if decision.approved_by and decision.approved_by == approval.approved_by:
        return None  # by the environment, which approves whatever needs it
    if approval.approved_by and _covers(dict(approval.files), files.digests()):
        if previewed is None or not (new := _unforeseen(decision, decide(previewed, tools.rules, context))):
            return None
        return Ending("blocked", f"approval_required: {where}with its values it is more than was approved: {new}")
    if approval.approved_by:
        path, _ = min(set(files.digests()) - set(approval.files))
        what = "is not as it was approved" if path in dict(approval.files) else "was not there to be approved"
        return Ending("blocked", f"approval_required: {where}{path} {what}")
    return Ending("blocked", f"approval_required: {where}{_why(decision)}")


def _unforeseen(decision: Decision, preview: Decision) -> str:
    """What speaks against the call that who approved its preview could not know; empty where that is nothing. Who let
    a program run that was not known yet let any of them run."""
    known = {reason.rule for reason in preview.reasons}
    return "" if DYNAMIC in known else "; ".join(item.why for item in decision.reasons if item.rule not in known)


def _covers(approved: Mapping[str, str], now: tuple[tuple[str, str], ...]) -> bool:
    return all(approved.get(path) == digest for path, digest in now)


def _why(decision: Decision) -> str:
    effect = "deny" if decision.verdict == "deny" else "approve"
    telling = [reason for reason in decision.reasons if reason.effect == effect]
    counted = [reason for reason in decision.reasons if not reason.rule.startswith("risk.")]
    return "; ".join(reason.why for reason in telling or counted or decision.reasons)
