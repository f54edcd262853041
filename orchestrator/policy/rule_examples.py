"""The examples of a rule are tried when it is read: each must come out as it says, or nothing starts.

Rule: an example is judged as any call is, in folders of nobody; who reads what is wrong with it is told what does not
hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.outcome import Call
from orchestrator.policy.conditions import Matcher, When
from orchestrator.policy.scene import Scene, Seen, look

if TYPE_CHECKING:
    from orchestrator.policy.rules import Rule, Rules, RuleSpec

Example = str | tuple[str, ...]
HOME = "/home/user"
WORKSPACE = "/home/user/work"


def example_call(example: Example, rule: RuleSpec | None = None) -> Call:
    """The call that an example stands for: a bash script, or a list of a skill and its arguments."""
    words = ("bash", "-c", example) if isinstance(example, str) else tuple(example)
    skill = rule.skills[0] if rule and rule.skills and isinstance(example, str) else words[0]
    env = {"HOME": HOME}
    return Call(0, skill, "process", words[1:], words, env, WORKSPACE, 1_000)


def check_examples(rule: Rule, rules: Rules) -> list[str]:
    """What is wrong with a rule's examples; empty where they come out as they say."""
    problems = []
    for examples, wanted in ((rule.spec.match, True), (rule.spec.not_match, False)):
        for example in examples:
            if not example:
                problems.append(f"{rule.place}: an example is empty")
                continue
            scene = look(example_call(example, rule.spec), HOME, WORKSPACE, WORKSPACE)
            found = next((match for match in rules.find(scene) if match.rule.id == rule.id), None)
            if found is None and wanted:
                problems.append(
                    f"{rule.place}: it does not find its `match` example {example!r}: {_unmet(rule, scene)}"
                )
            elif found is not None and not wanted:
                problems.append(f"{rule.place}: it finds its `not_match` example {example!r}, in `{found.text}`")
    return problems


def _unmet(rule: Rule, scene: Scene) -> str:
    """Why a rule finds nothing in an example: what fails of the condition and the command that come nearest."""
    if not rule.spec.whens:
        return "no expression matches"
    if not scene.seen:
        return "no command is seen in it"
    tried = [(when, seen) for when in rule.spec.whens for seen in scene.seen if _named(when, seen)]
    if not tried:
        return f"it runs {', '.join(f'`{seen.name}`' for seen in scene.seen)}, and `command` names none of them"
    failing, seen = min(((_failing(when, seen), seen) for when, seen in tried), key=lambda item: len(item[0]))
    if not failing:
        return "no rule that it stands `beside` applies"
    return f"`{' '.join(seen.command.words)}` does not meet {', '.join(f'`{name}`' for name in failing)}"


def _named(when: When, seen: Seen) -> bool:
    matcher = Matcher(when)
    return not when.command or seen.name in matcher.names or seen.name.startswith(matcher.prefixes)


def _failing(when: When, seen: Seen) -> list[str]:
    stated = [name for name in When.model_fields if name in when.model_fields_set and name != "command"]
    return [name for name in stated if not Matcher(When.model_construct(**{name: getattr(when, name)})).matches(seen)]
