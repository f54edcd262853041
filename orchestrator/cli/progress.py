"""One moving line on stderr while a command waits; nothing where stderr is no terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from orchestrator.cli.display import age, colourful, printable
from orchestrator.home import Home
from orchestrator.insights.entries import Entry
from orchestrator.insights.runs import output_files

_TAIL_BYTES = 400


class Progress:
    """A context; `show` brings the line up to date."""

    def __init__(self, home: Home, wanted: Sequence[str]) -> None:
        self._home = home
        self._total = len(wanted)
        self._status: Any = None
        if colourful(sys.stderr):
            from rich.console import Console

            self._status = Console(stderr=True).status("waiting")

    def __enter__(self) -> Progress:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, unended: Sequence[Entry]) -> None:
        """Say what is still to come: how many, and of the first what it does and what it printed last."""
        if self._status is None or not unended:
            return
        from rich.text import Text

        first = next((entry for entry in unended if entry.state == "running"), unended[0])
        count = f"{self._total - len(unended)} of {self._total} ended · " if self._total > 1 else ""
        line = Text(f"{count}{first.stem} {first.status} {age(first.age_s)}", no_wrap=True, overflow="ellipsis")
        if first.state == "running":
            line.append(self._doing(first), style="dim")
        self._status.update(line)

    def _doing(self, entry: Entry) -> str:
        files = output_files(self._home, entry.id, entry.run) if entry.id and entry.run else []
        if not files:
            return ""
        last = files[-1]
        return f" · step {last.step} {last.skill} · {_last_line(last.path)}"


def _last_line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((printable(line) for line in reversed(lines) if line.strip()), "")
