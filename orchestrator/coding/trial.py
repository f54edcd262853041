"""The programs that judge what a model wrote: its test, and the interpreter that reads its syntax.

Rule: each is a call like any other, judged by the gate once more, walled in, its whole tree ended. A program that could
not be started says nothing about the file: that is a hindrance, and no model is asked to mend it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.outcome import Call
from orchestrator.runners.finished import Beside, Finished

SAID_CHARS = 2_000
"""So much of what a test printed is told to the model, and kept: the end of it."""
SYNTAX_MS = 30_000
NO_PROGRAM = "a program that the test needs was not found, or may not be run"
_NOT_STARTED = (126, 127)


class HindranceError(Exception):
    """It could not be found out whether the file is right."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Starts them for one step. `call` is the step's own."""

    call: Call
    beside: Beside | None

    @property
    def has_test(self) -> bool:
        return bool(self.call.beside)

    @property
    def can_start(self) -> bool:
        return self.beside is not None

    async def test(self, number: int, timeout_ms: int) -> str:
        """Why the test failed; empty where it passed. Raises HindranceError, OSError."""
        call = self.call.beside[0]
        finished = await self._start(replace(call, timeout_ms=timeout_ms), f"test-{number}")
        if finished.status == "ok":
            return ""
        if finished.status == "timed_out":
            return f"the test did not end within {timeout_ms / 1000:g} s{_said(finished)}"
        if finished.code in _NOT_STARTED:
            return f"{NO_PROGRAM} ({finished.code}){_said(finished)}"
        ended = f"was killed by signal {-finished.code}" if finished.code < 0 else f"exited with {finished.code}"
        return f"the test {ended}{_said(finished)}"

    async def reads(self, argv: tuple[str, ...], word: str) -> str:
        """What an interpreter says against the syntax of a file; empty where nothing. Raises as `test` does.

        It gets none of the variables that the spec sets: some of them name code that runs before anything is read."""
        env = {name: value for name, value in self.call.env.items() if name not in self.call.given}
        call = replace(
            self.call, skill="syntax", runner="process", args=argv[1:], argv=argv, env=env, given={}, inputs={},
            beside=(), timeout_ms=SYNTAX_MS,
        )  # fmt: skip
        finished = await self._start(call, word)
        return "" if finished.status == "ok" else _said(finished).strip() or "it could not be read"

    async def _start(self, call: Call, word: str) -> Finished:
        if self.beside is None:
            raise HindranceError("nothing may be started beside this step")
        finished = await self.beside(call, word)
        if finished.status == "cancelled":
            raise HindranceError("the task was stopped while its file was judged")
        if finished.error and finished.code in _NOT_STARTED:
            raise HindranceError(finished.error)
        return finished


def _said(finished: Finished) -> str:
    """The end of what it printed: errors last, because they say most."""
    text = "\n".join(part for part in (finished.stdout_tail.strip(), finished.stderr_tail.strip()) if part)
    return f":\n{text[-SAID_CHARS:]}" if text else ""
