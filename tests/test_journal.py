"""The journal, the group commit and recovery, on real files."""

import asyncio
import dataclasses
import errno
import json
import os
import shutil
import threading

import pytest

from orchestrator import approvals
from orchestrator.approvals import Answer
from orchestrator.journal import log as journal_log
from orchestrator.journal import retries
from orchestrator.journal.group import GroupSync
from orchestrator.journal.ledger import Changed, Ledger
from orchestrator.journal.log import Journal, read_unfinished
from orchestrator.journal.mend import mend_results
from orchestrator.journal.recovery import recover
from orchestrator.outcome import Again, Outcome, StepResult
from orchestrator.spool import files
from orchestrator.spool.queue import Spool
from orchestrator.spool.reading import signature_of


@pytest.fixture
def spool(home):
    return Spool(home)


@pytest.fixture
async def ledger(home, spool):
    ledger = Ledger(home, spool)
    await ledger.open()
    yield ledger
    await ledger.close()


def spec_of(task_id="a", steps=1, **fields):
    calls = [{"skill": "bash", "args": ["-c", "x"]} for _ in range(steps)]
    return json.dumps({"id": task_id, "title": "A title", "skills": ["bash"], "steps": calls} | fields).encode()


SPEC = spec_of()


def drop(home, name="a.json", data=SPEC):
    files.write_new(f"{home.inbox}/{name}", data)
    return signature_of(os.stat(f"{home.inbox}/{name}"))


def sha256(home, name):
    import hashlib

    with open(f"{home.inbox}/{name}", "rb") as handle:
        return hashlib.sha256(handle.read()).hexdigest()


def outcome(status="ok", run=1):
    return Outcome(id="a", run=run, name="a.json", status=status, reason=None, title="A title")


def step(index=0):
    return StepResult(step=index, skill="bash", args=("-c", "x"), status="ok", code=0)


async def begin(ledger, home, *, spec=SPEC, **options):
    signature, digest = drop(home, data=spec), sha256(home, "a.json")
    return await ledger.begin("a.json", signature, "a", spec, digest, **{"starts": True} | options)


async def settle(home, spool):
    """What a start does: recovery, and the ends that it found are written down. Returns what was found."""
    found = recover(home, spool)
    successor = Ledger(home, spool)
    taken = await successor.open([left.told for left in found.left], found.closed)
    for left, run in zip(found.left, taken, strict=True):
        if left.outcome is not None:
            await successor.conclude(run, left.outcome)
    await successor.close()
    return found


def statuses(found):
    """How the runs that were found end; None for those that go on."""
    return [(left.told.name, left.outcome and left.outcome.status) for left in found.left]


def approval():
    times = {"at": "2026-01-01T00:00:00.000Z", "until": "2100-01-01T00:00:00.000Z"}
    return Answer("approved", "a", "a.json", "0" * 64, (), by="anna@host", via="a terminal", **times)


def tree(home):
    return {state: sorted(os.listdir(getattr(home, state))) for state in ("inbox", "running", "done", "failed")}


async def test_all_who_ask_during_a_sync_share_the_next_one():
    syncs = []
    first, go_on = threading.Event(), threading.Event()

    def sync():
        syncs.append(None)
        if len(syncs) == 1:
            first.set()
            go_on.wait()

    group = GroupSync("test", sync)
    asked = [group.synced()]
    await asyncio.to_thread(first.wait)
    asked += [group.synced() for _ in range(20)]
    go_on.set()
    await asyncio.gather(*asked)
    assert len(syncs) == 2
    await group.close()


async def test_a_sync_that_fails_is_told_to_all_who_waited_for_it_and_to_nobody_else():
    broken = True

    def sync():
        if broken:
            raise OSError(28, "No space left on device")

    group = GroupSync("test", sync)
    for answer in await asyncio.gather(group.synced(), group.synced(), return_exceptions=True):
        assert isinstance(answer, OSError)
    broken = False
    assert await group.synced() is None
    await group.close()


async def test_what_was_asked_for_before_closing_is_still_synced():
    syncs = []
    group = GroupSync("test", lambda: syncs.append(None), linger_s=10)
    asked = group.synced()
    await group.close()
    await asked
    assert syncs


async def test_a_whole_run_leaves_its_spec_and_result_in_done_and_nothing_to_recover(home, spool, ledger):
    run = await begin(ledger, home)
    assert tree(home)["running"] == ["a.json"]
    ledger.end_step(run, step())
    await ledger.conclude(run, outcome())
    assert tree(home) == {"inbox": [], "running": [], "done": ["a.json", "a.result.json"], "failed": []}
    with open(f"{home.runs}/a/1/result.json") as own, open(f"{home.done}/a.result.json") as beside:
        assert json.load(own) == json.load(beside)
    await ledger.close()
    assert read_unfinished(home.journal) == ([], 0)
    assert len(recover(home, spool)) == 0


