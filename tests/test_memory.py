"""Memory: what is recorded, how it is weighed, and that any question is safe."""

import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.errors import TaskError
from orchestrator.event import TaskFinished
from orchestrator.home import Home
from orchestrator.insights.recall import recall
from orchestrator.outcome import Outcome, StepResult
from orchestrator.sinks.memory import MemorySink, record_of, store
from orchestrator.sinks.memory.importance import importance, novelty, rank
from orchestrator.spec import Memory as Wish

FAILED_STEP = StepResult(0, "bash", ("-c", "x"), "failed", 3, stderr="pytest: 2 tests failed\n", duration_ms=5)


def finished(status="ok", memory=None, **parts):
    facts = {"id": "tsk", "run": 1, "name": "tsk.json", "status": status, "reason": None, "title": "Nightly build"}
    return TaskFinished(outcome=Outcome(**(facts | parts)), memory=memory)


def failed(**parts):
    facts = {"reason": "step_failed: step 0 (bash) exited with 3", "results": (FAILED_STEP,)}
    return finished("failed", **(facts | parts))


@pytest.fixture
def sink(home):
    sink = MemorySink(home.memory)
    yield sink
    sink.close()


# ── what is recorded ───────────────────────────────────────────────────────────────────────────────


def test_the_smoke_tests_memory_is_recalled(home, sink):
    sink.write([finished(id="tsk_smoke", title="Smoke Test", memory=Wish(kind="solution", text="Smoke test passed"))])
    (found,) = recall(home, "smoke test", 1)
    assert (found.kind, found.text, found.task, found.run, found.status) == (
        "solution", "Smoke test passed", "tsk_smoke", 1, "ok",
    )  # fmt: skip


def test_a_success_without_a_memory_of_its_own_leaves_none():
    assert record_of(finished()) is None


def test_a_failure_is_recorded_with_title_reason_step_and_what_it_said_last(home, sink):
    sink.write([failed(memory=Wish(kind="solution", text="Build passed"))])
    (found,) = recall(home, "nightly pytest")
    assert found.kind == "failure"
    assert found.text == "Nightly build: step 0 (bash) exited with 3\npytest: 2 tests failed"
    assert found.meta["step"] == {"step": 0, "skill": "bash", "code": 3}
    assert found.meta["reason"] == "step_failed: step 0 (bash) exited with 3"
    assert found.meta["memory"] == {"kind": "solution", "text": "Build passed"}


def test_of_a_long_stderr_the_last_500_characters_are_kept():
    step = StepResult(0, "bash", (), "failed", 1, stderr="a" * 600 + "b" * 500)
    assert record_of(failed(results=(step,))).text.partition("\n")[2] == "b" * 500


@pytest.mark.parametrize("status", ["blocked", "denied", "invalid", "cancelled", "skipped"])
def test_a_task_that_was_kept_from_running_leaves_no_memory(status):
    assert record_of(finished(status, memory=Wish(text="x"))) is None


def test_a_failure_before_any_step_leaves_no_memory():
    assert record_of(finished("failed", reason="unbound: x")) is None


def test_a_memory_read_back_from_a_file_counts_as_well():
    assert record_of(finished(memory={"kind": "fact", "text": "it works"})).text == "it works"


def test_the_same_memory_again_is_one_that_was_seen_twice(home, sink):
    wish = Wish(kind="health", text="Disk is fine")
    sink.write([finished(memory=wish, run=1)])
    (first,) = recall(home, "disk")
    sink.write([finished(memory=wish, run=2), finished(memory=wish, run=3)])
    (again,) = recall(home, "disk")
    assert (again.id, again.seen, again.run) == (first.id, 3, 3)
    assert again.importance == pytest.approx(first.importance * novelty(3), abs=1e-3)


def test_the_same_failure_with_other_numbers_is_one_memory_with_the_latest_words(home, sink):
    for pid in (101, 202):
        step = StepResult(0, "bash", (), "failed", 1, stderr=f"worker {pid} died")
        sink.write([failed(results=(step,))])
    (found,) = recall(home, "worker died")
    assert found.seen == 2
    assert "202" in found.text
    assert recall(home, "101") == []


def test_the_same_reason_with_other_numbers_is_one_memory_and_another_reason_another(home, sink):
    for reason in ("acceptance_failed: took 12 s at 0xaf", "acceptance_failed: took 7 s at 0x0b", "step_failed: no"):
        sink.write([failed(reason=reason)])
    assert sorted(found.seen for found in recall(home, "nightly")) == [1, 2]


