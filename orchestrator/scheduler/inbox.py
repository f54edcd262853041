"""From a name in inbox to a verdict on it: a task, a bad spec, still being written, gone."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import re
from dataclasses import dataclass, replace
from time import monotonic

from orchestrator.clock import on_monotonic
from orchestrator.errors import is_shortage
from orchestrator.execution import outcomes
from orchestrator.execution.prepare import Tools
from orchestrator.execution.taken_up import take_up
from orchestrator.intake.load import Backlog, Finding, SpecError, load_spec, located, settled_form
from orchestrator.outcome import Outcome
from orchestrator.pools import NOTHING
from orchestrator.scheduler.backlog import UNLABELLED, Ready, Waiting
from orchestrator.scheduler.unpacking import Several, in_the_way
from orchestrator.spool import names, reading


@dataclass(frozen=True, slots=True)
class Good:
    """A task that may wait for its turn, or be refused by the gate at once (`ready.prepared` says)."""

    waiting: Waiting
    ready: Ready


@dataclass(frozen=True, slots=True)
class Bad:
    """Refused: the outcome says why. It goes to failed/ as it is."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Later:
    """Perhaps still being written: look again in `seconds`. `signature` is what it was like at this look, if it was
    read."""

    seconds: float
    signature: reading.Signature | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """It is gone."""


@dataclass(frozen=True, slots=True)
class Lain:
    """Since when, on the monotonic clock, a file is known to have lain unchanged."""

    signature: reading.Signature
    since: float


Seen = Good | Bad | Later | Nothing | Several
WRITER_S = 0.25
LONGEST_NAME = 180  # of a recurring task's file: those of its firings, and of their results, are longer
SLOW_BYTES = 8 * 1024  # what is larger may take long to refuse, and is judged in a thread
# So is what may hold a script that the gate can't read by itself, or name script files that it has to read: asking the
# parser takes milliseconds, at worst 1 s. All else passes quickly: each sign begins with what can be skipped to.
SLOW_WORDS = re.compile(
    rb"\b(?:template|task_id|tasks|g?make|npm|yarn|pnpm|bun|source|if|for|while|until|case|eval|trap|function)\b"
)
SLOW_MARKS = re.compile(rb"[$][({']|`|<[<(]|\\n|\n\s*\n|\(\)|\.(?:\.?/\w|(?:sh|bash|py|[cm]?[jt]s|pl|rb)\b)")


def examine(folder: str, name: str, tools: Tools) -> Seen:
    """Read one file of inbox and judge it. Raises OSError where the fault is the machine's (`errors.is_shortage`)."""
    return judge(name, reading.look(f"{folder}/{name}"), tools)


async def examine_aside(folder: str, name: str, tools: Tools, lain: Lain | None = None) -> Seen:
    """The same from the event loop, which neither a large file nor a winding script holds up. `lain` is what the file
    was like before: its own times say nothing where the clock was set back."""
    seen = reading.look(f"{folder}/{name}")
    if isinstance(seen, reading.Content) and lain is not None and lain.signature == seen.signature:
        seen = replace(seen, quiet_s=max(seen.quiet_s, monotonic() - lain.since))
    if isinstance(seen, reading.Content) and _may_be_slow(seen.data):
        return await asyncio.to_thread(judge, name, seen, tools)
    return judge(name, seen, tools)


def _may_be_slow(data: bytes) -> bool:
    return bool(len(data) > SLOW_BYTES or SLOW_WORDS.search(data) or SLOW_MARKS.search(data))


def judge(name: str, seen: reading.Look, tools: Tools) -> Seen:
    """What was read, judged. A mistake of ours costs one file its run, never the daemon its life."""
    if names.readable(name) != name:
        return Bad(outcomes.refused(name, "its name is not UTF-8 text: rename it and drop it again"))
    match seen:
        case reading.Gone():
            return Nothing()
        case reading.Writing():
            return Later(WRITER_S)
        case reading.Refused(why):
            return Bad(outcomes.refused(name, why))
    try:
        return _judge(name, seen, tools)
    except Exception as error:
        if is_shortage(error):
            raise
        return Bad(outcomes.refused(name, f"the orchestrator itself failed on this file: {error!r}; please report it"))


def _judge(name: str, content: reading.Content, tools: Tools) -> Seen:
    """A closed file is not yet a complete one: what does not prove to be whole must first lie still."""
    settle = tools.settings.daemon.settle / 1000
    still = content.quiet_s >= settle
    if not still and not name.endswith(".json") and not settled_form(content.data, name):
        return Later(settle - content.quiet_s, content.signature)
    digest = hashlib.sha256(content.data).hexdigest()
    try:
        skills, pools, templates = tools.skills.names(), tools.settings.pools, tools.home.templates
        task = load_spec(content.data, name, skills=skills, pools=pools, templates=templates)
    except SpecError as error:
        if not still and not settled_form(content.data, name):
            return Later(settle - content.quiet_s, content.signature)
        return Bad(outcomes.invalid(name, error, digest))
    if isinstance(task, Backlog):
        return _several(name, content.data, digest, task, tools.home.inbox)
    if task.schedule is not None and len(os.fsencode(name)) > LONGEST_NAME:
        return Bad(outcomes.refused(name, f"the name of a recurring task's file has at most {LONGEST_NAME} bytes"))
    as_is = name.endswith(".json") and task.made_from is None  # a template may be another one tomorrow
    spec = content.data if as_is else task.model_dump_json(by_alias=True, exclude_unset=True).encode()
    stem = names.stem_of(name)
    waiting = Waiting(
        name=name,
        stem=stem,
        id=stem if stem == task.id else task.id,  # one text for both, as many may wait
        priority=task.priority,
        arrived=on_monotonic(content.arrived_ns / 1e9),
        signature=content.signature,
        sha256=digest,
        resources=task.resources or NOTHING,
        skills=_shared(task.skills),
        labels=task.labels or UNLABELLED,
    )
    return Good(waiting, Ready(take_up(task, tools, name, content.signature, digest), spec))


@functools.lru_cache(maxsize=256)
def _shared(skills: tuple[str, ...]) -> tuple[str, ...]:
    """The same for all tasks that use the same skills."""
    return skills


def _several(name: str, data: bytes, digest: str, backlog: Backlog, inbox: str) -> Seen:
    """A backlog, which is refused where one of its tasks would have to take the place of what waits already."""
    waiting = list(in_the_way(backlog, lambda other: other != name and os.path.lexists(f"{inbox}/{other}")))
    if not waiting:
        return Several(name, digest, backlog)
    advice = "let it run first, or take it out with `orchestrator cancel {0}`"
    findings = [Finding(path, f"`{stem}` waits in inbox already: {advice.format(stem)}") for path, stem in waiting]
    return Bad(outcomes.invalid(name, located(data, name, findings), digest))
