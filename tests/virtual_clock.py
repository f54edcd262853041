"""A daemon whose schedules go by a clock that the test sets."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from conftest import smoke, until
from typer.testing import CliRunner

from orchestrator.cli.app import app


class Clock:
    """What the daemon and the command line of this house take for the time of day. A paused task whose time comes each
    minute tells what the daemon has seen of it."""

    def __init__(self, house, path):
        self._house = house
        self._path = path
        self._tick = Path(house.home.schedules) / "tick.json"
        path.touch()
        self.env = {"ORCHESTRATOR_CLOCK": str(path)}

    def start(self, text):
        """Start a daemon at this time."""
        self._set(text)
        (Path(self._house.home.scheduled) / "tick.paused").touch()
        self._house.start(env=self.env)
        recurring(self._house, "tick", "* * * * *")

    def set(self, *texts):
        """Let it be these times, one after the other, and the daemon see each."""
        for text in texts:
            moment = self._set(text)
            until(lambda seen=moment: json.loads(self._tick.read_bytes())["seen"] == seen, f"{text} to be seen")

    def _set(self, text):
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        os.utime(self._path, (moment, moment))
        return moment

    def run(self, *args):
        return CliRunner().invoke(app, ["--home", str(self._house.root), *args])


def recurring(house, name, cron, script="echo ok", timezone="UTC", **fields):
    """Drop a recurring task and wait until the daemon has taken it."""
    rules = {key: fields.pop(key) for key in ("overlap", "catch_up") if key in fields}
    house.drop(smoke(name, script, schedule={"cron": cron, "timezone": timezone, **rules}, **fields))
    record = Path(house.home.schedules) / f"{name}.json"
    digest = record.read_bytes() if record.exists() else b""
    until(lambda: record.exists() and record.read_bytes() != digest, f"{name} to be taken")


def firings(house, name, *states):
    return [
        file.removesuffix(".json")
        for state in states or ("inbox", "running", "failed", "done")
        for file in house.names(state)
        if file.startswith(f"{name}-") and not file.endswith(".result.json")
    ]
