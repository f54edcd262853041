"""What a task needs before its first step and has to have made after its last: secrets, files; and how files were.

Rule: each question is answered with an ending where the answer is no, so that nothing half-equipped is ever started.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from orchestrator import checks, failpoint
from orchestrator.execution.outcomes import Ending
from orchestrator.execution.prepare import Prepared
from orchestrator.journal import runs
from orchestrator.masking import Masker
from orchestrator.outcome import Call
from orchestrator.secrets import SecretError
from orchestrator.spool import files

KEYRING_S = 30
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hidden:
    """The secrets of a run: they go into calls right before these start, and out of all that is told."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    mask: Masker | None = None

    def into(self, call: Call) -> Call:
        """The call with the secrets in its environment. Requests have none, but what they print is masked too."""
        if self.mask is None:
            return call
        env = {**call.env, **self.values} if call.runner == "process" else call.env
        return replace(call, env=env, mask=self.mask)

    def told(self, what: T) -> T:
        return what if self.mask is None else self.mask.deep(what)


NOTHING_HIDDEN = Hidden()


async def secrets_of(prepared: Prepared) -> Hidden | Ending:
    """The values of a task's secrets, looked up now."""
    names, known = prepared.task.secrets, prepared.tools.secrets
    if not names:
        return NOTHING_HIDDEN
    try:
        values = await asyncio.wait_for(asyncio.to_thread(known.values, names), KEYRING_S)
    except SecretError as error:
        return Ending("failed", f"secret_missing: {error}")
    except TimeoutError:
        return Ending("failed", f"secret_missing: the keyring did not answer within {KEYRING_S} s")
    return Hidden(values, known.masker(names))


async def baseline(prepared: Prepared, folder: str) -> checks.Baseline:
    """How the files that an `updated` rule names are before the first step; where that is over, what was kept of it in
    the run's folder."""
    if not checks.needs_baseline(prepared.task.acceptance):
        return checks.Baseline()
    return await asyncio.to_thread(_look_before, prepared, f"{folder}/{runs.BEFORE}")


def _look_before(prepared: Prepared, path: str) -> checks.Baseline:
    acceptance = prepared.task.acceptance
    if not prepared.past.begins:
        return checks.kept(path, acceptance)
    before = checks.baseline(acceptance, prepared.workspace)
    with suppress(OSError):  # a full disk: only a crash would need it
        files.replace_file(path, checks.pack(before))
    failpoint.reach("before.written")
    return before


async def inputs_of(prepared: Prepared) -> Ending | None:
    """Why the first step may not start, if a file that the task is to work on is not there. Raises OSError for a
    shortage of ours; so does `made_by`."""
    if not prepared.task.inputs or prepared.past.step:
        return None
    found = await _present(prepared, prepared.task.inputs, "inputs_missing")
    return found if isinstance(found, Ending) else None


async def made_by(prepared: Prepared) -> tuple[str, ...] | Ending:
    """The files that the task was to make."""
    return await _present(prepared, prepared.task.outputs, "outputs_missing") if prepared.task.outputs else ()


async def _present(prepared: Prepared, patterns: tuple[str, ...], word: str) -> tuple[str, ...] | Ending:
    try:
        return await asyncio.to_thread(checks.present, patterns, prepared.workspace)
    except checks.MissingError as missing:
        return Ending("failed", f"{word}: {missing}")
