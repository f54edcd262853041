"""Who is told, and in which words. Rule: what a spec or the configuration asks for either goes into the outbox, or it
is said in the log why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Literal

import structlog

from orchestrator.event import Event, Notice, TaskFinished
from orchestrator.home import Home
from orchestrator.intake.channels import unknown_channels
from orchestrator.runners.process.marks import mark_of_home
from orchestrator.settings import LOG_CHANNEL, ChannelSettings, Settings
from orchestrator.sinks.wording import printable, verdict

if TYPE_CHECKING:
    from orchestrator.outcome import Outcome
    from orchestrator.sinks.notify.outbox import Entry
    from orchestrator.sinks.notify.post import Post
    from orchestrator.spec import Notify

_LOG_LEVEL = {"warn": "warning"}
_SAID_AGAIN_S = 3_600.0


class NotifySink:
    """Tells whom a finished task names, or for one that says nothing `[notify.default]`; and of the daemon's troubles
    those channels that ask for them. With `once` its end waits longer for what is on its way."""

    name = "notify"
    wants = (TaskFinished, Notice)

    def __init__(self, home: Home, settings: Settings, *, once: bool = False) -> None:
        self._home = home
        self._settings = settings
        self._patience_s = 4.0 if once else 1.0
        self._emit: Callable[[Event], None] = _to_nobody
        self._post: Post | None = None
        self._troubles: set[str] = set()
        self._said: dict[str, float] = {}

    def attach(self, emit: Callable[[Event], None]) -> None:
        """Before the first event: what waits from an earlier daemon is sent. `emit` hears what goes wrong."""
        self._emit = emit
        self._open()

    def use(self, settings: Settings) -> None:
        """The configuration was read again."""
        self._settings = settings
        if self._post is not None:
            self._post.use(settings)
        else:
            self._open()

    def write(self, batch: Sequence[Event]) -> None:
        entries: list[Entry] = []
        for event in batch:
            if isinstance(event, TaskFinished):
                entries += self._of_task(event)
            elif isinstance(event, Notice):
                entries += self._of_notice(event)
        if entries and self._post is not None:
            self._post.put(entries)

    def close(self) -> None:
        """Wait a moment for what is on its way; what is not sent by then the next daemon sends."""
        if self._post is not None:
            self._post.close(self._patience_s)

    def _open(self) -> None:
        if not self._settings.channels:
            return
        from orchestrator.sinks.notify.post import Post

        self._post = Post(self._home, self._settings, mark_of_home(self._home.root), self._say)
        self._post.open()

    def _of_task(self, event: TaskFinished) -> Iterator[Entry]:
        names, level, wanted = self._wish(event)
        if not wanted or (not names and event.notify is None):
            return
        from orchestrator.sinks.notify.message import level_of

        level = level or level_of(event.outcome)
        if event.notify is not None or LOG_CHANNEL in names:
            _log(event.outcome, names, level)
        if event.notify is not None:
            for sentence in unknown_channels(names, self._settings.channels):
                self._say("warning", "", f"{printable(event.outcome.name)}: {sentence}")
        for name in names:
            if channel := self._settings.channels.get(name):
                yield from self._entries(event, level, name, channel)

    def _wish(self, event: TaskFinished) -> tuple[tuple[str, ...], str | None, bool]:
        """The channels, the level if one is given, and whether such an end is told at all."""
        wish: Notify | None = event.notify
        default = self._settings.notify.default
        if wish is None:
            return default.channels, default.level, _is_in(default.on, event.outcome)
        channels = wish.channels if "channels" in wish.model_fields_set else default.channels
        level = wish.level if "level" in wish.model_fields_set else None
        return channels, level, not wish.on or _is_in(wish.on, event.outcome)

    def _entries(self, event: TaskFinished, level: str, name: str, channel: ChannelSettings) -> Iterator[Entry]:
        from orchestrator.sinks.notify.message import of_task, rank
        from orchestrator.sinks.notify.outbox import Entry, id_of_end, now
        from orchestrator.sinks.notify.receiver import labels

        if rank(level) < rank(channel.level):
            return
        message = of_task(event, level, self._home.root, self._settings.notify, channel)
        for label in labels(name, channel):
            yield Entry(id_of_end(event, label, self._home.root), label, message, now())

    def _of_notice(self, notice: Notice) -> Iterator[Entry]:
        asking = {name: channel for name, channel in self._settings.channels.items() if channel.troubles}
        ours = "channel" in notice.details or notice.details.get("sink") == self.name
        if not asking or ours or not self._is_news(notice):
            return
        from orchestrator.sinks.notify.message import of_trouble, rank
        from orchestrator.sinks.notify.outbox import Entry, new_id, now
        from orchestrator.sinks.notify.receiver import labels

        message = of_trouble(notice, self._home.root)
        for name, channel in asking.items():
            if rank(notice.level) >= rank(channel.level) or notice.trouble is not None:
                for label in labels(name, channel):
                    yield Entry(new_id(), label, message, now())

    def _is_news(self, notice: Notice) -> bool:
        """A trouble is told when it begins and when it is over; another error at most once an hour."""
        if notice.trouble is not None:
            if notice.level == "info":
                known = notice.trouble in self._troubles
                self._troubles.discard(notice.trouble)
                return known
            known = notice.trouble in self._troubles
            self._troubles.add(notice.trouble)
            return not known
        if notice.level != "error":
            return False
        at = monotonic()
        self._said = {message: said for message, said in self._said.items() if at - said < _SAID_AGAIN_S}
        return self._said.setdefault(notice.message, at) == at

    def _say(self, level: Literal["info", "warning", "error"], channel: str, message: str) -> None:
        """`details` shows where it comes from: what is said about messages is no reason for a message."""
        details = {"channel": channel} if channel else {"sink": self.name}
        self._emit(Notice(level=level, message=message, details=details))


def _to_nobody(event: Event) -> None:
    del event


def _is_in(on: Sequence[str], outcome: Outcome) -> bool:
    return outcome.status in on or (not outcome.went_well and "not_ok" in on)


def _log(outcome: Outcome, names: Sequence[str], level: str) -> None:
    getattr(structlog.get_logger(), _LOG_LEVEL.get(level, level))(
        f"notify: {printable(outcome.title or outcome.name)}: {verdict(outcome)}",
        channels=[printable(name) for name in names],
        id=outcome.id,
        run=outcome.run,
    )
