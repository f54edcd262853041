"""The log on stderr, or in a file: the only place that configures structlog.

Three shapes. `console` is for eyes, with colours on a terminal only. Under journald the same lines carry a `<N>`
priority in front instead of a time, which the journal adds itself. `json` is one object a line for machines.
What libraries say through `logging` comes out in the same shape.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor

from orchestrator.bus import Bus
from orchestrator.event import (
    DaemonStarted,
    DaemonStopped,
    Event,
    Notice,
    ScheduleFired,
    ScheduleSkipped,
    StepFinished,
    StepStarted,
    TaskFinished,
    TaskRetrying,
    TaskStarted,
    to_second,
)
from orchestrator.outcome import Outcome
from orchestrator.sinks.log_file import LogFile
from orchestrator.sinks.wording import advice, duration, printable, retrying, verdict

Format = Literal["auto", "console", "json"]
_SYSLOG = {"critical": 2, "error": 3, "exception": 3, "warning": 4, "info": 6, "debug": 7}


def configure_logging(format: Format = "auto", level: str = "info", stream: TextIO | LogFile | None = None) -> None:
    """Set up structlog and `logging` for this process. `stream` is stderr unless given."""
    stream = sys.stderr if stream is None else cast(TextIO, stream)
    journal = _is_journal(stream)
    if format == "auto":
        format = "console" if journal or stream.isatty() else "json"
    shape: list[Processor]
    if format == "json":
        shape = [*_stamped(), structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    elif journal:
        shape = [_console(colours=False), _with_priority]
    else:
        shape = [*_stamped(), _console(colours=_colourful(stream))]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *shape],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries(stream, threshold, shape)


def _route_libraries(stream: TextIO, threshold: int, shape: list[Processor]) -> None:
    handler = logging.StreamHandler(stream)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level], processors=[remove_meta, *shape]
        )
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)


@contextmanager
def libraries_told_to(bus: Bus) -> Iterator[None]:
    """Meanwhile, what libraries say becomes a notice: a log that hangs (a full pipe) must not hold up who speaks.

    For the same reason it stays so where the bus could not deliver all in the end."""
    before = logging.root.handlers[:]
    logging.root.handlers[:] = [_ToBus(bus)]
    try:
        yield
    finally:
        if bus.delivered:
            logging.root.handlers[:] = before


class _ToBus(logging.Handler):
    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self._bus = bus

    def emit(self, record: logging.LogRecord) -> None:
        level: Literal["info", "warning", "error"] = "warning" if record.levelno < logging.ERROR else "error"
        details = {"logger": record.name}
        if record.exc_info:
            details["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        self._bus.emit(Notice(level=level, message=record.getMessage(), details=details))


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream is journald's own socket; the variable alone is inherited by children that redirect."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _colourful(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _stamped() -> list[Processor]:
    return [structlog.processors.TimeStamper(fmt="iso", utc=True)]


def _console(*, colours: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours, pad_event_to=0, pad_level=False, exception_formatter=structlog.dev.plain_traceback
    )


def _json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _with_priority(_: Any, method: str, line: EventDict | str) -> str:
    """Every line of it, because journald makes each an entry of its own."""
    mark = f"<{_SYSLOG.get(method, 6)}>"
    return "\n".join(mark + part for part in str(line).split("\n"))


class LogSink:
    """Says events in one readable line each. Without `tasks`, notices and the daemon's own alone."""

    name = "log"

    def __init__(self, *, tasks: bool = True) -> None:
        self.wants: tuple[type, ...] = tuple(_SAY) if tasks else (DaemonStarted, DaemonStopped, Notice)

    def write(self, batch: Sequence[Event]) -> None:
        log = structlog.get_logger().bind()  # bound once: the lazy one would be set up again for each line
        for event in batch:
            _SAY[type(event)](log, event)

    def close(self) -> None:
        """The stream is the process's."""


def _daemon_started(log: Any, event: DaemonStarted) -> None:
    log.info("daemon started", home=event.home, pid=event.pid, version=event.version, recovered=event.recovered)


def _daemon_stopped(log: Any, event: DaemonStopped) -> None:
    say = log.warning if event.dropped else log.info
    say(f"daemon stopped: {event.reason}", **({"dropped": event.dropped} if event.dropped else {}))


def _task_started(log: Any, event: TaskStarted) -> None:
    log.info(f"{printable(event.name)}: started", id=event.id, run=event.run)


def _step_started(log: Any, event: StepStarted) -> None:
    log.debug(f"step {event.step} ({event.skill}) started", id=event.id, run=event.run)


def _step_finished(log: Any, event: StepFinished) -> None:
    how = f"exited with {event.code}" if event.status in ("ok", "failed") and event.code is not None else event.status
    log.debug(
        f"step {event.step} ({event.skill}) {how} after {duration(event.duration_ms)}", id=event.id, run=event.run
    )


def _task_finished(log: Any, event: TaskFinished) -> None:
    outcome = event.outcome
    say = log.info if outcome.ok and not outcome.warnings else log.warning
    took = f" after {duration(outcome.duration_ms)}" if outcome.duration_ms else ""
    say(f"{printable(outcome.name)}: {verdict(outcome)}{took}", **_where(outcome))


def _task_retrying(log: Any, event: TaskRetrying) -> None:
    log.warning(f"{printable(event.name)}: {retrying(event)}", id=event.id, run=event.run)


def _where(outcome: Outcome) -> dict[str, Any]:
    context: dict[str, Any] = {"id": outcome.id, "run": outcome.run} if outcome.id else {}
    if what_next := advice(outcome):
        context["next"] = what_next
    return context


def _schedule_fired(log: Any, event: ScheduleFired) -> None:
    log.info(f"{printable(event.name)}: fired", schedule=event.schedule, due=to_second(event.due))


def _schedule_skipped(log: Any, event: ScheduleSkipped) -> None:
    times = "once" if event.count == 1 else f"{event.count} times"
    log.warning(f"{event.schedule}: not fired {times}: {event.why}", due=to_second(event.due))


def _notice(log: Any, event: Notice) -> None:
    # Under one key: a detail may be called like an argument of the logger itself.
    getattr(log, event.level)(printable(event.message), **({"details": event.details} if event.details else {}))


_SAY: dict[type, Callable[[Any, Any], None]] = {
    DaemonStarted: _daemon_started,
    DaemonStopped: _daemon_stopped,
    TaskStarted: _task_started,
    StepStarted: _step_started,
    StepFinished: _step_finished,
    TaskRetrying: _task_retrying,
    TaskFinished: _task_finished,
    ScheduleFired: _schedule_fired,
    ScheduleSkipped: _schedule_skipped,
    Notice: _notice,
}
