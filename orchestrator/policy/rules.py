"""Rules are TOML files in the home's `policy/`: read, checked against their own examples, and indexed by command.

Rule: fail closed. A file that can't be read, an unknown key, a broken expression, an id used twice or an example
that does not come out as it says stops the daemon with a message that names file, rule and example.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import FatalError
from orchestrator.intake.problem import Path, nearest, render_path
from orchestrator.intake.sentences import findings_of
from orchestrator.outcome import Decision
from orchestrator.policy.conditions import Matcher, Regex, When, compiled
from orchestrator.policy.effects import effects
from orchestrator.policy.hidden import texts
from orchestrator.policy.rule_examples import Example, check_examples
from orchestrator.policy.scene import Scene, Seen
from orchestrator.seed import unchanged_from_seed
from orchestrator.spec import SkillName
from orchestrator.toml_lines import line_near

DANGEROUS = "dangerous"
DANGEROUS_POINTS = 70
REMEMBERED = 2_000
_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


def _check_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("must be small letters and digits, joined by `.` or `-`, such as `mine.deploy`")
    return text


class RuleSpec(BaseModel):
    """One `[[rule]]` as people write it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, AfterValidator(_check_id)] = Field(description="Unique over all files, such as `git.push`.")
    description: str = Field("", description="What it is about, for people.")
    skills: tuple[SkillName, ...] = Field((), description="Only for steps of these skills; all when absent.")
    when: When | tuple[When, ...] = Field((), description="Conditions on one command; of a list, any may hold.")
    pattern: Regex | tuple[Regex, ...] = Field((), description="Regular expressions over the text that runs.")
    wherever: Regex | tuple[Regex, ...] = Field(
        (), description="Regular expressions over all text of a call in which code hides: see `hides`."
    )
    hides: bool = Field(False, description="What it finds may hold code that the gate can't read.")
    beside: tuple[str, ...] = Field((), description="Ids of rules, one of which must apply to the same call.")
    effect: Literal["points", "approve", "deny"]
    points: int = Field(DANGEROUS_POINTS, ge=0, le=100, description="Added to the score; 70 when absent.")
    group: str = Field("", description="Rules of one group count once per call; `dangerous` for 70-point rules.")
    reason: str = Field(min_length=1, description="Why, in a sentence that the submitter reads.")
    suggestion: str = Field("", description="The safer command.")
    override: bool = Field(False, description="Takes the place of the rule of this id in an earlier file.")
    match: tuple[Example, ...] = Field(min_length=1, description="Examples that the rule must find.")
    not_match: tuple[Example, ...] = Field((), description="Examples that it must leave alone.")

    @model_validator(mode="after")
    def _states_something(self) -> RuleSpec:
        if not self.whens and not self.pattern and not self.wherever:
            raise ValueError("states neither `when` nor `pattern`, so it would never apply")
        if any(when.empty for when in self.whens):
            raise ValueError("has an empty `when`, which would apply to every command")
        if self.effect == "points" and "points" not in self.model_fields_set:
            raise ValueError('has effect = "points" but no `points`')
        return self

    @property
    def worth(self) -> str:
        """What it does to a verdict, in a word: `deny`, `approve`, `+20`."""
        return f"+{self.points}" if self.effect == "points" else self.effect

    @property
    def whens(self) -> tuple[When, ...]:
        return (self.when,) if isinstance(self.when, When) else self.when

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.pattern,) if isinstance(self.pattern, str) else self.pattern


