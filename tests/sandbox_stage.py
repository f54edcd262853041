"""A sandbox on a stage of its own, for the tests of what a step can reach."""

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from conftest import require
from process_calls import Stage, stage

from orchestrator.home import Home
from orchestrator.outcome import Access
from orchestrator.sandbox import Sandbox, probe
from orchestrator.settings import SandboxSettings


@dataclass
class Yard:
    """A home, a workspace, the home folder of a user with secrets in it, and a runner whose steps are walled in."""

    stage: Stage
    sandbox: Sandbox
    home: Home
    workspace: Path
    user: Path

    def call(self, *argv, access=None, env=None, cwd=None, run="task.1", **options):
        environment = {"HOME": str(self.user), **(env or {})}
        call = self.stage.call(*argv, cwd=cwd or self.workspace, env=environment, **options)
        return self.sandbox.confine(replace(call, access=access or Access()), run)

    async def run(self, *argv, cancelled=None, **options):
        self.stage.count += 1
        return await self.stage.runner.run(
            self.call(*argv, **options), out_path=str(self.stage.out), err_path=str(self.stage.err),
            mark=f"run{self.stage.count}", cancelled=cancelled,
        )  # fmt: skip

    async def bash(self, script, **options):
        return await self.run("/bin/bash", "-c", script, **options)

    async def refuses(self, script, **options):
        """Whether a script fails inside, although the same would work outside."""
        return (await self.bash(script, **options)).status == "failed"

    def secret(self, name, text="canary-secret"):
        path = self.user / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def need(level):
    host = probe()
    have = {"bwrap": bool(host.bwrap), "landlock": host.abi > 0, "none": True}
    require(have[level], f"this host has no {level}: {host.why} {host.advice}")


@contextlib.asynccontextmanager
async def yard(folder, *, level="bwrap", workspace="work", environ=None, grace_ms=2000, limits=None, **settings):
    """`workspace` lies in the folder; "home" puts it into the orchestrator's own home."""
    need(level)
    home = Home(str(folder / "home"))
    home.prepare()
    for own in (home.config, home.policy, home.skills):
        os.makedirs(own)
        Path(own, "a.toml").write_text("a = 1\n")
    user = folder / "user"
    user.mkdir()
    root = folder / workspace
    root.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(user), **(environ or {})}
    wanted = SandboxSettings(level=level, **settings)
    sandbox = Sandbox(wanted, probe(), home, str(root), os.environ["PATH"], environment)
    sandbox.prepare()
    async with stage(folder, grace_ms=grace_ms) as ready:
        yield Yard(ready, sandbox, home, root, user)
