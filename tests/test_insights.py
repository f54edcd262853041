"""The read side: entries, runs, live output and stats, from files as the daemon leaves them."""

import asyncio
import json
import os
import subprocess
import sys
from array import array

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.event import DaemonStopped, StepFinished, TaskFinished
from orchestrator.home import Home
from orchestrator.insights import follow as following
from orchestrator.insights.entries import counts, find, queue_entries
from orchestrator.insights.follow import follow, follow_telemetry
from orchestrator.insights.runs import output_files, show
from orchestrator.insights.stats import quantile, stats
from orchestrator.outcome import Outcome
from orchestrator.runners.capture import Capture
from orchestrator.sinks.telemetry import TelemetrySink, line_of

POLL_S = 0.005


def put(path, content=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else orjson.dumps(content))
    return path


def spec(task_id, **parts):
    return {"id": task_id, "title": f"Title of {task_id}", "priority": "high", **parts}


def outcome(task_id, run=1, status="ok", **parts):
    facts = {"id": task_id, "run": run, "name": f"{task_id}.json", "status": status, "reason": None, "title": "Title"}
    return Outcome(**(facts | {"duration_ms": 5.0} | parts))


def end(home, state, task_id, run=1, name=None, **parts):
    """A run that ended, and its spec and result where they then stand."""
    name = name or f"{task_id}.json"
    result = orjson.dumps(outcome(task_id, run, name=name, **parts))
    put(f"{home.runs}/{task_id}/{run}/spec.json", spec(task_id))
    put(f"{home.runs}/{task_id}/{run}/result.json", result)
    put(f"{home.queue}/{state}/{name.rsplit('.', 1)[0]}.result.json", result)
    put(f"{home.queue}/{state}/{name}", spec(task_id))


# ── entries ────────────────────────────────────────────────────────────────────────────────────────


def test_each_state_is_listed_with_what_is_known(home):
    put(f"{home.inbox}/waits.json", spec("waits"))
    put(f"{home.running}/runs.json", spec("runs"))
    put(f"{home.runs}/runs/3/spec.json", spec("runs"))
    end(home, "done", "good", run=2)
    end(home, "failed", "bad", status="failed", reason="step_failed: step 0 (bash) exited with 3")
    entries = {entry.stem: entry for entry in queue_entries(home)}
    assert {stem: (entry.state, entry.status, entry.run) for stem, entry in entries.items()} == {
        "waits": ("inbox", "waiting", None),
        "runs": ("running", "running", 3),
        "good": ("done", "ok", 2),
        "bad": ("failed", "failed", 1),
    }
    assert entries["waits"].title == "Title of waits"
    assert entries["waits"].priority == "high"
    assert entries["bad"].reason == "step_failed: step 0 (bash) exited with 3"
    assert entries["good"].duration_ms == 5.0
    assert entries["runs"].started_at is not None
    orjson.dumps(list(entries.values()))


def test_a_yaml_spec_and_a_local_code_task_say_who_they_are(home):
    put(f"{home.inbox}/a.yaml", b"title: 'A title'\nid: from-yaml\nsteps:\n  - id: inner\n")
    put(f"{home.inbox}/b.json", {"task_id": "code-1"})
    found = {entry.name: (entry.id, entry.title) for entry in queue_entries(home)}
    assert found == {"a.yaml": ("from-yaml", "A title"), "b.json": ("code-1", None)}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"[1]", b'{"id": 3, "title": ["x"]}', b"id: "])
def test_a_file_that_is_no_spec_is_listed_all_the_same(home, content):
    put(f"{home.inbox}/odd.json", content)
    assert [(entry.name, entry.id, entry.title) for entry in queue_entries(home)] == [("odd.json", None, None)]


def test_folders_fifos_and_links_are_listed_without_being_opened(home):
    os.mkfifo(f"{home.inbox}/fifo.json")
    os.mkdir(f"{home.inbox}/folder.json")
    os.symlink("/nowhere", f"{home.inbox}/link.json")
    assert {entry.name for entry in queue_entries(home)} == {"fifo.json", "folder.json", "link.json"}


