"""The queue's transitions, each one rename. Whoever calls decides when; this decides how.

Methods do blocking file operations and are called from the committing threads, or from a command line.
"""

from __future__ import annotations

import os

from orchestrator import failpoint
from orchestrator.home import Home
from orchestrator.spool import files, names

TYPE_CHECKING = False  # as typing has it: importing typing alone would cost `submit` a tenth of its time
if TYPE_CHECKING:
    from typing import Literal

    End = Literal["done", "failed"]
    Scheduled = Literal["scheduled"]
else:
    End = Scheduled = str


class NameTaken(Exception):
    """The name already waits in inbox."""


class Spool:
    """The queue of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._ends = {"done": home.done, "failed": home.failed}

    # ── for every face ─────────────────────────────────────────────────────────────────────────

    def submit(self, name: str, data: bytes) -> str:
        """Accept a spec: when this returns, it is durable. Returns its path.

        Raises ValueError for a name that no spec may have, NameTaken if one of that name waits already.
        """
        if why := names.why_not_a_name(name):
            raise ValueError(why)
        try:
            files.place(self.home.inbox, name, data)
        except FileExistsError as error:
            raise NameTaken(f"{names.stem_of(name)} already waits in {self.home.inbox}") from error
        return f"{self.home.inbox}/{name}"

    def ask_to_cancel(self, target: str) -> None:
        """Leave the request that only the daemon can fulfil: `<id>.cancel` in inbox."""
        self._ask(target + names.CANCEL_SUFFIX)

    def ask_to_retry(self, target: str) -> None:
        """Say that what is pending of a task is to be looked at again: `<id>.retry` in inbox."""
        self._ask(target + names.RETRY_SUFFIX)

    def _ask(self, name: str) -> None:
        try:
            files.place(self.home.inbox, name, b"")
        except FileExistsError:
            return  # asked already

    def put_back(self, name: str, state: End | Scheduled) -> None:
        """Retry by hand: an ended spec goes back to inbox, its result gives up its place (the run keeps it). A
        recurring one goes there to be judged again."""
        folder = self.home.scheduled if state == "scheduled" else self._ends[state]
        try:
            files.rename_no_replace(f"{folder}/{name}", f"{self.home.inbox}/{name}")
        except FileExistsError as error:
            raise NameTaken(f"{names.stem_of(name)} already waits in {self.home.inbox}") from error
        failpoint.reach("back.renamed")
        _forget(f"{folder}/{names.result_name(names.stem_of(name))}")
        failpoint.reach("back.cleared")
        files.sync_folder(folder)
        files.sync_folder(self.home.inbox)

    def waiting_names(self) -> list[str]:
        """Every name in inbox that is not temporary, in no order."""
        with os.scandir(self.home.inbox) as entries:
            return [entry.name for entry in entries if not names.is_temporary(entry.name)]

    def running_names(self) -> list[str]:
        with os.scandir(self.home.running) as entries:
            return [entry.name for entry in entries if not names.is_temporary(entry.name)]

    def scheduled_names(self) -> list[str]:
        """The files that hold or pause recurring tasks."""
        with os.scandir(self.home.scheduled) as entries:
            return [entry.name for entry in entries if not names.is_temporary(entry.name)]

    def pause(self, stem: str) -> None:
        """Keep the recurring task of this name from being fired, until `resume`."""
        try:
            files.place(self.home.scheduled, stem + names.PAUSED_SUFFIX, b"")
        except FileExistsError:
            return  # it is

    def resume(self, stem: str) -> None:
        _forget(f"{self.home.scheduled}/{stem}{names.PAUSED_SUFFIX}")
        files.sync_folder(self.home.scheduled)

    # ── for the daemon alone ───────────────────────────────────────────────────────────────────

    def claim(self, name: str) -> os.stat_result:
        """inbox → running. Raises FileNotFoundError if it is gone, FileExistsError if the name is running."""
        running = f"{self.home.running}/{name}"
        files.rename_no_replace(f"{self.home.inbox}/{name}", running)
        failpoint.reach("claim.renamed")
        return os.lstat(running)

    def may_wait_again(self, name: str) -> os.stat_result | None:
        """The file of this name in running/; None where it is gone, or inbox holds another one of that name."""
        if os.path.lexists(f"{self.home.inbox}/{name}"):
            return None
        try:
            return os.lstat(f"{self.home.running}/{name}")
        except FileNotFoundError:
            return None

    def requeue(self, name: str) -> None:
        """running → inbox, for a run that started nothing, or after which there is to be another.

        Raises FileExistsError if the name waits again.
        """
        files.rename_no_replace(f"{self.home.running}/{name}", f"{self.home.inbox}/{name}")
        failpoint.reach("requeue.renamed")

    def finish(self, name: str, state: End, result: bytes, result_file: str, spec_file: str | None) -> None:
        """running → done or failed, the result beside it first; an earlier run of the name gives up its place.

        `result_file` is the run's own copy, which is linked rather than written again. `spec_file` is the run's copy
        of the spec, which takes the place of one that a person removed from running/. May be done twice.
        """
        folder = self._ends[state]
        self._put_result(names.stem_of(name), name, state, result, result_file)
        failpoint.reach("result.shown")
        try:
            _take_place(f"{self.home.running}/{name}", f"{folder}/{name}")
        except FileNotFoundError:
            if spec_file is None:
                raise
            if not os.path.lexists(f"{folder}/{name}"):
                files.copy(spec_file, f"{folder}/{name}")
        failpoint.reach("spec.renamed")

    def stage_refusal(self, result: bytes, end: End = "failed") -> str:
        """Write down why a file is refused, durable, under a temporary name that is for `refuse`. Takes a flush."""
        temporary = f"{self._ends[end]}/.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        files.write_new(temporary, result, sync=True)
        failpoint.reach("refusal.staged")
        return temporary

    def schedule(self, name: str) -> None:
        """inbox → scheduled, durably; an earlier version of it gives up its place, as does what an end of it left."""
        stem = names.stem_of(name)
        _take_place(f"{self.home.inbox}/{name}", f"{self.home.scheduled}/{name}")
        failpoint.reach("schedule.moved")
        for suffix in names.SPEC_SUFFIXES:
            if stem + suffix != name:
                _forget(f"{self.home.scheduled}/{stem}{suffix}")
        for folder in self._ends.values():
            if os.path.lexists(f"{folder}/{names.result_name(stem)}"):
                for left in (names.result_name(stem), *(stem + suffix for suffix in names.SPEC_SUFFIXES)):
                    _forget(f"{folder}/{left}")
                files.sync_folder(folder)
        files.sync_folder(self.home.scheduled)
        files.sync_folder(self.home.inbox)

    def refuse(
        self, name: str, staged: str, source: Literal["inbox", "scheduled"] = "inbox", end: End = "failed"
    ) -> None:
        """inbox → failed, for what is no task (a folder, a FIFO, bytes that no parser takes); inbox → done, for what
        holds several; or scheduled → failed, for a recurring one that is taken out."""
        stem = names.stem_of(name)
        os.rename(staged, f"{self._ends[end]}/{names.result_name(stem)}")
        failpoint.reach("refusal.shown")
        self._clear_place(stem, name, end)
        _take_place(f"{self.home.queue}/{source}/{name}", f"{self._ends[end]}/{name}")
        failpoint.reach("refusal.moved")

    def folders(self, state: End) -> tuple[str, ...]:
        """The folders to sync after `finish`."""
        return self._ends[state], self.home.running, self.home.inbox

    def remove_request(self, name: str) -> None:
        """A request in inbox was fulfilled."""
        _forget(f"{self.home.inbox}/{name}")
        failpoint.reach("request.removed")

    def _put_result(self, stem: str, name: str, state: End, result: bytes, result_file: str) -> None:
        """The result beside the place where the spec will stand; what earlier runs of the name left is taken away."""
        shown = names.result_name(stem)
        other = self._ends["failed" if state == "done" else "done"]
        fresh = files.link_new(result_file, f"{self._ends[state]}/{shown}")
        if not fresh:
            files.replace_file(f"{self._ends[state]}/{shown}", result)
        # An ended spec has its result beside it: where neither folder showed one, there is nothing to take away.
        if not fresh or os.path.lexists(f"{other}/{shown}"):
            self._clear_place(stem, name, state)

    def _clear_place(self, stem: str, name: str, state: End) -> None:
        """A name stands in one state: take away what earlier runs of it left in done/ and failed/."""
        other = self._ends["failed" if state == "done" else "done"]
        _forget(f"{other}/{names.result_name(stem)}")
        for suffix in ("", *names.SPEC_SUFFIXES):
            candidate = stem + suffix
            if candidate != name:
                _forget(f"{self._ends[state]}/{candidate}")
            _forget(f"{other}/{candidate}")


def _take_place(old: str, new: str) -> None:
    """Rename, and where an earlier run of the same name stands there, take its place."""
    try:
        files.rename_no_replace(old, new)
    except FileExistsError:
        _forget(new)
        failpoint.reach("earlier.removed")
        files.rename_no_replace(old, new)


def _forget(path: str) -> None:
    """Remove an entry that an earlier run left; its history stays in the run's folder."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        # A refused folder was moved to failed/ whole; never delete a person's folder: number it instead.
        if not os.path.isdir(path):
            raise
        import shutil

        number = 1
        while os.path.lexists(f"{path}.{number}"):
            number += 1
        shutil.move(path, f"{path}.{number}")
