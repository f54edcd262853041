"""A backlog, `[..]` or `{tasks: [..]}`, becomes the specs that stand in it, each in whatever shape it has.

Rule: all or none. One entry that is bad refuses the file, and everything that is wrong with any of them is told at
once, by entry, line and key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from orchestrator.intake.document import Document
from orchestrator.intake.forms import Backlog, Entry, is_backlog, is_instance
from orchestrator.intake.limits import MAX_PROBLEMS
from orchestrator.intake.problem import Finding, Path, Problem, SpecError, quote, render_path
from orchestrator.intake.sentences import describe
from orchestrator.plan.graph import arrows, circle_in, circles
from orchestrator.spec import Task

MOST_ENTRIES = 1_000


def backlog_of(document: Document, name: str, judge: Callable[[Document], Task]) -> Backlog:
    """The tasks of a file of this name; `judge` says of one entry which it is. Either raises SpecError."""
    in_list = isinstance(document.value, list)
    prefix: Path = () if in_list else ("tasks",)
    items: list[Any] = document.value if in_list else document.value["tasks"]
    findings = list(_of_shape(items, prefix))
    if findings or document.findings:
        raise document.error(name, findings)
    entries: list[Entry] = []
    problems: list[Problem] = []
    more = 0
    for index, part in enumerate(_parts(document, items, prefix)):
        path, item = (*prefix, index), part.value
        try:
            task = judge(part)
        except SpecError as error:
            problems += (_within(path, problem) for problem in error.problems)
            more += error.more
        else:
            entries.append(Entry(path, task, json.dumps(item, ensure_ascii=False, indent=2).encode()))
    if findings := [*_twice(entries), *_without_start(entries)]:
        problems += document.error(name, findings).problems
    if problems:
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise SpecError(name, problems[:MAX_PROBLEMS], more + max(0, len(problems) - MAX_PROBLEMS))
    return Backlog(tuple(entries))


def _of_shape(items: list[Any], prefix: Path) -> Iterator[Finding]:
    if not items:
        yield Finding(prefix, "must not be empty: it lists tasks")
    if len(items) > MOST_ENTRIES:
        yield Finding(prefix, f"has {len(items):,} tasks: at most {MOST_ENTRIES:,} go into one file")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            yield Finding((*prefix, index), f"must be a task, not {describe(item)}")
        elif is_backlog(item):
            yield Finding((*prefix, index), "is a backlog itself: write its tasks here")
        elif is_instance(item) and "id" not in item:
            yield Finding((*prefix, index), "`id` is missing: in a backlog each task has its own")


def _parts(document: Document, items: list[Any], prefix: Path) -> list[Document]:
    """Each entry as a document of its own, which knows its places in the text of all."""
    at = len(prefix)
    parts = [Document(document.text, item) for item in items]
    for places, of in ((document.values, "values"), (document.keys, "keys")):
        for path, offset in places.items():
            if len(path) > at and path[:at] == prefix and isinstance(index := path[at], int):
                getattr(parts[index], of)[path[at + 1 :]] = offset
    return parts


def _within(path: Path, problem: Problem) -> Problem:
    """A problem of an entry as one of the whole file."""
    own = problem.path
    return replace(problem, path=render_path(path) + (f".{own}" if own and own[0] != "[" else own))


def _twice(entries: list[Entry]) -> Iterator[Finding]:
    seen: dict[str, Path] = {}
    for entry in entries:
        if (first := seen.setdefault(entry.task.id, entry.path)) != entry.path:
            yield Finding(entry.path, f"{render_path(first)} has the id {quote(entry.task.id)} already")


def _without_start(entries: list[Entry]) -> Iterator[Finding]:
    by_id = {entry.task.id: entry for entry in entries}

    def needs(task_id: str) -> tuple[str, ...]:
        return by_id[task_id].task.needs if task_id in by_id else ()

    for group in circles(by_id, needs):
        way = circle_in([task_id for task_id in by_id if task_id in group], needs)
        first = by_id[way[0]]
        message = f"a circle of needs, in which nothing can start: {arrows(way, '→')}"
        yield Finding((*first.path, "needs", first.task.needs.index(way[1])), message)
