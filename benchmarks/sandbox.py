"""What a sandbox adds to the start of a step: `bash -c true` through the same runner, with each level of this host.

A ratio, interleaved, so that a busy machine slows both down. `python -m benchmarks.sandbox [ROUNDS]`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time

from orchestrator.home import Home
from orchestrator.outcome import Call
from orchestrator.runners.process import ProcessRunner
from orchestrator.sandbox import Sandbox, probe
from orchestrator.sandbox.host import ORDER
from orchestrator.settings import SandboxSettings

ROUNDS = 200


async def measure(folder: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Per level: the median of one step, and of building its arguments, both in milliseconds."""
    home, workspace = Home(f"{folder}/home"), f"{folder}/work"
    home.prepare()
    for path in (home.config, home.policy, home.skills, workspace):
        os.makedirs(path)
    host, runner = probe(), ProcessRunner("benchmark")
    levels = [level for level in ORDER if ORDER.index(level) <= ORDER.index(host.best)]
    if not host.abi and "landlock" in levels:
        levels.remove("landlock")
    env = dict(os.environ)
    path = env["PATH"]
    boxes = {
        level: Sandbox(SandboxSettings(level=level), host, home, workspace, path, env) for level in levels
    }  # the levels share the folders of one home
    taken: dict[str, list[float]] = {level: [] for level in levels}
    built: dict[str, list[float]] = {level: [] for level in levels}
    call = Call(0, "bash", "process", (), ("/bin/bash", "-c", "true"), env, workspace, 60_000)
    await runner.start()
    for level in levels:
        boxes[level].prepare()
    for number in range(rounds):
        for level, box in boxes.items():
            begun = time.perf_counter()
            confined = box.confine(call, "one.1")
            built[level].append(time.perf_counter() - begun)
            finished = await runner.run(
                confined, out_path=f"{folder}/o", err_path=f"{folder}/e", mark=f"{level}{number}"
            )
            taken[level].append(time.perf_counter() - begun)
            if finished.code != 0:
                raise SystemExit(f"{level}: {finished}")
    await runner.close()
    return {level: (median(taken[level]), median(built[level])) for level in levels}


def median(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as folder:
        figures = asyncio.run(measure(folder, rounds))
    floor = figures["none"][0]
    for level, (step, building) in figures.items():
        print(f"{level:<9} {step:6.2f} ms a step   {step / floor:4.1f} x none   {building * 1000:6.1f} µs to build")


if __name__ == "__main__":
    main()
