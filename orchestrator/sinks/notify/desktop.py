"""A notification on this machine's screen: notify-send, or osascript on macOS. The text is an argument, never code."""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Sequence

from orchestrator.settings import ChannelSettings
from orchestrator.sinks.notify.command import base_environment, run
from orchestrator.sinks.notify.message import Message, rank
from orchestrator.sinks.notify.receiver import Receiver, Surroundings

# What tells a program which screen and which session bus are the user's.
_SESSION = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR")
_SCRIPT = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")
_LONGEST = 400
_URGENCIES = ("low", "normal", "normal", "critical", "critical")


def make(channel: ChannelSettings, url: str, around: Surroundings) -> Receiver:
    """Whether there is a screen shows when it is used."""
    del url
    return Desktop(channel.timeout / 1000, around)


class Desktop:
    """The screen of whoever the daemon belongs to. `timeout` is seconds."""

    def __init__(self, timeout: float, around: Surroundings) -> None:
        self._timeout = timeout
        self._around = around

    def send(self, message: Message, id: str) -> str:
        del id
        session = {name: os.environ[name] for name in _SESSION if name in os.environ}
        environ = base_environment(self._around) | session
        run(argv_for(message, sys.platform), "", environ, self._timeout, self._around)
        return "shown"


def argv_for(message: Message, platform: str) -> Sequence[str]:
    """The command line that shows a message on this kind of machine."""
    body = message.body[:_LONGEST]
    if platform == "darwin":
        lines = [word for line in _SCRIPT for word in ("-e", line)]
        return ["osascript", *lines, message.title, body]
    urgency = _URGENCIES[rank(message.level)]
    # Its servers take the body for markup; a title is plain text.
    escaped = html.escape(body, quote=False)
    return ["notify-send", "--app-name=Orchestrator", f"--urgency={urgency}", "--", message.title, escaped]
