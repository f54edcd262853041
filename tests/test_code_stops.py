"""Code tasks that are stopped, or that this machine is too short of something for, at each of their stages."""

import asyncio
import errno
import os
import threading
from functools import partial
from pathlib import Path

import pytest

from orchestrator import failpoint
from orchestrator.coding import attempt as attempts
from orchestrator.coding import change as changes
from orchestrator.coding import prompt, reading, writing
from orchestrator.coding.runner import ModelRunner
from orchestrator.masking import Masker
from orchestrator.outcome import Call
from orchestrator.runners.finished import Finished
from orchestrator.runners.model.answer import Answer
from orchestrator.runners.model.tokens import Count
from orchestrator.settings import Settings

OLD, NEW = "def add(a, b):\n    raise NotImplementedError\n", "def add(a, b):\n    return a + b\n"
UNDONE = "src/a.py is as it was before: what a model had written there was not verified yet"


class Scripted:
    """Models that all answer with the new file; `asked` are the questions."""

    def __init__(self):
        self.asked, self.text = [], f"```python\n{NEW}```"

    async def context_of(self, name):
        return None

    async def count(self, name, text):
        return Count(len(text) // 4, measured=False)

    def max_tokens(self, name):
        return 512

    async def ask(self, name, question):
        self.asked.append(question.user)
        return Answer(self.text, "", True, 10, 10, True, name, "scripted", "http://here", "openai", 1.0, 2.0)

    async def close(self):
        pass


class Bench:
    """A runner with scripted models, and one code task with a test, in a folder of its own."""

    def __init__(self, home):
        self.root, self.home = Path(home.root), home
        self.file, self.run_folder = self.root / "work/src/a.py", self.root / "run"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(OLD)
        self.run_folder.mkdir()
        self.models, self.stop, self.reached = Scripted(), asyncio.Event(), asyncio.Event()
        self.free, self.mask, self.given = threading.Event(), None, {}
        self.loop = asyncio.get_running_loop()
        self.runner = ModelRunner(home, Settings)
        self.runner._models = self.models

    async def test(self, call, word):
        """What a test comes to."""
        return Finished("ok", 0)

    async def run(self, timeout_ms=60_000, folder="run", **fields):
        inputs = {"description": "Create a utility function", "output_file": "src/a.py", "test_command": "true"}
        work = f"{self.root}/work"
        env = {"PATH": os.environ["PATH"], **self.given}
        test = Call(0, "bash", "process", ("-c", "true"), ("/bin/bash", "-c", "true"), env, work, 60_000)
        call = Call(
            0, "local_model", "model", (), ("local_model",), env, work, timeout_ms,
            inputs=inputs | fields, beside=(test,), given=self.given, mask=self.mask,
        )  # fmt: skip
        (self.root / folder).mkdir(exist_ok=True)
        stem = f"{self.root}/{folder}/0-local_model"
        return await self.runner.run(
            call, out_path=f"{stem}.out", err_path=f"{stem}.err", mark="m", cancelled=self.stop, beside=self.test
        )

    def hold(self, *args, **options):
        """Say that a stage is reached, in its thread, and stay there until the thread is freed."""
        self.loop.call_soon_threadsafe(self.reached.set)
        assert self.free.wait(60)

    def left(self):
        """What is in the workspace, and which changes are open."""
        found = {str(path.relative_to(self.root / "work")) for path in self.root.glob("work/**/*") if path.is_file()}
        return found, changes.open_changes(str(self.run_folder))

    async def close(self):
        self.free.set()
        await self.runner.close()


@pytest.fixture
async def bench(home):
    bench = Bench(home)
    yield bench
    await bench.close()


async def forever(bench, *args, **options):
    bench.reached.set()
    await asyncio.Event().wait()


def at_point(bench, point, real, name):
    if name == point:
        bench.hold()
    real(name)


def held(bench, real, *args, **options):
    bench.hold()
    return real(*args, **options)


STAGES = {
    "asking": lambda bench, patch: patch.setattr(bench.models, "ask", partial(forever, bench)),
    "extracting": lambda bench, patch: patch.setattr(attempts, "extract", partial(held, bench, attempts.extract)),
    "noted": lambda bench, patch: patch.setattr(
        failpoint, "reach", partial(at_point, bench, "change.noted", failpoint.reach)
    ),
    "written": lambda bench, patch: patch.setattr(
        failpoint, "reach", partial(at_point, bench, "change.written", failpoint.reach)
    ),
    "testing": lambda bench, patch: patch.setattr(bench, "test", partial(forever, bench)),
    "keeping": lambda bench, patch: patch.setattr(writing, "diff_of", partial(held, bench, writing.diff_of)),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["cancelled", "timed_out"])
async def test_who_is_stopped_at_any_stage_leaves_the_old_file_and_says_so(bench, monkeypatch, stage, how):
    STAGES[stage](bench, monkeypatch)
    running = asyncio.ensure_future(bench.run(timeout_ms=60_000 if how == "cancelled" else 300))
    await bench.reached.wait()
    if how == "cancelled":
        bench.stop.set()
    bench.loop.call_later(0 if how == "cancelled" else 0.5, bench.free.set)
    finished = await running
    assert finished.status == how
    assert bench.file.read_text() == OLD
    assert bench.left() == ({"src/a.py"}, [])
    assert (UNDONE in finished.error) == (stage in ("noted", "written", "testing"))
    assert bench.runner._running == set()


async def test_a_full_disk_is_waited_out_and_what_a_model_wrote_before_is_never_taken_for_the_old_file(
    bench, monkeypatch
):
    real, full = changes._put, False

    def put(folder, name, temporary, data, *rest):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(folder, name, temporary, data, *rest)

    async def fails(call, word):
        nonlocal full
        full = not full and len(bench.models.asked) == 1
        return Finished("failed", 1, stdout_tail="wrong")

    monkeypatch.setattr(changes, "_put", put)
    monkeypatch.setattr(bench, "test", fails)
    for _ in range(2):  # it fills while the test runs, and again nothing can be put back at the next start
        with pytest.raises(OSError, match="No space left"):
            await bench.run()
        assert bench.file.read_text() == NEW
    full = False
    finished = await bench.run()
    assert finished.failure == "escalated"
    assert bench.file.read_text() == OLD
    assert bench.left() == ({"src/a.py"}, [])
    assert all("raise NotImplementedError" in question for question in bench.models.asked)


async def test_where_nothing_can_be_put_back_a_cancelled_task_says_so_and_names_the_backup(bench, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench, "test", partial(forever, bench))
    running = asyncio.ensure_future(bench.run())
    await bench.reached.wait()
    with monkeypatch.context() as patch:
        patch.setattr(changes, "_put", full)
        bench.stop.set()
        finished = await running
    backup = f"{bench.run_folder}/0-local_model.1.before"
    assert finished.status == "cancelled"
    assert f"src/a.py can't be put back (the old one is {backup}): No space left on device" in finished.error
    assert finished.error.count("can't be put back") == (bench.run_folder / "0-local_model.err").read_text().count(
        "can't be put back"
    )
    assert changes.settle(bench.home, str(bench.run_folder)) == [UNDONE]
    assert bench.file.read_text() == OLD


async def test_two_tasks_write_one_file_one_after_the_other(bench, monkeypatch):
    asked = []

    async def looks(call, word):
        for _ in range(100):
            await asyncio.sleep(0)
        asked.append(len(bench.models.asked))
        return Finished("failed", 1)

    monkeypatch.setattr(bench, "test", looks)
    first, second = await asyncio.gather(bench.run(), bench.run(folder="run2"))
    assert (first.failure, second.failure) == ("escalated", "escalated")
    assert asked == [1, 2, 3, 4]
    assert all("raise NotImplementedError" in question for question in bench.models.asked)


async def test_what_was_verified_is_told_again_only_where_both_the_file_and_its_report_are_there(bench):
    first = await bench.run()
    again = await bench.run()
    assert (again.status, again.report, len(bench.models.asked)) == ("ok", first.report, 1)
    (bench.run_folder / "0-local_model.1.report.json").unlink()
    assert (await bench.run()).status == "ok"
    assert len(bench.models.asked) == 2


@pytest.mark.parametrize("where", [(changes, "look"), (reading, "open"), (prompt, "open"), (writing, "diff_of")])
async def test_what_the_machine_is_short_of_is_nobodys_failure(bench, monkeypatch, where):
    def short(*args, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    (bench.root / "work/other.py").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(*where, short, raising=False)
        with pytest.raises(OSError, match="Too many open files"):
            await bench.run(context_files=["other.py"])
    assert (await bench.run(context_files=["other.py"])).status == "ok"
    assert bench.file.read_text() == NEW


async def test_what_somebody_else_changes_while_the_test_runs_is_not_said_to_be_verified(bench, monkeypatch):
    async def edits(call, word):
        bench.file.write_text("theirs\n")
        return Finished("ok", 0)

    monkeypatch.setattr(bench, "test", edits)
    finished = await bench.run()
    assert (finished.failure, bench.file.read_text()) == ("escalated", "theirs\n")
    assert "was changed by somebody else while its test ran: it was left as it is" in finished.error
    assert f"{bench.run_folder}/0-local_model.1.before" in finished.error
    assert [attempt["failed_at"] for attempt in finished.report["attempts"]] == ["write"]
    assert len(bench.models.asked) == 1  # another answer would not help


async def test_a_test_that_can_not_be_started_says_nothing_of_the_answer_which_is_told_all_the_same(bench, monkeypatch):
    async def refused(call, word):
        return Finished("failed", 126, error="approval_required: it runs as root")

    monkeypatch.setattr(bench, "test", refused)
    finished = await bench.run(models=["one", "two"])
    assert (finished.failure, finished.error) == ("escalated", "approval_required: it runs as root")
    report = finished.report
    assert "No other answer would help" in report["escalate"]
    assert [(each["model"], each["failed_at"]) for each in report["attempts"]] == [("one", "test")]
    assert (report["tokens"]["prompt"], report["rolled_back"], report["gates"]["test"]) == (10, 1, "not_checked")
    assert bench.left() == ({"src/a.py"}, [])


@pytest.mark.parametrize("name", [".env", "id_rsa", "certs/server.pem"])
async def test_no_model_is_shown_a_file_of_secrets_as_the_one_to_be_written(bench, name):
    path = bench.root / "work" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("PASSWORD=correct horse\n")
    finished = await bench.run(output_file=name)
    assert finished.failure == "escalated"
    assert "no model is shown those" in finished.error
    assert bench.models.asked == []
    assert path.read_text() == "PASSWORD=correct horse\n"


async def test_a_secret_of_the_task_stands_in_nothing_that_is_kept_of_it_but_the_file_and_its_backup(bench):
    secret = "correct-horse-battery"
    bench.file.write_text(f"{OLD}# {secret}\n")
    bench.mask = Masker([secret])
    finished = await bench.run(description=f"Create a utility function, {secret}")
    assert finished.status == "ok"
    holding = [path.name for path in bench.run_folder.iterdir() if secret in path.read_text()]
    assert holding == ["0-local_model.1.before"]
    assert secret in bench.models.asked[0]


async def test_syntax_is_read_with_no_variable_that_the_spec_sets_and_only_where_the_gate_lets_it_be(
    bench, monkeypatch
):
    calls = []

    async def reads(call, word):
        calls.append(call)
        if call.skill == "syntax":
            return Finished("failed", 126, error="approval_required: it runs as root")
        return Finished("ok", 0)

    monkeypatch.setattr(bench, "test", reads)
    bench.given = {"BASH_ENV": "src/evil.sh"}
    bench.models.text = "```sh\nsudo reboot\n```"
    finished = await bench.run(output_file="src/new.sh")
    assert finished.status == "ok"
    assert [(call.skill, "BASH_ENV" in call.env) for call in calls] == [("syntax", False), ("bash", True)]
    [syntax] = [each for each in finished.report["attempts"][0]["gates"] if each["gate"] == "syntax"]
    assert syntax["verdict"] == "not_checked"
    assert "bash was not started to read it: approval_required: it runs as root" in syntax["detail"]
