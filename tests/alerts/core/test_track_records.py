"""What came of forecasts, and what their errors do to the next range."""

from datetime import date, timedelta

import pytest

from alerts.core.forecasts import History, PastForecast, forecast_cost, measure_track_record
from ledger.core.entries import PICO

FIRST = date(2026, 11, 1)
ALIKE = History(FIRST - timedelta(days=56), [100 * PICO] * 56)


def make_past(days_elapsed=10, *, expected=200, actual=200, spent=100, run_rate=240, reach=50, volatility=0.2):
    return PastForecast(
        days_elapsed=days_elapsed,
        days_ahead=30 - days_elapsed,
        spent=spent * PICO,
        expected=expected * PICO,
        low=(expected - reach) * PICO,
        high=(expected + reach) * PICO,
        run_rate=run_rate * PICO,
        volatility=volatility,
        actual=actual * PICO,
    )


# Two months, each seen from day 5 and day 10, and once from day 7. What came was 280 + 200 + 320 + 300 + 100.
MONTHS = [
    make_past(5, expected=210, actual=280, spent=20, run_rate=300),
    make_past(10, expected=210, actual=200, spent=100, run_rate=220),
    make_past(5, expected=330, actual=320, spent=80, run_rate=400),
    make_past(10, expected=270, actual=300, spent=100, run_rate=240),
    make_past(7, expected=100, actual=100, run_rate=140),
]


def test_errors_are_told_by_the_day_of_the_month():
    fifth, tenth = measure_track_record(MONTHS).days
    assert (fifth.days_elapsed, fifth.forecasts) == (5, 2)
    assert fifth.error == pytest.approx(80 / 600)
    assert fifth.total_error == pytest.approx(80 / 700)
    assert fifth.near == 0.5  # 70 of 300 is too far, 10 of 400 is not
    assert (tenth.days_elapsed, tenth.forecasts) == (10, 2)
    assert tenth.error == pytest.approx(40 / 500)
    assert tenth.near == 1.0  # 10 of 300, 30 of 400


def test_bias_is_negative_where_forecasts_were_too_low():
    record = measure_track_record(MONTHS)
    assert record.forecasts == 5
    assert record.bias == pytest.approx((-70 + 10 + 10 - 30 + 0) / 1200)


def test_skill_is_what_is_saved_of_a_straight_line_s_errors():
    # Ours 70 + 10 + 10 + 30 + 0, the line's 20 + 20 + 80 + 60 + 40.
    record = measure_track_record(MONTHS)
    assert record.skill == pytest.approx(1 - 120 / 220) and record.is_worth_showing
    worse = measure_track_record([make_past(expected=300, actual=200, run_rate=250)])
    assert worse.skill == -1 and not worse.is_worth_showing


def test_coverage_is_not_told_of_fewer_than_sixty():
    within, beyond = make_past(actual=250), make_past(actual=251)
    assert measure_track_record([within] * 59).coverage is None
    assert measure_track_record([within] * 45 + [beyond] * 15).coverage == 0.75


def test_of_nothing_nothing_is_told():
    record = measure_track_record([])
    assert (record.forecasts, record.days, record.bias, record.coverage, record.skill) == (0, (), None, None, None)
    assert record.is_worth_showing
    unused = measure_track_record([make_past(5, expected=0, actual=0, spent=0, run_rate=0)])
    assert (unused.days, unused.bias, unused.skill) == ((), None, None)


def find_range(past):
    forecast = forecast_cost(ALIKE, period_start=FIRST, period_end=FIRST + timedelta(days=20), past=past)
    return round(forecast.low / PICO, 2), round(forecast.high / PICO, 2)


def test_own_errors_count_by_their_number():
    # exp(∓ …) of the table: -1.63 and 2.21 times √0.001. Of 120 own errors half is theirs, and these are none.
    assert find_range([]) == (1899.52, 2144.77)
    assert find_range([make_past()] * 120) == (1949.11, 2071.12)
    # Of 30 it is a fifth: -1.304 and 1.768.
    assert find_range([make_past()] * 30) == (1919.21, 2115.00)


def test_own_errors_on_one_side_widen_the_range_on_that_side_to_twice_at_most():
    # -0.815 below; 2.21 × (half + half of twice) = 3.315 above, though what came was far beyond that.
    assert find_range([make_past(expected=100, actual=900)] * 120) == (1949.11, 2221.04)


def test_own_errors_are_seen_in_the_widths_of_their_own_days_ahead():
    # Ten days ahead, volatility 0.2: the table's upper tenth is ln(actual / expected) = 0.2 × (1.60 + 3/8 × 0.45).
    exactly = 100 * 2.718281828 ** (0.2 * (1.60 + 3 / 8 * 0.45))
    past = PastForecast(20, 10, 0, 100 * PICO, 0, 0, 0, 0.2, round(exactly * PICO))
    low, high = find_range([past] * 120)
    assert high == 2144.77 and low == 1949.11


def test_what_never_cost_anything_tells_no_error():
    assert find_range([make_past(expected=0, actual=0), make_past(expected=5, actual=0)] * 60) == find_range([])