async def test_a_start_is_on_record_before_begin_returns(home, ledger):
    run = await begin(ledger, home)
    (known,), _ = read_unfinished(home.journal)
    assert (known.id, known.run, known.name) == ("a", run.number, "a.json")
    assert known.last_start["step"] == 0


async def test_a_file_that_changed_after_it_was_read_is_not_begun(home, ledger):
    signature = drop(home)
    with open(f"{home.inbox}/a.json", "ab") as handle:
        handle.write(b" ")
    with pytest.raises(Changed):
        await ledger.begin("a.json", signature, "a", b"{}", "", starts=True)
    assert tree(home)["inbox"] == ["a.json"]


async def test_when_the_run_folder_cannot_be_made_the_spec_waits_on(home, ledger, monkeypatch):
    signature = drop(home)
    monkeypatch.setattr(
        files, "write_all", lambda fd, data: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        await ledger.begin("a.json", signature, "a", b"{}", "", starts=True)
    assert tree(home) == {"inbox": ["a.json"], "running": [], "done": [], "failed": []}


async def test_a_run_is_not_over_before_the_folders_of_its_spec_are_synced(home, ledger, monkeypatch):
    run = await begin(ledger, home)
    touched = {home.running, home.inbox, home.done}
    real, synced = files.sync_folder, []
    monkeypatch.setattr(files, "sync_folder", lambda folder: (synced.append(folder), real(folder)))
    await ledger.conclude(run, outcome())
    assert touched <= set(synced)


async def test_runs_of_one_id_are_numbered(home, ledger):
    for number in (1, 2, 3):
        run = await begin(ledger, home)
        assert run.number == number
        await ledger.conclude(run, outcome(run=number))
    assert sorted(os.listdir(f"{home.runs}/a")) == ["1", "2", "3"]


async def test_a_spec_that_was_claimed_and_never_started_goes_back_to_inbox(home, spool, ledger):
    await begin(ledger, home, starts=False)
    assert recover(home, spool).requeued == ["a.json"]
    assert tree(home)["inbox"] == ["a.json"]


async def test_a_started_run_is_recovered_as_interrupted_with_what_it_had_done(home, spool, ledger):
    run = await begin(ledger, home, spec=spec_of(steps=2))
    ledger.end_step(run, step(0))
    await ledger.start_step(run, 1, 1)
    files.write_new(f"{run.folder}/1-bash.out", b"half a line")
    assert statuses(await settle(home, spool)) == [("a.json", "interrupted")]
    with open(f"{home.failed}/a.result.json") as handle:
        result = json.load(handle)
    assert result["status"] == "interrupted"
    assert [(r["step"], r["status"]) for r in result["results"]] == [(0, "ok"), (1, "interrupted")]
    assert result["results"][1]["stdout"] == "half a line"
    assert tree(home) == {"inbox": [], "running": [], "done": [], "failed": ["a.json", "a.result.json"]}


async def test_a_run_whose_result_is_on_record_is_finished_not_interrupted(home, spool, ledger, monkeypatch):
    run = await begin(ledger, home)

    def cut(*_):
        raise OSError(5, "power cut")

    monkeypatch.setattr(spool, "finish", cut)
    with pytest.raises(OSError, match="power cut"):
        await ledger.conclude(run, outcome())
    monkeypatch.undo()
    assert tree(home)["running"] == ["a.json"]
    assert statuses(await settle(home, spool)) == [("a.json", "ok")]
    assert tree(home)["done"] == ["a.json", "a.result.json"]


async def test_a_claim_that_a_power_cut_took_back_is_still_interrupted_and_not_run_twice(home, spool, ledger):
    await begin(ledger, home)
    os.rename(f"{home.running}/a.json", f"{home.inbox}/a.json")
    assert statuses(await settle(home, spool)) == [("a.json", "interrupted")]
    assert tree(home)["inbox"] == tree(home)["running"] == []


async def test_a_new_spec_dropped_under_the_name_of_a_concluded_run_is_left_to_run(home, spool, ledger):
    run = await begin(ledger, home)
    await ledger.conclude(run, outcome())
    drop(home)  # the same bytes again, and the `closed` record is not written yet
    assert len(recover(home, spool)) == 0
    assert tree(home)["inbox"] == ["a.json"]


async def test_recovering_twice_changes_nothing_more(home, spool, ledger):
    await begin(ledger, home)
    await settle(home, spool)
    before = tree(home)
    assert len(await settle(home, spool)) == 0
    assert tree(home) == before


async def test_rotation_keeps_what_an_unfinished_run_needs_and_drops_the_rest(home, spool, ledger, monkeypatch):
    monkeypatch.setattr(journal_log, "SEGMENT_BYTES", 1)
    long_run = await begin(ledger, home)
    drop(home, "b.json")
    for number in range(5):
        run = await ledger.begin("b.json", signature_of(os.stat(f"{home.inbox}/b.json")), "b", b"{}", "", starts=True)
        await ledger.conclude(run, Outcome(id="b", run=run.number, name="b.json", status="ok", reason=None, title=""))
        drop(home, "b.json")
        assert number + 1 == run.number
    known, _ = read_unfinished(home.journal)
    assert ("a", long_run.number) in {(run.id, run.run) for run in known}
    await ledger.conclude(long_run, outcome())
    assert len(os.listdir(home.journal)) == 1


def test_a_torn_last_line_is_counted_and_does_not_hide_the_others(home):
    journal = Journal(home.journal)
    journal.open()
    journal.append({"r": "start", "id": "a", "run": 1, "step": 0, "name": "a.json"})
    journal.sync()
    with open(f"{home.journal}/0000000001.ndjson", "ab") as handle:
        handle.write(b'{"r":"result","id":"a","ru')
    known, torn = read_unfinished(home.journal)
    assert [run.id for run in known] == ["a"]
    assert torn == 1


def test_a_record_that_did_not_fit_on_the_disk_leaves_no_half_line(home, monkeypatch):
    journal = Journal(home.journal)
    journal.open()
    journal.append({"r": "start", "id": "a", "run": 1, "step": 0})
    journal.sync()
    journal.append({"r": "start", "id": "b", "run": 1, "step": 0})
    real, full = os.write, []
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: 0 if full else full.append(1) or real(fd, bytes(data)[:5]))
        with pytest.raises(OSError, match="No space"):
            journal.sync()
    assert read_unfinished(home.journal)[1] == 0
    journal.append({"r": "start", "id": "c", "run": 1, "step": 0})
    journal.sync()
    known, torn = read_unfinished(home.journal)
    assert [run.id for run in known] == ["a", "b", "c"]
    assert torn == 0


