"""Verbs that have verbs of their own: `schedule list`, `notify test`."""

from __future__ import annotations

import typer


def group() -> typer.Typer:
    """An empty one; its module calls it `GROUP`."""
    return typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
