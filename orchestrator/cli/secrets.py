"""`secrets`: which there are, and keeping them in the secrets file. No verb of ours ever prints a value."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import exits, house
from orchestrator.cli.display import complain, note, say, say_json
from orchestrator.cli.groups import group
from orchestrator.errors import FatalError
from orchestrator.home import Home, daemon_pid

if TYPE_CHECKING:
    from orchestrator.secrets import Secrets

GROUP = group()
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits and `_`.", show_default=False)]


@GROUP.callback()
def secrets_() -> None:
    """Secrets that tasks may name: which there are, and where; set and remove those of the secrets file.

    \b
    Example:
      orchestrator secrets set DEPLOY_TOKEN
      orchestrator secrets list
    """


@GROUP.command("list")
def list_(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print names and sources as JSON.")] = False,
) -> None:
    """List the names of secrets, and where each comes from; never a value.

    \b
    Example:
      orchestrator secrets list --json
    """
    home = house.found(ctx)
    found, service = _known(home)
    listed = found.listed()
    if as_json:
        say_json({"file": found.path, "refused": found.refused or None, "keyring": service or None, "secrets": listed})
    else:
        width = max((len(known.name) for known in listed), default=0)
        for known in listed:
            said = "the daemon's environment, if it is set there" if known.source == "environment" else known.source
            say(f"{known.name:<{width}}  {said}")
        if service:
            note(f"any other name is asked of the keyring, service `{service}`")
        elif not listed and not found.refused:
            note("there are none: `orchestrator secrets set NAME` makes one")
    if found.refused:
        complain(found.refused)
        raise typer.Exit(exits.FAILED)


@GROUP.command("set")
def set_(ctx: typer.Context, name: _Name) -> None:
    """Set a secret in the secrets file. The value is typed unseen, or read from stdin (without the last line's end).

    \b
    Example:
      orchestrator secrets set DEPLOY_TOKEN
      orchestrator secrets set DEPLOY_KEY < ~/keys/deploy.pem
    """
    from orchestrator.secrets import file
    from orchestrator.spec import secret_name

    home = house.found(ctx)
    path = _file(home)
    if not name.isidentifier() or not name.isascii() or len(name) > 100:
        raise FatalError(f"{name!r} is no name of a variable: letters, digits and `_`", exit_code=exits.USAGE)
    try:
        secret_name(name)
        known = file.put(path, name, _checked(name, _value(name)))
    except (ValueError, file.FileRefused) as error:
        raise FatalError(str(error), exit_code=exits.USAGE) from error
    say(f"{name} is {'changed' if known else 'set'} in {path}")
    _advise(home)


@GROUP.command("remove")
def remove_(ctx: typer.Context, name: _Name) -> None:
    """Remove a secret from the secrets file. Exits 1 if it is not there.

    \b
    Example:
      orchestrator secrets remove DEPLOY_TOKEN
    """
    from orchestrator.secrets import file

    home = house.found(ctx)
    path = _file(home)
    try:
        known = file.remove(path, name)
    except file.FileRefused as error:
        raise FatalError(str(error), exit_code=exits.USAGE) from error
    if not known:
        complain(f"{path} has no {name}")
        raise typer.Exit(exits.FAILED)
    say(f"{name} is removed from {path}")
    _advise(home)


def _known(home: Home) -> tuple[Secrets, str]:
    """The secrets as this command sees them, and the keyring's service."""
    from orchestrator.configuration import load_settings
    from orchestrator.secrets import Secrets

    settings = load_settings(home).secrets
    return Secrets(settings, home, os.environ), settings.keyring


def _file(home: Home) -> str:
    from orchestrator.configuration import load_settings

    if not load_settings(home).secrets.file:
        raise FatalError("`file` in section [secrets] of the config is empty: there is no secrets file to write to")
    return _known(home)[0].path


def _value(name: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{name} (not shown): ")
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise FatalError(f"the value of {name} is not UTF-8", exit_code=exits.USAGE) from None


def _checked(name: str, value: str) -> str:
    """Raises ValueError for what no task could have as a secret."""
    from orchestrator.secrets import why_no_secret

    if why := why_no_secret(name, value):
        raise ValueError(why)
    return value


def _advise(home: Home) -> None:
    if pid := daemon_pid(home):
        note(f"The running daemon knows it after a reload: `kill -HUP {pid}`")