def test_a_half_line_that_could_not_be_taken_back_at_once_is_before_the_next_is_written(home, monkeypatch):
    journal = Journal(home.journal)
    journal.open()
    journal.append({"r": "start", "id": "a", "run": 1, "step": 0})
    real, calls = os.write, []

    def refuse(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: refuse() if calls else calls.append(1) or real(fd, bytes(data)[:5]))
        patch.setattr(os, "ftruncate", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                journal.sync()
    journal.sync()
    known, torn = read_unfinished(home.journal)
    assert ([run.id for run in known], torn) == (["a"], 0)


def test_a_system_that_can_not_sync_content_alone_syncs_all_of_the_file(home, monkeypatch):
    monkeypatch.delattr(os, "fdatasync")  # as on macOS
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(fd) or real(fd))
    journal = Journal(home.journal)
    journal.open()
    synced.clear()
    journal.append({"r": "start", "id": "a", "run": 1})
    journal.sync()
    assert len(synced) == 1


async def test_a_name_claimed_again_is_never_taken_for_its_earlier_run_after_a_crash(home, spool, ledger):
    first = await begin(ledger, home)
    await ledger.conclude(first, outcome())
    os.unlink(f"{home.done}/a.json")
    os.unlink(f"{home.done}/a.result.json")
    await begin(ledger, home, starts=False)
    found = recover(home, spool)  # what is on the disk at this moment is what a crash would leave
    assert found.requeued == ["a.json"]
    assert tree(home)["inbox"] == ["a.json"]


async def test_a_start_that_did_not_become_durable_is_closed_with_it(home, spool, ledger, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="No space"):
            await begin(ledger, home)
    await ledger._records.synced()
    assert recover(home, spool).left == []
    assert tree(home)["inbox"] == ["a.json"]


