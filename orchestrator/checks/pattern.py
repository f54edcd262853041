"""Regular expressions from specs, matched so that none of them can hold up the daemon.

Python's `re` can't be interrupted, keeps the interpreter lock while it runs, and may take for ever or all
memory on a few characters of pattern. Patterns that are harmless by their form, on short text, are matched
here; all others in a child: our own interpreter, with limits on time and memory, which is killed at the
deadline. The child runs a fixed program and gets the pattern and the text as data, so the rule that only the
runners start what a spec names stays whole.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.checks import pattern_worker as worker
from orchestrator.checks.output import encode
from orchestrator.checks.workspace import RefusedError, UndecidedError

BUDGET_SECONDS = 2.0
MAX_PATTERN = 4_096
SHORT_TEXT = 8_192

_QUANTIFIER = re.compile(r"[*+?{]")


class Matcher:
    """One pattern against many texts, within one budget of time for all of them."""

    def __init__(self, pattern: str, budget: float = BUDGET_SECONDS) -> None:
        if len(pattern) > MAX_PATTERN:
            raise RefusedError(f"the pattern is longer than {MAX_PATTERN:,} characters")
        self._pattern = pattern
        self._harmless = is_harmless(pattern)
        self._budget = budget
        self._deadline = time.monotonic() + budget

    def found_in(self, text: str) -> bool:
        """True if the pattern matches somewhere; `^` and `$` match at each line.

        Raises RefusedError if it is not a regular expression, UndecidedError if the time or the memory ran out.
        """
        if self._harmless and len(text) <= SHORT_TEXT:
            return self._match_here(text)
        return self._match_in_child(text)

    def _match_here(self, text: str) -> bool:
        try:
            return re.search(self._pattern, text, re.MULTILINE) is not None
        except (re.error, OverflowError) as error:
            raise RefusedError(f"not a regular expression: {error}") from None

    def _match_in_child(self, text: str) -> bool:
        # Not `-m`: the worker needs only the standard library, and starts quicker without site-packages.
        program = (sys.executable, "-I", "-S", str(Path(worker.__file__)), self._pattern)
        try:
            child = subprocess.run(
                program,
                input=encode(text),
                capture_output=True,
                timeout=max(self._deadline - time.monotonic(), 0.001),
                env={},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._gave_up() from None
        if child.returncode == worker.INVALID:
            raise RefusedError(f"not a regular expression: {child.stdout.decode(errors='replace').strip()}")
        if child.returncode not in (worker.FOUND, worker.NOT_FOUND):
            raise self._gave_up()
        return child.returncode == worker.FOUND

    def _gave_up(self) -> UndecidedError:
        return UndecidedError(
            f"matching took more than {self._budget:g} s or too much memory and was given up; "
            "avoid repetition within repetition, as in (a+)+"
        )


def is_harmless(pattern: str) -> bool:
    """True if the pattern has no group and at most one quantifier: then time is at most quadratic."""
    return "(" not in pattern and len(_QUANTIFIER.findall(pattern)) <= 1
