"""The moments of a cron expression in a time zone. Pure, but for the zones' data.

cronsim reads the expression; the moments are counted here, day by day, because it steps in whole hours and so loses
some around changes of half an hour (Australia/Lord_Howe). What a change of the clocks means is as Debian's cron has it:
a job at set times whose time is skipped comes right after the gap, and one whose time comes twice runs the first time
only; one whose minute or hour begins with `*` goes by what the clock on the wall shows, a repeated hour counts twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

if TYPE_CHECKING:
    from cronsim import CronSim

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_EXAMPLE = "write five fields (minute, hour, day of month, month, day of week) such as `0 18 * * fri`, or `@daily`"
_YEARS = 40  # within so many every date comes on every day of the week
_LOCALTIME = "/etc/localtime"
_LATEST = 253_000_000_000.0  # in the year 9987: what is later can't be a date in every zone


class Unclear(ValueError):
    """No cron expression, or no time zone. `said` is the word that is not `known`, where a near one may be meant."""

    def __init__(self, message: str, said: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.said = said
        self.known = known


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The moments of five cron fields in a zone, none before `begins`; all in seconds since the epoch."""

    cron: str
    zone: str
    begins: float = 0.0

    def after(self, moment: float) -> Iterator[int]:
        """Those later than `moment`, in order; it may end, where there are none for decades."""
        last = min(max(moment, self.begins - 1), _LATEST)
        first = datetime.fromtimestamp(last, zone_info(self.zone)).toordinal() - 1
        for day in range(first, min(first + _YEARS * 366, date.max.toordinal())):
            for at in _on_day(self.cron, self.zone, day):
                if at > last and at >= self.begins:
                    last = at
                    yield at

    def latest(self, since: float, until: float) -> Iterator[int]:
        """Those later than `since` and not later than `until`, the latest first."""
        since, following = max(since, self.begins - 1), until + 1
        zone = zone_info(self.zone)
        days = (datetime.fromtimestamp(moment, zone).toordinal() for moment in (until, since))
        for day in range(next(days), next(days) - 2, -1):
            for at in reversed(_on_day(self.cron, self.zone, day)):
                if since < at < following and self.begins <= at <= until:
                    following = at
                    yield at


def recurrence(cron: str, zone: str | None, begins: float = 0.0) -> Recurrence:
    """The recurrence of what a person wrote; without a zone in that of this machine. Raises Unclear."""
    return Recurrence(fields_of(cron), local_zone() if zone is None else zone_of(zone), begins)


def fields_of(cron: str) -> str:
    """The five fields of an expression or of a macro word. Raises Unclear that says which field is wrong."""
    text = " ".join(cron.split())
    if text.startswith("@"):
        if text.lower() not in MACROS:
            raise Unclear(f"is no word that cron knows: there are {', '.join(MACROS)}", text, tuple(MACROS))
        return MACROS[text.lower()]
    if len(text.split()) != len(_FIELDS):
        raise Unclear(f"has {len(text.split())} fields, and not five: {_EXAMPLE}")
    _parsed(text)
    if next(Recurrence(text, "UTC").after(0), None) is None:
        raise Unclear(f"never comes: no date is like that; {_EXAMPLE}")
    return text


def zone_of(name: str) -> str:
    """A zone's name, if it is known here. Raises Unclear."""
    if name.startswith("/") or not _is_zone(name):
        known = sorted(available_timezones())
        lack = "" if known else "; this machine has no time zone data at all: install the package tzdata"
        near = tuple(get_close_matches(name[:60], known, n=1))
        raise Unclear(f"is no time zone that this machine knows, such as `Europe/Berlin` or `UTC`{lack}", name, near)
    return name


def local_zone() -> str:
    """The machine's own zone, as `TZ` or /etc/localtime have it: its name, or the path of its file.

    Raises Unclear where TZ holds a rule instead of a name, which says nothing about other years."""
    if wanted := os.environ.get("TZ", "").removeprefix(":"):
        if os.path.isabs(wanted) or _is_zone(wanted):
            return wanted
        raise Unclear(f"needs a `timezone`: TZ={wanted} in the daemon's environment is no name of a zone")
    path = os.path.realpath(_LOCALTIME)
    _, found, name = path.rpartition("zoneinfo/")
    if found and _is_zone(name):
        return name
    return _LOCALTIME if os.path.exists(path) else "UTC"


def _is_zone(name: str) -> bool:
    try:
        zone_info(name)
    except (KeyError, ValueError, OSError):  # no such name, a name that leads elsewhere, a folder of zones
        return False
    return True


@cache
def zone_info(name: str) -> ZoneInfo:
    """The zone of this name, or in the file of this path. Raises KeyError, ValueError, OSError."""
    if name.startswith("/"):
        with open(name, "rb") as file:
            return ZoneInfo.from_file(file, name)
    return ZoneInfo(name)


@lru_cache(maxsize=256)
def _parsed(fields: str) -> CronSim:
    from cronsim import CronSim, CronSimError

    try:
        return CronSim(fields, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, AssertionError, TypeError) as error:
        named = str(error).removeprefix("Bad ")
        if named not in _FIELDS:
            raise Unclear(f"is no cron expression: {_EXAMPLE}") from error
        word = fields.split()[_FIELDS.index(named)]
        raise Unclear(f"can't be: its {named} `{word}` does not fit; {_EXAMPLE}") from error


@lru_cache(maxsize=64)
def _on_day(fields: str, zone: str, ordinal: int) -> tuple[int, ...]:
    """The moments of one local day, in order."""
    cron, day = _parsed(fields), date.fromordinal(ordinal)
    if day.month not in cron.months or not cron.match_day(day):
        return ()
    place = zone_info(zone)
    begin, end = (datetime.combine(day + timedelta(days=days), time(), place) for days in (0, 1))
    if begin.utcoffset() == end.utcoffset():
        midnight = int(begin.timestamp())
        return tuple(
            midnight + 3600 * hour + 60 * minute for hour in sorted(cron.hours) for minute in sorted(cron.minutes)
        )
    of_clock = _shown if any(field.startswith("*") for field in fields.split()[:2]) else _once
    times = (datetime.combine(day, time(hour, minute)) for hour in cron.hours for minute in cron.minutes)
    return tuple(sorted({at for local in times for at in of_clock(local, place)}))


def _shown(local: datetime, zone: ZoneInfo) -> Iterator[int]:
    """Each moment at which the clock shows this: none in a gap, two in a repeated hour."""
    for fold in (0, 1):
        at = local.replace(tzinfo=zone, fold=fold)
        if _exists(at):
            yield int(at.timestamp())


def _once(local: datetime, zone: ZoneInfo) -> Iterator[int]:
    """The first moment at which the clock shows this, or the end of the gap that it lies in."""
    while not _exists(at := local.replace(tzinfo=zone)):
        local += timedelta(minutes=1)
    yield int(at.timestamp())


def _exists(at: datetime) -> bool:
    return at.astimezone(UTC).astimezone(at.tzinfo).replace(tzinfo=None) == at.replace(tzinfo=None)
