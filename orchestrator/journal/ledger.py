"""The durable life of one run: begin, each step's start, the end. Whoever runs tasks knows only this.

Writes and renames are made in the event loop, into the page cache; two threads make them durable, so that neither
waits for the other: one syncs the journal (a start must be durable before its program is spawned), one the folders
through which finished specs went.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Literal, NamedTuple

from orchestrator import approvals, failpoint
from orchestrator.approvals import Answer
from orchestrator.event import utc_now
from orchestrator.home import Home
from orchestrator.journal import keys, retries, runs
from orchestrator.journal.group import GroupSync
from orchestrator.journal.log import Journal, Unfinished
from orchestrator.journal.mend import mend_results
from orchestrator.journal.past import FRESH, Past
from orchestrator.journal.recovery import requeue
from orchestrator.outcome import Again, Outcome, StepResult
from orchestrator.spool import files
from orchestrator.spool.queue import End, Spool
from orchestrator.spool.reading import Signature, signature_of

NEWS_S = 1.0  # by then all sinks that work have heard of an end
LINGER_S = 0.02  # what moved is seen at once; only the news of it, and the journal's forgetting, wait for the sync


class _Closed(NamedTuple):
    """A run that is over, since when, and the record that says so."""

    since: float
    name: str
    record: dict[str, Any]


class Changed(Exception):
    """The file, or the answer about it, is not what was read before it was claimed; it is back in inbox."""


@dataclass(slots=True)
class Run:
    """One claimed spec: its name in the queue, its number, its folder, and what the journal still has to hear."""

    id: str
    name: str
    number: int
    folder: str
    segment: int
    inode: int = 0
    """Of the spec's file; 0 where a dead daemon had claimed it."""
    pending: list[dict[str, Any]] = field(default_factory=list)
    recorded: object = None
    """The start or the end that the journal was last given: a second try only asks for the sync."""


