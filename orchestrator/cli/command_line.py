"""Verbs that take a call instead of a file: everything after `--` is a skill and its arguments, not options of ours."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

_LINE = "orchestrator.command_line"


class TakesCommandLine(TyperCommand):
    """Sets apart what stands after `--`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_LINE] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


def command_line(ctx: typer.Context) -> list[str] | None:
    """The words after `--`; None where there was none."""
    words: list[str] | None = ctx.meta.get(_LINE)
    return words