class Rule:
    """One rule, compiled."""

    __slots__ = (
        "effect", "file", "group", "id", "matchers", "number", "patterns", "points", "reason", "skills", "spec",
        "wherever",
    )  # fmt: skip

    def __init__(self, spec: RuleSpec, file: str, number: int) -> None:
        self.spec, self.file, self.number = spec, file, number
        self.id, self.effect, self.points, self.reason = spec.id, spec.effect, spec.points, spec.reason
        self.group = spec.group or (DANGEROUS if spec.points == DANGEROUS_POINTS else spec.id)
        self.skills = frozenset(spec.skills)
        self.matchers = tuple(map(Matcher, spec.whens))
        self.patterns = tuple(map(compiled, spec.patterns))
        wherever = (spec.wherever,) if isinstance(spec.wherever, str) else spec.wherever
        self.wherever = tuple(map(compiled, wherever))

    @property
    def place(self) -> str:
        """Where it stands, for messages: the file is read again."""
        try:
            with open(self.file, encoding="utf-8") as handle:
                line = line_near(handle.read(), ("rule", self.number))
        except (OSError, ValueError):
            line = None
        return f"{self.file}:{line}: rule `{self.id}`" if line else f"{self.file}: rule `{self.id}`"


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that applies, and the text that it found."""

    rule: Rule
    text: str


class Rules:
    """All rules of a home, and which of them to ask about which command. `digest` is a SHA-256 over the files;
    `overridden` are the rules that others with `override = true` have replaced."""

    __slots__ = (
        "_anywhere",
        "_assigned",
        "_beginnings",
        "_by_effect",
        "_by_name",
        "_downloaded",
        "_dynamic",
        "_environment",
        "_last",
        "_patterns",
        "_prefixes",
        "_wherever",
        "digest",
        "overridden",
        "remembered",
        "rules",
    )

    def __init__(self, rules: tuple[Rule, ...], digest: str = "", overridden: tuple[Rule, ...] = ()) -> None:
        self.rules, self.digest = rules, digest
        self.overridden = Rules(overridden) if overridden else None
        self.remembered: dict[Hashable, Decision] = {}
        self._by_name: dict[tuple[str, str], list[tuple[Rule, Matcher]]] = {}
        self._prefixes: list[tuple[str, Rule, Matcher]] = []
        self._anywhere: list[tuple[Rule, Matcher]] = []
        self._assigned: list[tuple[Rule, Matcher]] = []
        self._by_effect: dict[str, list[tuple[Rule, Matcher]]] = {}
        self._environment: list[tuple[Rule, Matcher]] = []
        self._last: tuple[tuple[tuple[str, str], ...], tuple[Rule, ...]] = ((), ())
        self._downloaded: list[tuple[Rule, Matcher]] = []
        self._dynamic: list[tuple[Rule, Matcher]] = []
        self._patterns = [rule for rule in rules if rule.patterns]
        self._wherever = [rule for rule in rules if rule.wherever]
        for rule in rules:
            for matcher in rule.matchers:
                self._index(rule, matcher)
        self._beginnings = tuple({prefix for prefix, _, _ in self._prefixes})

    def remember(self, key: Hashable, decision: Decision) -> None:
        """Keep a decision, which holds as long as these rules do."""
        if len(self.remembered) >= REMEMBERED:
            self.remembered.clear()
        self.remembered[key] = decision

    def _index(self, rule: Rule, matcher: Matcher) -> None:
        when = matcher.when
        if when.env:
            self._environment.append((rule, matcher))
        if matcher.kinds and not when.command:
            for kind in matcher.kinds:
                self._by_effect.setdefault(kind, []).append((rule, matcher))
        elif not when.command:
            # A rule about assignments alone need not be asked about commands without them.
            bucket = self._assigned if when.env else self._anywhere
            bucket = self._dynamic if when.dynamic else self._downloaded if when.downloaded else bucket
            bucket.append((rule, matcher))
        for name in matcher.names:
            for verb in matcher.verbs or ("",):
                self._by_name.setdefault((name, verb.lower()), []).append((rule, matcher))
        self._prefixes.extend((prefix, rule, matcher) for prefix in matcher.prefixes)

    def _asked(self, seen: Seen) -> list[tuple[Rule, Matcher]]:
        asked = [*self._by_name.get((seen.name, ""), ()), *self._anywhere]
        if seen.words_after_options and (first := seen.words_after_options[0].lower()):
            asked += self._by_name.get((seen.name, first), ())
        if seen.name.startswith(self._beginnings):
            asked += [(rule, matcher) for prefix, rule, matcher in self._prefixes if seen.name.startswith(prefix)]
        if seen.command.downloaded:
            asked += self._downloaded
        if seen.command.dynamic:
            asked += self._dynamic
        if seen.command.assigns:
            asked += self._assigned
        for kind in effects(seen):
            asked += self._by_effect.get(kind, ())
        return asked

    def _about(self, env: Mapping[str, str]) -> tuple[Rule, ...]:
        """The rules that an environment meets. The steps of a task share theirs, so the last answer is kept."""
        variables = tuple(env.items())
        known, met = self._last  # at once: another thread may judge at the same time
        if known != variables:
            rules = (
                rule for rule, item in self._environment if not item.when.command and item.matches_environment(env)
            )
            met = tuple(rules)
            self._last = (variables, met)
        return met

    def find(self, scene: Scene) -> list[Match]:
        """The rules that apply to a call, each once, in the order of its commands."""
        found: dict[str, Match] = {}
        skill = scene.call.skill
        for seen in scene.seen:
            for rule, matcher in self._asked(seen):
                if rule.id not in found and (not rule.skills or skill in rule.skills) and matcher.matches(seen):
                    found[rule.id] = Match(rule, seen.command.text or " ".join(seen.command.words))
        for rule in self._about(scene.call.given):
            if rule.id not in found:
                found[rule.id] = Match(rule, "the environment of the step")
        plain = scene.found.plain and not scene.found.problem
        called = [" ".join((seen.name, *seen.command.words[1:])) for seen in scene.seen if seen.name]
        for rule in self._patterns:
            if plain and rule.matchers:
                continue
            if rule.id not in found and (not rule.skills or skill in rule.skills):
                text = _search(rule, scene, called)
                if text is not None:
                    found[rule.id] = Match(rule, text)
        if self._wherever and _hides(scene, found.values()):
            for rule in self._wherever:
                if rule.id not in found and (text := _anywhere(rule, scene)) is not None:
                    found[rule.id] = Match(rule, text)
        return [match for match in found.values() if not match.rule.spec.beside or _accompanied(match, found)]


def _accompanied(match: Match, found: Mapping[str, Match]) -> bool:
    return any(other in found for other in match.rule.spec.beside)


def _hides(scene: Scene, found: Iterable[Match]) -> bool:
    """Whether code hides in a call: where a rule says so, or what runs is known only at run time."""
    dynamic = any(seen.command.dynamic for seen in scene.seen)
    return bool(scene.found.problem) or dynamic or any(match.rule.spec.hides for match in found)


def _anywhere(rule: Rule, scene: Scene) -> str | None:
    hits = (pattern.search(text) for text in texts(scene) for pattern in rule.wherever)
    hit = next(filter(None, hits), None)
    return hit.group() if hit else None


def _search(rule: Rule, scene: Scene, called: Sequence[str]) -> str | None:
    """What a pattern finds: in a command it must begin with the command's name, so that text in an argument
    stays data; in a script that is not plain it may stand anywhere. Beside a `when` it is for the latter only,
    because the conditions have judged the commands better."""
    for pattern in rule.patterns:
        for line in () if rule.matchers else called:
            if hit := pattern.match(line):
                return hit.group()
        if (not scene.found.plain or scene.found.problem) and (hit := pattern.search(scene.raw)):
            return hit.group()
    return None


def load_rules(folder: str) -> Rules:
    """Read every `*.toml` of a policy folder, in the order of their names. Raises FatalError; see the module.

    The examples of files that are as they were shipped are not tried again: nothing in another file can change how
    they come out, but the loss of a rule that one stands `beside`, which is told.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".toml") and not name.startswith("."))
    except OSError as error:
        raise FatalError(
            f"{folder}: the policy folder cannot be read ({error.strerror}), and nothing runs without rules. "
            "`orchestrator init` puts the standard rules there.",
            exit_code=2,
        ) from error
    if not names:
        raise FatalError(
            f"{folder}: holds no rule files (*.toml), and nothing runs without rules. "
            "`orchestrator init` puts the standard rules there.",
            exit_code=2,
        )
    digest = hashlib.sha256()
    problems: list[str] = []
    rules: dict[str, Rule] = {}
    overridden: dict[str, Rule] = {}
    for name in names:
        read = _read_file(f"{folder}/{name}", digest, problems)
        problems += [f"{rule.place}: {problem}" for rule in read if (problem := _place(rule, rules, overridden))]
    problems += [
        f"{rule.place}: stands `beside` rule `{other}`, which there is not"
        for rule in rules.values()
        for other in rule.spec.beside
        if other not in rules
    ]
    loaded = Rules(tuple(rules.values()), digest.hexdigest(), tuple(overridden.values()))
    # More than a thousand examples, half a second: our own tests have tried them on just these files.
    shipped = frozenset(f"{folder}/{name}" for name in unchanged_from_seed(folder, "policy"))
    own = [rule for rule in loaded.rules if rule.file not in shipped]
    problems += [problem for rule in own for problem in check_examples(rule, loaded)]
    if problems:
        raise FatalError(
            "the policy is not valid, and no daemon starts with it:\n" + "\n".join(f"  {line}" for line in problems),
            exit_code=2,
        )
    return loaded