class Ledger:
    """All durable transitions of the daemon. Methods are called from the event loop."""

    def __init__(self, home: Home, spool: Spool) -> None:
        self._home = home
        self._spool = spool
        self._journal = Journal(home.journal)
        self._closed: deque[_Closed] = deque()
        self._unclosed: set[str] = set()
        self._active: dict[tuple[str, int], Run] = {}
        self._owed: dict[str, tuple[Run, Answer | None]] = {}
        self._folders: deque[str] = deque()
        self._cleaned = 0

    async def open(self, left: Iterable[Unfinished] = (), closed: Iterable[Unfinished] = ()) -> list[Run]:
        """Begin a journal segment and start the two threads that sync. Call after recovery.

        `left` are runs whose end is still to come, which are returned as such; `closed` such as need none.
        """
        self._journal.open()
        self._cleaned = self._journal.number
        await asyncio.to_thread(mend_results, self._home)
        taken = [self._adopt(run) for run in left]
        needed = [run.segment for run in taken]
        for run in closed:
            self._note_closed(run.id, run.run, run.name)
            needed.append(run.segment)  # until that is on record
        self._journal.drop_before(min(needed, default=self._cleaned))
        self._records = GroupSync("journal", self._journal.sync)
        self._moves = GroupSync("spool", self._sync_folders, linger_s=LINGER_S)
        return taken

    def _adopt(self, left: Unfinished) -> Run:
        run = Run(left.id, left.name, left.run, f"{self._home.runs}/{left.id}/{left.run}", left.segment)
        run.recorded = left.state or None
        self._active[(run.id, run.number)] = run
        return run

    async def close(self) -> None:
        """Make everything durable that was asked for, and leave no more to recover than there is."""
        await self._moves.close()
        self._append_closed(float("inf"))
        # On a full disk these records are lost, and the next start finds out by itself what they would have said.
        self._records.synced().add_done_callback(lambda synced: synced.exception())
        await self._records.close()
        self._journal.close()

    async def begin(
        self,
        name: str,
        signature: Signature,
        task_id: str,
        spec: bytes,
        sha256: str,
        *,
        starts: bool,
        answer: Answer | None = None,
        carried: str = "",
        past: Past = FRESH,
        key: str | None = None,
        sandbox: str = "none",
    ) -> Run:
        """Claim a waiting spec, make its run's folder and, if `starts`, record that its first step starts.

        A person's `answer` about it is used up before that, unless it was used by the run in the folder `carried`,
        whose next attempt this is; of a `past` the run gets the outputs; if it `starts`, it takes the idempotency
        `key`. Durable when it returns. Raises FileNotFoundError (gone), FileExistsError (its name is running), Changed,
        or OSError; after any of them the file is where it was and nothing has begun.
        """
        if name in self._unclosed:
            await self._forget_closed(name)
        if signature_of(self._spool.claim(name)) != signature:
            self._spool.requeue(name)
            raise Changed(name)
        run, unused = None, None if carried else answer
        try:
            number, folder = runs.create(self._home.runs, task_id, partial(self._shown, name, task_id))
            run = Run(task_id, name, number, folder, self._journal.number, signature[0])
            self._active[(task_id, number)] = run
            files.write_new(f"{folder}/{runs.SPEC}", spec)
            if past.source is not None:
                runs.take_over(f"{self._home.runs}/{task_id}/{past.source}", folder, _files_of(past))
            if carried:
                runs.take_over(carried, folder, [approvals.USED])
            failpoint.reach("run.made")
            if unused is not None:
                await asyncio.to_thread(approvals.use, self._home, unused, folder)
            if starts and key is not None:
                taken = keys.take(self._home, keys.Holder(key, task_id, number, name), past.follows)
                await asyncio.to_thread(keys.keep, self._home, taken)
            if starts:
                first: dict[str, Any] = {"name": name, "sha256": sha256, "sandbox": sandbox}
                if answer is not None:
                    first["policy"] = answer.told()
                if past != FRESH:
                    first |= {"source": past.source, "past": past.results, "tried": past.tried}
                self._append(run, self._start_record(run, past.step, past.attempt, past.reruns) | first)
                await self._records.synced()
                if past != FRESH:
                    retries.withdraw(self._home, task_id, run.inode)
                    failpoint.reach("retry.met")
        except (approvals.Withdrawn, keys.Taken) as error:
            self._give_up(name, run, unused)
            raise Changed(name) from error
        except OSError:
            self._give_up(name, run, unused)
            raise
        return run

    async def start_step(self, run: Run, step: int, attempt: int, reruns: int = 0) -> None:
        """Record durably that a step is about to start. `reruns` is how many of its starts came to no end.

        Raises OSError if the disk does not take it; calling it again goes on where it stopped.
        """
        if run.recorded != (step, attempt):
            self._append(run, self._start_record(run, step, attempt, reruns))
            run.recorded = step, attempt
        await self._records.synced()

    async def wait_for_attempt(self, run: Run, failed: StepResult, wait_ms: float, due: float) -> None:
        """Record durably that an attempt failed, and when the next one is due (seconds since the epoch).

        Raises OSError if the disk does not take it; calling it again goes on where it stopped.
        """
        if run.recorded != (failed.step, failed.attempts, due):
            record = {"r": "wait", "id": run.id, "run": run.number, "step": failed.step, "result": failed}
            self._append(run, record | {"wait_ms": wait_ms, "due": due})
            run.recorded = failed.step, failed.attempts, due
        await self._records.synced()
        failpoint.reach("attempt.failed")

    def end_step(self, run: Run, result: StepResult) -> None:
        """Note a step's end; it becomes durable with the run's next record."""
        run.pending.append({"r": "end", "id": run.id, "run": run.number, "result": result})

    def note_ends(self, run: Run) -> asyncio.Future[None]:
        """Make the ends that were noted durable, of whom nothing else will soon; done when they are, or an OSError."""
        self._journal.append(*run.pending)
        run.pending.clear()
        return self._records.synced()

    async def conclude(self, run: Run, outcome: Outcome) -> None:
        """End the run: result durable, then beside, then the spec in done/ or failed/, then the folders synced.

        Raises OSError if the disk does not take it; calling it again goes on where it stopped.
        """
        state: End = "done" if outcome.ok else "failed"
        await self._record_result(run, state, outcome)
        result = runs.result_bytes(outcome)
        path = self._write_result(run, result)
        self._spool.finish(run.name, state, result, path, f"{run.folder}/{runs.SPEC}")
        if run.inode and outcome.attempt > 1 and outcome.status != "blocked":  # cancelled before it began, say
            retries.withdraw(self._home, run.id, run.inode)
        await self._over(run, self._spool.folders(state))

    async def put_off(self, run: Run, outcome: Outcome, again: Again) -> bool:
        """End the run, and put its spec back into inbox for the next attempt: result durable, when the attempt is due
        durable, then the spec in inbox, then the folders synced. Raises OSError as `conclude` does.

        False where its file was taken away, or a newer one of its name waits in inbox: then the task ends here.
        """
        file = self._spool.may_wait_again(run.name)
        if file is None:
            return False
        await self._record_result(run, "inbox", outcome)
        self._write_result(run, runs.result_bytes(outcome))
        pending = retries.next_attempt(run.id, outcome, again, file)
        await asyncio.to_thread(retries.ask, self._home, pending)
        try:
            self._spool.requeue(run.name)
        except (FileExistsError, FileNotFoundError):
            retries.withdraw(self._home, run.id, pending.signature[0])
            return False
        await self._over(run, (self._home.inbox, self._home.running))
        return True

    async def _record_result(self, run: Run, state: str, outcome: Outcome) -> None:
        if run.recorded != state:
            record = {"r": "result", "id": run.id, "run": run.number, "name": run.name, "state": state}
            self._append(run, record | {"result": outcome})
            run.recorded = state
        await self._records.synced()
        failpoint.reach("result.journaled")

    def _write_result(self, run: Run, result: bytes) -> str:
        path = runs.write_result(run.folder, result)
        failpoint.reach("result.written")
        return path

    async def _over(self, run: Run, folders: Iterable[str]) -> None:
        """The spec stands where it belongs: make that durable, and let the journal forget the run."""
        self._folders.extend(folders)
        await self._moves.synced()
        failpoint.reach("end.synced")
        self._active.pop((run.id, run.number), None)
        self._note_closed(run.id, run.number, run.name)
        if self._journal.number != self._cleaned:
            await self._clean()

    async def refuse(
        self,
        name: str,
        outcome: Outcome,
        source: Literal["inbox", "scheduled"] = "inbox",
        end: Literal["done", "failed"] = "failed",
    ) -> None:
        """inbox → failed for a file that is no task at all, with the result that says why; scheduled → failed; or
        inbox → done for a file that is no task by itself, with the result that says which came of it."""
        staged = await asyncio.to_thread(self._spool.stage_refusal, runs.result_bytes(outcome), end)
        self._spool.refuse(name, staged, source, end)
        self._folders.extend((f"{self._home.queue}/{source}", *self._spool.folders(end)))
        await self._moves.synced()

    def clear_running(self, name: str) -> Outcome | None:
        """running/ holds a file of this name that no run of ours claimed: to inbox, or ended if a newer one waits."""
        ended = requeue(self._home, self._spool, name)
        self._pay_back(name)
        return ended

    def _note_closed(self, task_id: str, number: int, name: str) -> None:
        self._closed.append(_Closed(monotonic(), name, {"r": "closed", "id": task_id, "run": number}))
        self._unclosed.add(name)

    def is_open(self, task_id: str, number: int) -> bool:
        """Whether a run was begun here and its end is not yet durably in done/ or failed/. From any thread."""
        return (task_id, number) in self._active

    def _shown(self, name: str, task_id: str) -> int:
        """The number of the run of this task that done/ or failed/ show under this name; 0 if they show none."""
        found = (result.get("run") for _, result in runs.shown(self._home, name) if result.get("id") == task_id)
        return max((run for run in found if isinstance(run, int)), default=0)

    async def _clean(self) -> None:
        """A segment was filled: drop those that no unfinished run needs, the results in them synced first (`mend`)."""
        self._cleaned = self._journal.number
        # The run that filled the segment is over whatever comes of this: the next one cleans then.
        with contextlib.suppress(OSError):
            await self._forget_closed()
            self._cleaned = self._journal.number
            oldest = min((run.segment for run in self._active.values()), default=self._cleaned)
            home = self._home
            await asyncio.to_thread(files.sync_file_systems, home.state, home.done, home.failed)
            self._journal.drop_before(min(oldest, self._cleaned))

    async def _forget_closed(self, name: str = "") -> None:
        """Make it durable that ended runs, or those of one name, are over. Before a name is claimed again the journal
        must know: else, after a crash in the claim, recovery would take the new file in running/ for the earlier one.
        """
        names = {name} if name else set(self._unclosed)
        closed = [over for over in self._closed if over.name in names]
        self._closed = deque(over for over in self._closed if over.name not in names)
        if closed:
            self._journal.append(*(over.record for over in closed))
        await self._records.synced()
        self._unclosed -= names

    def _give_up(self, name: str, run: Run | None, answer: Answer | None) -> None:
        """The disk is full or the like: nothing was started, the spec waits on."""
        if run is not None:
            self._active.pop((run.id, run.number), None)
            # Right behind its start, which the next sync may yet write: nothing of it was started.
            self._journal.append({"r": "closed", "id": run.id, "run": run.number})
            self._unclosed.add(name)
            self._owed[name] = run, answer
        self._spool.requeue(name)
        self._pay_back(name)

    def _pay_back(self, name: str) -> None:
        """A claim that was given up leaves nothing: no folder of a run, and the answer that it used counts again."""
        run, answer = self._owed.pop(name, (None, None))
        if run is not None:
            if answer is not None:
                approvals.give_back(self._home, answer, run.folder)
            runs.discard(self._home.runs, run.id, run.number)
            failpoint.reach("run.discarded")

    @staticmethod
    def _start_record(run: Run, step: int, attempt: int, reruns: int) -> dict[str, Any]:
        again = {"reruns": reruns} if reruns else {}
        return {
            "r": "start",
            "id": run.id,
            "run": run.number,
            "step": step,
            "attempt": attempt,
            "ts": utc_now(),
            **again,
        }

    def _append(self, run: Run, record: dict[str, Any]) -> None:
        self._append_closed()
        self._journal.append(*run.pending, record)
        run.pending.clear()

    def _append_closed(self, until: float | None = None) -> None:
        """Say which runs are over. Not at once: after a crash a run that is not closed is looked up in telemetry, and
        its end is told if that has not heard of it."""
        until = monotonic() - NEWS_S if until is None else until
        closed = []
        while self._closed and self._closed[0].since <= until:
            closed.append(self._closed.popleft().record)
        if closed:
            self._journal.append(*closed)

    def _sync_folders(self) -> None:
        """In the spool's thread: once each, all that were touched."""
        for folder in {self._folders.popleft() for _ in range(len(self._folders))}:
            files.sync_folder(folder)


def _files_of(past: Past) -> list[str]:
    """What a new run needs of the earlier one's folder: outputs, and how the files were before all of it."""
    paths = [path for result in past.results for path in (result.stdout_path, result.stderr_path) if path]
    return [*paths, runs.BEFORE]
