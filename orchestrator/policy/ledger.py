"""How a verdict came about, for people and for machines; and calls judged one JSON line at a time.

Rule: the same code decides here and in the daemon, so that what `explain` says is what happens.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any, get_args

import orjson

from orchestrator.errors import TaskError
from orchestrator.outcome import Call, Decision, Reason
from orchestrator.policy.decide import THRESHOLD, Context, decide, explain_scene
from orchestrator.policy.rules import Rules
from orchestrator.policy.scene import Seen
from orchestrator.skills import Skills
from orchestrator.spec import DEFAULT_STEP_TIMEOUT_MS, Priority, Risk, Step

_AROUND = 40  # characters shown before and behind what is underlined
_VERDICTS = {"allow": "allowed", "needs_approval": "needs approval", "deny": "denied"}


def ledger(call: Call, rules: Rules, context: Context) -> dict[str, Any]:
    """The whole account of one call, ready for JSON. Keys: step, skill, args, argv, scripts, plain, commands, reasons,
    sum, score, threshold, verdict, approved_by."""
    scene, decision = explain_scene(call, rules, context)
    return {
        "step": call.index,
        "skill": call.skill,
        "args": list(call.args),
        "argv": list(call.argv),
        "scripts": scene.found.scripts,
        "plain": scene.found.plain,
        "commands": [_command(seen) for seen in scene.seen],
        "reasons": [_reason(reason) for reason in decision.reasons],
        "sum": sum(reason.points for reason in decision.reasons),
        "score": decision.score,
        "threshold": THRESHOLD,
        "verdict": decision.verdict,
        "approved_by": decision.approved_by,
    }


def _command(seen: Seen) -> dict[str, Any]:
    command = seen.command
    return {
        "name": seen.name,
        "words": list(command.words),
        "via": list(command.via),
        "piped_from": [source.name for source in command.upstream],
        "folders": list(seen.places.folders),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "points": reason.points,
        "effect": reason.effect,
        "why": reason.why,
        "matched": reason.matched,
        "suggestion": reason.suggestion,
    }


def explain_lines(account: dict[str, Any]) -> list[str]:
    """A ledger as lines of plain text: the call with what was found underlined, the sum, the verdict."""
    lines = [f"step {account['step']}  {_shown(account)}"]
    for command in account["commands"]:
        through = f"  (through {', '.join(command['via'])})" if command["via"] else ""
        lines.append(f"  runs      {shlex.join(command['words'])}{through}")
    if not account["plain"]:
        lines.append("  note      not a plain list of commands: judged by its parts and by its raw text")
    for reason in account["reasons"]:
        lines += _reason_lines(reason, account)
    capped = " (100 at most)" if account["sum"] > account["score"] else ""
    lines.append(f"  {account['sum']:>+5}     score {account['score']}{capped}; {account['threshold']} needs approval")
    approved = f", approved by {account['approved_by']}" if account["approved_by"] else ""
    return [*lines, f"  verdict   {_VERDICTS[account['verdict']]}{approved}"]


def _shown(account: dict[str, Any]) -> str:
    """The call as its step has it: what a skill puts around it stands in the line of what it runs."""
    return f"{account['skill']}: {account['scripts'][0] if account['scripts'] else shlex.join(account['args'])}"


def _reason_lines(reason: dict[str, Any], account: dict[str, Any]) -> list[str]:
    effect = "" if reason["effect"] == "points" else f" [{_VERDICTS[_effect_verdict(reason['effect'])]}]"
    lines = [f"  {reason['points']:>+5}     {reason['rule']}{effect}: {reason['why']}"]
    if matched := reason["matched"].splitlines()[:1]:
        lines += [f"            {line}" for line in _underlined(matched[0], account)]
    if reason["suggestion"]:
        lines.append(f"            safer: {reason['suggestion']}")
    return lines


def _underlined(matched: str, account: dict[str, Any]) -> list[str]:
    """What was found, underlined where it stands in the call; by itself where it was taken out of something."""
    if matched == " ".join(account["argv"]):
        matched = shlex.join(account["args"])
        return [f"{account['skill']} {matched}", " " * len(account["skill"]) + " " + "^" * len(matched)]
    for line in (line for script in account["scripts"] for line in script.splitlines()):
        at = line.find(matched)
        if at >= 0:
            begin = max(0, at - _AROUND)
            text = line[begin : at + len(matched) + _AROUND]
            return [text, " " * (at - begin) + "^" * len(matched)]
    return [matched, "^" * len(matched)]


def _effect_verdict(effect: str) -> str:
    return "deny" if effect == "deny" else "needs_approval"


def judge_line(line: bytes | str, rules: Rules, context: Context, skills: Skills | None = None) -> dict[str, Any]:
    """Judge one line of `explain --jsonl`: `{"id","skill","args","risk","priority"}`.

    Answers `{"id","verdict","score","reasons":[{"rule","points","why"}]}` and never raises: a line that can't be
    read needs approval. `risk` and `priority` are low and medium where the line does not say; `skills` gives the
    full command of each skill, without it a skill's name is taken for its program.
    """
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _answer(None, _refused("line.unreadable", f"the line is not JSON: {error}"))
    if not isinstance(data, dict):
        return _answer(None, _refused("line.unreadable", "the line is not a JSON object"))
    return _answer(data.get("id"), judge(data, rules, context, skills))


def judge(data: dict[str, Any], rules: Rules, context: Context, skills: Skills | None = None) -> Decision:
    """Judge one such object. Never raises; what is not understood needs approval."""
    skill, args = data.get("skill"), data.get("args", [])
    risk, priority = data.get("risk", "low"), data.get("priority", "medium")
    if not isinstance(skill, str) or not skill:
        return _refused("line.invalid", "`skill` must be the name of a skill")
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        return _refused("line.invalid", "`args` must be a list of strings")
    if risk not in get_args(Risk) or priority not in get_args(Priority):
        return _refused("line.invalid", f"`risk` {risk!r} or `priority` {priority!r} is not a known word")
    try:
        argv = _argv(skill, tuple(args), skills)
    except TaskError as error:
        return _refused(f"line.{error.reason}", error.message)
    env = {"HOME": context.user_home}
    call = Call(0, skill, "process", tuple(args), argv, env, context.workspace, DEFAULT_STEP_TIMEOUT_MS)
    try:
        return decide(call, rules, replace(context, priority=priority, risk=risk))
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not open the gate, nor end the answers
        return _refused("gate.failed", f"the gate itself failed on this call: {error!r}; please report it")


def _argv(skill: str, args: tuple[str, ...], skills: Skills | None) -> tuple[str, ...]:
    if skills is None:
        return (skill, *args)
    return skills.get(skill).expand(Step(skill=skill, args=args))


def _refused(rule: str, why: str) -> Decision:
    return Decision("needs_approval", 0, (Reason(rule, 0, why, "approve"),))


def _answer(name: Any, decision: Decision) -> dict[str, Any]:
    reasons = [{"rule": item.rule, "points": item.points, "why": item.why} for item in decision.reasons]
    return {"id": name, "verdict": decision.verdict, "score": decision.score, "reasons": reasons}
