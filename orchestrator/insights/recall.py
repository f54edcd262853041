"""Ask the memory. Any text is a safe question: its words are quoted, operators mean nothing.

Reads, and counts that it was asked; never makes a database, never moves a damaged one.
"""

from __future__ import annotations

import calendar
import contextlib
import os
import re
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

import orjson

from orchestrator.errors import TaskError
from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.sinks.memory import store
from orchestrator.sinks.memory.importance import rank

_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 64
_MOST_WORDS = 32
_PREFIX_FROM = 3  # shorter beginnings match half the dictionary
_CANDIDATES = 200
_DAY_S = 86_400.0
_BUSY_S = 2.0

_COLUMNS = (
    "m.id, m.kind, m.text, m.title, m.meta, m.importance, m.seen, m.query_count, m.last_access, m.task, m.run,"
    " m.status, m.created_at, m.updated_at"
)
# A word of the text counts for more than one of the title, and that for more than one of the kind or the id.
_MATCHING = f"""
SELECT {_COLUMNS}, -bm25(memories_text, 1.0, 0.6, 0.3, 0.3) AS weight
FROM memories_text JOIN memories m ON m.id = memories_text.rowid
WHERE memories_text MATCH :words AND (:kind IS NULL OR m.kind = :kind)
ORDER BY weight DESC LIMIT {_CANDIDATES}
"""  # noqa: S608 - constants
_LATEST = f"""
SELECT {_COLUMNS}, 0.0 AS weight FROM memories m
WHERE :kind IS NULL OR m.kind = :kind
ORDER BY m.updated_at DESC LIMIT {_CANDIDATES}
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory as it answers: `score` is its rank for this question, in [0, 1]; times are UTC in ISO 8601."""

    id: int
    kind: str
    text: str
    title: str
    meta: dict[str, Any]
    importance: float
    seen: int
    query_count: int
    last_access: str | None
    task: str | None
    run: int | None
    status: str | None
    created_at: str
    updated_at: str
    score: float


def recall(home: Home, text: str, top_k: int = 5, *, kind: str | None = None) -> list[Memory]:
    """The memories that answer best, best first. A text without words gives the most important recent ones.

    Memories that hold all the words are asked for first; only if there is none, those that hold some. Raises
    TaskError where the database is damaged or can't be read.
    """
    if not os.path.exists(home.memory):
        return []
    try:
        with contextlib.closing(sqlite3.connect(home.memory, timeout=_BUSY_S, isolation_level=None)) as database:
            return _answer(database, text, max(top_k, 0), kind)
    except sqlite3.DatabaseError as error:
        advice = "; the daemon moves a damaged one aside when it next writes" if store.is_corrupt(error) else ""
        raise TaskError("memory_unreadable", f"{home.memory} can't be read: {error}{advice}") from error


def _answer(database: sqlite3.Connection, text: str, top_k: int, kind: str | None) -> list[Memory]:
    if not database.execute("PRAGMA user_version").fetchone()[0]:
        return []  # it is being made at this moment
    now = time.time()
    rows = _candidates(database, text, None if kind is None else store.storable(kind, 64))
    best = max((row[-1] for row in rows), default=0.0)
    ranked = sorted(((_score(row, best, now), row) for row in rows), key=lambda pair: (-pair[0], pair[1][0]))
    chosen = ranked[:top_k]
    asked_at = utc_now(now)
    if not _count(database, [row[0] for _, row in chosen], asked_at):
        return [_memory(row, score, row[7], row[8]) for score, row in chosen]
    return [_memory(row, score, row[7] + 1, asked_at) for score, row in chosen]


def _candidates(database: sqlite3.Connection, text: str, kind: str | None) -> list[tuple[Any, ...]]:
    words = _words(text)
    if not words:
        return database.execute(_LATEST, {"kind": kind}).fetchall()
    for operator in (" AND ", " OR ") if len(words) > 1 else ("",):
        rows = database.execute(_MATCHING, {"words": operator.join(words), "kind": kind}).fetchall()
        if rows:
            return rows
    return []


def _words(text: str) -> list[str]:
    """The words of a question as quoted FTS5 strings; the beginning of a longer word is enough."""
    found = dict.fromkeys(word[:_LONGEST_WORD] for word in _WORD.findall(text))
    return [f'"{word}"*' if len(word) >= _PREFIX_FROM else f'"{word}"' for word in list(found)[:_MOST_WORDS]]


def _score(row: tuple[Any, ...], best: float, now: float) -> float:
    age_days = (now - _seconds(row[13])) / _DAY_S
    relevance = row[-1] / best if best > 0 else 0.0
    return rank(relevance=relevance, importance=row[5], age_days=age_days, query_count=row[7])


def _seconds(stamp: str) -> float:
    return calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))


def _count(database: sqlite3.Connection, ids: list[int], now: str) -> bool:
    """Note that these have answered. False on a read-only or busy disk: an answer matters more than its count."""
    if not ids:
        return False
    try:
        with store.transaction(database):
            database.executemany(
                "UPDATE memories SET query_count = query_count + 1, last_access = ? WHERE id = ?",
                [(now, memory) for memory in ids],
            )
    except sqlite3.OperationalError:
        return False
    return True


def _memory(row: tuple[Any, ...], score: float, query_count: int, last_access: str | None) -> Memory:
    (number, kind, text, title, meta, weight, seen, _, _, task, run, status, created_at, updated_at, _) = row
    return Memory(
        number, kind, text, title, orjson.loads(meta), weight, seen, query_count, last_access,
        task, run, status, created_at, updated_at, round(score, 4),
    )  # fmt: skip
