"""Over a hundred services (Discord, Slack, Telegram, mail, ntfy, …) through apprise, which knows each by its URL.

apprise says what went wrong through `logging` alone, and there with parts of the URL: so what it says is caught here,
masked, and goes nowhere else.
"""

from __future__ import annotations

import logging
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from orchestrator.settings import ChannelSettings
from orchestrator.sinks.notify.message import Message
from orchestrator.sinks.notify.receiver import Receiver, SendError, Surroundings
from orchestrator.sinks.notify.reference import Mask, NotSet, resolve
from orchestrator.sinks.wording import printable

if TYPE_CHECKING:
    from apprise import NotifyBase

MISSING = "apprise is not installed: `pip install 'local-orchestrator[notify]'`, then start the daemon again"
_DETAIL = "Socket Exception: "
_TYPES = {"debug": "info", "info": "info", "warn": "warning", "warning": "warning"}
_LONGEST = 300


def installed() -> bool:
    """Whether the extra is there; nothing is imported for that."""
    return find_spec("apprise") is not None


def make(channel: ChannelSettings, url: str, around: Surroundings) -> Receiver:
    """Raises SendError where apprise is missing or does not understand the URL."""
    del channel
    try:
        where = resolve(url, around.lookup)
    except NotSet as error:
        raise SendError(str(error)) from error
    if not installed():
        raise SendError(MISSING)
    from apprise import Apprise, AppriseAsset

    # In its own words it would sign as "Apprise", and keep a store of its own on the disk.
    asset = AppriseAsset(app_id="Orchestrator", app_desc="Orchestrator", app_url="", storage_mode="memory")
    mask = Mask(urls=[where])
    with _Heard() as heard:
        service = Apprise.instantiate(where, asset=asset)
    if service is None:
        why = heard.said(mask) or "see https://github.com/caronc/apprise/wiki for how it is written"
        raise SendError(f"its url is none that apprise understands: {why}")
    return Service(service, mask)


class Service:
    """One service, kept from message to message: it spaces its requests as that service wants it."""

    def __init__(self, service: NotifyBase, mask: Mask) -> None:
        self._service = service
        self._mask = mask

    def send(self, message: Message, id: str) -> str:
        headers: Any = getattr(self._service, "headers", None)
        if isinstance(headers, dict):  # of mail, and of the plain kinds of web requests
            headers["X-Orchestrator-Message"] = id
        with _Heard() as heard:
            try:
                arrived = self._service.notify(
                    body=message.body or message.title,
                    title=message.title if message.body else "",
                    notify_type=_TYPES.get(message.level, "failure"),
                )
            except Exception as error:  # a service's plugin is a stranger's code
                raise SendError(self._mask(f"{type(error).__name__}: {error}")) from error
        if not arrived:
            raise SendError(heard.said(self._mask) or "the service did not take it, and apprise does not say why")
        return "taken by the service"


class _Heard(logging.Handler):
    """What apprise says in this thread meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._lines: list[str] = []

    def __enter__(self) -> _Heard:
        logger = logging.getLogger("apprise")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if threading.get_ident() != self._thread:
            return
        text = record.getMessage()
        if record.levelno >= logging.WARNING or text.startswith(_DETAIL):
            self._lines.append(text.removeprefix(_DETAIL))

    def said(self, mask: Mask) -> str:
        """The last two things, on one line, without secrets."""
        return printable(mask("; ".join(self._lines[-2:])))[:_LONGEST]
