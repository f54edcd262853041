"""The verdict: points are added up, effects are compared, and the strictest wins.

Rule: pure, and it fails closed. Declared risk is the submitter's word: it adds points and takes none away. What
can't be read, or names its program only at run time, needs approval. `LOCAL_ALLOW_HIGH` approves what needs
approval; nothing lifts a deny.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.outcome import Call, Decision, Reason, Verdict
from orchestrator.policy.rules import Match, Rules
from orchestrator.policy.scene import Files, Scene, look
from orchestrator.shell import Command
from orchestrator.spec import Priority, Risk, Task

THRESHOLD = 60
RISK_POINTS: dict[str, int] = {"low": 10, "medium": 30, "high": 60}
URGENT_POINTS = 15
DYNAMIC = "shell.dynamic"
APPROVED_BY_ENVIRONMENT = "LOCAL_ALLOW_HIGH"
OWN_VARIABLES = frozenset(("ORCHESTRATOR_TASK_ID",))
USER_HOME = os.path.expanduser("~")
_STRICTNESS: dict[Verdict, int] = {"allow": 0, "needs_approval": 1, "deny": 2}
_RISK_REASONS = {
    risk: Reason(f"risk.{risk}", points, f"the task declares its risk as {risk}")
    for risk, points in RISK_POINTS.items()
}
_SHELL_SPEAKERS = frozenset(
    [
        "ssh-agent",
        "pyenv",
        "rbenv",
        "nodenv",
        "jenv",
        "goenv",
        "direnv",
        "brew",
        "conda",
        "mamba",
        "micromamba",
        "starship",
        "zoxide",
        "fnm",
        "nvm",
        "mise",
        "asdf",
        "opam",
        "minikube",
        "dircolors",
        "thefuck",
        "docker-machine",
        "luarocks",
        "register-python-argcomplete",
        "atuin",
        "keychain",
        "resize",
    ]
)
_URGENT = Reason("priority.urgent", URGENT_POINTS, "priority urgent always needs approval", "approve")


@dataclass(frozen=True, slots=True)
class Context:
    """What a call is judged in, folders absolute. `approve_high` is LOCAL_ALLOW_HIGH=1 in the daemon's
    environment; `home_dir` is the orchestrator's home, `user_home` what `~` means where the call's own
    environment has no HOME; `files` are the script files and symbolic links that may matter: without them, text is
    all there is."""

    priority: Priority = "medium"
    risk: Risk = "medium"
    approve_high: bool = False
    home_dir: str = ""
    workspace: str = ""
    user_home: str = USER_HOME
    files: Files | None = None


def decide(call: Call, rules: Rules, context: Context) -> Decision:
    """The gate's answer about one resolved call. It is remembered where it depends on nothing but its arguments."""
    key = _key(call, context)
    if (known := rules.remembered.get(key)) is not None:
        return known
    scene = _look(call, context)
    decision = conclude(_reasons(scene, rules, context), context)
    if not scene.found.wants and not (context.files and context.files.looked):
        rules.remember(key, decision)
    return decision


def _look(call: Call, context: Context) -> Scene:
    return look(call, context.user_home, context.workspace, context.home_dir, context.files)


def _key(call: Call, context: Context) -> Hashable:
    """All that a judgement depends on. What the orchestrator itself sets, no rule may speak of."""
    env = tuple([item for item in call.env.items() if item[0] not in OWN_VARIABLES])
    return (
        call.skill, call.argv, env, tuple(call.given), call.cwd, context.priority, context.risk, context.approve_high,
        context.home_dir, context.workspace, context.user_home,
    )  # fmt: skip


