"""A week's work unattended: twenty tasks that need each other, under a daemon that is killed again and again."""

import json
import random
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import House, smoke, until
from virtual_clock import Clock, firings, recurring

from orchestrator.daemon import mark_of
from orchestrator.runners.process import sweep

TRY = 'echo x >> "$DIARY/{name}.tries"; [ "$(wc -l < "$DIARY/{name}.tries")" -ge 3 ] || exit 1'
THIRD = {"limit": 20, "delay": "40ms", "max_delay": "80ms"}
ON_GPU = 'exec 9> "$DIARY/gpu.lock"; flock --nonblock 9 || echo {name} >> "$DIARY/overlaps"; sleep 0.02'


class Pipeline:
    """The specs of one week, and where their steps leave word."""

    def __init__(self, diary):
        self.diary = str(diary)
        self.specs = []

    def task(self, name, script="true", needs=(), *, step=None, **fields):
        spec = smoke(name, f"{script}; echo {name}", needs=list(needs), env={"DIARY": self.diary}, **fields)
        spec["steps"][0] |= {"id": "work", "idempotent": True} | (step or {})
        self.specs.append({key: value for key, value in spec.items() if value != []})

    def on_gpu(self, name, needs):
        self.task(name, ON_GPU.format(name=name), needs, resources={"gpu": 1})


def weekly(diary):
    """Two diamonds and a fan, two flaky steps, five tasks for one GPU, a branch that fails, and one for that."""
    week = Pipeline(diary)
    week.task("fetch", TRY.format(name="fetch") + '; echo rev=abc123 >> "$ORCHESTRATOR_OUTPUT"', step={"retry": THIRD})
    for name in ("lint", "types", "docs"):
        week.task(name, "echo at ${{ needs.fetch.outputs.rev | sh }}", ["fetch"])
    week.task("unit", TRY.format(name="unit"), ["fetch"], retry=THIRD)
    week.task("build", 'echo path=out/app >> "$ORCHESTRATOR_OUTPUT"', ["lint", "types"])
    week.task("package", "echo packs ${{ needs.build.outputs.path | sh }}", ["build", "unit"])
    week.task("sbom", "true", ["build"])
    week.task("scan", "true", ["sbom", "package"])
    for name in ("train-a", "train-b", "train-c"):
        week.on_gpu(name, ["package"])
    week.on_gpu("evaluate", ["train-a", "train-b", "train-c"])
    week.on_gpu("bench", ["package"])
    week.task("compare", "true", ["evaluate", "bench"])
    week.task("audit", "echo found something >&2; exit 3", ["fetch"])
    week.task("publish-audit", "true", ["audit"])
    week.task("alarm", "true", ["audit"], when="failure")
    week.task("tidy", "true", ["compare", "audit"], when="always")
    notify = {"channels": ["team"], "level": "info"}
    week.task("report", "true", ["compare", "scan", "docs", "tidy"], notify=notify)
    return week.specs


class Team(BaseHTTPRequestHandler):
    """Takes messages, one by one."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        """Silent."""


@pytest.fixture
def team():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Team)
    server.messages = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def finished(house):
    return [name for state in ("done", "failed") for name in house.names(state) if name.endswith(".result.json")]


def run_week(folder, team, kills):
    """All results of one week, by task, with the daemon killed so often at random moments, while the clock goes through
    both changes of a year in two zones."""
    folder.mkdir()
    house, moments = House(folder / "home"), random.Random(kills)
    clock, cut_off = Clock(house, folder / "clock"), Counter()
    (folder / "diary").mkdir()
    config = f'[pools]\ngpu = 1\n[channels.team]\nkind = "webhook"\nurl = "http://127.0.0.1:{team.server_port}/week"\n'
    (Path(house.home.config) / "local.toml").write_text(config)
    specs = weekly(folder / "diary")
    try:
        files = []
        for spec in specs:
            files.append(folder / f"{spec['id']}.json")
            files[-1].write_text(json.dumps(spec))
        submitted = house.run("submit", *map(str, reversed(files)))
        assert submitted.returncode == 0, submitted.stderr
        clock.start("2026-03-08T05:00")
        for name, zone in (("berlin", "Europe/Berlin"), ("york", "America/New_York")):
            recurring(house, name, "30 2 * * *", f"echo {name}", zone, overlap="queue", on_interrupt="retry")
        for number, moment in enumerate(CHANGES):
            clock.set(moment)
            enough = len(specs) * number // len(CHANGES)
            until(lambda enough=enough: len(finished(house)) >= enough, f"{enough} tasks to end")
            if kills:
                threading.Event().wait(moments.uniform(0, 0.15))
                # What was cut off three times is not run again: it has to get through first.
                until(lambda: all(cut_off[name] < 3 for name in house.names("running")), "it to get through")
                house.stop(signal.SIGKILL)
                cut_off.update(house.names("running"))
                house.start(env=clock.env)
        results = {spec["id"]: house.result(spec["id"]) for spec in specs}
        results |= {name: house.result(name) for name in FIRINGS}
        until(lambda: team.messages, "the message to the team")
        house.stop()
        assert sorted(firings(house, "berlin") + firings(house, "york")) == sorted(FIRINGS)
        return results, folder / "diary"
    finally:
        house.stop(signal.SIGKILL)
        sweep(mark_of(house.home))


CHANGES = (
    "2026-03-08T06:30", "2026-03-08T07:00", "2026-03-29T00:59:59", "2026-03-29T01:00", "2026-03-30T07:00",
    "2026-10-25T00:30", "2026-10-25T01:30", "2026-11-01T05:30", "2026-11-01T06:30", "2026-11-02T08:00",
)  # fmt: skip
FIRINGS = (
    "berlin-20260328T013000Z", "berlin-20260329T010000Z", "berlin-20260330T003000Z",
    "berlin-20261025T003000Z", "berlin-20261101T013000Z", "berlin-20261102T013000Z",
    "york-20260308T070000Z", "york-20260328T063000Z", "york-20260330T063000Z",
    "york-20261024T063000Z", "york-20261031T063000Z", "york-20261102T073000Z",
)  # fmt: skip
"""The latest times that each change has passed: of a gap its end, of a repeated hour the first."""


def told(result):
    """What has to be the same however often the daemon died."""
    steps = [(step["status"], step["code"], step["stdout"]) for step in result["results"]]
    return result["state"], result["status"], (result["reason"] or "").partition(":")[0], steps, result["outputs"]


def test_a_week_of_twenty_tasks_ends_under_ten_kills_as_it_does_without_one(tmp_path, team):
    calm, _ = run_week(tmp_path / "calm", team, 0)
    assert len(calm) == 20 + len(FIRINGS)
    failed = {name: result["status"] for name, result in calm.items() if result["status"] != "ok"}
    assert failed == {"audit": "failed", "publish-audit": "skipped"}
    assert calm["report"]["results"][0]["stdout"] == "report\n"
    assert calm["package"]["results"][0]["stdout"] == "packs out/app\npackage\n"
    assert len(team.messages) == 1
    stormy, diary = run_week(tmp_path / "stormy", team, 10)
    assert {name: told(result) for name, result in stormy.items()} == {
        name: told(result) for name, result in calm.items()
    }
    assert not (diary / "overlaps").exists()
    assert len({json.dumps(message.get("id")) for message in team.messages}) == 2