def _place(rule: Rule, rules: dict[str, Rule], overridden: dict[str, Rule]) -> str | None:
    """Put a rule among those that were read before it; what is wrong with that, if anything is."""
    earlier = rules.get(rule.id)
    if rule.spec.override and earlier is None:
        return "has `override = true`, but no rule of this id stands in an earlier file"
    if earlier is not None and earlier.file == rule.file:
        return "the id is already used in this file"
    if not rule.spec.override and earlier is not None:
        return f"the id is already used in {earlier.file}; to replace that rule, say `override = true`"
    if earlier is not None:
        overridden.setdefault(rule.id, earlier)
    rules[rule.id] = rule
    return None


def _read_file(file: str, digest: Any, problems: list[str]) -> list[Rule]:
    try:
        with open(file, "rb") as handle:
            content = handle.read()
        text = content.decode()
        data = tomllib.loads(text)
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}")
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{file}: is not valid TOML: {error}")
        return []
    digest.update(b"%d:%s:%d:" % (len(file), os.path.basename(file).encode(), len(content)) + content)
    problems += [
        f"{file}: unknown key `{key}`; a rule file holds only [[rule]] tables" for key in data if key != "rule"
    ]
    entries = data.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        problems.append(f"{file}: `rule` must be written as [[rule]]")
        return []
    made = (_read_rule(entry, number, file, text, problems) for number, entry in enumerate(entries))
    return [rule for rule in made if rule]


def _read_rule(entry: dict[str, Any], number: int, file: str, text: str, problems: list[str]) -> Rule | None:
    label = entry.get("id") or f"number {number + 1}"
    try:
        # By way of JSON, because strict mode takes a list for a tuple only from there.
        return Rule(RuleSpec.model_validate_json(orjson.dumps(entry)), file, number)
    except ValidationError as error:
        problems += [
            f"{file}:{line_near(text, ('rule', number, *path))}: rule `{label}`: {sentence}"
            for path, sentence in _refusals(error, entry)
        ]
    except TypeError as error:
        problems.append(f"{file}:{line_near(text, ('rule', number))}: rule `{label}`: {error}")
    return None


def _refusals(error: ValidationError, entry: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Each thing that is wrong with a rule: its place in it, and a sentence."""
    for finding in findings_of(error, entry, RuleSpec)[0]:
        where = f"{render_path(finding.path)}: " if finding.path else ""
        near = nearest(finding.said, finding.known) if finding.known else ""
        yield finding.path, f"{where}{finding.message}" + (f" (did you mean `{near}`?)" if near else "")
