"""`service`: have the machine itself run the daemon, or `run --once` at set times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli import exits, house
from orchestrator.cli.display import age, note, say, say_json
from orchestrator.cli.groups import group
from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_pid, find_home

if TYPE_CHECKING:
    from orchestrator.units.condition import Condition
    from orchestrator.units.installed import Installed
    from orchestrator.units.managers import Manager
    from orchestrator.units.service import Scope, Service, Unit

GROUP = group()
_Name = Annotated[str, typer.Option("--name", metavar="NAME", help="One name for each home's service.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_System = Annotated[
    bool | None,
    typer.Option("--system/--user", help="Whose: the machine's, or this user's. Default: root's is the machine's."),
]


@GROUP.callback()
def service_() -> None:
    """Have the machine run the daemon: systemd on Linux, launchd on macOS.

    \b
    Example:
      orchestrator service install
      orchestrator service status
    """


@GROUP.command()
def install(
    ctx: typer.Context,
    system: _System = None,
    name: _Name = "orchestrator",
    schedule: Annotated[
        str, typer.Option(metavar="CRON", help="No daemon: `run --once` at these times; '0 18 * * 5', or daily.")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="The hardest walls around the daemon; steps then run under Landlock.")
    ] = False,
    print_: Annotated[bool, typer.Option("--print", help="Print what would be written, and change nothing.")] = False,
    manager: Annotated[
        Literal["systemd", "launchd"] | None, typer.Option("--for", help="With --print: for another kind of machine.")
    ] = None,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start it now, and at each boot or login.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that we did not write, or that you changed.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Write the service of this home, and start it. Installing again brings it up to date.

    It gets the PATH of this shell. Nothing else of the environment is taken over, and no secret is ever written.

    \b
    Example:
      orchestrator service install
      orchestrator service install --schedule '0 18 * * 5'
      sudo orchestrator --home /srv/work service install --system --strict
    """
    home = house.found(ctx)
    from orchestrator.configuration import load_settings
    from orchestrator.units import survey, units_of

    if manager is not None and not print_:
        raise FatalError("--for goes with --print only: a service is installed where it is to run", exit_code=2)
    for variable in survey.leave_overrides(os.environ):
        note(f"{variable} is set in this shell; the service does not get it: write it into config/local.toml")
    path = survey.search_path(os.environ.get("PATH", ""), load_settings(home).steps.path)
    scope = _scope(system)
    wishes = survey.Wishes(manager or survey.this_manager(), scope, name, path, schedule=schedule, strict=strict)
    wanted = survey.survey(home, wishes)
    units = units_of(wanted.service)
    if print_:
        _print(units, as_json=as_json)
        for sentence in wanted.obstacles:
            note(f"It would not be installed so: {sentence}")
        return
    _must_be_root(scope, "install")
    if wanted.obstacles:
        raise FatalError("\n".join(wanted.obstacles), exit_code=exits.USAGE)
    _install(home, wanted.service, units, start=start, force=force, as_json=as_json)


@GROUP.command()
def uninstall(
    ctx: typer.Context,
    system: _System = None,
    name: _Name = "orchestrator",
    force: Annotated[bool, typer.Option("--force", help="Also remove a file that you changed.")] = False,
    as_json: _Json = False,
) -> None:
    """Stop the service (what runs is waited for), and remove what `install` wrote; nothing else.

    \b
    Example:
      orchestrator service uninstall
    """
    home = find_home(ctx.obj)  # it may be gone already
    from orchestrator.units import installed, managers, survey

    scope, there = _there(system, name)
    _must_be_root(scope, "uninstall")
    installed.check_removable(there, home.root, force=force)
    manager = managers.manager_of(survey.this_manager(), scope)
    lack = manager.lack()
    if there.is_ours() and not lack:
        manager.let_go(name)
    removed = installed.remove(there)
    if removed and not lack:
        manager.forget()
    kept = [path for path, found in there.there if found.state == "foreign"]
    kept += installed.drop_ins(survey.folder_of(survey.this_manager(), scope), name)
    if as_json:
        say_json({"name": name, "scope": scope, "removed": removed, "kept": kept})
        return
    for path in removed:
        say(f"removed {path}")
    if not removed:
        say(f"{name} is not installed as {'the system' if scope == 'system' else 'this user'}'s service")
    if removed and lack:
        note(f"The files alone were removed; nothing was stopped: {lack}")
    for path in kept:
        note(f"kept {path}: `orchestrator service install` did not write it")


