"""What the gate costs, against starting the program that it judges.

A daemon judges each call twice: when the task is taken up, and right before the spawn, when the answer is remembered
for a call that depends on no file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.figures import Figure, Line
from benchmarks.gate import ROOT, WORKSPACE
from benchmarks.plan import Scale
from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide
from orchestrator.policy.rules import load_rules
from orchestrator.settings import StepSettings

NAME = "judging"
FLOOR = "bash -c true"
_BATCH = 20
_ENV = {name: os.environ[name] for name in (*StepSettings().env, "PATH") if name in os.environ}
_CONTEXT = Context(home_dir=WORKSPACE, workspace=WORKSPACE)


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Judgements and starts take turns, a few at a time, so that both meet the same machine."""
    del folder
    rules, bash = load_rules(str(ROOT / "policy")), shutil.which("bash") or "/bin/bash"
    first: list[float] = []
    again: list[float] = []
    starts: list[float] = []
    for number in range(max(2, scale.drops // _BATCH)):
        calls = [_call(bash, f"git log -{number}{n} --oneline") for n in range(_BATCH)]
        first += [_time(partial(decide, call, rules, _CONTEXT)) for call in calls]
        again += [_time(partial(decide, call, rules, _CONTEXT)) for call in calls]
        starts += [_time(lambda: _start(bash)) for _ in range(_BATCH)]
    floor = median(starts)
    yield Figure(NAME, "a plain command, first time", median(first), "us", floor, FLOOR, "≤ 0.10")
    yield Figure(NAME, "the same again, before its spawn", median(again), "us", floor, FLOOR)


def _call(bash: str, script: str) -> Call:
    return Call(0, "bash", "process", ("-c", script), (bash, "-c", script), _ENV, WORKSPACE, 1_000)


def _start(program: str) -> None:
    pid = os.posix_spawn(program, [program, "-c", "true"], os.environ)
    os.waitpid(pid, 0)


def _time(what: Callable[[], object]) -> float:
    """Microseconds."""
    started = perf_counter()
    what()
    return (perf_counter() - started) * 1e6
