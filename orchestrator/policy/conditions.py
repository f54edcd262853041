"""The conditions of a rule, and how one command is held against them.

Rule: every condition that a rule states must hold for one and the same command; a list within a condition
means "any of these". There are no conditions about anything but the facts in `Seen`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.policy import sql
from orchestrator.policy.credentials import SECRET_FILES
from orchestrator.policy.effects import Touch, touched
from orchestrator.policy.git_settings import settings
from orchestrator.policy.paths import PathClass
from orchestrator.policy.readers import only_shows
from orchestrator.policy.scene import Seen
from orchestrator.policy.scratch import is_scratch
from orchestrator.policy.tabled import KINDS
from orchestrator.policy.verbs import Verbs, rehearses
from orchestrator.shell import names_in, received


@functools.cache
def compiled(text: str) -> re.Pattern[str]:
    """A rule's regular expression. The cache of `re` is too small for all rules: each would be compiled twice."""
    return re.compile(text)


def check_regex(text: str) -> str:
    """Refuse what `re` can't compile, with its own explanation."""
    try:
        compiled(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return text


Regex = Annotated[str, AfterValidator(check_regex)]
# An option that brings its value with it: `--command=…`, `-c…`.
_ATTACHED = re.compile(r"--[a-z][\w-]*=|-[a-zA-Z](?=\S)")
_PLACES = frozenset(get_args(PathClass))
SECRETS = "secrets"


def _parts_of(text: str) -> tuple[str, str]:
    """The place, the expression, or both of what a rule says about a path: `outside ^/mnt/`."""
    place, _, expression = text.partition(" ")
    return (place, expression) if place in _PLACES else ("", text)


def _check_place(text: str) -> str:
    place, expression = _parts_of(text)
    # A misspelt class would be an expression that never finds anything.
    if not place and text != SECRETS and not re.search(r"[/^$\\]", expression):
        raise ValueError(
            f"`{text}` is neither a place ({', '.join(sorted((*_PLACES, SECRETS)))}) nor an expression for a path"
        )
    check_regex(expression)
    return text


Place = Annotated[str, AfterValidator(_check_place)]


def _check_flag(text: str) -> str:
    if not all(flag[:1] in ("-", "+") for flag in text.split("|")):
        raise ValueError("must begin with `-`, as in `--force`; words are for `subcommand` and `args_any`")
    return text


Flag = Annotated[str, AfterValidator(_check_flag)]


def _line_bound(text: str) -> str:
    # Variables are searched all at once first, one a line, where these anchors would mean something else.
    if "\\A" in text or "\\Z" in text:
        raise ValueError("uses \\A or \\Z; write ^ and $ here")
    return text


class When(BaseModel):
    """What one command must look like. At least one condition is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    command: tuple[str, ...] = Field((), description="Names of programs; `mkfs*` names all that begin so.")
    subcommand: tuple[str, ...] = Field((), description="First operands: `push`, or `system prune`.")
    verbs: tuple[str, ...] = Field((), description="The first action among the operands: `delete`, `put-*`.")
    rehearsal: bool | None = Field(None, description="It only shows what it would do: `--dry-run`, `--help`.")
    sql: Literal["destroys"] | None = Field(
        None, description="An argument, or what is fed to it, is SQL that destroys."
    )
    scratch: bool | None = Field(None, description="What it empties was made for tests, or is of no worth.")
    only_shows: bool | None = Field(None, description="What it starts as another user only shows something.")
    settings_any: tuple[Regex, ...] = Field((), description="A setting that git is given, as `key=value`, matches.")
    flags_any: tuple[Flag, ...] = Field((), description="One of these options is given.")
    flags_all: tuple[Flag, ...] = Field((), description="Each is given; `-r|--recursive` means either.")
    flags_none: tuple[Flag, ...] = Field((), description="None of these options is given.")
    options_any: tuple[Regex, ...] = Field((), description="An option with its value matches, as `--option=value`.")
    args_any: tuple[Regex, ...] = Field((), description="A regular expression finds something in an argument.")
    first_any: tuple[Regex, ...] = Field((), description="The first operand matches, and the shell expands it.")
    args_all: tuple[Regex, ...] = Field((), description="Each of these finds something in some argument.")
    args_none: tuple[Regex, ...] = Field((), description="No argument matches any of these.")
    earlier_any: tuple[Regex, ...] = Field((), description="A command before it in the call matches, as a whole.")
    input_any: tuple[Regex, ...] = Field((), description="Text that is piped or fed into it matches.")
    paths_any: tuple[PathClass, ...] = Field((), description="An operand lies in one of these places.")
    targets_any: tuple[Regex, ...] = Field((), description="An operand's full path matches; home is `~`.")
    destination_any: tuple[Regex, ...] = Field((), description="As targets_any, for the last operand alone.")
    reads_any: tuple[Place, ...] = Field((), description="It reads such a file: a place, or an expression.")
    uses_any: tuple[Place, ...] = Field((), description="Not known to only read, it is handed such a file.")
    writes_any: tuple[Place, ...] = Field((), description="It writes such a file, by redirection or by itself.")
    deletes_any: tuple[Place, ...] = Field((), description="It deletes such a file, or a folder with all in it.")
    deletes_tree_any: tuple[Place, ...] = Field((), description="It deletes such a folder with all in it.")
    emptied_any: tuple[Place, ...] = Field((), description="It would, if unknown variables were empty.")
    moves_any: tuple[Place, ...] = Field((), description="It moves such a file away.")
    permits_any: tuple[Place, ...] = Field((), description="It changes permissions or owner of such a file.")
    permits_tree_any: tuple[Place, ...] = Field((), description="The same with all that is in a folder.")
    changes_any: tuple[Place, ...] = Field((), description="It writes, deletes or moves it, or changes permissions.")
    sends_any: tuple[Place, ...] = Field((), description="It sends such a file to another machine.")
    serves_any: tuple[Place, ...] = Field((), description="It serves such a folder to the network.")
    piped_from: tuple[str, ...] = Field((), description="One of these programs is piped into the command.")
    piped_any: tuple[Regex, ...] = Field((), description="The text of something that is piped in matches.")
    piped_none: tuple[Regex, ...] = Field((), description="The text of nothing that is piped in matches.")
    into_none: tuple[Regex, ...] = Field((), description="It is not piped into a command whose text matches.")
    runs_stdin: bool | None = Field(None, description="An interpreter that reads its program from the pipe.")
    bare_shell: bool | None = Field(None, description="A shell that another program starts and nobody directs.")
    dynamic: bool | None = Field(None, description="The program's name is known only at run time.")
    forks: bool | None = Field(None, description="It starts copies of itself without end.")
    downloaded: bool | None = Field(None, description="It runs what the same script has just downloaded.")
    env: tuple[Annotated[Regex, AfterValidator(_line_bound)], ...] = Field(
        (), description="`NAME=value` set for the command (or the step) matches."
    )

    @property
    def empty(self) -> bool:
        return not self.model_fields_set


class Touching:
    """One condition on what a command does to files."""

    __slots__ = ("_both", "_pattern", "_places", "kind")

    def __init__(self, kind: str, wanted: tuple[str, ...]) -> None:
        self.kind = kind
        self._places = _PLACES.intersection(wanted)
        # One search instead of many: the list of secrets alone is long.
        files = SECRET_FILES if SECRETS in wanted else ()
        parts = [_parts_of(item) for item in (*wanted, *files) if item != SECRETS]
        patterns = [_scoped(expression) for place, expression in parts if not place]
        self._pattern = re.compile("|".join(patterns)) if patterns else None
        self._both = [(place, re.compile(expression)) for place, expression in parts if place and expression]

    def holds(self, seen: Seen) -> bool:
        return any(map(self._means, touched(seen, self.kind)))

    def _means(self, touch: Touch) -> bool:
        return (
            touch.place in self._places
            or (self._pattern is not None and self._pattern.search(touch.path) is not None)
            or any(touch.place == place and pattern.search(touch.path) for place, pattern in self._both)
        )


def _scoped(pattern: str) -> str:
    """An expression as one of several: flags at its beginning hold for it alone."""
    found = re.match(r"\(\?([aimsx]+)\)", pattern)
    return f"(?{found.group(1)}:{pattern[found.end() :]})" if found else f"(?:{pattern})"


def _touching(when: When) -> Iterable[Touching]:
    for kind in KINDS:
        if wanted := getattr(when, f"{kind}_any"):
            yield Touching(kind, wanted)


class Matcher:
    """One When, compiled. `names`, `prefixes` and `kinds` (of effects) are for choosing whom to ask."""

    __slots__ = ("_checks", "_env", "_env_lines", "kinds", "names", "prefixes", "verbs", "when")

    def __init__(self, when: When) -> None:
        self.when = when
        self.verbs = tuple(dict.fromkeys(words.split()[0] for words in when.subcommand))
        self.names = tuple(name for name in when.command if not name.endswith("*"))
        self.prefixes = tuple(name[:-1] for name in when.command if name.endswith("*"))
        touches = tuple(_touching(when))
        self.kinds = KINDS[touches[0].kind] if touches else ()
        self._env = _compile(when.env)
        self._env_lines = tuple(re.compile(pattern, re.MULTILINE) for pattern in when.env)
        # Most commands do nothing to files of the kind that is asked for, which is told at once.
        self._checks = (*_facts(when), *(condition.holds for condition in touches), *_texts(when))

    def matches(self, seen: Seen) -> bool:
        """Whether all conditions hold; the name is compared by the caller, who chose by it."""
        for check in self._checks:  # noqa: SIM110 - a generator costs as much as most of the checks
            if not check(seen):
                return False
        return True

    def matches_environment(self, env: Mapping[str, str]) -> bool:
        """Whether the environment of a whole step is what this rule speaks of."""
        text = "\n".join([f"{key}={value}" for key, value in env.items()])
        # One search over all variables first: nearly every step has none that a rule speaks of.
        if not any(pattern.search(text) for pattern in self._env_lines):
            return False
        return _found(self._env, (f"{key}={value}" for key, value in env.items()))


Check = Callable[[Seen], bool]


def _facts(when: When) -> Iterator[Check]:
    """The checks of what a command is, the cheap ones first. Only what is stated is checked."""
    for name in ("dynamic", "forks", "downloaded"):
        if (wanted := getattr(when, name)) is not None:
            yield partial(_is, name, wanted)
    if when.subcommand:
        words = [tuple(text.lower().split()) for text in when.subcommand]
        yield partial(_subcommand, {first: [item for item in words if item[0] == first] for first, *_ in words})
    if when.verbs:
        verbs = Verbs(when.verbs)
        yield lambda seen: verbs.decide(seen.words_after_options)
    if when.flags_any:
        yield partial(_flagged, when.flags_any, True)
    for flags in when.flags_all:
        yield partial(_flagged, tuple(flags.split("|")), True)
    if when.flags_none:
        yield partial(_flagged, when.flags_none, False)
    if when.bare_shell is not None:
        yield lambda seen: seen.bare_shell == when.bare_shell
    if when.runs_stdin is not None:
        yield lambda seen: seen.runs_stdin == when.runs_stdin
    if when.piped_from:
        yield partial(_comes_from, when.piped_from)
    if when.paths_any:
        yield partial(_in_places, when.paths_any)


def _texts(when: When) -> Iterator[Check]:
    """The checks of what a command says, by regular expressions."""
    for pattern in when.args_all:
        yield partial(_finds, _compile((pattern,)), _arguments, True)
    for patterns, texts, wanted in (
        (when.piped_any, _sources, True), (when.piped_none, _sources, False), (when.first_any, _first, True),
        (when.options_any, _options, True),
        (when.args_any, _arguments, True), (when.args_none, _arguments, False), (when.input_any, _input, True),
        (when.targets_any, _targets, True), (when.destination_any, _destination, True), (when.env, _assigned, True),
        (when.settings_any, _settings, True), (when.earlier_any, _earlier, True), (when.into_none, _into, False),
    ):  # fmt: skip
        if patterns:
            yield partial(_finds, _compile(patterns), texts, wanted)
    if when.rehearsal is not None:
        yield lambda seen: rehearses(seen.name, seen.flags, seen.words_after_options) == when.rehearsal
    if when.sql is not None:
        yield _sql
    if when.scratch is not None:
        yield lambda seen: is_scratch(seen) == when.scratch
    if when.only_shows is not None:
        yield lambda seen: only_shows(seen) == when.only_shows


def _is(name: str, wanted: bool, seen: Seen) -> bool:
    return bool(getattr(seen.command, name)) == wanted


def _flagged(flags: tuple[str, ...], wanted: bool, seen: Seen) -> bool:
    return bool(seen.flags and any(map(seen.has_flag, flags))) == wanted


def _finds(
    patterns: tuple[re.Pattern[str], ...], texts: Callable[[Seen], Iterable[str]], wanted: bool, seen: Seen
) -> bool:
    return _found(patterns, texts(seen)) == wanted


def _arguments(seen: Seen) -> Iterable[str]:
    return seen.command.words[1:]


def _options(seen: Seen) -> Iterable[str]:
    """Each option with its value, whether that stands behind `=` or in a word of its own."""
    for option, value in seen.command.followed:
        if option[:1] == "-":
            yield option if "=" in option else f"{option}={value}"


def _assigned(seen: Seen) -> Iterable[str]:
    return (f"{key}={value}" for key, value in seen.command.assigns)


def _settings(seen: Seen) -> Iterable[str]:
    return settings(seen.command.words, seen.words_after_options)


def _earlier(seen: Seen) -> Iterable[str]:
    return (" ".join(before.command.words) for before in seen.earlier)


def _sql(seen: Seen) -> bool:
    texts = (*seen.command.words[1:], *_input(seen))
    return any(sql.destroys(text[found.end() :] if (found := _ATTACHED.match(text)) else text) for text in texts)


def _comes_from(names: tuple[str, ...], seen: Seen) -> bool:
    """Whether one of these is piped in, or stands in a substitution within the command. `*` means any."""
    sources = (*seen.command.upstream, *seen.command.fed)
    return any(names == ("*",) or not names_in(source).isdisjoint(names) for source in sources)


def _first(seen: Seen) -> Iterable[str]:
    command = seen.command
    return (command.words[index] for index in seen.operands[:1] if index in command.expands)


def _sources(seen: Seen) -> Iterable[str]:
    for source in (*seen.command.upstream, *seen.command.fed):
        yield " ".join(source.words)


def _into(seen: Seen) -> Iterable[str]:
    return () if seen.into is None else (" ".join(seen.into.words),)


def _compile(patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(map(compiled, patterns))


def _found(patterns: tuple[re.Pattern[str], ...], texts: Iterable[str]) -> bool:
    return any(pattern.search(text) for text in texts for pattern in patterns)


def _subcommand(wanted: dict[str, list[tuple[str, ...]]], seen: Seen) -> bool:
    given = seen.words_after_options
    if not given or not (choices := wanted.get(given[0].lower())):
        return False
    return any(tuple(map(str.lower, given[: len(words)])) == words for words in choices)


def _in_places(wanted: tuple[str, ...], seen: Seen) -> bool:
    command, classify = seen.command, seen.places.classify
    return any(
        place in wanted for index in seen.operands for place in classify(command.words[index], index in command.expands)
    )


def _targets(seen: Seen) -> Iterable[str]:
    return _paths(seen, seen.operands)


def _destination(seen: Seen) -> Iterable[str]:
    return _paths(seen, seen.operands[-1:])


def _paths(seen: Seen, operands: tuple[int, ...]) -> Iterable[str]:
    command, places = seen.command, seen.places
    for index in operands:
        for path in places.resolve(command.words[index], index in command.expands):
            yield places.shown(path)
            if index in command.expands:
                yield from places.hidden(path)


def _input(seen: Seen) -> Iterable[str]:
    text = received(seen.command)
    return seen.command.named if text is None else (text, *seen.command.named)
