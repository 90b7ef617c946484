from datetime import UTC, date, datetime

import pytest

from dashboards.core.periods import Period, PeriodInvalid, find_previous_period, read_period

TODAY = date(2026, 11, 19)


def read(**query):
    period = read_period(query, today=TODAY)
    return period.first.isoformat(), period.last.isoformat()


def test_an_address_without_a_period_means_the_month_to_date():
    assert read() == ("2026-11-01", "2026-11-19")
    assert read(period="month") == ("2026-11-01", "2026-11-19")


def test_named_periods_end_today_but_for_last_month():
    assert read(period="7d") == ("2026-11-13", "2026-11-19")
    assert read(period="30d") == ("2026-10-21", "2026-11-19")
    assert read(period="90d") == ("2026-08-22", "2026-11-19")
    assert read(period="last-month") == ("2026-10-01", "2026-10-31")


def test_from_and_to_are_both_included():
    assert read(**{"from": "2026-02-27", "to": "2026-03-01"}) == ("2026-02-27", "2026-03-01")
    assert read(**{"from": "2026-11-05"}) == ("2026-11-05", "2026-11-19")
    assert read(to="2026-11-05") == ("2026-11-01", "2026-11-05")


@pytest.mark.parametrize(
    "query",
    [
        {"period": "fortnight"},
        {"from": "yesterday"},
        {"from": "2026-11-09", "to": "2026-11-08"},
        {"from": "2020-01-01", "to": "2026-11-08"},
        {"from": "0001-01-01", "to": "0001-01-02"},
        {"from": "9999-12-31", "to": "9999-12-31"},
    ],
)
def test_a_period_that_cannot_be_read_is_refused(query):
    with pytest.raises(PeriodInvalid):
        read_period(query, today=TODAY)


@pytest.mark.parametrize(
    ("first", "after", "previous_first", "previous_last"),
    [
        (date(2026, 11, 1), date(2026, 11, 20), "2026-10-01", "2026-10-19"),  # the same days of the month before
        (date(2026, 3, 1), date(2026, 3, 31), "2026-02-01", "2026-02-28"),  # which may have fewer
        (date(2026, 3, 1), date(2026, 4, 1), "2026-02-01", "2026-02-28"),  # a whole month with a whole month
        (date(2026, 2, 1), date(2026, 3, 1), "2026-01-01", "2026-01-31"),
        (date(2026, 1, 1), date(2026, 1, 2), "2025-12-01", "2025-12-01"),
        (date(2026, 11, 13), date(2026, 11, 20), "2026-11-06", "2026-11-12"),  # seven days with the seven before
        (date(2026, 11, 1), date(2026, 12, 2), "2026-10-01", "2026-10-31"),  # past the month's end: as many days
    ],
)
def test_a_period_is_compared_with_the_like_before_it(first, after, previous_first, previous_last):
    previous = find_previous_period(Period(first, after))
    assert (previous.first.isoformat(), previous.last.isoformat()) == (previous_first, previous_last)


def test_days_begin_and_end_where_the_tenants_zone_says():
    begin, end = Period(date(2026, 3, 29), date(2026, 3, 30)).get_bounds("Europe/Berlin")  # the clocks go forward
    assert (begin, end) == (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    ("first", "after", "words"),
    [
        (date(2026, 11, 1), date(2026, 11, 20), "1–19 November 2026"),
        (date(2026, 10, 28), date(2026, 11, 4), "28 Oct – 3 Nov 2026"),
        (date(2025, 12, 30), date(2026, 1, 2), "30 Dec 2025 – 1 Jan 2026"),
        (date(2026, 11, 19), date(2026, 11, 20), "19 November 2026"),
    ],
)
def test_a_period_is_written_as_a_person_says_it(first, after, words):
    assert Period(first, after).write() == words
