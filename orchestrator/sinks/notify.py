"""Notifications: whom a task wanted told how it ended.

Until channels exist, each lands in the log with its level, so that nothing that a spec asks for vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from orchestrator.event import Event, TaskFinished
from orchestrator.sinks.wording import printable, verdict

if TYPE_CHECKING:
    from orchestrator.spec import Notify

_LOG_LEVEL = {"warn": "warning"}


class NotifySink:
    """Logs `notify` with the channels and a message, for each finished task that asks for it."""

    name = "notify"
    wants = (TaskFinished,)

    def write(self, batch: Sequence[Event]) -> None:
        for event in batch:
            if isinstance(event, TaskFinished) and event.notify is not None:
                self._tell(event, event.notify)

    def close(self) -> None:
        """Holds nothing open."""

    def _tell(self, event: TaskFinished, wish: Notify) -> None:
        outcome = event.outcome
        if wish.on and outcome.status not in wish.on:
            return
        log = structlog.get_logger()
        getattr(log, _LOG_LEVEL.get(wish.level, wish.level))(
            f"notify: {printable(outcome.title or outcome.name)}: {verdict(outcome)}",
            channels=[printable(channel) for channel in wish.channels],
            id=outcome.id,
            run=outcome.run,
        )
