"""Notifications: whom a task wanted told how it ended, and who looks after the daemon.

`sink` decides who is told and in which words; `post` writes each message into the `outbox`, durably, and a thread for
each receiver (`lane`) sends it from there. So no receiver holds up a task, another receiver or the daemon's end, and
what could not be sent is sent by the next daemon. A home without channels imports and starts none of it.
"""

from orchestrator.sinks.notify.sink import NotifySink

__all__ = ["NotifySink"]