async def test_an_end_that_is_tried_again_is_written_once(home, ledger, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    run = await begin(ledger, home)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        for _ in range(5):
            with pytest.raises(OSError, match="No space"):
                await ledger.conclude(run, outcome())
    await ledger.conclude(run, outcome())
    with open(f"{home.journal}/{os.listdir(home.journal)[0]}") as segment:
        assert [json.loads(line)["r"] for line in segment] == ["start", "result"]


def test_a_segment_that_could_not_be_begun_is_begun_at_the_next_try(home, monkeypatch):
    journal = Journal(home.journal)
    journal.open()
    monkeypatch.setattr(journal_log, "SEGMENT_BYTES", 1)
    journal.append({"r": "start", "id": "a", "run": 1})
    journal.sync()
    journal.append({"r": "start", "id": "b", "run": 1})
    with monkeypatch.context() as patch:

        def short_of_descriptors(folder):
            raise OSError(24, "Too many open files")

        patch.setattr(files, "sync_folder", short_of_descriptors)
        with pytest.raises(OSError, match="Too many"):
            journal.sync()
    journal.sync()
    journal.close()
    assert [run.id for run in read_unfinished(home.journal)[0]] == ["a", "b"]


async def test_a_segment_that_could_not_be_cleaned_does_not_undo_the_end_of_a_run(home, ledger, monkeypatch):
    monkeypatch.setattr(journal_log, "SEGMENT_BYTES", 1)
    run = await begin(ledger, home)

    def short_of_descriptors(*paths):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(files, "sync_file_systems", short_of_descriptors)
    await ledger.conclude(run, outcome())
    assert "0000000001.ndjson" in os.listdir(home.journal), "its results are not on the disk"
    assert tree(home)["done"] == ["a.json", "a.result.json"]


async def test_an_approval_moves_into_the_folder_of_the_run_that_it_lets_start(home, ledger):
    approvals.give(home, approval())
    run = await begin(ledger, home, answer=approval())
    assert approvals.used_by(run.folder) == approval()
    assert list(approvals.everything(home)) == []


async def test_a_claim_whose_approval_is_gone_starts_nothing_and_is_looked_at_again(home, ledger):
    with pytest.raises(Changed):
        await begin(ledger, home, answer=approval())
    assert (os.listdir(home.inbox), os.listdir(f"{home.runs}/a")) == (["a.json"], [])


async def test_a_start_that_the_disk_refuses_leaves_the_approval_unused(home, ledger, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    approvals.give(home, approval())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="No space"):
            await begin(ledger, home, answer=approval())
    assert list(approvals.everything(home)) == [approval()]
    assert (os.listdir(home.inbox), os.listdir(f"{home.runs}/a")) == (["a.json"], [])


async def test_a_claim_that_finds_no_way_back_leaves_the_approval_unused_once_it_is_fetched(
    home, ledger, spool, monkeypatch
):
    def refuse(*args):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    approvals.give(home, approval())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        patch.setattr(spool, "requeue", refuse)
        with pytest.raises(OSError, match="Read-only"):
            await begin(ledger, home, answer=approval())
    assert os.listdir(home.running) == ["a.json"]
    ledger.clear_running("a.json")
    assert list(approvals.everything(home)) == [approval()]
    assert (os.listdir(home.inbox), os.listdir(f"{home.runs}/a")) == (["a.json"], [])


async def test_a_result_that_a_power_cut_took_is_written_again_in_both_places(home, ledger):
    run = await begin(ledger, home)
    await ledger.conclude(run, outcome())
    await ledger._forget_closed()
    places = [f"{home.runs}/a/1/result.json", f"{home.done}/a.result.json"]
    for path in places:
        os.truncate(path, 0)  # as ext4 leaves a file whose folder was synced and its content was not
    assert mend_results(home) == ["a.json"]
    assert [json.load(open(path))["title"] for path in places] == ["A title"] * 2
    assert mend_results(home) == []


async def test_a_history_that_a_person_removed_is_not_made_again(home, spool, ledger):
    run = await begin(ledger, home)
    await ledger.conclude(run, outcome())
    shutil.rmtree(f"{home.runs}/a")
    spool.put_back("a.json", "done")
    assert mend_results(home) == []
    assert tree(home) == {"inbox": ["a.json"], "running": [], "done": [], "failed": []}


async def cut_off(home, spool, starts):
    """A daemon that takes up what the last one left, starts it again, and dies; how the next one would judge it."""
    found = recover(home, spool)
    ledger = Ledger(home, spool)
    (run,) = await ledger.open([left.told for left in found.left], found.closed)
    past = found.left[0].past
    starts.append((past.step, past.attempt))
    await ledger.start_step(run, past.step, past.attempt, past.reruns)
    await ledger.close()


async def test_a_failed_attempt_and_when_the_next_is_due_are_on_record_before_that_is_waited_for(home, spool, ledger):
    run = await begin(ledger, home)
    failed = StepResult(step=0, skill="bash", args=("-c", "x"), status="failed", code=3, failure="exit_code")
    await ledger.wait_for_attempt(run, failed, 50.0, 1234.5)
    (left,) = recover(home, spool).going_on
    assert (left.past.step, left.past.attempt, left.past.due, left.past.failed) == (0, 2, 1234.5, failed)
    assert [(each.attempt, each.code, each.wait_ms) for each in left.past.earlier] == [(1, 3, 50.0)]
    await ledger.start_step(run, 0, 2)
    (left,) = recover(home, spool).left
    assert (left.past.attempt, left.past.failed, left.past.reruns) == (3, None, 1)
    assert [(each.attempt, each.status) for each in left.past.earlier] == [(1, "failed"), (2, "interrupted")]


async def test_a_spec_that_is_back_for_its_next_attempt_stays_there(home, spool, ledger):
    run = await begin(ledger, home)
    again = Again(attempt=2, of=4, at="2026-01-31T12:00:00.000Z", wait_ms=50.0, step=0)
    failed = dataclasses.replace(outcome("failed"), again=again)
    assert await ledger.put_off(run, failed, again)
    found = recover(home, spool)
    assert (found.left, [told.id for told in found.over], os.listdir(home.inbox)) == ([], ["a"], ["a.json"])
    pending = retries.find(home, "a", signature_of(os.stat(f"{home.inbox}/a.json")))
    assert (pending.run, pending.tried, pending.of, pending.due) == (1, 1, 4, 1769860800.0)
    assert os.listdir(home.failed) == []


async def test_a_step_is_run_again_three_times_at_most_however_many_daemons_die_of_it(home, spool, ledger):
    run = await begin(ledger, home, spec=spec_of(steps=2, on_interrupt="retry"))
    ledger.end_step(run, step(0))
    await ledger.start_step(run, 1, 1)
    starts = []
    while recover(home, spool).going_on:
        await cut_off(home, spool, starts)
    assert starts == [(1, 2), (1, 3), (1, 4)]
    assert statuses(await settle(home, spool)) == [("a.json", "interrupted")]
    with open(f"{home.failed}/a.result.json") as handle:
        result = json.load(handle)
    assert "it was run again 3 times already" in result["reason"]
    assert [(each["step"], each["attempts"]) for each in result["results"]] == [(0, 1), (1, 4)]


async def test_checks_that_end_the_daemon_do_not_do_so_for_ever(home, spool, ledger):
    run = await begin(ledger, home)
    ledger.end_step(run, step(0))
    await ledger.note_ends(run)
    starts = []
    while recover(home, spool).going_on:
        await cut_off(home, spool, starts)
    assert starts == [(1, 1), (1, 2), (1, 3)]
    assert statuses(await settle(home, spool)) == [("a.json", "interrupted")]


async def test_what_was_not_in_a_step_when_the_daemon_died_goes_on_without_asking(home, spool, ledger):
    run = await begin(ledger, home, spec=spec_of(steps=2))
    ledger.end_step(run, step(0))
    await ledger.note_ends(run)
    (left,) = recover(home, spool).going_on
    assert (left.past.step, left.past.attempt, left.past.results) == (1, 1, (step(0),))


async def test_the_journal_of_a_run_that_goes_on_is_kept_until_it_ends_and_no_other_is_taken_for_unfinished(
    home, spool, ledger
):
    other = await ledger.begin("b.json", drop(home, "b.json"), "b", SPEC, "", starts=True)
    run = await begin(ledger, home, spec=spec_of(on_interrupt="retry"))
    await ledger.conclude(other, Outcome(id="b", run=1, name="b.json", status="ok", reason=None, title=""))
    found = recover(home, spool)
    successor = Ledger(home, spool)
    (taken,) = await successor.open([left.told for left in found.left], found.closed)
    assert (taken.id, len(os.listdir(home.journal))) == (run.id, 2)
    await successor.close()
    drop(home, "b.json")  # the same bytes as before: a new task, not what the power took back
    assert statuses(recover(home, spool)) == [("a.json", None)]
    assert tree(home)["inbox"] == ["b.json"]


async def test_a_sync_that_outlives_the_loop_ends_its_thread_without_a_word(monkeypatch):
    said = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    loop = asyncio.new_event_loop()
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go_on.wait()

    async def ask():
        group = GroupSync("slow", slow)
        group.synced()
        return group

    group = await asyncio.to_thread(loop.run_until_complete, ask())
    begun.wait()
    loop.close()
    go_on.set()
    await asyncio.to_thread(group._thread.join)
    assert said == []
