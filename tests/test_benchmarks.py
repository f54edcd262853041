"""The benchmarks' own arithmetic, and that what they verify can fail. No test here looks at a time."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import report
from benchmarks.figures import Figure, Skipped, around, percentile, shown, spread
from benchmarks.house import BenchmarkError, House, drop, specs_in, tasks
from benchmarks.slow_flush_daemon import slowed

_values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(_values, st.floats(0, 1), st.floats(0, 1))
def test_a_percentile_lies_within_the_values_and_grows_with_its_part(values: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    slack = 1e-6
    assert min(values) - slack <= percentile(values, low) <= percentile(values, high) + slack
    assert percentile(values, high) <= max(values) + slack


def test_percentiles_of_known_values() -> None:
    assert percentile([5, 1, 3, 2, 4], 0.5) == 3
    assert percentile([1, 2], 0.5) == 1.5
    assert percentile(range(101), 0.99) == 99
    assert percentile([7], 0.99) == 7
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 0.5)


def test_a_ratio_is_taken_to_the_floor_and_only_if_there_is_one() -> None:
    assert Figure("b", "n", 6, "ms", around(2, 4), "floor").ratio == 2
    assert Figure("b", "n", 6, "ms").ratio is None
    assert Figure("b", "n", 6, "ms", 0.0).ratio is None


def test_figures_are_shown_with_as_many_digits_as_can_be_believed() -> None:
    assert [shown(value) for value in (0.123, 12.34, 123.4, 12_345.6)] == ["0.12", "12.3", "123", "12,346"]
    assert spread([0.5, 0.7, 0.6]) == "0.50 to 0.70"


def test_the_table_shows_ratio_aim_estimates_and_what_was_left_out() -> None:
    lines = [
        Figure("throughput", "echo", 300, "tasks/s", 600, "xargs", "≥ 0.5"),
        Figure("slow-flush", "flush", 90, "tasks/s", 30, "one by one", floor_estimated=True),
        Skipped("peers", "nq", "not installed"),
    ]
    console = Console(width=170, record=True, file=io.StringIO())
    console.print(report.table(lines))
    text = console.export_text()
    for words in ("0.50", "≥ 0.5", "600 xargs", "30.0 one by one (estimated)", "3.00", "not installed"):
        assert words in text


def test_the_json_is_written_twice_with_the_same_content(tmp_path: Path) -> None:
    started = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    lines = [Figure("b", "n", 1.0, "ms", 3.0, "floor"), Skipped("b", "m", "why")]
    content = report.document(lines, scale="quick", started=started, failures={"c": "broke"})
    path = report.write(tmp_path, content, started)
    assert path.name == "20260131T120000Z.json"
    assert path.read_text() == (tmp_path / "latest.json").read_text()
    loaded = json.loads(path.read_text())
    assert loaded["lines"][0]["ratio"] == pytest.approx(1 / 3)
    assert loaded["lines"][1] == {"bench": "b", "name": "m", "skipped": "why"}
    assert loaded["failures"] == {"c": "broke"}


@pytest.fixture
def home(tmp_path: Path) -> House:
    for folder in ("queue/inbox", "queue/done", "queue/failed", "state/runs"):
        (tmp_path / folder).mkdir(parents=True)
    return House(tmp_path)


def finish(home: House, name: str, *, status: str = "ok", ok: bool | None = True, runs: int = 1) -> None:
    stem = Path(name).stem
    os.rename(home.inbox / name, home.done / name)
    result = {"id": stem, "run": 1, "status": status, "acceptance": [{"rule": "r", "ok": ok}]}
    (home.done / f"{stem}.result.json").write_text(json.dumps(result))
    for run in range(1, runs + 1):
        (home.root / "state" / "runs" / stem / str(run)).mkdir(parents=True)


def test_specs_are_dropped_whole_and_counted_without_their_results(home: House) -> None:
    batch = tasks("t", 3, "echo ok", "Printed ok")
    drop(home.stage(batch))
    assert sorted(specs_in(home.inbox)) == sorted(batch)
    assert json.loads((home.inbox / "t-000000.json").read_text()) == batch["t-000000.json"]
    finish(home, "t-000001.json")
    assert specs_in(home.done) == ["t-000001.json"]


def test_a_batch_that_is_done_once_is_verified(home: House) -> None:
    batch = tasks("t", 2, "echo ok")
    drop(home.stage(batch))
    for name in batch:
        finish(home, name)
    home.verify(list(batch))


@pytest.mark.parametrize(
    ("how", "words"),
    [({"status": "failed"}, "did not end ok"), ({"ok": None}, "did not end ok"), ({"runs": 2}, "more than once")],
)
def test_a_task_that_failed_or_ran_twice_is_not_verified(home: House, how: dict[str, object], words: str) -> None:
    batch = tasks("t", 2, "echo ok")
    drop(home.stage(batch))
    finish(home, "t-000000.json")
    finish(home, "t-000001.json", **how)  # type: ignore[arg-type]
    with pytest.raises(BenchmarkError, match=words):
        home.verify(list(batch))


def test_a_lost_task_is_noticed(home: House) -> None:
    batch = tasks("t", 2, "echo ok")
    drop(home.stage(batch))
    finish(home, "t-000000.json")
    with pytest.raises(BenchmarkError, match=r"1 of 2 tasks are not in done/, t-000001\.json"):
        home.verify(list(batch))


def test_a_daemon_that_is_gone_ends_the_waiting(home: House) -> None:
    with pytest.raises(BenchmarkError, match="the daemon is gone"):
        home.wait(1)


def test_a_slowed_flush_still_flushes_and_is_counted(tmp_path: Path) -> None:
    flushed: list[int] = []
    counter = os.open(tmp_path / "count", os.O_WRONLY | os.O_CREAT)
    flush = slowed(flushed.append, counter)
    flush(3)
    flush(4)
    os.close(counter)
    assert flushed == [3, 4]
    assert (tmp_path / "count").stat().st_size == 2
