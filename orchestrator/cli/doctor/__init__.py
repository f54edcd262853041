"""`doctor`: look at this host and this home the way the daemon will, and say what to do about what is wrong.

A check never repairs, and writes nothing but a small file that it takes away again; it reports one or more findings
and never raises for what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from orchestrator.cli import exits
from orchestrator.cli.display import paint, printable, say, say_json
from orchestrator.cli.doctor import disk_checks, home_checks, host_checks
from orchestrator.cli.doctor.finding import Finding
from orchestrator.home import Home, find_home

CHECKS: tuple[Callable[[Home], Iterator[Finding]], ...] = (
    host_checks.python,
    host_checks.programs,
    host_checks.sandbox,
    host_checks.inotify,
    host_checks.descriptors,
    home_checks.exists,
    home_checks.permissions,
    home_checks.configuration,
    home_checks.policy,
    home_checks.skills,
    home_checks.templates,
    home_checks.prompts,
    home_checks.channels,
    home_checks.secrets,
    home_checks.models,
    home_checks.daemon,
    home_checks.paused,
    home_checks.schedules,
    disk_checks.disk,
    disk_checks.kept,
    home_checks.memory,
)


def doctor_(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this host and this home; exits 1 if something fails.

    \b
    Example:
      orchestrator doctor
      orchestrator --home ~/orchestrator doctor --json
    """
    home = find_home(ctx.obj)
    findings = [finding for check in CHECKS for finding in check(home)]
    if as_json:
        say_json({"home": home.root, "findings": findings})
    else:
        _print(findings)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(exits.FAILED)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        first, *more = finding.text.split("\n")
        say(f"{paint(finding.level, f'{finding.level:<4}')}  {finding.subject:<{width}}  {printable(first)}")
        for line in more:
            say(f"{'':<{width + 8}}{printable(line)}")
        if finding.advice:
            say(f"{'':<{width + 8}}→ {finding.advice}")
    counts = {level: sum(finding.level == level for finding in findings) for level in ("ok", "warn", "fail")}
    say(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
