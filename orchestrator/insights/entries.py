"""What stands in the queue's folders. Cheap with many: all are counted, only those that are shown are read."""

from __future__ import annotations

import heapq
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.spool import names

State = Literal["inbox", "scheduled", "running", "done", "failed"]
STATES: tuple[State, ...] = ("inbox", "scheduled", "running", "done", "failed")
_WAITING: tuple[State, ...] = ("running", "inbox", "scheduled")
_ENDED: tuple[State, ...] = ("failed", "done")
_MARK = "${{"
_LARGEST_SPEC = 256 * 1024
_YAML_KEY = re.compile(r"^(id|task_id|title|priority|template):[ \t]+(.+?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A spec in the queue. `since` is when it came into its state, in seconds since the epoch; `age_s` how long
    that is ago. `id`, `title` and `priority` are None where the file does not say them readably."""

    name: str
    stem: str
    id: str | None
    state: State
    status: str
    reason: str | None
    title: str | None
    priority: str | None
    since: float
    age_s: float
    started_at: str | None
    duration_ms: float | None
    run: int | None
    size: int


def queue_entries(
    home: Home, states: Sequence[State] = STATES, *, limit: int | None = 50, now: float | None = None
) -> list[Entry]:
    """The newest entries of these states, at most `limit` in all, newest first."""
    now = time.time() if now is None else now
    found = (item for state in states for item in _scan(home, state))
    newest = (
        sorted(found, key=_newest_last, reverse=True)
        if limit is None
        else heapq.nlargest(limit, found, key=_newest_last)
    )
    return [entry for item in newest if (entry := _entry(home, item, now)) is not None]


def counts(home: Home) -> dict[State, int]:
    """How many specs stand in each state."""
    return {state: sum(1 for _ in _names(_folder(home, state))) for state in STATES}


def find(home: Home, wanted: str) -> Entry | None:
    """The entry of this file name, name in the queue, or task id; the running one first, the ended ones last."""
    now = time.time()
    for state in (*_WAITING, *_ENDED):
        for name in _possible_names(wanted):
            if entry := _entry_at(home, state, name, now):
                return entry
    return _find_by_id(home, wanted, now)


def find_in(home: Home, wanted: str, state: State) -> Entry | None:
    """The entry of this file name or name in the queue in one state."""
    found = (_entry_at(home, state, name, time.time()) for name in _possible_names(wanted))
    return next((entry for entry in found if entry), None)


def latest_run(home: Home, task_id: str) -> int | None:
    """The number of the task's latest run; None if it has had none."""
    return max(runs.numbers(f"{home.runs}/{task_id}"), default=None) if is_plain(task_id) else None


def is_plain(word: str) -> bool:
    """Whether it can be one part of a path: what a person asks for must not lead elsewhere."""
    return bool(word) and "/" not in word and "\0" not in word and word not in {".", ".."}


def read_json(path: str) -> dict[str, Any] | None:
    """A JSON object from a file; None if it is gone, or not (yet) one."""
    try:
        with open(path, "rb") as file:
            value = orjson.loads(file.read())
    except (OSError, orjson.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None


# ── finding ────────────────────────────────────────────────────────────────────────────────────────


def _find_by_id(home: Home, task_id: str, now: float) -> Entry | None:
    """For an id that differs from the file's name: waiting files are read, ended ones are known by their runs."""
    for state in _WAITING:
        for item in _scan(home, state):
            entry = _entry(home, item, now)
            if entry is not None and entry.id == task_id:
                return entry
    number = latest_run(home, task_id)
    result = read_json(f"{home.runs}/{task_id}/{number}/{runs.RESULT}") if number else None
    if result is None or not is_plain(str(result.get("name"))):
        return None
    found = [_entry_at(home, state, result["name"], now) for state in _ENDED]
    return next((entry for entry in found if entry and entry.id == task_id), None)


def _possible_names(wanted: str) -> tuple[str, ...]:
    if not is_plain(wanted) or names.is_temporary(wanted) or not _is_spec(wanted):
        return ()
    return wanted, *(wanted + suffix for suffix in names.SPEC_SUFFIXES)


# ── reading one ────────────────────────────────────────────────────────────────────────────────────

_Item = tuple[State, str, float, int]
"""State, file name, when it came there (seconds since the epoch), size."""


def _folder(home: Home, state: str) -> str:
    return f"{home.queue}/{state}"


def _is_spec(name: str) -> bool:
    return not name.endswith((names.RESULT_SUFFIX, names.PAUSED_SUFFIX, *names.REQUEST_SUFFIXES))


def _names(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from (item for item in found if not names.is_temporary(item.name) and _is_spec(item.name))
    except FileNotFoundError:
        return


def _scan(home: Home, state: State) -> Iterator[_Item]:
    for found in _names(_folder(home, state)):
        try:
            status = found.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        # A rename keeps the file's own time and sets the inode's: that is when it came into its state.
        yield state, found.name, status.st_ctime, status.st_size


def _newest_last(item: _Item) -> tuple[float, str]:
    return item[2], item[1]


def _entry_at(home: Home, state: State, name: str, now: float) -> Entry | None:
    try:
        status = os.lstat(f"{_folder(home, state)}/{name}")
    except OSError:
        return None
    return _entry(home, (state, name, status.st_ctime, status.st_size), now)


def _entry(home: Home, item: _Item, now: float) -> Entry | None:
    state, name, since, size = item
    path = f"{_folder(home, state)}/{name}"
    stem = names.stem_of(name)
    facts: dict[str, Any] | None
    if state in _ENDED:
        facts = read_json(f"{_folder(home, state)}/{names.result_name(stem)}")
        facts = {"status": state, **(peek(path) if facts is None else facts)}
    else:
        facts = {**peek(path), "status": "running" if state == "running" else "waiting"}
        if state == "running":
            facts |= _running_facts(home, facts.get("id"), since)
        elif state == "scheduled":
            facts["status"], facts["reason"] = _recurring_facts(home, name)
    return Entry(
        name=names.readable(name), stem=names.readable(stem), id=facts.get("id"), state=state,
        status=facts["status"], reason=facts.get("reason"), title=facts.get("title"), priority=facts.get("priority"),
        since=since, age_s=max(0.0, now - since), started_at=facts.get("started_at"),
        duration_ms=facts.get("duration_ms"), run=facts.get("run"), size=size,
    )  # fmt: skip


def _recurring_facts(home: Home, name: str) -> tuple[str, str]:
    from orchestrator import clock
    from orchestrator.insights.schedules import in_short  # most homes have no recurring task

    return in_short(home, name, clock.wall())


def _running_facts(home: Home, task_id: str | None, since: float) -> dict[str, Any]:
    number = latest_run(home, task_id) if task_id else None
    if number is None:
        return {}
    folder = f"{home.runs}/{task_id}/{number}"
    if os.path.exists(f"{folder}/{runs.RESULT}"):
        return {}  # the run before: this one has no folder yet
    from orchestrator.event import utc_now

    return {"run": number, "started_at": utc_now(since)}


def peek(path: str) -> dict[str, Any]:
    """What an unread spec says of itself, as far as it can be told without judging it.

    YAML is not parsed: its top-level lines are looked at. Only intake knows what a spec means.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        data = os.read(fd, _LARGEST_SPEC)
    except OSError:
        return {}
    finally:
        os.close(fd)
    spec = _spec_facts(data)
    if _MARK in str(spec.get("title")):
        spec = {**spec, "title": _title(data, path, spec["title"])}
    made_of = f"made of the template {spec['template']}" if isinstance(spec.get("template"), str) else None
    if isinstance(spec.get("description"), str):  # of a local code task
        made_of = _first_words(spec["description"])
    facts = {
        "id": spec.get("id", spec.get("task_id")),
        "title": spec.get("title", made_of),
        "priority": spec.get("priority"),
    }
    return {key: value for key, value in facts.items() if isinstance(value, str)}


def _first_words(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 100 else words[:99] + "…"


def _title(data: bytes, path: str, title: str) -> str:
    """A title that is a template, worked out if it can be."""
    from orchestrator.intake.load import SpecError, value_of
    from orchestrator.templates.expression import ExpressionError, Names, text_of
    from orchestrator.templates.text import filled

    try:
        spec = value_of(data, path)
        values = spec.get("vars") if isinstance(spec, dict) else None
        task = Names("task", {"id": spec.get("id", names.stem_of(os.path.basename(path)))})
        known = {
            "vars": Names("vars", values if isinstance(values, dict) else {}),
            "task": task,
            "env": {},
            "needs": {},
        }
        return text_of(filled(title, lambda expression: expression.value(known)))
    except (SpecError, ExpressionError, AttributeError):
        return title


def _spec_facts(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        text = data.decode("utf-8", "replace")
        return {key: value.strip("\"'") for key, value in _YAML_KEY.findall(text)}
    return value if isinstance(value, dict) else {}
