"""What the rest of a period will cost, worked by hand where a hand can."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.core.forecasts import (
    Forecast,
    History,
    KnownEvent,
    NoForecast,
    find_day_used_up,
    forecast_cost,
)
from ledger.core.entries import PICO

FIRST = date(2026, 11, 1)


def make_history(*dollars, end=FIRST, left_out=()):
    """Days up to, and without, `end`."""
    costs = [round(dollar * PICO) for dollar in dollars]
    return History(end - timedelta(days=len(costs)), costs, frozenset(left_out))


def forecast_days(history, days, **known):
    return forecast_cost(history, period_start=history.end, period_end=history.end + timedelta(days=days), **known)


def say_dollars(pico):
    return round(pico / PICO, 2)


# --- what is expected ---


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (make_history(), "A forecast needs 3 complete days; there are none yet."),
        (make_history(4), "A forecast needs 3 complete days; there is one yet."),
        (make_history(4, 4, 9, left_out=[date(2026, 10, 31)]), "A forecast needs 3 complete days; there are 2 yet."),
    ],
)
def test_fewer_than_three_complete_days_are_not_forecast_from(history, reason):
    answer = forecast_days(history, 30)
    assert isinstance(answer, NoForecast) and answer.reason == reason


def test_a_few_days_are_carried_on_by_their_mean_without_their_outliers():
    # The median is 11: 100 counts as 22, so (10 + 12 + 11 + 22 + 9) / 5.
    forecast = forecast_days(make_history(10, 12, 11, 100, 9), 3)
    assert forecast.method == "mean_of_seven"
    assert [say_dollars(cost) for cost in forecast.daily] == [12.8, 12.8, 12.8]


def test_of_a_few_days_the_last_seven_count():
    forecast = forecast_days(make_history(*[1] * 6, *[10] * 7), 1)
    assert say_dollars(forecast.expected) == 10


def test_days_that_are_alike_go_on():
    forecast = forecast_days(make_history(*[100] * 56), 20)
    assert forecast.method == "weekday_level"
    assert forecast.first_day == FIRST
    assert [say_dollars(cost) for cost in forecast.daily] == [100] * 20
    # Days differ by 0.05 at least and weeks by 0.02: exp(-1.63 × √0.001) and exp(2.21 × √0.001).
    assert (say_dollars(forecast.low), say_dollars(forecast.high)) == (1899.52, 2144.77)


def test_weeks_that_are_alike_go_on_weekday_by_weekday():
    # 1 November 2026 is a Sunday: weeks from then on cost as every week before.
    forecast = forecast_days(make_history(*[1, 10, 10, 12, 10, 10, 2] * 8), 14)
    assert [say_dollars(cost) for cost in forecast.daily] == [1, 10, 10, 12, 10, 10, 2] * 2


def test_offices_that_use_nothing_at_weekends_are_not_forecast_low():
    forecast = forecast_days(make_history(*[0, 10, 10, 10, 10, 10, 0] * 8), 7)
    assert [say_dollars(cost) for cost in forecast.daily] == [0, 10, 10, 10, 10, 10, 0]


def test_a_job_that_runs_once_a_week_is_expected_on_its_day():
    forecast = forecast_days(make_history(*[0, 0, 70, 0, 0, 0, 0] * 8), 14)
    assert forecast.method == "mean_of_four_weeks"
    assert [say_dollars(cost) for cost in forecast.daily] == [0, 0, 70, 0, 0, 0, 0] * 2


def test_the_last_day_s_spike_moves_the_level_by_as_much_as_an_ordinary_day_could():
    # It counts as 10 e^0.3 = 13.4986; the level is 10 + 0.3 × 3.4986 = 11.0496, of which 2 % a day go back to 10.
    forecast = forecast_days(make_history(*[10] * 55, 1000), 2)
    assert [say_dollars(cost) for cost in forecast.daily] == [11.03, 11.01]


def test_a_step_is_followed():
    # Up from 10 to 20 three weeks ago: the median of four weeks is 20 as well.
    forecast = forecast_days(make_history(*[10] * 35, *[20] * 21), 10)
    assert 195 <= say_dollars(forecast.expected) <= 200


def test_growth_goes_on_half_as_fast_after_six_weeks_of_it_and_not_before():
    weeks = [100 * 1.1**number for number in range(8)]
    steady = forecast_days(make_history(*[week / 7 for week in weeks for _ in range(7)]), 7)
    broken = forecast_days(make_history(*[week / 7 for week in [*weeks[:3], 120, *weeks[4:]] for _ in range(7)]), 7)
    assert say_dollars(weeks[-1] * PICO) == 194.87
    # The level is 0.7^7 = 8 % of the way back to the weeks before, 193.3; half of ln 1.1 a week is 0.0068 a day, and
    # the middle of the next week is four days ahead.
    assert 193.3 * 1.026 < say_dollars(steady.expected) < 193.3 * 1.029
    assert say_dollars(broken.expected) < 194.87


def test_what_is_left_out_says_nothing():
    outage = date(2026, 10, 30)
    costs = [10] * 54 + [0, 10]
    assert say_dollars(forecast_days(make_history(*costs, left_out=[outage]), 5).expected) == 50
    assert say_dollars(forecast_days(make_history(*costs), 5).expected) < 49


def test_a_day_of_more_refunds_than_use_used_nothing():
    refunded, unused = make_history(*[10] * 30, -500, *[10] * 5), make_history(*[10] * 30, 0, *[10] * 5)
    assert forecast_days(refunded, 9).daily == forecast_days(unused, 9).daily


def test_the_period_s_end_is_the_day_after_its_last_and_never_before_the_history_s():
    history = make_history(*[10] * 20, end=date(2026, 11, 21))
    forecast = forecast_cost(history, period_start=FIRST, period_end=date(2026, 12, 1))
    assert forecast.first_day == date(2026, 11, 21) and forecast.days_ahead == 10
    over = forecast_cost(history, period_start=FIRST, period_end=date(2026, 11, 21))
    assert (over.daily, over.expected, over.low, over.high, over.ceiling) == ((), 0, 0, 0, 0)
    with pytest.raises(ValueError, match="before the history does"):
        forecast_cost(history, period_start=FIRST, period_end=date(2026, 11, 20))


# --- known events ---


def test_a_known_event_is_added_on_its_day_with_its_sign():
    events = [
        KnownEvent(date(2026, 11, 2), 50 * PICO),
        KnownEvent(date(2026, 11, 3), -4 * PICO),
        KnownEvent(date(2026, 11, 4), 9999 * PICO),  # after the period
    ]
    usual = forecast_days(make_history(*[10] * 56), 3)
    forecast = forecast_days(make_history(*[10] * 56), 3, events=events)
    assert [say_dollars(cost) for cost in forecast.daily] == [10, 60, 6]
    for name in ("expected", "low", "high", "ceiling", "run_rate"):
        assert getattr(forecast, name) - getattr(usual, name) == 46 * PICO, name


def test_the_day_of_a_past_event_is_left_out():
    launch = KnownEvent(date(2026, 10, 31), 90 * PICO)
    assert say_dollars(forecast_days(make_history(*[10] * 55, 100), 2, events=[launch]).expected) == 20


# --- what stands beside it ---


def test_the_stress_ceiling_is_the_last_week_s_95th_percentile_every_day():
    # Of 1 … 7 it lies at 1 + 0.95 × 6 = 6.7.
    assert say_dollars(forecast_days(make_history(*[50] * 7, 3, 7, 1, 5, 2, 6, 4), 10).ceiling) == 67


def test_the_straight_line_is_the_mean_of_the_period_s_complete_days():
    history = make_history(*[10] * 40, 30, 50, 0, end=date(2026, 11, 4), left_out=[date(2026, 11, 3)])
    forecast = forecast_cost(history, period_start=FIRST, period_end=date(2026, 12, 1))
    assert say_dollars(forecast.run_rate) == 27 * 40
    # Before the period has a complete day it is the last seven's.
    assert say_dollars(forecast_days(make_history(*[10] * 33, *[40] * 7), 30).run_rate) == 30 * 40


def test_growth_is_the_last_week_beside_the_one_before():
    assert forecast_days(make_history(*[10] * 7, *[11.5] * 7), 1).growth == pytest.approx(0.15)
    assert forecast_days(make_history(*[10] * 13), 1).growth is None
    assert forecast_days(make_history(*[0] * 7, *[5] * 7), 1).growth is None
    # A day that is left out is missing from both weeks.
    half = make_history(*[10] * 7, *[20] * 6, 1, left_out=[date(2026, 10, 31)])
    assert forecast_days(half, 1).growth == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("remaining", "day"),
    [(25, date(2026, 11, 3)), (30, date(2026, 11, 3)), (30.01, None), (0, FIRST), (-5, FIRST)],
)
def test_a_budget_is_used_up_on_the_day_by_whose_end_as_much_is_spent(remaining, day):
    forecast = forecast_days(make_history(*[10] * 56), 3)
    assert find_day_used_up(forecast, remaining=round(remaining * PICO)) == day


# --- whatever the days are ---

costs = st.integers(-(10**13), 10**15) | st.sampled_from([0, 1, 10**12, 10**22])
histories = st.builds(
    lambda values, gaps: History(
        FIRST - timedelta(days=len(values)), values, frozenset(FIRST - timedelta(days=gap) for gap in gaps)
    ),
    st.lists(costs, max_size=70) | st.lists(st.sampled_from([0, 0, 0, 10**12, 10**15]), max_size=70),
    st.frozensets(st.integers(1, 70), max_size=10),
)


@given(histories, st.integers(0, 100))
def test_nothing_is_negative_and_every_range_holds_what_is_expected(history, days):
    forecast = forecast_days(history, days)
    if isinstance(forecast, NoForecast):
        return
    assert len(forecast.daily) == days and all(type(cost) is int and cost >= 0 for cost in forecast.daily)
    assert 0 <= forecast.low <= forecast.expected <= forecast.high
    assert forecast.ceiling >= 0 and forecast.run_rate >= 0
    assert 0.03 < forecast.volatility <= 1


@given(histories, st.sampled_from([2, 10, 1000]))
def test_a_thousand_times_the_cost_is_a_thousand_times_the_forecast(history, times):
    usual = forecast_days(history, 31)
    scaled = forecast_days(History(history.first_day, [cost * times for cost in history.costs], history.left_out), 31)
    if isinstance(usual, NoForecast):
        assert scaled == usual
        return
    for name in ("expected", "low", "high", "ceiling", "run_rate"):
        # Each day is rounded to whole pico-USD, and the range widens the sum of what that leaves out.
        assert getattr(scaled, name) == pytest.approx(getattr(usual, name) * times, rel=1e-9, abs=3000 * times), name
    assert scaled.volatility == pytest.approx(usual.volatility)


@given(st.integers(0, 10**20), st.integers(3, 80), st.integers(1, 60))
def test_a_constant_cost_forecasts_itself(cost, length, days):
    forecast = forecast_days(History(FIRST - timedelta(days=length), [cost] * length), days)
    assert forecast.daily == pytest.approx([cost] * days, rel=1e-9)
    assert forecast.low <= cost * days * (1 + 1e-9) and cost * days * (1 - 1e-9) <= forecast.high
    assert forecast.ceiling == pytest.approx(cost * days)


@given(histories, st.permutations(range(1, 8)))
def test_the_order_of_what_is_left_out_and_of_events_changes_nothing(history, order):
    def forecast_in(order):
        days = [FIRST - timedelta(days=number) for number in order]
        left = History(history.first_day, history.costs, dict.fromkeys(days).keys())
        return forecast_days(left, 10, events=[KnownEvent(FIRST + timedelta(days=number), number) for number in order])

    assert forecast_in(order) == forecast_in(sorted(order))


@pytest.mark.parametrize("length", [3, 13, 14, 21, 56, 90])
def test_days_of_nothing_forecast_nothing(length):
    forecast = forecast_days(make_history(*[0] * length), 30)
    assert isinstance(forecast, Forecast)
    assert (forecast.expected, forecast.low, forecast.high, forecast.ceiling, forecast.run_rate) == (0, 0, 0, 0, 0)


def test_one_day_amid_nothing_is_no_level():
    long_ago, lately = ([700 if day == place else 0 for day in range(56)] for place in (6, 30))
    assert forecast_days(make_history(*long_ago), 28).expected == 0  # the last four weeks had nothing
    # 26 days have been since it began: 700 / 26 a day.
    assert say_dollars(forecast_days(make_history(*lately), 26).expected) == 700


def test_what_began_lately_is_judged_by_the_days_since():
    forecast = forecast_days(make_history(*[0] * 40, *[10] * 10), 10)
    assert forecast.method == "mean_of_seven" and say_dollars(forecast.expected) == 100
    begun_yesterday = forecast_days(make_history(*[0] * 55, 10), 10)
    assert begun_yesterday == NoForecast(complete_days=1)
