"""`notify`: try a channel, and see which there are and what waits for them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion, exits, house
from orchestrator.cli.display import age, note, printable, say, say_json, table
from orchestrator.cli.groups import group
from orchestrator.errors import FatalError

if TYPE_CHECKING:
    from orchestrator.home import Home
    from orchestrator.insights.notifications import Channel
    from orchestrator.settings import Settings

GROUP = group()
_SHOWN = 20
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


@GROUP.callback()
def notify_() -> None:
    """Notification channels: try one, see what waits. They are `[channels.NAME]` in config/orchestrator.toml.

    \b
    Example:
      orchestrator notify test team
      orchestrator notify list
    """


@GROUP.command("test")
def try_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A channel.", autocompletion=completion.channel)],
    as_json: _Json = False,
) -> None:
    """Send a test message to a channel, now and from here, and say what came of it. Exits 1 if it did not arrive.

    Names like ${TOKEN} are looked up among the secrets, then in this shell's environment; the daemon has its own.

    \b
    Example:
      orchestrator notify test team
    """
    home = house.found(ctx)
    settings = _settings(home)
    answers = [_try(home, settings, label) for label in _labels(settings, name)]
    if as_json:
        say_json(answers)
    for answer in [] if as_json else answers:
        mark = "✅" if answer["ok"] else "❌"
        say(f"{mark} {answer['channel']}: {printable(str(answer['answer']))} ({answer['message']})")
    if not all(answer["ok"] for answer in answers):
        raise typer.Exit(exits.FAILED)


@GROUP.command("list")
def list_(ctx: typer.Context, as_json: _Json = False) -> None:
    """The channels, how each is, and the messages that wait for it. What is secret in them is never shown.

    \b
    Example:
      orchestrator notify list
    """
    home = house.found(ctx)
    settings = _settings(home)
    from orchestrator.insights.notifications import channels

    found = channels(home, settings)
    if as_json:
        say_json(found)
        return
    if not found:
        note("no channel yet: add a [channels.NAME] to config/orchestrator.toml, then `orchestrator notify test NAME`")
        return
    headers = ("CHANNEL", "KIND", "TO", "STATE", "SENT", "WAIT", "LOST", "WHY")
    table(headers, [_row(channel) for channel in found], status_column=3, spare=(2, 4))
    _print_waiting(found)


def _settings(home: Home) -> Settings:
    from orchestrator.configuration import load_settings

    return load_settings(home)


def _labels(settings: Settings, name: str) -> list[str]:
    """The receivers of a channel. Raises FatalError where there is no such channel."""
    from orchestrator.intake.problem import nearest
    from orchestrator.sinks.notify.receiver import labels

    if name in settings.channels:
        return labels(name, settings.channels[name])
    near = nearest(name, settings.channels)
    meant = f" Did you mean {near!r}?" if near else ""
    there = f"There are {', '.join(settings.channels)}" if settings.channels else "None is configured"
    sentence = f"no channel {printable(name)!r} in config/orchestrator.toml.{meant} {there}."
    raise FatalError(sentence, exit_code=exits.USAGE)


def _try(home: Home, settings: Settings, label: str) -> dict[str, Any]:
    from orchestrator.secrets import Secrets
    from orchestrator.sinks.notify.message import of_test
    from orchestrator.sinks.notify.outbox import new_id
    from orchestrator.sinks.notify.receiver import SendError, Surroundings, make

    lookup = Secrets(settings.secrets, home, os.environ).for_config
    around, id = Surroundings(home.root, settings, lookup), new_id()
    try:
        answer = make(label, around).send(of_test(label, home.root), id)
    except SendError as error:
        return {"channel": label, "ok": False, "answer": str(error), "message": id}
    return {"channel": label, "ok": True, "answer": answer, "message": id}


def _row(channel: Channel) -> list[str]:
    state = "failed" if channel.error or not channel.configured else "ok" if channel.sent else "-"
    why = channel.error if channel.configured else "the configuration has no such channel any more"
    lost = channel.given_up + channel.dropped
    counts = (channel.sent, len(channel.waiting), lost)
    return [channel.name, channel.kind, channel.to, state, *(f"{count:,}" for count in counts), why]


def _print_waiting(found: list[Channel]) -> None:
    at = time.time()
    rows = []
    waiting = [(message, channel) for channel in found for message in channel.waiting]
    for message, channel in sorted(waiting, key=lambda pair: pair[0].created_at):
        due = f"in {age(message.next_at - at)}" if message.next_at else "soon"
        rows.append([channel.name, age(at - message.created_at), f"{message.attempts}", due, message.title])
    if rows:
        say()
        table(("WAITS FOR", "AGE", "TRIED", "NEXT", "MESSAGE"), rows[-_SHOWN:], spare=(2, 1))
        which = f"the newest {_SHOWN} of {len(rows):,} that wait" if len(rows) > _SHOWN else f"{len(rows)} wait"
        note(f"{which}; a running daemon sends them")
