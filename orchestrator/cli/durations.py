"""A length of time on the command line."""

from __future__ import annotations

from orchestrator.cli import exits
from orchestrator.errors import FatalError


def seconds(text: str | None, option: str) -> float | None:
    """`30s`, `2h`, or a bare number of milliseconds, in seconds. Raises FatalError (exit 2) that names the option."""
    from orchestrator.spec import parse_duration

    if text is None:
        return None
    try:
        milliseconds = parse_duration(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise FatalError(f"{option} {text}: {error}", exit_code=exits.USAGE) from error
    assert isinstance(milliseconds, int)  # noqa: S101 - what parse_duration makes of text and numbers
    return milliseconds / 1_000