def test_names_that_are_no_specs_are_not_listed(home):
    for name in (".dot.json", "a.json~", "x.cancel", "y.result.json", "z.json.tmp"):
        put(f"{home.inbox}/{name}")
    assert queue_entries(home) == []
    assert counts(home)["inbox"] == 0


def test_the_newest_come_first_and_only_those_shown_are_read(home, monkeypatch):
    for number in range(20):
        end(home, "done", f"tsk{number}")
        os.utime(f"{home.done}/tsk{number}.json", (0, 0))  # the file's own time says nothing of when it ended
    times = {f"tsk{n}": os.stat(f"{home.done}/tsk{n}.json").st_ctime for n in range(20)}
    newest = sorted(times, key=lambda stem: (times[stem], stem + ".json"), reverse=True)[:3]
    real, opened = open, []
    monkeypatch.setattr("builtins.open", lambda path, *rest: opened.append(path) or real(path, *rest))
    assert [entry.stem for entry in queue_entries(home, limit=3)] == newest
    assert len(opened) == 3
    assert len(queue_entries(home, limit=None)) == 20


def test_a_home_without_folders_has_no_entries(tmp_path):
    assert queue_entries(Home(str(tmp_path / "none"))) == []


@pytest.mark.parametrize("wanted", ["the file", "the file.json", "tsk_id"])
def test_a_task_is_found_by_stem_file_name_and_id(home, wanted):
    for state in ("inbox", "running"):
        put(f"{home.queue}/{state}/the file.json", spec("tsk_id"))
        assert find(home, wanted).state == state
        os.unlink(f"{home.queue}/{state}/the file.json")
    end(home, "done", "tsk_id", name="the file.json")
    assert find(home, wanted).state == "done"


def test_of_several_files_of_one_id_the_running_one_is_found(home):
    end(home, "done", "tsk")
    put(f"{home.inbox}/tsk-again.json", spec("tsk"))
    put(f"{home.running}/tsk-now.json", spec("tsk"))
    assert find(home, "tsk-again").state == "inbox"
    assert show(home, "tsk-now")["state"] == "running"


@pytest.mark.parametrize("wanted", ["", ".", "..", "../inbox/x", "/etc/passwd", "x\0", "none", ".hidden"])
def test_what_is_not_there_is_not_found(home, wanted):
    put(f"{home.inbox}/x.json", spec("x"))
    put(f"{home.inbox}/.hidden.json", spec("hidden"))
    assert find(home, wanted) is None
    assert show(home, wanted) is None


# ── runs ───────────────────────────────────────────────────────────────────────────────────────────


def test_show_has_the_latest_run_and_a_line_for_each(home):
    end(home, "failed", "tsk", run=1, status="failed", reason="x")
    end(home, "done", "tsk", run=10)
    os.unlink(f"{home.failed}/tsk.json")
    put(f"{home.runs}/tsk/10/0-bash.out", b"hello")
    put(f"{home.runs}/tsk/10/1-my-skill.err", b"!")
    found = show(home, "tsk")
    assert (found["id"], found["state"], found["status"], found["run"]) == ("tsk", "done", "ok", 10)
    assert [(run["run"], run["status"]) for run in found["runs"]] == [(1, "failed"), (10, "ok")]
    assert found["result"]["run"] == 10
    assert found["spec"]["id"] == "tsk"
    assert [(file.step, file.skill, file.stream, file.size) for file in found["outputs"]] == [
        (0, "bash", "out", 5), (1, "my-skill", "err", 1),
    ]  # fmt: skip
    orjson.dumps(found)


def test_show_takes_an_earlier_run(home):
    end(home, "failed", "tsk", run=1, status="failed", reason="x")
    end(home, "done", "tsk", run=2)
    found = show(home, "tsk", 1)
    assert (found["run"], found["status"], found["result"]["reason"]) == (1, "failed", "x")
    assert show(home, "tsk", 3) is None


def test_show_of_a_refused_file_has_its_result(home):
    put(f"{home.failed}/bad.json", b"{")
    put(f"{home.failed}/bad.result.json", outcome(None, 0, "invalid", reason="invalid: line 1"))
    found = show(home, "bad")
    assert (found["id"], found["run"], found["status"]) == (None, None, "invalid")
    assert found["result"]["reason"] == "invalid: line 1"


