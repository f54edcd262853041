"""What a step names for others: `name=value` lines in the file that `$ORCHESTRATOR_OUTPUT` names, and the places in its
standard output that the spec points at.

Rule: all of it or an error that says which line is wrong. Others will build on these values, and a name that is
silently missing would be an empty word in their commands. The file is a step's: it is read as anything of a stranger's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

import orjson

from orchestrator.checks.pointer import resolve
from orchestrator.errors import is_shortage
from orchestrator.named_values import entries
from orchestrator.outcome import StepResult
from orchestrator.runners.finished import Finished
from orchestrator.sandbox.sandbox import NOTES
from orchestrator.spec import MAX_OUTPUTS

MAX_BYTES = 64 * 1024
MAX_TASK_BYTES = 1024 * 1024
MAX_PRINTED = 16 * 1024 * 1024


class OutputsError(Exception):
    """What is wrong with a step's outputs, as a sentence for people."""


def noted(path: str) -> dict[str, str]:
    """The outputs in a step's file, which is removed; none where it wrote none. Raises OutputsError, or OSError for a
    shortage of ours."""
    try:
        # A step may have put a link or a FIFO in its place.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        if is_shortage(error):
            raise
        remove(path)
        raise OutputsError(f"the file of $ORCHESTRATOR_OUTPUT can't be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OutputsError("the file of $ORCHESTRATOR_OUTPUT is no regular file any more")
        data = b""
        while len(data) <= MAX_BYTES and (more := os.read(fd, MAX_BYTES + 1 - len(data))):
            data += more
    finally:
        os.close(fd)
        remove(path)
    return parse(data)


def remove(path: str) -> None:
    """Whatever the step left under that name: what is a folder goes with the run's /tmp."""
    try:
        os.unlink(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return


def parse(data: bytes) -> dict[str, str]:
    """The names and values in such a file. Raises OutputsError."""
    if len(data) > MAX_BYTES:
        raise OutputsError(f"$ORCHESTRATOR_OUTPUT holds more than {MAX_BYTES // 1024} KiB: put long values into files")
    try:
        found = {entry.name: entry.value for entry in entries(data)}
    except ValueError as error:
        raise OutputsError(f"$ORCHESTRATOR_OUTPUT, {error}") from None
    if len(found) > MAX_OUTPUTS:
        raise OutputsError(f"$ORCHESTRATOR_OUTPUT names {len(found)} values; at most {MAX_OUTPUTS} are accepted")
    return found


def pointed(pointers: Mapping[str, str], finished: Finished, path: str) -> dict[str, str]:
    """The values that these pointers find in what a step printed; `path` is where all of it lies. Text stands for
    itself, anything else for its JSON. Raises OutputsError; reads the file where the tail is not all."""
    try:
        document = orjson.loads(_printed(finished, path))
    except orjson.JSONDecodeError as error:
        raise OutputsError(f"the step's standard output is not JSON, which `outputs` point into: {error}") from None
    found = {}
    for name, pointer in pointers.items():
        try:
            value = resolve(document, pointer)
        except LookupError as error:
            said = f"its standard output has nothing at {pointer}, where output `{name}` points to"
            raise OutputsError(f"{said}: {error.args[0]}") from None
        found[name] = value if isinstance(value, str) else orjson.dumps(value).decode()
        if "\0" in found[name]:
            raise OutputsError(f"the value of `{name}` contains a NUL character")
    if size_of(found) > MAX_BYTES:
        raise OutputsError(f"the values that `outputs` point to have more than {MAX_BYTES // 1024} KiB")
    return found


def check_total(results: Iterable[StepResult], further: Mapping[str, str]) -> None:
    """Raises OutputsError where the outputs of all steps become too much to carry about."""
    if sum(size_of(result.outputs) for result in results) + size_of(further) > MAX_TASK_BYTES:
        raise OutputsError(f"the outputs of all steps have more than {MAX_TASK_BYTES // 1024} KiB together")


def file_name(step: int, attempt: int) -> str:
    """Each attempt has a file of its own, so that none sees what another one wrote. It is a name of a run's /tmp."""
    return f"{NOTES}{step}.{attempt}"


def is_all_in_tail(finished: Finished) -> bool:
    return len(finished.stdout_tail) >= finished.stdout_bytes


def _printed(finished: Finished, path: str) -> bytes:
    if is_all_in_tail(finished):
        return finished.stdout_tail.encode()
    if finished.truncated or finished.lost_bytes or finished.stdout_bytes > MAX_PRINTED:
        raise OutputsError("the step's standard output is too long to point into, or was not kept whole")
    with open(path, "rb") as file:
        return file.read(MAX_PRINTED)


def size_of(outputs: Mapping[str, str]) -> int:
    """In characters."""
    return sum(len(name) + len(value) for name, value in outputs.items())
