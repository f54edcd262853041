"""Git as we run it ourselves: in the sandbox, never asking, its output read by bytes, none of its hooks started.

Rule: the environment is what steps get, without any variable of git's own; and no configuration of a repository makes
it run a hook, a monitor, a signing program or a collection of garbage. Filters of checked out files (such as those for
large files) stay: without them the files would be wrong.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from orchestrator.errors import TaskError
from orchestrator.outcome import Access, Call
from orchestrator.runners.finished import Runner

_OPTIONS = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.ext.allow=never", "gc.auto=0",
    "maintenance.auto=false", "commit.gpgSign=false", "submodule.recurse=false", "advice.detachedHead=false",
)  # fmt: skip
_LARGEST = 64 * 1024 * 1024
_MOST_SHOWN = 300
_LOCKED = ".lock': File exists"
_TRIES = 20
_PAUSE_S = 0.1
_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class Confine(Protocol):
    """What puts the sandbox around a call."""

    def __call__(self, call: Call, run: str) -> Call: ...


class GitFailed(TaskError):
    """Git said no. `message` is its own last word on it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one command ended. `err` is text for people."""

    code: int
    out: bytes
    err: str

    @property
    def line(self) -> str:
        """The one thing that was printed."""
        return os.fsdecode(self.out.removesuffix(b"\n"))


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git. `run` names whose temporary folder and mark it uses; output passes through `folder`; setting
    `cancelled` ends what runs."""

    runner: Runner
    confine: Confine
    path: str
    environ: Mapping[str, str]
    run: str
    mark: str
    folder: str
    timeout_ms: int = 600_000
    cancelled: asyncio.Event | None = None

    async def ask(
        self, *args: str, at: str, write: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a command in the folder `at`, whatever it answers; `write` is what else it may write.

        Raises GitFailed where it could not run to its end, OSError where the machine is short of something."""
        call = self.confine(self._call(args, at, write, env or {}), self.run)
        out, err = f"{self.folder}/git.out", f"{self.folder}/git.err"
        try:
            finished = await self.runner.run(call, out_path=out, err_path=err, mark=self.mark, cancelled=self.cancelled)
            if finished.status == "timed_out":
                raise GitFailed("worktree_failed", f"`git {args[0]}` did not end within {self.timeout_ms // 1000} s")
            if finished.status == "cancelled" or finished.error or finished.truncated:
                why = finished.error or ("it was stopped" if finished.status == "cancelled" else "it printed too much")
                raise GitFailed("worktree_failed", f"`git {args[0]}` came to no end: {why}")
            return Answer(finished.code, _content(out) if finished.stdout_bytes else b"", _last(finished.stderr_tail))
        finally:
            for path in (out, err):
                with suppress(FileNotFoundError):
                    os.unlink(path)

    async def do(
        self, *args: str, at: str, write: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> Answer:
        """The same, and raise GitFailed unless it went well. Who holds one of git's locks is waited for."""
        for _ in range(_TRIES):
            answer = await self.ask(*args, at=at, write=write, env=env)
            if answer.code == 0:
                return answer
            if _LOCKED not in answer.err:
                break
            await asyncio.sleep(_PAUSE_S)
        raise GitFailed("worktree_failed", f"`git {args[0]}` failed: {answer.err or f'exit code {answer.code}'}")

    def _call(self, args: tuple[str, ...], at: str, write: tuple[str, ...], env: Mapping[str, str]) -> Call:
        options = [word for option in _OPTIONS for word in ("-c", option)]
        own = {name: value for name, value in self.environ.items() if not name.startswith("GIT_")}
        own |= {"PATH": self.path, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        own |= {"GIT_EDITOR": ":", "GIT_CEILING_DIRECTORIES": os.path.dirname(at), **env}
        return Call(
            index=0, skill="git", runner="process", args=args, argv=(self._program(), "--no-pager", *options, *args),
            env=own, cwd=at, timeout_ms=self.timeout_ms, output_limit=_LARGEST, access=Access(write=write),
        )  # fmt: skip

    def _program(self) -> str:
        entries = os.pathsep.join(entry for entry in self.path.split(os.pathsep) if os.path.isabs(entry))
        if (found := shutil.which("git", path=entries)) is None:
            raise TaskError("skill_unavailable", f"a worktree needs git, which is not on PATH ({entries})")
        return found


def alone(common: str) -> asyncio.Lock:
    """Held while a repository's worktrees or branches change: one at a time spares git's own locks."""
    lock = _locks.get(common)
    if lock is None:
        lock = _locks[common] = asyncio.Lock()
    return lock


def _content(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


def _last(text: str) -> str:
    """What git said in the end, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    said = "; ".join(lines[-3:])
    return said if len(said) <= _MOST_SHOWN else "…" + said[-_MOST_SHOWN:]
