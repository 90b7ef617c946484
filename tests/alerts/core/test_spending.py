"""A budget within its window, by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.core.budgets import Action
from alerts.core.spending import Spending, carry_over, list_reached, prorate, rate_severity

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
TENTH = datetime(2026, 11, 11, tzinfo=UTC)  # ten of thirty days are gone


def spend(spent, limit="3000", carried="0"):
    return Spending(START, END, Decimal(limit), Decimal(spent), Decimal(carried))


def test_a_window_is_told_beside_its_limit_and_its_time():
    spending = spend("1200")
    assert (spending.remaining, spending.percent) == (1800, 40)
    assert spending.get_elapsed(TENTH) == Decimal(1) / 3
    assert spending.get_elapsed(START - timedelta(days=1)) == 0
    assert spending.get_elapsed(END + timedelta(days=1)) == 1


def test_a_pace_says_what_the_window_comes_to_and_when_it_is_used_up():
    # 1,200 in ten days are 3,600 in thirty; 3,000 are reached after twenty-five.
    spending = spend("1200")
    assert round(spending.project_by_pace(TENTH), 6) == 3600
    assert spending.find_end_at_pace(TENTH) == datetime(2026, 11, 26, tzinfo=UTC)


def test_a_pace_that_lasts_and_a_budget_that_is_used_up_have_no_such_day():
    assert spend("900").find_end_at_pace(TENTH) is None
    assert spend("3000").find_end_at_pace(TENTH) is None
    assert spend("1").project_by_pace(START + timedelta(hours=1)) is None  # too early to say


def test_what_a_window_leaves_is_carried_and_never_less_than_nothing():
    assert carry_over(amount=Decimal(100), spent_before=Decimal(70)) == 30
    assert carry_over(amount=Decimal(100), spent_before=Decimal(130)) == 0


def test_a_child_of_days_is_compared_by_the_length_of_its_parents_window():
    assert prorate(Decimal(10), window=timedelta(days=1), to=timedelta(days=30)) == 300


@pytest.mark.parametrize(
    ("spent", "reached"), [("79.99", []), ("80", [80]), ("99.999999", [80]), ("100", [80, 100]), ("250", [80, 100])]
)
def test_a_threshold_is_reached_with_its_last_cent(spent, reached):
    actions = [Action(80, "actual", "notify"), Action(100, "actual", "throttle"), Action(90, "forecast", "notify")]
    assert list(list_reached(actions, on="actual", limit=Decimal(100), amounts=[Decimal(spent)])) == reached


def test_a_threshold_says_all_that_it_does():
    actions = (Action(80, "actual", "notify"), Action(80, "actual", "suggest", "luna-mini"))
    assert list_reached(actions, on="actual", limit=Decimal(1), amounts=[Decimal(1)]) == {80: actions}


@pytest.mark.parametrize(
    ("runs", "reached"), [([], []), ([120], []), ([120, 130], []), ([120, 90, 130], []), ([120, 101, 130], [100])]
)
def test_a_forecast_crosses_once_three_runs_in_a_row_do(runs, reached):
    actions = [Action(100, "forecast", "notify")]
    found = list_reached(actions, on="forecast", limit=Decimal(100), amounts=map(Decimal, runs))
    assert list(found) == reached


@pytest.mark.parametrize(
    ("percent", "severity"),
    [(50, "info"), (79, "info"), (80, "warning"), (99, "warning"), (100, "high"), (200, "high")],
)
def test_severity_rises_with_the_threshold(percent, severity):
    assert rate_severity(percent) == severity