def test_other_texts_and_other_kinds_are_other_memories(home):
    store.remember(home.memory, "fact", "version 1")
    store.remember(home.memory, "fact", "version 2")
    store.remember(home.memory, "note", "version 1")
    assert len(recall(home, "version")) == 3
    assert {found.text for found in recall(home, "version", kind="fact")} == {"version 1", "version 2"}


def test_an_empty_memory_is_refused(home):
    with pytest.raises(ValueError, match="a kind and a text"):
        store.remember(home.memory, "fact", "  ")


# ── asking ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_recall_counts_on_those_that_answered_alone(home):
    store.remember(home.memory, "fact", "cats purr")
    store.remember(home.memory, "fact", "dogs bark")
    assert recall(home, "cats")[0].query_count == 1
    found = recall(home, "cats")[0]
    assert found.query_count == 2
    assert found.last_access >= found.created_at
    assert recall(home, "dogs")[0].query_count == 1


def test_all_words_come_before_some_words_and_some_before_none(home):
    store.remember(home.memory, "fact", "the deploy needs a token")
    store.remember(home.memory, "fact", "the deploy is slow")
    assert [found.text for found in recall(home, "deploy token")] == ["the deploy needs a token"]
    assert {found.text for found in recall(home, "deploy unicorn")} == {
        "the deploy needs a token",
        "the deploy is slow",
    }
    assert recall(home, "unicorn") == []


@pytest.mark.parametrize("question", ["deploy", "DEPLOY", "deploying", "depl", "dépløy deploy", "deployed?"])
def test_words_are_found_in_other_forms(home, question):
    store.remember(home.memory, "fact", "Deployed to staging")
    assert recall(home, question)


def test_the_words_of_title_and_task_are_found_too(home, sink):
    sink.write([finished(id="tsk_backup", title="Weekly archive", memory=Wish(text="all good"))])
    assert recall(home, "weekly")
    assert recall(home, "tsk_backup")


def test_a_question_without_words_gives_what_matters_most(home, sink):
    store.remember(home.memory, "fact", "a small fact")
    sink.write([failed(priority="urgent", risk="high")])
    assert [found.kind for found in recall(home, "")] == ["failure", "fact"]


def test_no_more_than_top_k_answer(home):
    for number in range(5):
        store.remember(home.memory, "fact", f"fact number {number}")
    assert len(recall(home, "fact", 3)) == 3
    assert recall(home, "fact", 0) == []


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory):
    home = Home(str(tmp_path_factory.mktemp("home")))
    home.prepare()
    for text in ("near and not", "日本語 テキスト", 'say "hello" to column: text', "emoji 🚀 launch"):
        store.remember(home.memory, "fact", text)
    return home


@settings(deadline=None, max_examples=300)
@given(question=st.text(alphabet=st.characters(), max_size=60))
@example('"')
@example("AND OR NOT NEAR(")
@example("text: ^ * - + {a b} : 'x'; DROP TABLE memories")
@example("🚀")
@example("\0")
@example("\ud800 lone")
@example("_ __ ___")
@example("word " * 500)
def test_any_text_is_a_safe_question(filled_home, question):
    for found in recall(filled_home, question, 3):
        assert 0 <= found.score <= 1


@settings(deadline=None, max_examples=100)
@given(text=st.text(alphabet=st.characters(), min_size=1, max_size=60).filter(str.strip))
def test_any_text_can_be_remembered(filled_home, text):
    store.remember(filled_home.memory, "any", text, {"odd": text})


def test_without_a_database_nothing_is_recalled_and_none_is_made(home):
    assert recall(home, "x") == []
    assert not os.path.exists(home.memory)


def test_a_read_only_database_still_answers(home, monkeypatch):
    store.remember(home.memory, "fact", "cats purr")
    real = sqlite3.connect

    def read_only(path, **options):
        database = real(path, **options)
        database.execute("PRAGMA query_only = ON")
        return database

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert recall(home, "cats")[0].query_count == 0


# ── weighing ───────────────────────────────────────────────────────────────────────────────────────


def test_importance_rises_with_failure_priority_risk_and_purpose():
    plain = importance(priority="low", risk="low")
    assert plain == 0.25
    assert importance(priority="low", risk="low", failed=True) == 0.5
    assert importance(priority="urgent", risk="low") == 0.45
    assert importance(priority="low", risk="high") == 0.4
    assert importance(priority="low", risk="low", explicit=True) == 0.4
    assert importance(failed=True, priority="urgent", risk="high", explicit=True) == 1.0


