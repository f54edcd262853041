"""How a verdict came about, for people and for machines.

Rule: the same code decides here and in the daemon, so that what `explain` says is what happens.
"""

from __future__ import annotations

import shlex
from typing import Any

from orchestrator.outcome import Call, Reason
from orchestrator.policy.decide import THRESHOLD, Context, explain_scene
from orchestrator.policy.rules import Rules
from orchestrator.policy.scene import Seen

_AROUND = 40  # characters shown before and behind what is underlined
_VERDICTS = {"allow": "allowed", "needs_approval": "needs approval", "deny": "denied"}


def ledger(call: Call, rules: Rules, context: Context) -> dict[str, Any]:
    """The whole account of one call, ready for JSON. Keys: step, skill, args, argv, cwd, scripts, plain, commands,
    reasons, sum, score, threshold, verdict, approved_by. Who knows more adds it for `explain_lines`: `reads` and
    `missing`, the paths of scripts that were read or not there, and `late`, what stands for values not known yet."""
    scene, decision = explain_scene(call, rules, context)
    return {
        "step": call.index,
        "skill": call.skill,
        "args": list(call.args),
        "argv": list(call.argv),
        "cwd": call.cwd,
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
    for word, expression in account.get("late", {}).items():
        lines.append(f"  unknown   {word} stands for {expression}: judged again with its value, before the step starts")
    lines += [f"  reads     {path}" for path in account.get("reads", ())]
    for path in account.get("missing", ()):
        lines.append(f"  missing   {path} is not there: what it holds is judged before the step starts")
    for command in account["commands"]:
        if command["words"][1:] == ["-c"]:
            continue  # the shell itself, whose script is told command by command
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
    script = next((script for script in account["scripts"][:1] if script in account["args"]), None)
    return f"{account['skill']}: {shlex.join(account['args']) if script is None else script}"


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