def decide_task(task: Task, calls: Sequence[Call], rules: Rules, context: Context) -> Decision:
    """The gate's answer about all calls of a task: the strictest verdict, the highest score, all reasons.

    Priority and risk are the task's own, whatever the context says.
    """
    if context.priority != task.priority or context.risk != task.risk:
        context = replace(context, priority=task.priority, risk=task.risk)
    decisions = [decide(call, rules, context) for call in calls]
    if len(decisions) == 1:
        return decisions[0]
    reasons = list(_declared(context))
    for call, decision in zip(calls, decisions, strict=True):
        where = f"step {call.index} ({call.step_id or call.skill}): "
        reasons += [replace(reason, why=where + reason.why) for reason in decision.reasons if reason not in reasons]
    verdict: Verdict = max((item.verdict for item in decisions), key=_STRICTNESS.__getitem__, default="allow")
    score = max((item.score for item in decisions), default=0)
    return Decision(verdict, score, tuple(reasons), _approver(verdict, context))


def conclude(reasons: tuple[Reason, ...], context: Context) -> Decision:
    """Add up reasons and take the strictest effect."""
    score = min(100, sum(reason.points for reason in reasons))
    effects = {reason.effect for reason in reasons}
    verdict: Verdict = "allow"
    if "deny" in effects:
        verdict = "deny"
    elif score >= THRESHOLD or "approve" in effects:
        verdict = "needs_approval"
    return Decision(verdict, score, reasons, _approver(verdict, context))


def explain_scene(call: Call, rules: Rules, context: Context) -> tuple[Scene, Decision]:
    """The same as `decide`, with the commands that were seen."""
    scene = _look(call, context)
    return scene, conclude(_reasons(scene, rules, context), context)


def _approver(verdict: Verdict, context: Context) -> str:
    return APPROVED_BY_ENVIRONMENT if verdict == "needs_approval" and context.approve_high else ""


def _declared(context: Context) -> tuple[Reason, ...]:
    risk = _RISK_REASONS[context.risk]
    return (risk, _URGENT) if context.priority == "urgent" else (risk,)


def _reasons(scene: Scene, rules: Rules, context: Context) -> tuple[Reason, ...]:
    lifted = _overridden(rules.overridden, scene) if rules.overridden else ()
    return (*_declared(context), *_unreadable(scene), *_from_rules(rules.find(scene)), *lifted)


def _overridden(replaced: Rules, scene: Scene) -> Iterable[Reason]:
    """What rules that the user has replaced would have said: no points, but nobody shall wonder where they are."""
    for match in replaced.find(scene):
        rule = match.rule
        effect = {"deny": "would be denied", "approve": "would need approval"}.get(rule.effect, f"+{rule.points}")
        why = f"overridden (`override = true`); as shipped: {effect}, because {rule.reason}"
        yield Reason(f"{rule.id}.overridden", 0, why, "points", match.text)


def _unreadable(scene: Scene) -> Iterable[Reason]:
    if scene.found.problem:
        yield Reason("shell.unreadable", 0, f"the script cannot be read: {scene.found.problem}", "approve")
    for seen in scene.seen:
        if seen.command.dynamic and not _speaks_shell(seen.command):
            yield Reason(
                DYNAMIC, 0, "which program this runs is known only at run time", "approve",
                seen.command.text, "name the program itself",
            )  # fmt: skip
            return


def _speaks_shell(command: Command) -> bool:
    """Whether all of a command is what well-known tools print to be evaluated: `eval "$(ssh-agent -s)"`."""
    return bool(command.fed) and len(command.words) == 1 and all(item.name in _SHELL_SPEAKERS for item in command.fed)


def _from_rules(matches: Iterable[Match]) -> Iterable[Reason]:
    """Each match with the points that it adds: within a group only the dearest counts."""
    ordered = sorted(matches, key=lambda match: -match.rule.points)
    counted: set[str] = set()
    for match in ordered:
        rule = match.rule
        first = rule.group not in counted
        counted.add(rule.group)
        why = rule.reason if first else f"{rule.reason} (adds no points: `{rule.group}` counts once per call)"
        points = rule.points if first else 0
        yield Reason(rule.id, points, why, rule.effect, match.text, rule.spec.suggestion)