def test_importance_falls_with_repetition():
    values = [importance(seen=seen) for seen in (1, 2, 10, 1_000)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert novelty(1) == 1


@given(
    relevance=st.floats(0, 1),
    weight=st.floats(0, 1),
    age=st.floats(-10, 10_000),
    count=st.integers(0, 10**9),
)
def test_a_rank_is_a_share_and_rises_with_each_part(relevance, weight, age, count):
    here = rank(relevance=relevance, importance=weight, age_days=age, query_count=count)
    assert 0 <= here <= 1 + 1e-9
    assert rank(relevance=1, importance=weight, age_days=age, query_count=count) >= here
    assert rank(relevance=relevance, importance=1, age_days=age, query_count=count) >= here
    assert rank(relevance=relevance, importance=weight, age_days=age + 1, query_count=count) <= here
    assert rank(relevance=relevance, importance=weight, age_days=age, query_count=count + 1) >= here


def test_the_older_of_two_equals_is_recalled_second(home):
    for text in ("old server fact", "new server fact"):
        store.remember(home.memory, "fact", text)
    with sqlite3.connect(home.memory) as database:
        database.execute("UPDATE memories SET updated_at = '2020-01-01T00:00:00.000Z' WHERE text LIKE 'old%'")
    assert [found.text for found in recall(home, "server")] == ["new server fact", "old server fact"]


# ── the database ───────────────────────────────────────────────────────────────────────────────────


def test_the_database_and_its_log_are_private(home, sink):
    sink.write([failed()])
    for name in os.listdir(home.state):
        if name.startswith("memory.db"):
            assert stat.S_IMODE(os.stat(f"{home.state}/{name}").st_mode) == 0o600


def test_two_processes_remember_at_once_and_nothing_is_lost(home):
    script = (
        "import sys; from orchestrator.sinks.memory.store import remember\n"
        "for n in range(40): remember(sys.argv[1], 'fact', f'from {sys.argv[2]} number {n}')"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, home.memory, name], stderr=subprocess.PIPE) for name in "abc"
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
    assert len(recall(home, "number", 1_000)) == 120
    assert len([name for name in os.listdir(home.state) if "corrupt" in name]) == 0


def test_a_batch_is_one_transaction(home, sink):
    sink.write([failed()])
    statements = []
    sink._database.set_trace_callback(statements.append)
    sink.write([failed(id=f"tsk{n}") for n in range(50)])
    assert sum(statement == "COMMIT" for statement in statements) == 1
    assert len(recall(home, "nightly", 100)) == 51


def test_a_damaged_database_is_moved_aside_and_the_batch_kept(home):
    with open(home.memory, "wb") as file:
        file.write(b"this is no database at all, but long enough to look at" * 50)
    said = []
    sink = MemorySink(home.memory, said.append)
    sink.write([failed()])
    sink.close()
    assert len(recall(home, "nightly")) == 1
    (aside,) = [name for name in os.listdir(home.state) if ".corrupt-" in name]
    assert len(said) == 1
    assert aside in said[0]


def test_a_database_damaged_while_it_is_open_is_moved_aside_and_the_batch_kept(home):
    said = []
    sink = MemorySink(home.memory, said.append)
    sink.write([failed(id=f"tsk{n}") for n in range(300)])
    sink._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = os.path.getsize(home.memory)
    with open(home.memory, "r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (size - 4_096))
    sink._database.execute("PRAGMA shrink_memory")
    sink.write([failed(id=f"new{n}") for n in range(3)])
    sink.close()
    assert said
    assert len(recall(home, "nightly", 1_000)) == 3


def test_a_database_that_was_removed_is_made_anew(home, sink):
    sink.write([failed()])
    for name in list(os.listdir(home.state)):
        if name.startswith("memory.db"):
            os.unlink(f"{home.state}/{name}")
    sink.write([failed(id="after")])
    assert [found.task for found in recall(home, "nightly")] == ["after"]


def test_recalling_from_a_damaged_database_says_so_and_touches_nothing(home):
    with open(home.memory, "wb") as file:
        file.write(b"nonsense" * 1_000)
    with pytest.raises(TaskError, match="can't be read") as caught:
        recall(home, "x")
    assert caught.value.reason == "memory_unreadable"
    assert [name for name in os.listdir(home.state) if "memory" in name] == ["memory.db"]


def test_a_damaged_database_is_told_on_the_log_where_nobody_else_asks(home, caplog):
    with open(home.memory, "wb") as file:
        file.write(b"nonsense" * 1_000)
    store.remember(home.memory, "fact", "kept")
    assert [found.text for found in recall(home, "kept")] == ["kept"]
    assert "was moved to" in caplog.text
