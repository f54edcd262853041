"""At start, before the journal forgets: the results that a power cut took are written again from it.

A result goes to the page cache only, because a sync for each would cost every task a flush of its own; its run is over
as soon as the journal holds it. So until the results of a segment are on the disk, the journal is the only place where
they surely are. After a power cut the files of the others are there, and empty.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import orjson

from orchestrator import failpoint
from orchestrator.home import Home
from orchestrator.journal import runs
from orchestrator.journal.log import records
from orchestrator.spool import files, names


def mend_results(home: Home) -> list[str]:
    """Write again what is not whole of the results in the journal, and make all of them durable.

    Returns the names in the queue of the runs whose results were mended. Raises OSError if the disk does not let it.
    """
    ended = {(told["id"], told["run"]): told for _, told in records(home.journal) if told and told["r"] == "result"}
    if not ended:
        return []
    latest = {record["name"]: key for key, record in ended.items()}
    mended = []
    for key, record in ended.items():
        for path in _places(home, record, shown=latest[record["name"]] == key):
            if not _is_whole(path):
                files.replace_file(path, runs.result_bytes(record["result"]))
                mended.append(record["name"])
                failpoint.reach("mend.written")
    files.sync_file_systems(home.state, home.done, home.failed)
    failpoint.reach("mend.synced")
    return sorted(set(mended))


def _places(home: Home, record: dict[str, Any], *, shown: bool) -> Iterator[str]:
    """Where this result has to stand: in its run's folder, unless that was removed; and beside its spec."""
    folder = f"{home.runs}/{record['id']}/{record['run']}"
    if os.path.isdir(folder):
        yield f"{folder}/{runs.RESULT}"
    if record["state"] == "inbox":
        return
    beside = home.done if record["state"] == "done" else home.failed
    if shown and os.path.lexists(f"{beside}/{record['name']}"):
        yield f"{beside}/{names.result_name(names.stem_of(record['name']))}"


def _is_whole(path: str) -> bool:
    try:
        with open(path, "rb") as handle:
            orjson.loads(handle.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return False
    return True
