"""Forecasts of a public cloud bill, month after month, as `python -m bench.forecasts` has them for more series."""

import pytest

from bench import forecasts
from bench.forecasts import MEAN_OF_SEVEN, OURS, STRAIGHT_LINE, TOTAL, measure_coverage, measure_error, measure_near

pytestmark = pytest.mark.skipif(not forecasts.DATA.is_dir(), reason="the public series are not at ../shared/data")


@pytest.fixture(scope="module")
def bill():
    (series,) = (series for series in forecasts.read_series() if series.group == TOTAL)
    return series


@pytest.fixture(scope="module")
def origins(bill):
    return list(forecasts.walk_origins(bill, history_days_min=56))


def test_the_rest_of_a_month_is_missed_by_less_than_by_hand(origins):
    assert len(origins) == 59
    assert measure_error(origins, OURS) <= 0.12
    assert measure_error(origins, OURS) < 0.9 * measure_error(origins, MEAN_OF_SEVEN)
    assert measure_error(origins, OURS) < 0.9 * measure_error(origins, STRAIGHT_LINE)


def test_the_range_holds_what_came_as_often_as_it_says(origins):
    assert 0.75 <= measure_coverage(origins) <= 0.97


def test_most_months_come_within_ten_percent(origins):
    for near, least in zip(measure_near(origins), (0.55, 0.62, 0.78, 0.88), strict=True):
        assert near >= least


def test_what_comes_later_changes_no_forecast(bill, origins):
    known = len(bill.values) - 120
    halted = forecasts.Series(bill.group, bill.first_day, [*bill.values[:known], *[10**15] * 120])
    early = [origin for origin in origins if origin.series.find_place(origin.day) <= known - 31]
    again = list(forecasts.walk_origins(halted, history_days_min=56))[: len(early)]
    assert len(early) > 30
    assert [(one.expected, one.low, one.high) for one in again] == [(one.expected, one.low, one.high) for one in early]