def test_a_run_without_a_result_lasts_only_while_its_task_runs(home):
    put(f"{home.runs}/tsk/1/spec.json", spec("tsk"))
    put(f"{home.runs}/tsk/2/spec.json", spec("tsk"))
    put(f"{home.running}/tsk.json", spec("tsk"))
    assert [run["status"] for run in show(home, "tsk")["runs"]] == ["unfinished", "running"]


def test_outputs_are_chosen_by_step_and_stream(home):
    for name in ("0-bash.out", "0-bash.err", "10-git.out", "2-git.out", "result.json", "x-bash.out"):
        put(f"{home.runs}/tsk/1/{name}", b"x")
    chosen = [(file.step, file.stream) for file in output_files(home, "tsk", 1)]
    assert chosen == [(0, "out"), (0, "err"), (2, "out"), (10, "out")]
    assert [file.step for file in output_files(home, "tsk", 1, stream="out")] == [0, 2, 10]
    assert [file.stream for file in output_files(home, "tsk", 1, step=0)] == ["out", "err"]
    assert output_files(home, "tsk", 9) == []


# ── following ──────────────────────────────────────────────────────────────────────────────────────


async def gather(home, wanted="tsk", **options):
    return [chunk async for chunk in follow(home, wanted, poll_s=POLL_S, **options)]


async def next_of(iterator):
    async with asyncio.timeout(30):
        return await anext(iterator)


async def test_the_output_of_an_ended_run_is_given_whole_and_then_it_ends(home):
    end(home, "done", "tsk")
    put(f"{home.runs}/tsk/1/1-git.err", b"err")
    put(f"{home.runs}/tsk/1/0-bash.out", b"x" * 200_000)
    chunks = await gather(home)
    assert b"".join(chunk.data for chunk in chunks if chunk.step == 0) == b"x" * 200_000
    assert (chunks[-1].step, chunks[-1].skill, chunks[-1].stream, chunks[-1].data) == (1, "git", "err", b"err")


async def test_output_is_given_while_it_grows_and_files_that_appear_later_too(home):
    put(f"{home.running}/tsk.json", spec("tsk"))
    first = put(f"{home.runs}/tsk/1/0-bash.out", b"one\n")
    chunks = follow(home, "tsk", poll_s=POLL_S)
    assert (await next_of(chunks)).data == b"one\n"
    with open(first, "ab") as file:
        file.write(b"two\n")
    assert (await next_of(chunks)).data == b"two\n"
    put(f"{home.runs}/tsk/1/1-bash.out", b"three\n")
    assert (await next_of(chunks)).data == b"three\n"
    with open(first, "ab") as file:
        file.write(b"last words\n")
    put(f"{home.runs}/tsk/1/result.json", b"{}")
    assert (await next_of(chunks)).data == b"last words\n"
    with pytest.raises(StopAsyncIteration):
        await next_of(chunks)


async def test_a_waiting_task_is_waited_for_and_its_earlier_run_is_not_shown(home):
    end(home, "failed", "tsk", run=1)
    put(f"{home.runs}/tsk/1/0-bash.out", b"old")
    os.rename(f"{home.failed}/tsk.json", f"{home.inbox}/tsk.json")
    chunks = follow(home, "tsk", poll_s=POLL_S)
    waiting = asyncio.ensure_future(anext(chunks))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    put(f"{home.runs}/tsk/2/0-bash.out", b"new")
    os.rename(f"{home.inbox}/tsk.json", f"{home.running}/tsk.json")
    assert (await asyncio.wait_for(waiting, 30)).data == b"new"
    await chunks.aclose()


async def test_an_earlier_run_can_be_asked_for(home):
    end(home, "done", "tsk", run=1)
    end(home, "done", "tsk", run=2)
    put(f"{home.runs}/tsk/1/0-bash.out", b"old")
    put(f"{home.runs}/tsk/2/0-bash.out", b"new")
    assert [chunk.data for chunk in await gather(home, run=1)] == [b"old"]
    assert [chunk.data for chunk in await gather(home)] == [b"new"]


