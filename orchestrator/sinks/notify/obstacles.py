"""What would keep a channel from working, seen without sending anything and without importing anything heavy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping

from orchestrator.settings import ChannelSettings
from orchestrator.sinks.notify.reference import Lookup, NotSet, resolve
from orchestrator.sinks.notify.services import MISSING, installed


def obstacles(channel: ChannelSettings, lookup: Lookup, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Sentences, none of which holds a secret. `environ` is this process's unless given."""
    environ = os.environ if environ is None else environ
    if channel.kind == "apprise" and not installed():
        yield MISSING
    secrets = [*channel.url, *channel.headers.values(), *([channel.secret] if channel.secret else [])]
    for text in [*(secret.get_secret_value() for secret in secrets), *(f"${{{name}}}" for name in channel.env)]:
        try:
            resolve(text, lookup)
        except NotSet as error:
            yield str(error)
    program = _program(channel)
    if program and shutil.which(program, path=environ.get("PATH")) is None:
        yield f"there is no program {program}"


def _program(channel: ChannelSettings) -> str:
    if channel.kind == "desktop":
        return "osascript" if sys.platform == "darwin" else "notify-send"
    return channel.command[0] if channel.command else ""
