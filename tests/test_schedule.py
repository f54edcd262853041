"""When recurring tasks are due: around both changes of the clocks, after a sleep, beside a firing that is not over."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.schedule import cron
from orchestrator.schedule.due import MOST_WAITING, Due, due
from orchestrator.schedule.firing import firing, recurrence_of, stamped, unstamped
from orchestrator.spec import Schedule, Task


def moment(text):
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def shown(expression, zone, begin, end):
    """The moments in between, as a clock in that zone shows them."""
    recurrence = cron.recurrence(expression, zone)
    place = ZoneInfo(zone)
    since, until = (datetime.fromisoformat(text).replace(tzinfo=place).timestamp() for text in (begin, end))
    found = []
    for at in recurrence.after(since - 1):
        if at > until:
            break
        found.append(at)
    assert found == list(recurrence.latest(since - 1, until))[::-1]
    return [datetime.fromtimestamp(at, place).strftime("%d %H:%M%z")[:-2] for at in found]


SPRING_AND_AUTUMN = [
    # zone, the job at a set time in the hour that changes, what comes of it in spring and in autumn
    ("Europe/Berlin", "30 2 * * *", "2026-03-28", ["28 02:30+01", "29 03:00+02", "30 02:30+02"]),
    ("Europe/Berlin", "30 2 * * *", "2026-10-24", ["24 02:30+02", "25 02:30+02", "26 02:30+01"]),
    ("America/New_York", "30 2 * * *", "2026-03-07", ["07 02:30-05", "08 03:00-04", "09 02:30-04"]),
    ("America/New_York", "30 1 * * *", "2026-10-31", ["31 01:30-04", "01 01:30-04", "02 01:30-05"]),
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03", ["03 02:15+10", "04 02:30+11", "05 02:15+11"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04", ["04 01:45+11", "05 01:45+11", "06 01:45+10"]),
    ("Pacific/Apia", "0 12 * * *", "2011-12-29", ["29 12:00-10", "31 00:00+14", "31 12:00+14"]),  # it had no 30th
    ("Africa/Cairo", "0 0 * * *", "2026-04-23", ["23 00:00+02", "24 01:00+03", "25 00:00+03"]),
]


@pytest.mark.parametrize(("zone", "expression", "day", "expected"), SPRING_AND_AUTUMN)
def test_a_job_at_a_set_time_runs_once_a_day_right_after_a_gap_and_the_first_time_in_a_repeated_hour(
    zone, expression, day, expected
):
    until = (date.fromisoformat(day) + timedelta(days=2)).isoformat()
    assert shown(expression, zone, f"{day}T00:00", f"{until}T23:59") == expected


@pytest.mark.parametrize(
    ("zone", "expression", "begin", "end", "expected"),
    [
        ("Europe/Berlin", "30 * * * *", "2026-03-29T01:00", "2026-03-29T04:00", ["29 01:30+01", "29 03:30+02"]),
        (
            "Europe/Berlin", "30 * * * *", "2026-10-25T02:00", "2026-10-25T04:00",
            ["25 02:30+02", "25 02:30+01", "25 03:30+01"],
        ),
        ("America/New_York", "0 */2 * * *", "2026-03-08T00:00", "2026-03-08T05:00", ["08 00:00-05", "08 04:00-04"]),
        (
            "America/New_York", "0 * * * *", "2026-11-01T00:30", "2026-11-01T02:00",
            ["01 01:00-04", "01 01:00-05", "01 02:00-05"],
        ),
        (
            "Australia/Lord_Howe", "30 * * * *", "2026-04-05T01:00", "2026-04-05T02:45",
            ["05 01:30+11", "05 01:30+10", "05 02:30+10"],
        ),
        (
            "Australia/Lord_Howe", "*/15 2 * * *", "2026-04-05T00:00", "2026-04-05T12:00",
            ["05 02:00+10", "05 02:15+10", "05 02:30+10", "05 02:45+10"],
        ),
        ("Australia/Lord_Howe", "*/15 2 * * *", "2026-10-04T00:00", "2026-10-04T12:00", ["04 02:30+11", "04 02:45+11"]),
    ],
)  # fmt: skip
def test_a_job_whose_minute_or_hour_begins_with_a_star_goes_by_what_the_clock_shows(
    zone, expression, begin, end, expected
):
    assert shown(expression, zone, begin, end) == expected


def test_two_times_in_one_gap_are_one_moment():
    assert shown("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T12:00") == [
        "29 03:00+02", "29 03:30+02",
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    expression=st.sampled_from([
        "30 2 * * *", "*/7 * * * *", "0 0 1,15 * fri", "15 */6 * * mon-fri", "0 9 L * *", "0 0 * feb MON#2",
        "5 4 * jan-mar sun", "*/20 1-3 * * *", "0 0 LW * *", "0 12 * * 5L",
    ]),
    start=st.integers(1_700_000_000, 1_900_000_000),
)  # fmt: skip
def test_where_no_clock_changes_the_moments_are_those_of_cronsim(expression, start):
    found = list(islice(cron.recurrence(expression, "UTC").after(start), 5))
    simulated = islice(CronSim(expression, datetime.fromtimestamp(start, UTC)), 5)
    assert found == [int(at.timestamp()) for at in simulated]


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana"]),
    expression=st.sampled_from(["30 2 * * *", "*/30 * * * *", "0 0,1 * * *"]),
    start=st.integers(1_767_000_000, 1_800_000_000),
    days=st.integers(0, 40),
)
def test_the_moments_are_the_same_forwards_and_backwards_and_in_order(zone, expression, start, days):
    recurrence, end = cron.recurrence(expression, zone), start + days * 86_400
    forwards = []
    for at in recurrence.after(start):
        if at > end:
            break
        forwards.append(at)
    assert forwards == sorted(set(forwards))
    assert list(recurrence.latest(start, end)) == forwards[::-1]


def test_macro_words_and_names_of_days_and_months_are_understood():
    assert cron.fields_of("@daily") == cron.fields_of("@MIDNIGHT") == "0 0 * * *"
    assert cron.fields_of("  @weekly ") == "0 0 * * 0"
    assert shown("0 9 * * mon,Wed-FRI", "UTC", "2026-11-21T00:00", "2026-11-28T00:00") == [
        "23 09:00+00", "25 09:00+00", "26 09:00+00", "27 09:00+00",
    ]  # fmt: skip
    assert shown("0 0 1 JAN *", "UTC", "2026-01-02T00:00", "2028-01-01T12:00") == ["01 00:00+00", "01 00:00+00"]


@pytest.mark.parametrize(
    "text", ["0 0 31 4,6 *", "* * * * * *", "", "1-70 * * * *", "0 0 * * mon#7", "@reboot", "*/0 * * * *"]
)
def test_what_is_no_cron_expression_is_refused_with_a_sentence(text):
    with pytest.raises(cron.Unclear, match=r"fields|does not fit|no word|no cron"):
        cron.fields_of(text)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="0123456789*/-,#LW@monfri ?\n٣", max_size=25))
def test_whatever_is_written_is_a_cron_expression_or_refused(text):
    with suppress(cron.Unclear):
        assert len(cron.fields_of(text).split()) == 5


def test_without_a_zone_the_machines_own_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert cron.recurrence("0 9 * * *", None).zone == "Europe/Berlin"
    monkeypatch.setenv("TZ", "CET-1CEST")
    with pytest.raises(cron.Unclear, match="TZ=CET-1CEST"):
        cron.local_zone()
    monkeypatch.delenv("TZ")
    assert next(cron.Recurrence("0 9 * * *", cron.local_zone()).after(0)) > 0


def test_nothing_is_due_before_a_schedule_begins():
    task = Task.model_validate({
        "id": "a", "title": "t", "skills": ("bash",), "steps": ({"skill": "bash"},),
        "schedule": {"cron": "0 9 * * *", "timezone": "UTC"}, "not_before": "2026-12-24T09:00:00Z",
    })  # fmt: skip
    recurrence = recurrence_of(task)
    assert next(recurrence.after(moment("2026-11-01T00:00Z"))) == moment("2026-12-24T09:00Z")
    assert list(recurrence.latest(0, moment("2026-12-24T08:59Z"))) == []


HOURLY = cron.recurrence("0 * * * *", "UTC")
NOON = moment("2026-06-01T12:00Z")
FREE = lambda: ""  # noqa: E731
BUSY = lambda: "one runs"  # noqa: E731


def look(seen, now, waiting=0, stands=FREE, paused=False, **rules):
    schedule = Schedule(cron="0 * * * *", **rules)
    return due(schedule, HOURLY, seen, now, waiting=waiting, stands=stands, paused=paused)


def test_on_time_a_firing_is_due_once_whatever_catch_up_says():
    for catch_up in ("none", "latest", "all"):
        assert look(NOON - 1, NOON, catch_up=catch_up) == Due((NOON,))
        assert not look(NOON, NOON + 3599, catch_up=catch_up)


def test_what_a_sleep_missed_is_caught_up_with_as_asked():
    asleep = NOON - 4 * 3600
    hours = tuple(int(NOON - 3600 * back) for back in (3, 2, 1, 0))
    assert look(asleep, NOON + 600, catch_up="none") == Due(missed=4)
    assert look(asleep, NOON + 30, catch_up="none") == Due((NOON,), missed=3)
    assert look(asleep, NOON + 600, catch_up="latest") == Due((NOON,), missed=3)
    assert look(asleep, NOON + 600, catch_up="all") == Due(hours)


def test_catching_up_with_all_is_bounded():
    year = look(NOON - 365 * 86_400, NOON, catch_up="all")
    assert (len(year.chosen), year.chosen[-1]) == (MOST_WAITING, NOON)
    assert year.missed == 1_000 - MOST_WAITING


def test_a_moment_at_which_a_firing_is_not_over_is_skipped_or_waits():
    assert look(NOON - 1, NOON, stands=BUSY) == Due(skipped=(NOON,), why="one runs")
    assert look(NOON - 1, NOON, waiting=1).skipped == (NOON,)
    assert look(NOON - 1, NOON, stands=BUSY, overlap="queue").chosen == (NOON,)
    full = look(NOON - 1, NOON, waiting=MOST_WAITING, overlap="queue")
    assert (full.chosen, full.skipped) == ((), (NOON,))
    late = look(NOON - 7200, NOON, stands=BUSY, catch_up="all")
    assert len(late.chosen) == 2, "what was missed waits for its turn"


def test_while_it_is_paused_nothing_is_due_and_nothing_is_missed():
    assert look(NOON - 3600, NOON, paused=True, overlap="queue", catch_up="all") == Due(
        skipped=(NOON,), why="it is paused"
    )


def test_a_firing_is_the_task_without_its_schedule_under_a_stamped_id():
    fields = {
        "id": "a", "title": "t", "skills": ("bash",), "steps": ({"skill": "bash", "args": ("-c", "true")},),
        "labels": {"k": "v"},
    }  # fmt: skip
    recurring = Task.model_validate(fields | {"schedule": "@daily", "not_before": "2026-01-01T00:00Z"})
    task, data = firing(recurring, int(NOON))
    assert task == Task.model_validate(fields | {"id": "a-20260601T120000Z"}) == Task.model_validate_json(data)
    assert (stamped("a", int(NOON)), unstamped(task.id), unstamped("a-2026")) == (task.id, "a", "a-2026")
