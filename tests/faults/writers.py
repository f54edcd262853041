"""The specs of a trial, and the ways in which files come into inbox."""

import json
import os
import random
import threading
from pathlib import Path

from orchestrator.spool.queue import Spool


def submitted(inbox, outside, name, data, rng):
    Spool(inbox.home).submit(name, data)


def _renamed(inbox, outside, name, data, rng):
    temporary = inbox.path / f".{name}.tmp"
    temporary.write_bytes(data)
    temporary.rename(inbox.path / name)


def _moved_in(inbox, outside, name, data, rng):
    (outside / name).write_bytes(data)
    (outside / name).rename(inbox.path / name)


def _linked_in(inbox, outside, name, data, rng):
    (outside / name).write_bytes(data)
    os.link(outside / name, inbox.path / name)
    (outside / name).unlink()


def _at_once(inbox, outside, name, data, rng):
    (inbox.path / name).write_bytes(data)


def _in_pieces(inbox, outside, name, data, rng):
    """A slow writer that keeps the file open; it stops wherever it likes, so also where a YAML file looks whole."""
    pause = threading.Event()
    with (inbox.path / name).open("wb", buffering=0) as file:
        cuts = sorted(rng.sample(range(1, len(data)), 3))
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            file.write(data[begin:end])
            pause.wait(rng.uniform(0, 0.02))


AGAIN = 0.15
WAYS = (submitted, _renamed, _moved_in, _linked_in, _at_once, _in_pieces)


class Dropper:
    """Drops specs into an inbox from two threads. `dropped` is file name → bytes; `may_run_again` are the steps, by
    name and number, that say that a crash may start them once more."""

    def __init__(self, home, outside, witness, kinds, rng, ways=WAYS):
        self.home = home
        self.path = Path(home.inbox)
        self.dropped = {}
        self.may_run_again = set()
        self._outside = outside
        self._witness = witness
        self._kinds = kinds
        self._ways = ways
        self._rng = rng
        self._threads = []

    def drop(self, count, within_s):
        """Begin to drop so many new specs, spread over so many seconds."""
        made = [self._spec(len(self.dropped) + number) for number in range(count)]
        self.dropped |= dict(made)
        for half in (made[::2], made[1::2]):
            rng = random.Random(self._rng.random())
            self._threads.append(threading.Thread(target=self._write, args=(half, rng, within_s)))
            self._threads[-1].start()

    def join(self):
        """Return when all is dropped."""
        for thread in self._threads:
            thread.join()

    def _write(self, specs, rng, within_s):
        pause = threading.Event()
        for name, data in specs:
            rng.choice(self._ways)(self, self._outside, name, data, rng)
            pause.wait(rng.uniform(0, 2 * within_s / len(specs)))

    def _spec(self, number):
        """A spec's file name and bytes. Every tenth has the id of the one before, and must never run beside it."""
        rng = self._rng
        task_id = f"t{number - 1 if number % 10 == 9 else number}"
        name = f"t{number}.{'yaml' if number % 7 == 0 else 'json'}"
        steps = []
        for index in range(rng.choice((1, 1, 1, 2, 3))):
            step = self._witness.step(task_id, name, index, rng.choice(self._kinds), rng.uniform(0.01, 0.2))
            steps.append(step | ({"idempotent": True} if rng.random() < AGAIN else {}))
        spec = {"id": task_id, "title": "Storm", "risk": "low", "skills": ["bash"]}
        spec |= {"on_interrupt": "retry"} if rng.random() < AGAIN else {}
        whole = "on_interrupt" in spec
        self.may_run_again |= {(name, index) for index, step in enumerate(steps) if whole or "idempotent" in step}
        return name, written(name, spec | {"steps": steps})


def written(name, spec):
    """A spec's bytes. In YAML its steps stand last, so that many a beginning of the file is a task too, and another."""
    if name.endswith(".json"):
        return json.dumps(spec).encode()
    lines = [f"{key}: {json.dumps(value)}" for key, value in spec.items() if key != "steps"]
    return "\n".join([*lines, "steps:", *(f"- {json.dumps(step)}" for step in spec["steps"]), ""]).encode()
