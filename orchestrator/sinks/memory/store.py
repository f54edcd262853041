"""The memory's database: SQLite in WAL mode with a full-text index, `state/memory.db`.

The rule of this room: several processes may write at once (a daemon, a person's `remember`), each in short
transactions; nobody keeps one open. A database that is damaged is moved aside, never deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator.event import utc_now
from orchestrator.sinks.memory.importance import importance, novelty

BUSY_S = 10.0
LONGEST_TEXT = 8_192
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_VERSION = 1

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    title TEXT NOT NULL DEFAULT '',
    meta TEXT NOT NULL DEFAULT '{{}}',
    importance REAL NOT NULL,
    seen INTEGER NOT NULL DEFAULT 1,
    query_count INTEGER NOT NULL DEFAULT 0,
    last_access TEXT,
    task TEXT,
    run INTEGER,
    status TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS memories_by_time ON memories (updated_at);
CREATE VIRTUAL TABLE IF NOT EXISTS memories_text USING fts5 (
    text, title, kind, task,
    content = 'memories', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER IF NOT EXISTS memories_added AFTER INSERT ON memories BEGIN
    INSERT INTO memories_text (rowid, text, title, kind, task) VALUES (new.id, new.text, new.title, new.kind, new.task);
END;
CREATE TRIGGER IF NOT EXISTS memories_removed AFTER DELETE ON memories BEGIN
    INSERT INTO memories_text (memories_text, rowid, text, title, kind, task)
    VALUES ('delete', old.id, old.text, old.title, old.kind, old.task);
END;
CREATE TRIGGER IF NOT EXISTS memories_changed AFTER UPDATE OF text, title, kind, task ON memories
WHEN old.text IS NOT new.text OR old.title IS NOT new.title OR old.kind IS NOT new.kind OR old.task IS NOT new.task
BEGIN
    INSERT INTO memories_text (memories_text, rowid, text, title, kind, task)
    VALUES ('delete', old.id, old.text, old.title, old.kind, old.task);
    INSERT INTO memories_text (rowid, text, title, kind, task) VALUES (new.id, new.text, new.title, new.kind, new.task);
END;
PRAGMA user_version = {_VERSION};
COMMIT;
"""  # noqa: S608 - constants

_RECORD = """
INSERT INTO memories
    (fingerprint, kind, text, title, meta, importance, task, run, status, created_at, updated_at)
VALUES (:fingerprint, :kind, :text, :title, :meta, :importance, :task, :run, :status, :now, :now)
ON CONFLICT (fingerprint) DO UPDATE SET
    text = excluded.text, title = excluded.title, meta = excluded.meta, task = excluded.task, run = excluded.run,
    status = excluded.status, updated_at = excluded.updated_at, seen = seen + 1,
    importance = round(excluded.importance * novelty(seen + 1), 4)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something to remember. Two records with the same kind and `same_as` are one memory, seen twice.

    `importance` is that of a new memory; repetition lowers it. `same_as` is the text, unless given.
    """

    kind: str
    text: str
    importance: float
    title: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    task: str | None = None
    run: int | None = None
    status: str | None = None
    same_as: str | None = None


def record(database: sqlite3.Connection, records: Iterable[Record], now: str | None = None) -> None:
    """Write all in one transaction, which waits for its turn at most `BUSY_S` seconds."""
    now = utc_now() if now is None else now
    rows = [_row(item, now) for item in records]
    with transaction(database):
        database.executemany(_RECORD, rows)


def remember(path: str, kind: str, text: str, meta: dict[str, Any] | None = None, *, title: str = "") -> None:
    """Write one sentence down by hand. Raises ValueError for an empty one, sqlite3.Error where it can't be kept."""
    if not text.strip() or not kind.strip():
        raise ValueError("a memory needs a kind and a text")
    item = Record(kind=kind, text=text, title=title, meta=meta or {}, importance=importance(explicit=True))
    with contextlib.closing(open_store(path)) as database:
        record(database, [item])


def open_store(path: str, report: Callable[[str], None] | None = None) -> sqlite3.Connection:
    """Open for writing, and make what is missing. A damaged database is moved aside; `report` is told where to,
    or else the log."""
    inode = _be_there(path)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        move_aside(path, inode, error, report)
    _be_there(path)
    return _open(path)


def inode_of(path: str) -> int | None:
    """Which file stands at the path; None if there is none."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def is_corrupt(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is damaged, as opposed to busy, full or read-only."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _CORRUPT


def move_aside(path: str, inode: int, error: sqlite3.DatabaseError, report: Callable[[str], None] | None) -> None:
    """Rename a damaged database, with its log, to `…corrupt-<time>`; not one that another process has just made."""
    if inode_of(path) != inode:
        return
    aside = f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):  # no log was left, or another process was quicker
            os.rename(path + suffix, aside + suffix)
    (report or _log)(f"the memory's database is damaged ({error}): it was moved to {aside}, and a fresh one begun")


def _log(text: str) -> None:
    """On the daemon's log, or on the stderr of a command. Imported here, because it is hardly ever needed."""
    import logging

    logging.getLogger("orchestrator.memory").error("%s", text)


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """A write transaction that takes its lock at once: upgrading a read one fails while another writes."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def fingerprint(kind: str, same_as: str) -> bytes:
    return hashlib.blake2b(f"{kind}\0{' '.join(same_as.split())}".encode(), digest_size=16).digest()


def storable(text: str, limit: int = LONGEST_TEXT) -> str:
    """Text that SQLite keeps and searches whole: UTF-8, no NUL, not too long."""
    clean = text.encode("utf-8", "replace").decode().replace("\0", " ")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _row(item: Record, now: str) -> dict[str, Any]:
    kind, text = storable(item.kind, 64), storable(item.text)
    return {
        "fingerprint": fingerprint(kind, storable(item.same_as) if item.same_as is not None else text),
        "kind": kind,
        "text": text,
        "title": storable(item.title, 500),
        "meta": _json(item.meta),
        "importance": item.importance,
        "task": item.task,
        "run": item.run,
        "status": item.status,
        "now": now,
    }


def _json(meta: dict[str, Any]) -> str:
    try:
        return orjson.dumps(meta).decode()
    except orjson.JSONEncodeError:
        return orjson.dumps({storable(str(key)): storable(str(value)) for key, value in meta.items()}).decode()


def _be_there(path: str) -> int:
    """Make the file, which then has the right mode before SQLite sees it and copies it to its log. Its inode."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def _open(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        _wait_for_wal(database)
        database.execute("PRAGMA synchronous = NORMAL")
        database.create_function("novelty", 1, novelty, deterministic=True)
        if database.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
            _make_schema(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _wait_for_wal(database: sqlite3.Connection) -> None:
    """Two processes that open a new database at once: the switch to WAL does not honour the busy timeout."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _make_schema(database: sqlite3.Connection) -> None:
    try:
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
