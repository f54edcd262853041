"""Whom a message can be sent to: one Protocol, a module for each kind of channel.

Rule: a receiver is asked by one thread at a time, may block, and says what came of it; when to try again is not its
business. Its module, and the library behind it, is imported when the first message is to be sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from orchestrator.settings import ChannelSettings, Settings
from orchestrator.sinks.notify.message import Message
from orchestrator.sinks.notify.reference import Lookup, shown

_MODULES = {"apprise": "services", "webhook": "webhook", "command": "command", "desktop": "desktop"}


class SendError(Exception):
    """The message did not arrive, as far as is known; the text says why, without a secret. `after_s` is how long the
    receiver wants to be left alone."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class Receiver(Protocol):
    """One place that messages go to."""

    def send(self, message: Message, id: str) -> str:
        """Send; what the other side answered, in a few words. `id` is the same each time that this message is sent.
        Raises SendError."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What receivers are made in: `lookup` knows the secrets and the environment, `mark` goes to what is started."""

    home: str
    settings: Settings
    lookup: Lookup
    mark: str = ""


Maker = Callable[[ChannelSettings, str, Surroundings], Receiver]


def labels(name: str, channel: ChannelSettings) -> list[str]:
    """What the receivers of a channel are called: one with several URLs has `team`, `team/2`, …"""
    return [name if number == 0 else f"{name}/{number + 1}" for number in range(max(1, len(channel.url)))]


def make(label: str, around: Surroundings) -> Receiver:
    """The receiver of that name. Raises SendError, with a sentence, where the configuration has none."""
    name, _, number = label.partition("/")
    channel = around.settings.channels.get(name)
    if channel is None or label not in labels(name, channel):
        raise SendError(f"the configuration has no channel {label} any more")
    url = channel.url[int(number or 1) - 1].get_secret_value() if channel.url else ""
    maker: Maker = import_module(f"orchestrator.sinks.notify.{_MODULES[channel.kind]}").make
    return maker(channel, url, around)


def place(label: str, channel: ChannelSettings) -> str:
    """Where a receiver sends to, as far as it may be seen."""
    if channel.kind == "command":
        return channel.command[0]
    if not channel.url:
        return ""
    url = channel.url[int(label.partition("/")[2] or 1) - 1].get_secret_value()
    return shown(url, host=channel.kind == "webhook")