async def test_nobody_knows_it_so_it_ends_at_once(home):
    assert await gather(home, "none") == []


async def test_a_task_taken_out_while_it_waits_ends_the_waiting(home):
    path = put(f"{home.inbox}/tsk.json", spec("tsk"))
    gathering = asyncio.ensure_future(gather(home))
    await asyncio.sleep(0)
    os.unlink(path)
    assert await asyncio.wait_for(gathering, 30) == []


async def test_across_cuts_of_the_middle_nothing_is_told_twice_and_what_is_lost_is_counted(home):
    put(f"{home.running}/tsk.json", spec("tsk"))
    os.makedirs(f"{home.runs}/tsk/1")
    capture = Capture(f"{home.runs}/tsk/1/0-bash.out", 4_096)
    printed = b""
    chunks = follow(home, "tsk", poll_s=POLL_S)
    seen = b""  # as printed, with what was lost as zeros
    for number in range(60):
        # Between two looks, sometimes little is printed and sometimes more than the file may hold.
        piece = b"".join(b"%06d-%03d\n" % (number, each) for each in range((1, 40, 700)[number % 3]))
        capture.feed(piece)
        printed += piece
        while len(seen) < len(printed):
            chunk = await next_of(chunks)
            seen += b"\0" * chunk.cut + chunk.data
    capture.close()
    await chunks.aclose()
    assert len(seen) == len(printed)
    assert all(ours in (0, theirs) for ours, theirs in zip(seen, printed, strict=True))
    assert seen.count(0) < len(printed)


async def test_telemetry_is_followed_across_segments_and_days(home):
    days = ["2026-03-01"]
    sink = TelemetrySink(home.telemetry, segment_bytes=400, today=lambda: days[0])

    def tell(number):
        sink.write([TaskFinished(outcome=outcome(f"tsk{number}"))])

    for number in range(3):
        tell(number)
    lines = follow_telemetry(home, last=2, poll_s=POLL_S)
    ids = [orjson.loads(await next_of(lines))["id"] for _ in range(2)]
    for number in range(3, 12):
        if number == 7:
            days[0] = "2026-03-02"
        tell(number)
        if number % 2:
            ids += [orjson.loads(await next_of(lines))["id"] for _ in range(2)] if number > 3 else []
    while ids[-1] != "tsk11":
        ids.append(orjson.loads(await next_of(lines))["id"])
    await lines.aclose()
    assert ids == [f"tsk{number}" for number in range(1, 12)]


async def test_lines_written_just_before_the_next_file_began_are_not_passed_over(home, monkeypatch):
    day = put(f"{home.telemetry}/2026-03-01.ndjson", b"one\n")
    lines = follow_telemetry(home, poll_s=POLL_S)
    assert await next_of(lines) == b"one"
    real = following.telemetry_files

    def turns_midnight(folder):
        monkeypatch.setattr(following, "telemetry_files", real)
        with open(day, "ab") as file:
            file.write(b"two\n")
        put(f"{home.telemetry}/2026-03-02.ndjson", b"three\n")
        return real(folder)

    monkeypatch.setattr(following, "telemetry_files", turns_midnight)
    assert [await next_of(lines), await next_of(lines)] == [b"two", b"three"]
    await lines.aclose()


async def test_an_earlier_day_that_goes_on_because_the_clock_was_set_back_is_followed_too(home):
    days = ["2026-03-01"]
    sink = TelemetrySink(home.telemetry, today=lambda: days[0])

    def tell(day, name):
        days[0] = day
        sink.write([TaskFinished(outcome=outcome(name))])

    tell("2026-03-01", "one")
    lines = follow_telemetry(home, poll_s=POLL_S)
    ids = [orjson.loads(await next_of(lines))["id"]]
    for day, name in (("2036-03-01", "set forward"), ("2026-03-01", "set back"), ("2026-03-02", "next")):
        tell(day, name)
        ids.append(orjson.loads(await next_of(lines))["id"])
    await lines.aclose()
    assert ids == ["one", "set forward", "set back", "next"]


