"""Periods of the calendar, in time zones with and without whole hours."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from billing.core.periods import has_whole_hours, is_period_start, previous_period, start_of_day


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00"),
        ("2026-10-26", "Europe/Berlin", "2026-10-25T23:00"),  # the day before had 25 hours
        ("2026-01-01", "Asia/Kolkata", "2025-12-31T18:30"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00"),  # began at 01:00: there was no midnight
    ],
)
def test_a_day_begins_at_its_first_instant(day, zone, start):
    assert start_of_day(date.fromisoformat(day), ZoneInfo(zone)) == at(start)


@pytest.mark.parametrize(
    ("moment", "granularity", "zone", "is_start"),
    [
        ("2026-10-05T10:00", "hour", "UTC", True),
        ("2026-10-05T10:00:00.000001", "hour", "UTC", False),
        ("2026-10-05T10:00", "total", "Europe/Berlin", True),
        ("2026-10-05T00:00", "day", "UTC", True),
        ("2026-10-05T00:00", "day", "Europe/Berlin", False),
        ("2026-10-04T22:00", "day", "Europe/Berlin", True),
        ("2026-10-05T00:00", "week", "UTC", True),  # a Monday
        ("2026-10-06T00:00", "week", "UTC", False),
        ("2026-10-01T00:00", "month", "UTC", True),
        ("2026-10-02T00:00", "month", "UTC", False),
        ("2018-11-04T03:00", "day", "America/Sao_Paulo", True),
    ],
)
def test_a_period_begins_where_its_calendar_says(moment, granularity, zone, is_start):
    assert is_period_start(at(moment), granularity, ZoneInfo(zone)) is is_start


@pytest.mark.parametrize(
    ("start", "end", "zone", "whole"),
    [
        ("2026-01-01T00:00", "2027-01-01T00:00", "Europe/Berlin", True),
        ("2026-01-01T00:00", "2026-01-02T00:00", "Asia/Kolkata", False),
        ("2025-12-31T13:00", "2026-12-31T13:00", "Australia/Lord_Howe", False),  # at both ends + 11:00, between + 10:30
    ],
)
def test_hours_of_a_zone_are_those_of_utc_or_not(start, end, zone, whole):
    assert has_whole_hours(at(start), at(end), ZoneInfo(zone)) is whole


@pytest.mark.parametrize(
    ("start", "end", "zone", "before"),
    [
        # whole months: as many before
        ("2026-10-01T00:00", "2026-11-01T00:00", "UTC", ("2026-09-01T00:00", "2026-10-01T00:00")),
        ("2026-01-01T00:00", "2026-04-01T00:00", "UTC", ("2025-10-01T00:00", "2026-01-01T00:00")),
        ("2026-09-30T22:00", "2026-10-31T23:00", "Europe/Berlin", ("2026-08-31T22:00", "2026-09-30T22:00")),
        # a month to date: the same days of the month before
        ("2026-11-01T00:00", "2026-11-20T00:00", "UTC", ("2026-10-01T00:00", "2026-10-20T00:00")),
        ("2026-03-01T00:00", "2026-03-31T00:00", "UTC", ("2026-02-01T00:00", "2026-03-01T00:00")),  # all of February
        # days: as many before
        ("2026-10-05T00:00", "2026-10-12T00:00", "UTC", ("2026-09-28T00:00", "2026-10-05T00:00")),
        ("2026-10-25T23:00", "2026-10-26T23:00", "Europe/Berlin", ("2026-10-24T22:00", "2026-10-25T23:00")),
        # hours: as long before
        ("2026-10-05T06:00", "2026-10-05T09:00", "UTC", ("2026-10-05T03:00", "2026-10-05T06:00")),
    ],
)
def test_the_period_before_is_the_one_that_people_compare_with(start, end, zone, before):
    assert previous_period(at(start), at(end), ZoneInfo(zone)) == tuple(at(text) for text in before)