@GROUP.command()
def status(ctx: typer.Context, system: _System = None, name: _Name = "orchestrator", as_json: _Json = False) -> None:
    """Is it installed, as it would be written now, enabled, running, since when?

    Exits 0 if it serves (or its timer waits), else 75.

    \b
    Example:
      orchestrator service status
    """
    home = find_home(ctx.obj)
    from orchestrator.units import managers, survey
    from orchestrator.units.condition import condition

    survey.leave_overrides(os.environ)
    scope, there = _there(system, name)
    found = condition(home, there, scope, name, managers.manager_of(survey.this_manager(), scope))
    if as_json:
        say_json(found)
    else:
        _tell(found)
    raise typer.Exit(exits.OK if found.serves else exits.BUSY)


def _scope(system: bool | None) -> Scope:
    wanted = os.geteuid() == 0 if system is None else system
    return "system" if wanted else "user"


def _there(system: bool | None, name: str) -> tuple[Scope, Installed]:
    """What is installed under a name; where nobody said whose, the one of the other scope if only that is there."""
    from orchestrator.units import installed, survey

    manager, first = survey.this_manager(), _scope(system)
    second: Scope = "user" if first == "system" else "system"
    scopes: Sequence[Scope] = (first, second) if system is None else (first,)
    every = [(scope, installed.installed(manager, survey.folder_of(manager, scope), name)) for scope in scopes]
    return next((one for one in every if one[1].there), every[0])


def _must_be_root(scope: Scope, verb: str) -> None:
    if scope == "system" and os.geteuid() != 0:
        raise FatalError(
            f"a system's service is root's to {verb}: use sudo, or --user for a service of your own", exit_code=2
        )


def _print(units: Sequence[Unit], *, as_json: bool) -> None:
    if as_json:
        say_json([{"path": unit.path, "text": unit.text} for unit in units])
        return
    for unit in units:
        if len(units) > 1:
            say(f"# {unit.path}")
        say(unit.text.rstrip("\n"))
        if len(units) == 1:
            note(f"would be written to {unit.path}")


def _install(home: Home, service: Service, units: Sequence[Unit], *, start: bool, force: bool, as_json: bool) -> None:
    from orchestrator.units import installed, managers, survey

    there = installed.installed(service.manager, service.files, service.name)
    installed.check_ours(there, home.root, force=force)
    survey.check_start(service)
    manager = managers.manager_of(service.manager, service.scope)
    if start:
        _must_be_startable(home, service, manager)
    before = there.service
    if start and before is not None and bool(before.schedule) != bool(service.schedule):
        manager.let_go(service.name)  # a daemon would go on under a unit that no longer tells of it
    changed = installed.write(units, there)
    if start:
        manager.take_up(service, units, changed=bool(changed))
    if as_json:
        say_json({"service": service.facts(), "changed": changed, "started": start})
        return
    for unit in units:
        say(f"{'wrote' if unit.path in changed else 'unchanged'} {unit.path}")
    _advise(service, units, manager, start=start)


def _must_be_startable(home: Home, service: Service, manager: Manager) -> None:
    if lack := manager.lack():
        raise FatalError(f"{lack}.\nNothing was written; --no-start writes the files alone, --print shows them.")
    pid = daemon_pid(home)
    if pid and not service.schedule and pid != manager.state(service.name, scheduled=False).pid:
        raise FatalError(
            f"a daemon runs for {home.root} already (pid {pid}): stop it first (`kill {pid}`), then install again",
            exit_code=exits.BUSY,
        )


def _advise(service: Service, units: Sequence[Unit], manager: Manager, *, start: bool) -> None:
    from orchestrator.units.condition import lingers

    if not start:
        note(f"Not started: `{manager.by_hand(service, units)}` does that.")
        return
    when = f"runs what waits at {service.schedule!r}" if service.schedule else "the daemon runs"
    say(f"{service.name}: {when}, and will after each {'boot' if service.scope == 'system' else 'login'}")
    if service.manager == "systemd" and service.scope == "user" and not lingers():
        note("It ends when you log out. To have it run all the same: `loginctl enable-linger`")
    note("Look after it with `orchestrator service status`.")


def _tell(found: Condition) -> None:
    whose = "the system" if found.scope == "system" else "this user"
    say(f"{found.name}  {found.manager}, {whose}'s; home {found.home}")
    for file in found.files:
        say(f"  file      {file.path}: {file.state}")
    for path in found.drop_ins:
        say(f"  with      {path}")
    if found.installed:
        state = found.manager_says
        say(f"  enabled   {'yes' if state.enabled else 'no'}")
        since = f" for {age(found.age_s)}, since {state.since}, pid {state.pid}" if state.since else ""
        say(f"  running   {'yes' if state.running else 'no'}: {state.word}{since}")
        if state.restarts:
            say(f"  restarts  {state.restarts}")
        if state.line:
            say(f"  says      {state.line}")
        if state.next:
            say(f"  next      {state.next}")
    for sentence in found.advice:
        note(f"→ {sentence}")
