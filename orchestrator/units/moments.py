"""When to run: a cron expression in the words of systemd and of launchd.

cron's own rule for its two fields of days is kept: where both are restricted, either suffices, so that one expression
may be two moments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

from orchestrator.errors import FatalError

_SHORT = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 0", "monthly": "0 0 1 * *"}
_DAY_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MOST_INTERVALS = 500


@dataclass(frozen=True, slots=True)
class Moment:
    """The values of each field; none of a field means: any."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def on_calendar(self) -> str:
        """As systemd's OnCalendar= has it."""
        weekdays = ",".join(_DAY_NAMES[day] for day in self.weekdays)
        date = f"*-{_list(self.months)}-{_list(self.days)} {_list(self.hours)}:{_list(self.minutes)}:00"
        return f"{weekdays} {date}".lstrip()

    def intervals(self) -> list[dict[str, int]]:
        """As launchd's StartCalendarInterval has it: one mapping for each combination."""
        fields = {
            "Minute": self.minutes, "Hour": self.hours, "Day": self.days, "Month": self.months,
            "Weekday": self.weekdays,
        }  # fmt: skip
        named = {name: values for name, values in fields.items() if values}
        return [dict(zip(named, each, strict=True)) for each in product(*named.values())]


def moments(schedule: str) -> tuple[Moment, ...]:
    """The moments of a cron expression of five fields, or of `hourly`, `daily`, `weekly`, `monthly`.

    Raises FatalError that names what is wrong.
    """
    from cronsim import CronSim, CronSimError

    text = _SHORT.get(schedule.strip().lower(), schedule)
    if len(text.split()) != 5:
        raise _wrong(schedule, "five fields are needed: minute, hour, day of month, month, day of week")
    try:
        cron = CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise _wrong(schedule, str(error).lower()) from error
    weekdays = {day % 7 if isinstance(day, int) else -1 for day in cron.weekdays}
    if min(cron.days) < 0 or min(weekdays) < 0:
        raise _wrong(schedule, "`L`, `LW` and `#` can't be told to a service manager")
    moment = Moment(
        _unless_all(cron.minutes, 60),
        _unless_all(cron.hours, 24),
        _unless_all(cron.days, 31),
        _unless_all(cron.months, 12),
        _unless_all(weekdays, 7),
    )
    if moment.days and moment.weekdays and not cron.day_and:
        return replace(moment, weekdays=()), replace(moment, days=())
    return (moment,)


def calendar_intervals(schedule: str) -> list[dict[str, int]]:
    """All intervals of a schedule for launchd. Raises FatalError where it can't say that."""
    found = moments(schedule)
    if any(moment.days and moment.weekdays for moment in found):
        raise _wrong(schedule, "launchd can't ask for a day of the month that is also a certain day of the week")
    intervals = [interval for moment in found for interval in moment.intervals()]
    if len(intervals) > _MOST_INTERVALS:
        raise _wrong(schedule, f"launchd would need {len(intervals)} intervals for it: choose fewer moments")
    return intervals


def _unless_all(values: Iterable[int], count: int) -> tuple[int, ...]:
    found = tuple(sorted(values))
    return () if len(found) == count else found


def _list(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values)) or "*"


def _wrong(schedule: str, why: str) -> FatalError:
    return FatalError(
        f"--schedule {schedule!r}: {why}; write a cron expression such as '0 18 * * 5', or hourly, daily, weekly, "
        "monthly",
        exit_code=2,
    )