async def test_telemetry_that_does_not_exist_yet_is_waited_for_and_half_a_line_too(home):
    lines = follow_telemetry(home, poll_s=POLL_S)
    waiting = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    path = put(f"{home.telemetry}/2026-03-01.ndjson", b'{"half":')
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    with open(path, "ab") as file:
        file.write(b"1}\n")
    assert await asyncio.wait_for(waiting, 30) == b'{"half":1}'
    await lines.aclose()


# ── stats ──────────────────────────────────────────────────────────────────────────────────────────

NOW = 1_772_366_400.0  # 2026-03-01T12:00:00Z


def telemetry(home, day, *lines):
    put(f"{home.telemetry}/{day}.ndjson", b"".join(lines))


def ended(status="ok", ts="2026-03-01T10:00:00.000Z", **parts):
    return line_of(TaskFinished(outcome=outcome("tsk", status=status, **parts), ts=ts))


def stepped(skill, status, duration_ms):
    return line_of(
        StepFinished(
            id="a", run=1, step=0, skill=skill, status=status, code=0, duration_ms=duration_ms,
            ts="2026-03-01T10:00:00.000Z",
        )
    )  # fmt: skip


def test_stats_count_by_status_and_rate_only_what_was_started(home):
    telemetry(
        home,
        "2026-03-01",
        *(ended(duration_ms=float(ms)) for ms in range(1, 7)),
        ended("failed", reason="step_failed: step 0 (bash) exited with 3", duration_ms=100.0),
        ended("failed", reason="step_failed: step 1 (git) exited with 1", duration_ms=100.0),
        ended("blocked", reason="approval_required", duration_ms=50.0),
        stepped("bash", "ok", 5.0),
        stepped("bash", "failed", 7.0),
        stepped("git", "ok", 9.0),
        line_of(DaemonStopped(reason="SIGTERM", dropped={"log": 4}, ts="2026-03-01T11:00:00.000Z")),
    )
    put(f"{home.inbox}/a.json")
    found = stats(home, 7, now=NOW)
    assert found.finished == 9
    assert found.by_status == {"ok": 6, "failed": 2, "blocked": 1}
    assert found.success_rate == 0.75
    assert (found.p50_ms, found.p95_ms) == (4.0, 100.0)
    assert found.failures == [("step_failed", 2), ("approval_required", 1)]
    assert {skill: (each.steps, each.failed) for skill, each in found.skills.items()} == {"bash": (2, 1), "git": (1, 0)}
    assert found.skills["bash"].p95_ms == 7.0
    assert found.dropped == {"log": 4}
    assert found.queue == {"inbox": 1, "scheduled": 0, "running": 0, "done": 0, "failed": 0}
    orjson.dumps(found)


def test_stats_begin_at_the_moment_so_many_days_ago(home):
    telemetry(home, "2026-02-27", ended(ts="2026-02-27T12:00:00.000Z"))
    telemetry(home, "2026-02-28", ended(ts="2026-02-28T11:59:59.999Z"), ended("failed", ts="2026-02-28T12:00:00.000Z"))
    assert stats(home, 1, now=NOW).by_status == {"failed": 1}
    assert stats(home, 7, now=NOW).finished == 3


def test_torn_and_foreign_lines_are_counted_and_cost_nothing_else(home):
    telemetry(home, "2026-03-01", ended(), ended()[:40] + b"\n", b"[]\n", b'{"ts": 1}\n', b"\n", ended()[:-20])
    found = stats(home, now=NOW)
    assert (found.finished, found.torn) == (1, 4)


def test_stats_of_nothing_are_nothing(tmp_path):
    found = stats(Home(str(tmp_path)))
    assert (found.finished, found.success_rate, found.p50_ms, found.torn) == (0, None, None, 0)


@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=50), share=st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(values, share):
    found = quantile(array("d", values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_reading_imports_nothing_heavy():
    script = (
        "import sys, json\n"
        "import orchestrator.insights.entries, orchestrator.insights.runs, orchestrator.insights.stats\n"
        "import orchestrator.insights.telemetry, orchestrator.insights.recall\n"
        "print(json.dumps([name for name in ('pydantic', 'structlog', 'asyncio', 'httpx') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []
